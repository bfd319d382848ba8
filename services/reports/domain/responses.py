"""How long what took: from two instants of a handoff, or from a clock, to an item that an estimator takes."""

import enum
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

from services.reports.domain.estimators import Curve, Outcome, estimate_counted, fixed_horizon
from services.reports.domain.periods import Micros

__all__ = ["MEASURES", "STAGE_MEASURES", "Measure", "Measured", "ResponseItems", "measure"]


class Measure(enum.StrEnum):
    """What is measured; the value is the id of its figure."""

    ROUTING = "S7"
    TIME_TO_ACCEPT = "S8"
    TIME_TO_DECIDE = "S9"
    OWNER_FIRST_FOLLOW_UP = "S10"
    BUYER_FIRST_FOLLOW_UP = "S11"
    FIRST_CONTACT = "S12"
    FRESHNESS = "K10"
    AS_SUBMITTED = "H7.submitted"
    AS_ACCEPTED = "H7.accepted"
    AS_WORKED = "H7.worked"
    AS_QUALIFIED = "H7.qualified"
    AS_CONVERTED = "H7.converted"
    INQUIRY_TO_WIN = "P7.inquiry"


class Measured(NamedTuple):
    """Which times of a handoff a measure looks at; the earliest known of each list counts."""

    start: tuple[str, ...]
    """The first of these that is known."""
    answers: tuple[str, ...]
    exits: tuple[str, ...]


_OVER: Final = ("reject_time", "disqualify_time", "recycle_time", "won_time", "lost_time", "void_time")

MEASURES: Final = {
    Measure.ROUTING: Measured(("submit_time",), ("offer_time",), ("accept_time", *_OVER)),
    Measure.TIME_TO_ACCEPT: Measured(("offer_time",), ("accept_time",), ("reject_time", "void_time")),
    Measure.TIME_TO_DECIDE: Measured(("offer_time",), ("accept_time", "reject_time"), ("void_time",)),
    Measure.BUYER_FIRST_FOLLOW_UP: Measured(
        ("inquire_time", "submit_time"), ("first_follow_up_time",), _OVER
    ),
    Measure.FIRST_CONTACT: Measured(("inquire_time", "submit_time"), ("first_contact_time",), _OVER),
    Measure.FRESHNESS: Measured(("inquire_time",), ("submit_time",), ()),
}
"""Those measured in wall time on the handoff itself; S10 is read from the clocks that count business time."""


STAGE_MEASURES: Final = (
    Measure.AS_SUBMITTED,
    Measure.AS_ACCEPTED,
    Measure.AS_WORKED,
    Measure.AS_QUALIFIED,
    Measure.AS_CONVERTED,
)
"""How long handoffs stay in each stage, in the order of the stages; kept in buckets alone (H7)."""


@dataclass(slots=True)
class ResponseItems:
    """The items of one group, and how many were kept out for times that contradict one another."""

    items: list[tuple[Micros, Outcome, Micros]] = field(default_factory=list)
    """Duration, outcome, age."""
    counted: list[tuple[Micros, Outcome, int]] = field(default_factory=list)
    """Of the many, from buckets: the mean duration, the outcome, how many."""
    invalid_count: int = 0

    @property
    def item_count(self) -> int:
        """All but the invalid."""
        return len(self.items) + sum(number for _, _, number in self.counted)

    def add(self, item: tuple[Micros, Outcome, Micros] | None, number: int = 1) -> None:
        """Take an item in, `number` times; None is one whose times contradict one another."""
        if item is None:
            self.invalid_count += number
        elif number == 1:
            self.items.append(item)
        else:
            self.counted.append((item[0], item[1], number))

    def curve(self) -> Curve:
        """Return the estimate over all items, those who wait included."""
        single = ((duration, outcome, 1) for duration, outcome, _ in self.items)
        return estimate_counted(chain(single, self.counted))

    def durations(self) -> list[tuple[Micros, int]]:
        """Return how long the waits were, ended or not, shortest first, each with how many were so long."""
        single = ((duration, 1) for duration, _, _ in self.items)
        return sorted(chain(single, ((duration, number) for duration, _, number in self.counted)))

    def within(self, horizon: Micros) -> tuple[int, int]:
        """Return how many were answered within `horizon`, and of how many that are at least so old.

        Counted ones are all taken to be so old: whoever counts them sees to it.
        """
        answered, observed = fixed_horizon(self.items, horizon)
        for duration, outcome, number in self.counted:
            observed += number
            if outcome is Outcome.ANSWERED and duration <= horizon:
                answered += number
        return answered, observed


def measure(
    *, start: Micros, answer: Micros | None, exit_time: Micros | None, won: Micros | None, now: Micros
) -> tuple[Micros, Outcome, Micros] | None:
    """Return the item that these times make; None where they contradict one another.

    A deal won before it began, or before its answer, is such a contradiction: it stays in the funnel and out
    of every duration. An exit at the very instant of the answer is the answer.
    """
    ended = min((time for time in (answer, exit_time) if time is not None), default=None)
    if start > now or (ended is not None and ended < start):
        return None
    if answer is not None and won is not None and won < answer:
        return None
    if ended is None:
        return now - start, Outcome.WAITING, now - start
    outcome = Outcome.ANSWERED if ended == answer else Outcome.EXITED
    return ended - start, outcome, now - start
