"""In which order a queue is taken from: what is due first, then what is worth most, then the best score."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from services.leads.domain.lead import Qualification

END_OF_TIME: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""When a handoff is due of which `sla` has said nothing: after all others."""
_MOST_ADVANCE: Final = timedelta(days=3660)
_NO_SCORE: Final = -(2**31)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOrder:
    """How much sooner a handoff is taken for its worth; without any, worth only decides between equals."""

    score_advance: timedelta = timedelta(0)
    """For each point of its score."""
    value_advance: timedelta = timedelta(0)
    """For each whole `value_step` of its value, in the tenant's currency."""
    value_step: int = 100_000
    """In minor units."""


@dataclass(frozen=True, slots=True)
class ClaimPlace:
    """Where a handoff stands in its queue: by `time`, then the higher value, then the higher score."""

    advance: timedelta
    value: int
    score: int

    def time(self, next_due_time: datetime | None) -> datetime:
        """Return the instant by which it is ordered."""
        return (next_due_time or END_OF_TIME) - self.advance


NOT_WAITING: Final = ClaimPlace(timedelta(0), 0, 0)
"""The place of a handoff in no queue."""


def claim_place(told: Qualification, order: ClaimOrder, *, currency_code: str) -> ClaimPlace:
    """Return where a handoff of which marketing says this stands in a queue.

    A value in another currency than the tenant's cannot be compared, and counts as none.
    """
    is_comparable = told.value is not None and told.value.currency_code == currency_code
    value = told.value.minor_units if told.value is not None and is_comparable else 0
    # Bounded first, so that no score however wild leaves the calendar.
    advance = _times(order.value_advance, value // order.value_step) + _times(
        order.score_advance, told.deciding_score or 0
    )
    score = _NO_SCORE if told.deciding_score is None else told.deciding_score
    return ClaimPlace(max(-_MOST_ADVANCE, min(advance, _MOST_ADVANCE)), value, score)


def _times(advance: timedelta, count: int) -> timedelta:
    most = _MOST_ADVANCE // advance if advance else 0
    return advance * max(-most, min(count, most))
