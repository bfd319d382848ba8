"""Marketing's promises of a period: what was handed over, its worth, how good it was, and how it was taken.

Each handoff has one entry, a fold of what the leads log tells of it; a period is the sum of what its entries
count. So a late fact changes one entry, and the sum by the difference. Amounts of money are minor units in
the one currency of the agreement; ratios are exact, and None where there is nothing to divide by.
"""

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple

from services.sla.domain.agreement import Party
from services.sla.domain.marketing_terms import MarketingTerms, Quota, QuotaPeriod
from smarketing.businesstime import Openings, from_us, load_zone

__all__ = [
    "Decision",
    "Entry",
    "Pace",
    "Period",
    "PeriodCounts",
    "Statement",
    "Verdict",
    "counts_of",
    "period_at",
    "settle",
]

_PERCENT: Final = 100
_MONTHS: Final = {QuotaPeriod.MONTH: 1, QuotaPeriod.QUARTER: 3, QuotaPeriod.YEAR: 12}


class Period(NamedTuple):
    """A half-open stretch of local dates, as instants: a month, a quarter or a year."""

    id: str
    start_time: datetime
    end_time: datetime


class Decision(Enum):
    """How sales took a handoff."""

    NONE = "NONE"
    """Not yet, or not any more: its rejection was overturned."""
    TAKEN = "TAKEN"
    """Accepted."""
    REJECTED = "REJECTED"
    """Rejected, and that may still be disputed, or is."""
    REJECTED_FOR_GOOD = "REJECTED_FOR_GOOD"
    """Rejected, and nobody can dispute it any more."""


class Pace(Enum):
    """How fast value comes beside the quota's own pace."""

    BEHIND = "BEHIND"
    ON_PACE = "ON_PACE"
    AHEAD = "AHEAD"
    """Faster than sales said it can take it."""


class Verdict(Enum):
    """What became of the quota."""

    RUNNING = "RUNNING"
    MET = "MET"
    BREACHED = "BREACHED"
    PENDING = "PENDING"
    """The period is over, and disputes that could still change it are not."""
    UNDEFINED = "UNDEFINED"
    """The period is over, and there is nothing of which there could be a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one handoff counts in its period.

    `value` is None where the table says nothing of its segment. `conforms` is None where no definition was in
    force. `final_time` is when a rejection can be disputed no more; None while a dispute waits for an answer.
    """

    value: int | None = None
    conforms: bool | None = None
    required: int = 0
    filled: int = 0
    decision: Decision = Decision.NONE
    is_marketings: bool = False
    """Whether the rejection is counted on marketing."""
    final_time: datetime | None = None
    is_void: bool = False

    def rejected(self, party: Party | None, *, final_time: datetime) -> "Entry":
        """Return it as rejected; nobody can dispute that after `final_time`."""
        return replace(
            self,
            decision=Decision.REJECTED,
            is_marketings=party is Party.MARKETING,
            final_time=final_time,
        )

    def disputed(self) -> "Entry":
        """Return it as waiting for an answer; only a rejection that is not final can be disputed."""
        return replace(self, final_time=None) if self.decision is Decision.REJECTED else self

    def upheld(self) -> "Entry":
        """Return it as rejected for good."""
        return replace(self, decision=Decision.REJECTED_FOR_GOOD, final_time=None)

    def taken(self) -> "Entry":
        """Return it as taken up by sales."""
        return replace(self, decision=Decision.TAKEN, is_marketings=False, final_time=None)

    def overturned(self) -> "Entry":
        """Return it as offered anew: its rejection leaves every figure."""
        return replace(self, decision=Decision.NONE, is_marketings=False, final_time=None)

    def voided(self) -> "Entry":
        """Return it as one that should never have been: it counts for nothing."""
        return replace(self, is_void=True)

    def restored(self) -> "Entry":
        """Return it as one that stands again, as it was."""
        return replace(self, is_void=False)

    def as_of(self, now: datetime) -> "Entry":
        """Return it with a rejection made final that nobody disputed in time."""
        if self.decision is Decision.REJECTED and self.final_time is not None and now > self.final_time:
            return self.upheld()
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodCounts:
    """A period's sums. `pending` is the part of `delivered` that a rejection may still take away."""

    submitted: int = 0
    delivered: int = 0
    pending: int = 0
    unvalued: int = 0
    """Handoffs of segments that the table does not know."""
    held_against: int = 0
    """Handoffs for which a definition was in force."""
    conforming: int = 0
    required: int = 0
    filled: int = 0
    complete: int = 0
    decided: int = 0
    rejected: int = 0
    """Rejected for good, for reasons that count on marketing."""
    waiting: int = 0
    """Rejections of that sort that may still be disputed, or are."""

    def __add__(self, other: "PeriodCounts") -> "PeriodCounts":
        return PeriodCounts(
            **{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        )

    def __sub__(self, other: "PeriodCounts") -> "PeriodCounts":
        return PeriodCounts(
            **{each.name: getattr(self, each.name) - getattr(other, each.name) for each in fields(self)}
        )


NOTHING: Final = PeriodCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A period as it stands: `sla` decides it, `reports` shows it.

    `pace` is what was delivered of what the quota wants by now, in open time of the agreement's calendar.
    """

    period: Period
    counts: PeriodCounts
    verdict: Verdict
    attainment: Fraction | None
    pace: Fraction | None
    pace_state: Pace | None
    conformance: Fraction | None
    completeness: Fraction | None
    fully_complete: Fraction | None
    rejected_share: Fraction | None


def period_at(at: datetime, kind: QuotaPeriod, zone: str) -> Period:
    """Return the period of a zone's own calendar in which an instant lies."""
    local = at.astimezone(load_zone(zone).info).date()
    length = _MONTHS[kind]
    first = date(local.year, (local.month - 1) // length * length + 1, 1)
    after = date(first.year + (first.month + length > 12), (first.month + length - 1) % 12 + 1, 1)
    return Period(_name(first, kind), _midnight(first, zone), _midnight(after, zone))


def counts_of(entry: Entry) -> PeriodCounts:
    """Return what an entry adds to its period."""
    if entry.is_void:
        return NOTHING
    is_final = entry.decision is Decision.REJECTED_FOR_GOOD
    waits = entry.decision is Decision.REJECTED and entry.is_marketings
    is_lost = is_final and entry.is_marketings
    worth = entry.value or 0
    return PeriodCounts(
        submitted=1,
        delivered=0 if is_lost else worth,
        pending=worth if waits else 0,
        unvalued=entry.value is None,
        held_against=entry.conforms is not None,
        conforming=entry.conforms is True,
        required=entry.required,
        filled=entry.filled,
        complete=entry.filled >= entry.required and entry.conforms is not None,
        decided=is_final or entry.decision is Decision.TAKEN,
        rejected=is_lost,
        waiting=waits,
    )


def settle(
    terms: MarketingTerms, period: Period, counts: PeriodCounts, openings: Openings, *, as_of: datetime
) -> Statement:
    """Return a period as of an instant: pure, so that asking again later with the same counts says the same.

    After its end the quota is met or breached as soon as no rejection that waits could change that.
    """
    quota = terms.quota
    pace = None if quota is None else _pace(quota, period, counts, openings, as_of)
    return Statement(
        period=period,
        counts=counts,
        verdict=_verdict(quota, period, counts, as_of),
        attainment=_share(counts.delivered, quota.value.minor_units if quota else 0),
        pace=pace,
        pace_state=None if quota is None or pace is None else _pace_state(quota, pace),
        conformance=_share(counts.conforming, counts.held_against),
        completeness=_share(counts.filled, counts.required),
        fully_complete=_share(counts.complete, counts.held_against),
        rejected_share=_share(counts.rejected, counts.decided),
    )


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _pace(
    quota: Quota, period: Period, counts: PeriodCounts, openings: Openings, as_of: datetime
) -> Fraction | None:
    until = min(max(as_of, period.start_time), period.end_time)
    gone = openings.between(period.start_time, until).microseconds
    whole = openings.between(period.start_time, period.end_time).microseconds
    if not gone:
        return None
    return Fraction(counts.delivered * whole, quota.value.minor_units * gone)


def _pace_state(quota: Quota, pace: Fraction) -> Pace:
    least, most = quota.pace
    if pace * _PERCENT < least:
        return Pace.BEHIND
    return Pace.AHEAD if pace * _PERCENT > most else Pace.ON_PACE


def _verdict(quota: Quota | None, period: Period, counts: PeriodCounts, as_of: datetime) -> Verdict:
    if quota is None or as_of < period.end_time:
        return Verdict.RUNNING
    owed = quota.value.minor_units
    if counts.delivered - counts.pending >= owed:
        return Verdict.MET
    return Verdict.PENDING if counts.delivered >= owed else Verdict.BREACHED


def _name(first: date, kind: QuotaPeriod) -> str:
    match kind:
        case QuotaPeriod.MONTH:
            return f"{first.year:04}-{first.month:02}"
        case QuotaPeriod.QUARTER:
            return f"{first.year:04}-Q{(first.month + 2) // 3}"
        case QuotaPeriod.YEAR:
            return f"{first.year:04}"


def _midnight(day: date, zone: str) -> datetime:
    """Return the instant at which a local date begins; a midnight that is skipped as RFC 5545 reads it."""
    return from_us(load_zone(zone).resolve(day.toordinal(), 0))
