"""Waiting times in buckets: what a question over a million handoffs reads instead of the handoffs.

A bucket holds how many there are and the sum of what they measure, so that its mean stands for it: a
quantile is off by no more than the bucket is wide, one part in 32, and exact where a bucket holds one.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, TypeAlias

from services.reports.domain.clocks import ClockFact, ClockState
from services.reports.domain.estimators import Outcome
from services.reports.domain.funnel import Reached, earlier
from services.reports.domain.handoffs import HandoffFact
from services.reports.domain.periods import Micros
from services.reports.domain.responses import MEASURES, STAGE_MEASURES, Measure

__all__ = [
    "HORIZONS",
    "HOUR",
    "INVALID",
    "Wait",
    "bucket_key_of",
    "bucket_of",
    "clock_wait",
    "goes_on",
    "handoff_waits",
    "in_days",
    "measure_of",
]

_SECOND: Final = 1_000_000
HOUR: Final = 3600 * _SECOND
_STEPS_PER_OCTAVE: Final = 32
_OCTAVES: Final = 28

HORIZONS: Final = (300 * _SECOND, HOUR, 4 * HOUR, 24 * HOUR, 30 * 24 * HOUR)
"""No bucket reaches over one of these, so that shares within them are exact."""

INVALID: Final = 3
"""In the place of an outcome: times that contradict one another."""

WAIT_MEASURES: Final = (
    *(*MEASURES, Measure.OWNER_FIRST_FOLLOW_UP),
    *(*STAGE_MEASURES, Measure.INQUIRY_TO_WIN),
)
"""Those that are kept in buckets; the place of each in here is part of a wait's key."""

_IDS: Final = tuple(measure.value for measure in WAIT_MEASURES)
_SHIFT: Final = 40
_OUTCOME: Final = {outcome: outcome.value << 38 for outcome in Outcome}
_INVALID: Final = INVALID << 38
_OUTCOMES: Final = 3 << 38
_BUCKET: Final = (1 << 38) - 1
_ANSWERED, _EXITED, _WAITING = (_OUTCOME[outcome] for outcome in Outcome)
_ROUTED, _ACCEPTED, _DECIDED, _BUYER, _CONTACT, _FRESH, _OWNER, _WON = (
    WAIT_MEASURES.index(measure) << _SHIFT
    for measure in (
        Measure.ROUTING,
        Measure.TIME_TO_ACCEPT,
        Measure.TIME_TO_DECIDE,
        Measure.BUYER_FIRST_FOLLOW_UP,
        Measure.FIRST_CONTACT,
        Measure.FRESHNESS,
        Measure.OWNER_FIRST_FOLLOW_UP,
        Measure.INQUIRY_TO_WIN,
    )
)

_STAGES: Final = tuple(WAIT_MEASURES.index(measure) << _SHIFT for measure in STAGE_MEASURES)

Wait: TypeAlias = tuple[int, Micros]
"""Measure, outcome and bucket in one number, because a fold makes millions; and what is added to the sum.

The bucket is, of a wait that ended, its length, and the sum that of lengths; of one that goes on, the hour
of its start, and the sum that of how far into the hour.
"""


def measure_of(key: int) -> str:
    """Return the id of a wait's measure."""
    return _IDS[key >> _SHIFT]


def bucket_key_of(key: int) -> tuple[int, int]:
    """Return a wait's outcome and bucket."""
    rest = key & ((1 << _SHIFT) - 1)
    return rest >> 38, rest & ((1 << 38) - 1)


def in_days(key: int) -> tuple[int, Micros]:
    """Return the key of a wait that goes on by the day of its start, and how far into it the hour is."""
    hour = key & _BUCKET
    return key - hour + hour // 24, hour % 24 * HOUR


def goes_on(keys: Iterable[int]) -> list[int]:
    """Return those keys that are of waits that go on: these alone tell an hour."""
    return [key for key in keys if key & _OUTCOMES == _WAITING]


def _edges() -> list[Micros]:
    octaves = (_SECOND << octave for octave in range(_OCTAVES))
    steps = {
        start + start * step // _STEPS_PER_OCTAVE for start in octaves for step in range(_STEPS_PER_OCTAVE)
    }
    return sorted(steps | set(HORIZONS))


_EDGES: Final = _edges()


def bucket_of(duration: Micros) -> int:
    """Return the number of the bucket that ends at the least edge not below the duration."""
    return bisect_left(_EDGES, duration)


def handoff_waits(fact: HandoffFact, reached: Reached) -> list[Wait]:
    """Return what the handoff's own times say of each measure; of archived history only how it was won.

    These are `MEASURES` written out: the fold does this for every handoff that a batch touches.
    """
    won = [] if fact.void_time is not None else [_inquiry_to_win(fact)]
    return won if fact.archived else won + _responses(fact, reached)


def _responses(fact: HandoffFact, reached: Reached) -> list[Wait]:
    submitted, offered, accepted = fact.submit_time, fact.offer_time, fact.accept_time
    rejected, void = fact.reject_time, fact.void_time
    left = _least(rejected, fact.disqualify_time, fact.recycle_time, fact.lost_time, void)
    over = earlier(left, fact.won_time)
    asked = submitted if fact.inquire_time is None else fact.inquire_time
    found: list[Wait | None] = [
        _wait(_ROUTED, submitted, offered, earlier(accepted, over), fact),
        _wait(_BUYER, asked, fact.first_follow_up_time, over, fact),
        _wait(_CONTACT, asked, fact.first_contact_time, over, fact),
    ]
    if offered is not None:
        found += (
            _wait(_ACCEPTED, offered, accepted, earlier(rejected, void), fact),
            _wait(_DECIDED, offered, earlier(accepted, rejected), void, fact),
        )
    if fact.inquire_time is not None:
        found.append(_wait(_FRESH, asked, submitted, None, fact))
    # How long it was in each stage that it reached; skipped stages are credited as passed.
    found += [
        _wait(measure, start, end, left, fact)
        for measure, start, end in zip(_STAGES, reached, reached[1:], strict=False)
        if start is not None
    ]
    return [wait for wait in found if wait is not None]


def _inquiry_to_win(fact: HandoffFact) -> Wait:
    """Return how long it takes from the inquiry to the win, over the last way out of those without."""
    start = fact.submit_time if fact.inquire_time is None else fact.inquire_time
    ended, outcome = fact.won_time, _ANSWERED
    if ended is None:
        exits = (fact.lost_time, fact.reject_time, fact.disqualify_time, fact.recycle_time)
        ended, outcome = max((time for time in exits if time is not None), default=None), _EXITED
    if ended is None:
        return _WON | _WAITING | start // HOUR, start % HOUR
    duration = ended - start
    if duration < 0:
        return _WON | _INVALID, 0
    return _WON | outcome | bisect_left(_EDGES, duration), duration


def clock_wait(fact: ClockFact) -> tuple[str | None, Wait] | None:
    """Return what a clock says of its owner's time: done, as the sla log counted it, or still to be done.

    Of one that goes on, the version of the agreement is told, whose calendar counts its time. None of a
    clock that was ever paused or let off before it was done: no bucket holds these.
    """
    if fact.kind != "first_follow_up" or fact.basis != "business" or fact.state == ClockState.VOID.value:
        return None
    if fact.elapsed is None:
        stands = (
            fact.stop_time is None and fact.pause_time is None and fact.due_time == fact.original_due_time
        )
        waiting = (_OWNER | _WAITING | fact.start_time // HOUR, fact.start_time % HOUR)
        return (fact.agreement_version, waiting) if stands else None
    if fact.stop_time is None:
        return None
    return None, (_OWNER | _ANSWERED | bucket_of(fact.elapsed), fact.elapsed)


def _wait(
    measure: int, start: Micros, answer: Micros | None, left: Micros | None, fact: HandoffFact
) -> Wait | None:
    """Return the wait; None where history tells of no answer, which does not say that nobody answered."""
    ended = left if answer is None or (left is not None and left < answer) else answer
    if ended is None:
        return None if fact.historical else (measure | _WAITING | start // HOUR, start % HOUR)
    duration = ended - start
    won = fact.won_time
    if duration < 0 or (won is not None and answer is not None and won < answer):
        return measure | _INVALID, 0
    if ended == answer:
        return measure | _ANSWERED | bisect_left(_EDGES, duration), duration
    if answer is None and fact.historical:
        return None
    return measure | _EXITED | bisect_left(_EDGES, duration), duration


def _least(*times: Micros | None) -> Micros | None:
    known = [time for time in times if time is not None]
    return min(known) if known else None
