"""Back-tests: what is asked, and what is found."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

from services.sla.domain.backtest import (
    Beside,
    Count,
    Difference,
    DoubtReason,
    Fate,
    Presence,
    Staffing,
    Totals,
)
from services.sla.domain.course import Outcome
from services.sla.domain.forecast import Bounds, Forecast, Outlook, Silence
from services.sla.domain.terms import Terms
from services.sla.wire.agreements import terms_of
from services.sla.wire.calendars import calendar_of
from services.sla.wire.instants import (
    date_message,
    day,
    duration,
    instant,
    instant_in,
    stamp,
    stamp_or_none,
)
from smarketing.api.sla.v1 import backtest_pb2 as backtestpb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.businesstime import Calendar

EVER: Final = datetime(1, 1, 2, tzinfo=UTC)
"""Before every handoff."""

_PRESENCES: Final = {
    backtestpb.SupposedStaffing.PRESENCE_ABSENT: Presence.ABSENT,
    backtestpb.SupposedStaffing.PRESENCE_PRESENT: Presence.PRESENT,
}


def terms_in(request: backtestpb.BacktestAgreementRequest) -> Terms | None:
    """Return the terms that nobody proposed yet; None when the request has none."""
    if not request.HasField("agreement_version"):
        return None
    return terms_of(request.agreement_version)


def calendar_in(request: backtestpb.BacktestAgreementRequest) -> Calendar | None:
    """Return the calendar that nobody made yet; None when the request has none.

    Raises:
        CalendarInvalid: naming the field.
    """
    if not request.HasField("supposed_calendar"):
        return None
    return calendar_of(request.supposed_calendar)


def period_in(request: backtestpb.BacktestAgreementRequest, now: datetime) -> tuple[datetime, datetime]:
    """Return the period asked about: all until now where nothing is said."""
    return instant_in(request, "start_time") or EVER, instant_in(request, "end_time") or now


def staffing_in(message: backtestpb.SupposedStaffing) -> Staffing | None:
    """Return a change of who was there; None when it does not say which."""
    presence = _PRESENCES.get(message.presence)
    if presence is None:
        return None
    return Staffing(
        presence=presence,
        holder=message.holder,
        start_time=instant(message.start_time),
        end_time=instant(message.end_time),
    )


def backtest_message(
    totals: Totals, *, as_of: datetime, start: datetime, end: datetime
) -> backtestpb.Backtest:
    """Return everything that was counted."""
    return backtestpb.Backtest(
        as_of_time=stamp(as_of),
        start_time=None if start == EVER else stamp(start),
        end_time=stamp(end),
        handoff_count=totals.handoffs,
        unreproduced_handoff_count=totals.unreproduced,
        undecided_handoff_count=totals.undecided,
        difference_count=totals.differing,
        total=_comparison("", totals.all),
        commitments=_comparisons(totals.by_commitment),
        teams=_comparisons(totals.by_team),
        owners=_comparisons(totals.by_owner),
    )


def difference_message(difference: Difference) -> backtestpb.BacktestDifference:
    """Return one clock's two fates."""
    fates = (difference.happened, difference.would)
    return backtestpb.BacktestDifference(
        handoff=difference.handoff,
        commitment_id=next(fate.clock.commitment_id for fate in fates if fate is not None),
        happened=_fate(difference.happened),
        would=_fate(difference.would),
    )


def date_in(request: backtestpb.ForecastBreachesRequest) -> date | None:
    """Return the day asked about; None when the request leaves it open.

    Raises:
        ValueError: when there is no such date.
    """
    return day(request.date) if request.HasField("date") else None


def forecast_message(outlook: Outlook) -> backtestpb.BreachForecast:
    """Return what one commitment may bring."""
    message = backtestpb.BreachForecast(
        commitment_id=outlook.commitment_id,
        agreement=outlook.agreement,
        history_week_count=outlook.weeks,
        settled_count=outlook.settled,
    )
    match outlook.outcome:
        case Silence() as silence:
            message.silence = backtestpb.BreachForecast.Silence.Value(f"SILENCE_{silence.value}")
        case Forecast(due=due, missed=missed, availability_counts=counts):
            message.due.CopyFrom(_interval(due))
            message.breaches.CopyFrom(_interval(missed))
            message.known_due_count = outlook.known_due
            message.available_duration.CopyFrom(duration(outlook.available))
            message.availability_counts = counts
    return message


def forecasts_message(outlooks: Sequence[Outlook], on: date) -> backtestpb.ForecastBreachesResponse:
    """Return what one day may bring."""
    return backtestpb.ForecastBreachesResponse(
        date=date_message(on), forecasts=map(forecast_message, outlooks)
    )


def _interval(bounds: Bounds) -> backtestpb.ForecastInterval:
    return backtestpb.ForecastInterval(
        p10_count=bounds.p10, p25_count=bounds.p25, p75_count=bounds.p75, p90_count=bounds.p90
    )


def _comparisons(by: Mapping[str, Beside]) -> list[backtestpb.BacktestComparison]:
    return [_comparison(key, by[key]) for key in sorted(by)]


def _comparison(key: str, beside: Beside) -> backtestpb.BacktestComparison:
    return backtestpb.BacktestComparison(
        key=key, happened=_count(beside.happened), would=_count(beside.would)
    )


def _count(count: Count) -> backtestpb.BacktestCount:
    outcomes = count.outcomes
    return backtestpb.BacktestCount(
        clock_count=count.clocks,
        met_count=outcomes[Outcome.MET],
        breached_count=outcomes[Outcome.BREACHED],
        excused_count=outcomes[Outcome.EXCUSED],
        void_count=outcomes[Outcome.VOID],
        open_count=count.open,
        warned_count=count.warned,
        taken_over_count=count.taken_over,
        met_low_count=count.met[0],
        met_high_count=count.met[1],
        breached_low_count=count.breached[0],
        breached_high_count=count.breached[1],
        doubts=[
            backtestpb.BacktestDoubtCount(doubt=_doubt(reason), clock_count=count.doubts[reason])
            for reason in DoubtReason
            if count.doubts[reason]
        ],
    )


def _fate(fate: Fate | None) -> backtestpb.BacktestFate | None:
    if fate is None:
        return None
    clock = fate.clock
    return backtestpb.BacktestFate(
        state=slapb.Clock.State.Value(f"STATE_{clock.outcome.value}"),
        due_time=stamp(clock.due_time),
        stop_time=stamp_or_none(clock.stop_time),
        breach_time=stamp_or_none(clock.breach_time),
        warned=fate.warned,
        taken_over=fate.taken_over,
        owner=clock.owner,
        team=clock.team,
        fired_rungs=clock.fired,
        doubts=_doubts(fate.doubts),
    )


def _doubts(reasons: Iterable[DoubtReason]) -> list[backtestpb.BacktestDoubt.ValueType]:
    return [_doubt(reason) for reason in reasons]


def _doubt(reason: DoubtReason) -> backtestpb.BacktestDoubt.ValueType:
    return backtestpb.BacktestDoubt.Value(f"BACKTEST_DOUBT_{reason.value}")
