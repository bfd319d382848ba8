"""Who may record and read inputs: one line per RPC, and for each kind of input who may tell it."""

from collections.abc import Mapping
from typing import Final

from services.reports.domain.inputs import InputEntry, InputKind
from smarketing.server.auth import Caller, Role
from smarketing.server.policy import Allow, Policy

__all__ = ["INPUT_POLICY", "may_record", "may_see_person"]

_SERVICE: Final = "/smarketing.api.reports.v1.InputService"
_ALWAYS: Final = frozenset({Role.LEADERSHIP, Role.OPERATOR, Role.SERVICE})
_MARKETING: Final = frozenset({Role.MARKETING_MANAGER, Role.MARKETING_SPECIALIST})
_CARE: Final = frozenset({Role.CUSTOMER_SUCCESS, Role.ACCOUNT_MANAGER})
_MANAGERS: Final = frozenset({Role.MARKETING_MANAGER, Role.SALES_MANAGER})
_SEE_PEOPLE: Final = frozenset({Role.LEADERSHIP, Role.SALES_MANAGER, Role.AUDITOR, Role.OPERATOR})

_RECORDERS: Final[Mapping[InputKind, frozenset[Role]]] = {
    InputKind.COST: _MARKETING | {Role.SALES_MANAGER},
    InputKind.GOAL: _MANAGERS,
    InputKind.REVENUE: frozenset({Role.SALES_MANAGER, Role.ACCOUNT_MANAGER}),
    InputKind.COUNT: _MARKETING | _CARE | {Role.SALES_MANAGER},
    InputKind.SUM: _MARKETING | {Role.SALES_MANAGER},
    InputKind.ANSWERS: _MARKETING | _CARE,
    InputKind.TOUCHPOINT: _MARKETING,
}
_ANYBODY_WHO_RECORDS: Final = _ALWAYS | frozenset(role for roles in _RECORDERS.values() for role in roles)

INPUT_POLICY: Final[Policy] = {
    f"{_SERVICE}/RecordInputs": Allow(*_ANYBODY_WHO_RECORDS, mutation=True),
    f"{_SERVICE}/ListInputs": Allow(*_ALWAYS, *_MANAGERS, Role.AUDITOR),
    f"{_SERVICE}/GetQuotas": Allow(
        *_ALWAYS, *_MANAGERS, Role.AUDITOR, Role.SALES_REP, Role.SALES_SPECIALIST, Role.ACCOUNT_MANAGER
    ),
}


def may_record(caller: Caller, entry: InputEntry) -> bool:
    """Whether a caller may tell this: each party its own costs and goals, leadership and systems all."""
    if caller.roles & _ALWAYS:
        return True
    allowed = caller.roles & _RECORDERS[InputKind(entry.kind)]
    if not allowed or entry.kind not in (InputKind.COST, InputKind.GOAL):
        return bool(allowed)
    if entry.word == "joint_revenue":
        return False
    # What one party spends, and wants of its people, the other has no say in.
    own = {"marketing": _MARKETING, "sales": frozenset({Role.SALES_MANAGER})}
    side = entry.party or ("marketing" if entry.word == "budget" else "sales")
    if entry.kind == InputKind.COST and not entry.party:
        return True
    return bool(allowed & own.get(side, frozenset()))


def may_see_person(caller: Caller, person: str) -> bool:
    """Whether a caller may see what one person is to reach: managers of sales may, and the person."""
    return bool(caller.roles & _SEE_PEOPLE) or caller.principal == person
