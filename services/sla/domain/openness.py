"""Promises in open time, under a calendar that never gives them any."""

from collections.abc import Iterator
from datetime import datetime

from services.sla.domain.agreement import TimeBasis
from services.sla.domain.fault import Fault
from services.sla.domain.terms import Terms
from smarketing.businesstime import BusinessTime, BusinessTimeError, Openings

_LEAST = BusinessTime(1)


def faults_of_calendar(terms: Terms, openings: Openings, *, now: datetime) -> Iterator[Fault]:
    """Yield what the calendar cannot keep: to open at all from now on, and to reach each target."""
    in_open_time = [
        (at, promise) for at, promise in enumerate(terms.promises) if promise.basis is TimeBasis.BUSINESS
    ]
    if in_open_time and not _reaches(openings, _LEAST, now):
        description = (
            "a calendar that opens within 366 days from now; this one does not, and no clock would run"
        )
        yield Fault(path="calendar_version", description=description)
        return
    for at, promise in in_open_time:
        for number, target in enumerate(promise.targets):
            if target.amount is None or target.amount <= BusinessTime():
                continue
            if not _reaches(openings, target.amount, now):
                yield Fault(
                    path=f"commitments[{at}].tiers[{number}].target_duration",
                    description="less: the calendar stays closed for more than 366 days before it is reached",
                )


def _reaches(openings: Openings, amount: BusinessTime, now: datetime) -> bool:
    try:
        openings.add(now, amount)
    except BusinessTimeError:
        return False
    return True
