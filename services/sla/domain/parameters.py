"""What a promise says of its kind alone: business days, attempts, owners' time, reasons to pause."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from services.sla.domain.agreement import CommitmentKind, Role, TimeBasis
from services.sla.domain.fault import Fault
from services.sla.domain.terms import Promise, Target, Terms
from smarketing.businesstime import BusinessTime, Calendar

_MOST_DAYS = 366
_MOST_ATTEMPTS = 100
_LONGEST_SPACING = timedelta(days=30)
_OWNED = (CommitmentKind.FIRST_FOLLOW_UP, CommitmentKind.ATTEMPTS)
_SIDES = frozenset({"MARKETING", "SALES", "SYSTEM", "BUYER"})
_GRANTORS = frozenset({Role.OWNER, Role.MANAGER, Role.OTHER_PARTY, Role.LEADERSHIP})


def in_durations(terms: Terms, calendar: Calendar) -> Terms:
    """Return the terms with every target in business days as a duration, by the calendar's day as it is now.

    Days that nobody can mean are left for `faults_of_parameters`.
    """

    def turned(target: Target) -> Target:
        if not 0 < target.business_days <= _MOST_DAYS:
            return target
        return replace(target, amount=calendar.business_days(target.business_days))

    promises = (
        replace(promise, targets=tuple(turned(target) for target in promise.targets))
        for promise in terms.promises
    )
    return replace(terms, promises=tuple(promises))


def faults_of_parameters(terms: Terms) -> list[Fault]:
    """Return everything in these parameters that cannot be agreed to."""
    faults: list[Fault] = []
    for at, promise in enumerate(terms.promises):
        faults += _faults_of_promise(promise, f"commitments[{at}]")
    seen: set[str] = set()
    for at, reason in enumerate(terms.pause_reasons):
        path = f"pause_reasons[{at}]"
        if not reason.code or reason.code in seen:
            faults.append(Fault(path=f"{path}.code", description="give it a code of its own"))
        seen.add(reason.code)
        if reason.cap is not None and reason.cap <= BusinessTime():
            faults.append(Fault(path=f"{path}.cap_duration", description="more than nothing, or absent"))
        if not set(reason.grantors) <= _GRANTORS:
            description = "owner, manager, other party or leadership: a queue grants nothing"
            faults.append(Fault(path=f"{path}.grantors", description=description))
        if reason.side not in _SIDES:
            description = "marketing, sales, system or buyer: paused time is somebody's"
            faults.append(Fault(path=f"{path}.accountable_party", description=description))
    return faults


def _faults_of_promise(promise: Promise, path: str) -> Iterator[Fault]:
    for at, target in enumerate(promise.targets):
        where = f"{path}.tiers[{at}].target_business_days"
        if not 0 <= target.business_days <= _MOST_DAYS:
            yield Fault(path=where, description=f"1 to {_MOST_DAYS}, or leave it out")
        elif target.business_days and promise.basis is TimeBasis.WALL:
            yield Fault(path=where, description="wall time knows no business days; give a duration")
    if promise.owner_target is not None:
        where = f"{path}.owner_target_duration"
        if promise.kind not in _OWNED:
            yield Fault(path=where, description="only what an owner promises is given to each owner")
        amounts = [target.amount for target in promise.targets if target.amount]
        if promise.owner_target <= BusinessTime() or any(promise.owner_target > each for each in amounts):
            yield Fault(path=where, description="more than nothing, and no more than any target")
    yield from _faults_of_attempts(promise, f"{path}.attempts")


def _faults_of_attempts(promise: Promise, path: str) -> Iterator[Fault]:
    attempts = promise.attempts
    if (promise.kind is CommitmentKind.ATTEMPTS) != (attempts is not None):
        yield Fault(path=path, description="goes with a promise of attempts, and with no other")
    if attempts is None:
        return
    if not 1 <= attempts.count <= _MOST_ATTEMPTS:
        yield Fault(path=f"{path}.count", description=f"1 to {_MOST_ATTEMPTS}")
    if not timedelta() <= attempts.spacing <= _LONGEST_SPACING:
        yield Fault(path=f"{path}.spacing_duration", description=f"0 to {_LONGEST_SPACING.days} days")
    for name, wanted in (("distinct_dates", attempts.dates), ("distinct_channels", attempts.channels)):
        if not 1 <= wanted <= attempts.count:
            yield Fault(path=f"{path}.{name}", description="1 to the count: each attempt has one of them")
