"""Business figures from the database's own state: they survive restarts and agree with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select

from services.leads.domain.states import HandoffState
from services.leads.store.schema import SCHEMA

_T = SCHEMA.leads
_h = _T.handoff.c
_OPEN_STATES = tuple(range(HandoffState.SUBMITTED, HandoffState.CONVERTED + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFigures:
    """One tenant's figures."""

    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(what is counted, label) → how often it ever happened."""
    handoffs: Mapping[str, int] = field(default_factory=dict)
    """State, or `archived` → how many are there."""
    oldest_unrouted: datetime | None = None
    oldest_offered: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What /metrics shows."""

    tenants: Mapping[str, TenantFigures]
    unowned: int
    idempotency_records: int


def read_figures(connection: Connection, tenants: Sequence[str]) -> Figures:
    """Return the figures of these tenants, and those of the whole."""
    records = SCHEMA.commands.idempotency
    return Figures(
        tenants={tenant: _of_tenant(connection, tenant) for tenant in tenants},
        unowned=connection.execute(_UNOWNED).scalar_one(),
        idempotency_records=connection.execute(select(func.count()).select_from(records)).scalar_one(),
    )


# Open, not archived, and with nobody: neither owner nor queue nor open offer, nor waiting for routing.
_UNOWNED = select(func.count()).where(
    _h.state.in_(_OPEN_STATES),
    _h.archived == 0,
    or_(
        and_(_h.state == HandoffState.OFFERED.value, func.coalesce(_h.offer_state, 0) != 1),
        and_(_h.state.in_(_OPEN_STATES[2:5]), _h.owner == ""),
    ),
)


def _of_tenant(connection: Connection, tenant: str) -> TenantFigures:
    total = _T.business_total.c
    counted = select(total.total, total.label, total.amount).where(total.tenant == tenant)
    by_state = (
        select(_h.state, _h.archived, func.count()).where(_h.tenant == tenant).group_by(_h.state, _h.archived)
    )
    handoffs = {state.name.lower(): 0 for state in HandoffState} | {"archived": 0}
    for state, archived, count in connection.execute(by_state):
        handoffs["archived" if archived else HandoffState(state).name.lower()] += count
    waiting = (_h.tenant == tenant, _h.archived == 0)
    unrouted = select(func.min(_h.submit_time)).where(*waiting, _h.state == HandoffState.SUBMITTED.value)
    offered = select(func.min(_h.offer_time)).where(*waiting, _h.offer_state == 1)
    return TenantFigures(
        totals={(name, label): amount for name, label, amount in connection.execute(counted)},
        handoffs=handoffs,
        oldest_unrouted=connection.execute(unrouted).scalar(),
        oldest_offered=connection.execute(offered).scalar(),
    )
