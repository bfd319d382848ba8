"""What the parties agreed to do when a promise is not kept: a closed list, as data."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.sla.domain.agreement import Role
from services.sla.domain.fault import Fault


class ConsequenceKind(Enum):
    """What is to happen; who does it reads it in the log."""

    ALERT = "ALERT"
    REASSIGN = "REASSIGN"
    THROTTLE_INTAKE = "THROTTLE_INTAKE"
    CHANGE_CAPACITY = "CHANGE_CAPACITY"
    REVIEW = "REVIEW"
    PAYOUT_FACTOR = "PAYOUT_FACTOR"


class BudgetTrigger(Enum):
    """The states of an error budget that something can follow from."""

    WARN = "WARN"
    EXHAUSTED = "EXHAUSTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """One thing that follows, on a rung of the ladder or when the budget gets into a state."""

    id: str
    kind: ConsequenceKind | None
    rung: str | None = None
    budget: BudgetTrigger | None = None
    percent: int | None = None
    recipients: tuple[Role, ...] = ()


_PERCENT: Final = {
    ConsequenceKind.THROTTLE_INTAKE: (0, 99, None, "the share of intake that is let through, 0 to 99"),
    ConsequenceKind.CHANGE_CAPACITY: (-100, 500, 0, "by how much, -100 to 500, and not 0"),
    ConsequenceKind.PAYOUT_FACTOR: (0, 200, 100, "the factor in percent, 0 to 200, and not 100"),
}
"""Least, most, and what would change nothing."""


def reassigning(consequences: Sequence[Consequence]) -> frozenset[str]:
    """Return the rungs on which a handoff is taken from its owner."""
    return frozenset(
        each.rung for each in consequences if each.kind is ConsequenceKind.REASSIGN and each.rung is not None
    )


def following(
    consequences: Sequence[Consequence], *, rung: str | None = None, budget: BudgetTrigger | None = None
) -> tuple[Consequence, ...]:
    """Return what is to be said of a rung that fired, or of a budget that got into a state.

    A reassignment is not among it: it is asked for as a takeover.
    """
    return tuple(
        each
        for each in consequences
        if each.kind is not ConsequenceKind.REASSIGN
        and ((rung is not None and each.rung == rung) or (budget is not None and each.budget is budget))
    )


def faults_of_consequences(
    consequences: Sequence[Consequence], rungs: Collection[str], path: str
) -> Iterator[Fault]:
    """Yield what cannot be agreed to; `rungs` are those of the commitment."""
    seen: set[str] = set()
    for at, each in enumerate(consequences):
        where = f"{path}[{at}]"
        if not each.id or each.id in seen:
            yield Fault(path=f"{where}.consequence_id", description="give it an id of its own")
        seen.add(each.id)
        yield from _faults_of_trigger(each, rungs, where)
        yield from _faults_of_kind(each, where)


def _faults_of_trigger(each: Consequence, rungs: Collection[str], path: str) -> Iterator[Fault]:
    if each.rung is None and each.budget is None:
        yield Fault(path=path, description="say when: on a rung, or when the budget gets into a state")
    elif each.rung is not None and each.rung not in rungs:
        known = ", ".join(rungs) or "none"
        yield Fault(path=f"{path}.rung_id", description=f"name a rung of this commitment: {known}")


def _faults_of_kind(each: Consequence, path: str) -> Iterator[Fault]:
    if each.kind is None:
        yield Fault(path=f"{path}.kind", description="say what is to happen")
        return
    if each.kind is ConsequenceKind.REASSIGN and each.rung is None:
        yield Fault(
            path=f"{path}.budget_trigger", description="a budget has no handoff to reassign; name a rung"
        )
    if each.kind is ConsequenceKind.ALERT and each.rung is not None:
        yield Fault(path=f"{path}.rung_id", description="the rung itself tells people; give it recipients")
    if (each.kind is ConsequenceKind.ALERT) != bool(each.recipients):
        yield Fault(path=f"{path}.recipients", description="an alert tells somebody; nothing else does")
    yield from _faults_of_percent(each, path)


def _faults_of_percent(each: Consequence, path: str) -> Iterator[Fault]:
    bounds = _PERCENT.get(each.kind) if each.kind is not None else None
    if bounds is None:
        if each.percent is not None:
            yield Fault(path=f"{path}.percent", description="this kind has none")
        return
    least, most, nothing, description = bounds
    if each.percent is None or not least <= each.percent <= most or each.percent == nothing:
        yield Fault(path=f"{path}.percent", description=description)
