"""Targets proposed from how long a tenant's own clocks took; nothing is proposed from a few."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from smarketing.businesstime import BusinessTime

LEAST_SETTLED: Final = 30
_MINUTE_US: Final = 60_000_000


class Unknown(Enum):
    """Why nothing is proposed."""

    TOO_FEW = "TOO_FEW"
    NOT_REACHED = "NOT_REACHED"


def rank(percent: int, count: int) -> int:
    """Return the place, from 1, at which that share of so many is complete."""
    return -(-percent * count // 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long the settled clocks of one commitment and target took.

    What was never done took longer than anything that was: it is among the settled, at the end. A share is
    None where it is complete only with clocks of that kind.
    """

    commitment_id: str
    target: BusinessTime
    settled: int
    done: int
    p50: BusinessTime | None
    p80: BusinessTime | None

    @property
    def unknown(self) -> Unknown | None:
        """Why nothing is proposed; None when something is."""
        if self.settled < LEAST_SETTLED:
            return Unknown.TOO_FEW
        return Unknown.NOT_REACHED if self.p80 is None else None

    @property
    def proposed(self) -> BusinessTime | None:
        """What four of five kept, up to the next whole minute."""
        if self.unknown is not None or self.p80 is None:
            return None
        return BusinessTime(max(-(-self.p80.microseconds // _MINUTE_US), 1) * _MINUTE_US)
