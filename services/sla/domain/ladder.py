"""Tiers and rungs that can never come to be: what an earlier one leaves them nothing of."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from services.sla.domain.condition import Condition, fault_of_expression
from services.sla.domain.fault import Fault
from smarketing.businesstime import BusinessTime


class Aimed(Protocol):
    """A tier: for which handoffs, and how much time they are given."""

    @property
    def condition(self) -> Condition:
        """Which handoffs."""

    @property
    def amount(self) -> BusinessTime | None:
        """The target."""


class Stepped(Protocol):
    """A rung: at a share of the target, or at an offset from due."""

    @property
    def percent(self) -> int | None:
        """Of the target."""

    @property
    def offset(self) -> BusinessTime | None:
        """From due."""


def faults_of_tiers(tiers: Sequence[Aimed], path: str) -> Iterator[Fault]:
    """Yield the conditions that cannot be asked, and the tiers that no handoff can get to."""
    for at, tier in enumerate(tiers):
        where = f"{path}[{at}]"
        fault = fault_of_expression(tier.condition.expression)
        if fault is not None:
            yield Fault(path=f"{where}.condition", description=fault)
            continue
        first = next((n for n in range(at) if tiers[n].condition.covers(tier.condition)), None)
        if first is not None:
            description = f"no handoff gets to it: tiers[{first}] takes every one that it means"
            yield Fault(path=where, description=description)


def faults_of_order(rungs: Sequence[Stepped], tiers: Sequence[Aimed], path: str) -> Iterator[Fault]:
    """Yield the rungs that cannot follow the one written before them, under any target.

    Of rungs that are passed together only the highest is delivered: one at the instant of another, or before
    it, would never be a step after it.
    """
    targets = [tier.amount for tier in tiers if tier.amount is not None and tier.amount > BusinessTime()]
    for at in range(1, len(rungs)):
        before, after = rungs[at - 1], rungs[at]
        for number, target in enumerate(targets):
            instants = _counted(before, target), _counted(after, target)
            if None not in instants and instants[1] <= instants[0]:  # type: ignore[operator] # neither is None
                description = (
                    f"cannot follow rungs[{at - 1}]: with the target of tiers[{number}] it comes "
                    f"{'with' if instants[0] == instants[1] else 'before'} it"
                )
                yield Fault(path=f"{path}[{at}]", description=description)
                break


def _counted(rung: Stepped, target: BusinessTime) -> BusinessTime | None:
    """Return how much of the target is over at a rung; None for one that is not written rightly."""
    if (rung.percent is None) == (rung.offset is None):
        return None
    if rung.percent is not None:
        return BusinessTime(target.microseconds * rung.percent // 100)
    return None if rung.offset is None else target + rung.offset
