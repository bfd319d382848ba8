"""Past states of the figures: how one is asked for, how far back they reach, and which copies are kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from services.reports.domain.errors import AsOfInvalid, AsOfOutOfReach
from services.reports.domain.periods import Micros

__all__ = [
    "INPUTS",
    "LOGS",
    "REACH_DAYS",
    "AskedAsOf",
    "Place",
    "Places",
    "Until",
    "check_reach",
    "kept_of",
    "untils_of",
]

_DAY: Final = 86_400_000_000
REACH_DAYS: Final = 396
"""Thirteen months, whichever they are."""
LOGS: Final = ("leads", "sla")
"""The logs that are folded in."""
INPUTS: Final = "reports"
"""Under this name an answer tells how many changes of inputs it rests on."""
_DAILY_DAYS: Final = 8
_WEEKLY_DAYS: Final = 36
_EPOCH_ORDINAL: Final = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


@dataclass(frozen=True, slots=True)
class Place:
    """How far a view of a log is folded in."""

    log_id: str
    position: int
    record_time: Micros


Places: TypeAlias = Mapping[str, Place]
"""By service; a log that told nothing yet is left out."""


@dataclass(frozen=True, slots=True)
class AskedAsOf:
    """A past state, by the instant at which open items are judged, and how far each log was folded in.

    Without positions it is what had been recorded until that instant.
    """

    time: Micros
    positions: Mapping[str, tuple[str, int]] | None = None
    """Log id and position by service."""


@dataclass(frozen=True, slots=True)
class Until:
    """Up to where a log is folded in: to a position, or to the last event recorded at an instant."""

    position: int | None
    record_time: Micros

    def allows(self, place: Place | None) -> bool:
        """Say whether what is folded in so far lies within."""
        if place is None or place.position == 0:
            return True
        if self.position is not None:
            return place.position <= self.position
        return place.record_time <= self.record_time


def check_reach(asked: AskedAsOf, now: Micros) -> None:
    """Refuse an instant that has not come, or lies too far back.

    Raises:
        AsOfInvalid, AsOfOutOfReach: when it is so.
    """
    if asked.time > now:
        raise AsOfInvalid("as_of.as_of_time", "an instant that is past")
    if asked.time < now - REACH_DAYS * _DAY:
        raise AsOfOutOfReach("as_of.as_of_time", "an instant of the last thirteen months")


def untils_of(asked: AskedAsOf, present: Places) -> dict[str, Until]:
    """Return up to where each log is to be folded in.

    Raises:
        AsOfInvalid: for a position of another log than the one that is followed, or that is not reached yet.
    """
    if asked.positions is None:
        return {service: Until(None, asked.time) for service in LOGS}
    for service, (log_id, position) in asked.positions.items():
        if service == INPUTS:
            continue
        place = present.get(service)
        if service not in LOGS or place is None or place.log_id != log_id:
            raise AsOfInvalid("as_of.positions", "positions of the logs that an answer to you named")
        if not 0 <= position <= place.position:
            raise AsOfInvalid("as_of.positions", "positions that were reached")
    # A log that an answer left out had told nothing then.
    return {service: Until(asked.positions.get(service, ("", 0))[1], asked.time) for service in LOGS}


def kept_of(times: Iterable[Micros], now: Micros) -> set[Micros]:
    """Return which copies are kept: all of eight days, the newest of each week of five, then of each month.

    Of those from before the reach one stays, so that all of the reach has one before it.
    """
    kept: dict[tuple[str, int], Micros] = {}
    for time in sorted(times):
        kept[_slot(time, now)] = time
    return set(kept.values())


def _slot(time: Micros, now: Micros) -> tuple[str, int]:
    age = now - time
    day = time // _DAY
    if age < _DAILY_DAYS * _DAY:
        return "copy", time
    if age < _WEEKLY_DAYS * _DAY:
        return "week", (day + 3) // 7  # weeks from Monday
    if age <= REACH_DAYS * _DAY:
        date = datetime.fromordinal(day + _EPOCH_ORDINAL)
        return "month", 12 * date.year + date.month
    return "before", 0
