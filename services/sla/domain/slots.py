"""When a settled clock counts in its commitment's budget, and of which slots a window is the sum.

A clock counts from the end of the minute in which it fell due. Minutes are grouped in hours and days of UTC:
a window is the sum of a few dozen slots, however long it is and however many clocks there were.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from services.sla.domain.course import Outcome
from services.sla.domain.recorded import Clock

__all__ = [
    "SIZES",
    "Settlement",
    "Slots",
    "instant_at",
    "last_minute_by",
    "minute_of",
    "settlements",
    "slots_between",
]

SIZES: Final = (1, 60, 1440)
"""Lengths of slots in minutes, each a multiple of the one before."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)


class Slots(NamedTuple):
    """Slots of one size, from the first to the last, both included."""

    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """By how much the counts of one minute change: 1, or -1 where something is taken back."""

    tenant: str
    agreement: str
    commitment_id: str
    minute: int
    met: int
    breached: int


def minute_of(at: datetime) -> int:
    """Return the minute in which an instant lies, as its end since 1970; an end is in the minute it ends."""
    return -((_EPOCH - at) // _MINUTE)


def last_minute_by(at: datetime) -> int:
    """Return the last minute that had ended at an instant."""
    return (at - _EPOCH) // _MINUTE


def instant_at(minute: int) -> datetime:
    """Return the end of a minute."""
    return _EPOCH + minute * _MINUTE


def slots_between(after: int, until: int) -> Iterator[Slots]:
    """Yield the slots that together are the minutes after one and until another: large ones where they fit.

    A slot of a size is numbered by its last minute divided by the size, upwards.
    """
    at = after
    for number, size in enumerate(SIZES):
        # Up to where the next larger size fits.
        larger = SIZES[number + 1] if number + 1 < len(SIZES) else None
        edge = (
            until // size * size if larger is None else min(-(-at // larger) * larger, until // size * size)
        )
        if edge > at:
            yield Slots(size, at // size + 1, edge // size)
            at = edge
    for size in reversed(SIZES[:-1]):
        edge = until // size * size
        if edge > at:
            yield Slots(size, at // size + 1, edge // size)
            at = edge


def settlements(before: Clock | None, after: Clock) -> list[Settlement]:
    """Return what a change of a clock changes in its commitment's counts; a late fact takes back what was.

    Void and excused clocks and imported history count for nothing, running ones for nothing yet.
    """
    gone, come = _counted(before), _counted(after)
    if gone == come:
        return []
    found = [] if gone is None else [_settlement(after, *gone, sign=-1)]
    return found if come is None else [*found, _settlement(after, *come, sign=1)]


def _counted(clock: Clock | None) -> tuple[int, bool] | None:
    if clock is None or clock.historical or clock.outcome not in (Outcome.MET, Outcome.BREACHED):
        return None
    return minute_of(clock.due_time), clock.outcome is Outcome.MET


def _settlement(clock: Clock, minute: int, is_met: bool, *, sign: int) -> Settlement:
    return Settlement(
        tenant=clock.tenant,
        agreement=clock.agreement,
        commitment_id=clock.commitment_id,
        minute=minute,
        met=sign * is_met,
        breached=sign * (not is_met),
    )
