"""What became of each of marketing's promises for a period, and when its pace has to be looked at again.

Pure, like `settle`: asked again later with the same counts, it says the same.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from fractions import Fraction
from typing import Final

from services.sla.domain.marketing_terms import MarketingTerms, Quota
from services.sla.domain.period import Pace, Period, PeriodCounts, Statement, Verdict
from smarketing.businesstime import BusinessTime, Openings

__all__ = ["Judged", "PeriodPromise", "judge_promises", "next_look", "watched_pace"]

_BASIS_POINTS: Final = 10_000
_PERCENT: Final = 100


class PeriodPromise(Enum):
    """What marketing can promise for a period."""

    VALUE = "VALUE"
    CONFORMANCE = "CONFORMANCE"
    COMPLETENESS = "COMPLETENESS"
    REJECTIONS = "REJECTIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A promise with what was agreed, what it came to, and what became of it."""

    promise: PeriodPromise
    limit: Fraction
    actual: Fraction | None
    verdict: Verdict


def judge_promises(terms: MarketingTerms, statement: Statement, *, as_of: datetime) -> tuple[Judged, ...]:
    """Return what became of everything that was agreed; what was not is left out."""
    is_over = as_of >= statement.period.end_time
    found: list[Judged] = []
    if terms.quota is not None:
        found.append(
            Judged(
                promise=PeriodPromise.VALUE,
                limit=Fraction(1),
                actual=statement.attainment,
                verdict=statement.verdict,
            )
        )
    for promise, least, actual in (
        (PeriodPromise.CONFORMANCE, terms.least_conformance, statement.conformance),
        (PeriodPromise.COMPLETENESS, terms.least_completeness, statement.completeness),
    ):
        if least:
            limit = Fraction(least, _BASIS_POINTS)
            verdict = _at_least(limit, actual) if is_over else Verdict.RUNNING
            found.append(Judged(promise=promise, limit=limit, actual=actual, verdict=verdict))
    if terms.most_rejected:
        limit = Fraction(terms.most_rejected, _BASIS_POINTS)
        verdict = _rejections(limit, statement.counts) if is_over else Verdict.RUNNING
        actual = statement.rejected_share
        found.append(Judged(promise=PeriodPromise.REJECTIONS, limit=limit, actual=actual, verdict=verdict))
    return tuple(found)


def watched_pace(
    quota: Quota | None,
    statement: Statement,
    before: Pace | None,
    openings: Openings,
    day: BusinessTime,
    *,
    as_of: datetime,
) -> Pace | None:
    """Return the pace that people are told of; None while there is nothing to say.

    Before the period's first business day is over any pace is chance, and after its end there is a verdict.
    Whoever was told stays told until half of the way back to the quota's own pace is made up for: one lead
    more or less at the edge is no news.
    """
    period = statement.period
    if quota is None or statement.pace is None or statement.pace_state is None or as_of >= period.end_time:
        return None
    if openings.between(period.start_time, as_of) < day:
        return None
    percent = statement.pace * _PERCENT
    least, most = quota.pace
    if before is Pace.BEHIND and percent * 2 < least + _PERCENT:
        return Pace.BEHIND
    if before is Pace.AHEAD and percent * 2 > most + _PERCENT:
        return Pace.AHEAD
    return statement.pace_state


def next_look(
    quota: Quota | None,
    period: Period,
    counts: PeriodCounts,
    openings: Openings,
    day: BusinessTime,
    *,
    as_of: datetime,
) -> datetime | None:
    """Return when time alone next changes what is said of a period; None when it never will.

    While nothing is handed over the pace falls with every open hour, so the instant can be worked out.
    """
    if as_of >= period.end_time:
        return None
    if quota is None:
        return period.end_time
    gone = openings.between(period.start_time, max(as_of, period.start_time)).microseconds
    whole = openings.between(period.start_time, period.end_time).microseconds
    worth = counts.delivered * whole * _PERCENT
    owed = quota.value.minor_units
    least, most = quota.pace
    turns = (
        day.microseconds,
        worth // (owed * least) + 1,
        -(-worth // (owed * most)),
        -(-worth * 2 // (owed * (most + _PERCENT))),
    )
    ahead = [each for each in turns if gone < each < whole]
    if not ahead:
        return period.end_time
    return min(openings.add(period.start_time, BusinessTime(min(ahead))), period.end_time)


def _at_least(limit: Fraction, actual: Fraction | None) -> Verdict:
    if actual is None:
        return Verdict.UNDEFINED
    return Verdict.MET if actual >= limit else Verdict.BREACHED


def _rejections(limit: Fraction, counts: PeriodCounts) -> Verdict:
    """Return the verdict, however the rejections that wait are decided; `PENDING` when that hangs on them."""
    if not counts.decided and not counts.waiting:
        return Verdict.UNDEFINED
    worst = Fraction(counts.rejected + counts.waiting, counts.decided + counts.waiting)
    if worst <= limit:
        return Verdict.MET
    if counts.decided and Fraction(counts.rejected, counts.decided) > limit:
        return Verdict.BREACHED
    return Verdict.PENDING
