"""Waiting times in buckets: what a question over a million handoffs reads instead of the handoffs.

A bucket holds how many there are and the sum of what they measure, so that its mean stands for it: a
quantile is off by no more than the bucket is wide, one part in 32, and exact where a bucket holds one.
"""

from bisect import bisect_left
from typing import Final, NamedTuple

from services.reports.domain.clocks import ClockFact, ClockState
from services.reports.domain.estimators import Outcome
from services.reports.domain.handoffs import HandoffFact
from services.reports.domain.labels import Cell, Labels
from services.reports.domain.periods import LocalDays, Micros
from services.reports.domain.responses import MEASURES, Measure

__all__ = ["HORIZONS", "INVALID", "Wait", "bucket_of", "clock_waits", "handoff_waits"]

_SECOND: Final = 1_000_000
_HOUR: Final = 3600 * _SECOND
_STEPS_PER_OCTAVE: Final = 32
_OCTAVES: Final = 28

HORIZONS: Final = (300 * _SECOND, _HOUR, 4 * _HOUR, 24 * _HOUR, 30 * 24 * _HOUR)
"""No bucket reaches over one of these, so that shares within them are exact."""

INVALID: Final = 3
"""In the place of an outcome: times that contradict one another."""


class Wait(NamedTuple):
    """Where one waiting is counted, and what it adds to the sum."""

    cell: Cell
    outcome: int
    bucket: int
    """Of one that ended: which length; of one that goes on: the hour of its start."""
    micros: Micros


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


def handoff_waits(fact: HandoffFact, days: LocalDays) -> list[Wait]:
    """Return what the handoff's own times say of each measure; nothing of archived history."""
    if fact.archived:
        return []
    day, labels = days.day_of(fact.submit_time), fact.labels
    found: list[Wait] = []
    for measure, (starts, answers, exits) in MEASURES.items():
        start = _first_known(fact, starts)
        if start is None:
            continue
        answer, left = _least(fact, answers), _least(fact, exits)
        ended = _earlier(answer, left)
        outcome, bucket, micros = _judged(start, answer, ended, fact.won_time)
        if fact.historical and answer is None and outcome != INVALID:
            continue
        found.append(Wait((fact.tenant, measure.value, day, labels), outcome, bucket, micros))
    return found


def clock_waits(fact: ClockFact, labels: Labels, days: LocalDays) -> list[Wait]:
    """Return what a clock that has ended says of its owner's time, as the sla log counted it."""
    if fact.kind != "first_follow_up" or fact.basis != "business":
        return []
    if fact.stop_time is None or fact.elapsed is None or fact.state == ClockState.VOID.value:
        return []
    group = labels._replace(team=fact.team)
    cell = (fact.tenant, Measure.OWNER_FIRST_FOLLOW_UP.value, days.day_of(fact.start_time), group)
    return [Wait(cell, Outcome.ANSWERED.value, bucket_of(fact.elapsed), fact.elapsed)]


def _judged(
    start: Micros, answer: Micros | None, ended: Micros | None, won: Micros | None
) -> tuple[int, int, Micros]:
    if ended is None:
        return Outcome.WAITING.value, start // _HOUR, start
    if ended < start or (answer is not None and won is not None and won < answer):
        return INVALID, 0, 0
    outcome = Outcome.ANSWERED if ended == answer else Outcome.EXITED
    return outcome.value, bucket_of(ended - start), ended - start


def _first_known(fact: HandoffFact, names: tuple[str, ...]) -> Micros | None:
    for name in names:
        time: Micros | None = getattr(fact, name)
        if time is not None:
            return time
    return None


def _least(fact: HandoffFact, names: tuple[str, ...]) -> Micros | None:
    least: Micros | None = None
    for name in names:
        least = _earlier(least, getattr(fact, name))
    return least


def _earlier(one: Micros | None, other: Micros | None) -> Micros | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
