"""The windows of a budget at an instant: where each begins, and when something next enters or leaves one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.sla.domain.budget import BudgetPolicy, Count, Counts
from services.sla.domain.slots import instant_at, last_minute_by, minute_of
from smarketing.businesstime import BusinessTime, Openings

__all__ = ["BudgetWindows", "Window"]


class Window(NamedTuple):
    """The minutes after one and until another."""

    after: int
    until: int


@dataclass(frozen=True, slots=True)
class BudgetWindows:
    """All windows of one policy, in the order of `Counts`; they end with the last minute that is over."""

    policy: BudgetPolicy
    openings: Openings
    until: int

    @classmethod
    def at(cls, policy: BudgetPolicy, openings: Openings, now: datetime) -> "BudgetWindows":
        """Return the windows that end at an instant."""
        return cls(policy, openings, last_minute_by(now))

    @property
    def lengths(self) -> tuple[BusinessTime, ...]:
        """How long each is, in open time."""
        fast, slow = self.policy.fast, self.policy.slow
        return (self.policy.window, fast.long, fast.short, slow.long, slow.short)

    def windows(self) -> list[Window]:
        """Return where each begins and ends.

        Raises:
            CalendarNeverOpens: when there is not so much open time before now.
        """
        end = instant_at(self.until)
        return [
            Window(last_minute_by(self.openings.add(end, -length)), self.until) for length in self.lengths
        ]

    def counts(self, found: Sequence[Count], since: datetime) -> Counts:
        """Return what was counted, by window; `since` is from when on clocks could count at all."""
        whole, fast_long, fast_short, slow_long, slow_short = found
        open_time = self.openings.between(since, instant_at(self.until))
        return Counts(
            window=whole,
            fast_long=fast_long,
            fast_short=fast_short,
            slow_long=slow_long,
            slow_short=slow_short,
            elapsed=min(max(open_time, BusinessTime()), self.policy.window),
        )

    def next_time(self, first: Sequence[int | None], upcoming: int | None) -> datetime | None:
        """Return when what the windows hold changes by itself; None when it does not.

        `first` is the first minute counted after the begin of each window, `upcoming` the next to come.
        """
        instants = [] if upcoming is None else [instant_at(upcoming)]
        for length, minute in zip(self.lengths, first, strict=True):
            if minute is not None and minute <= self.until:
                leaves = self.openings.add(instant_at(minute), length)
                instants.append(instant_at(minute_of(leaves)))
        return min(instants, default=None)
