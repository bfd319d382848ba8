"""What the sla log says, in the words of reports."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from services.reports.consumers.lead_events import micros_from, party_word, progress, progress_of_tenants
from services.reports.domain.agreements import AgreementKnown, CalendarKnown, Commitment, MarketingQuota
from services.reports.domain.budgets import BudgetSaid, PayoutDue
from services.reports.domain.clocks import AlertTold, ClockChange, ClockEvent, RungTold
from services.reports.domain.periods import Micros
from services.reports.domain.settled_periods import PromiseSettled
from services.reports.store.fold import ReadModel, SlaWord
from services.reports.store.marketing_quotas import MarketingQuotas
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.businesstime import Calendar, Window
from smarketing.eventlog.partitions import WHOLE, Partition

__all__ = ["HANDLED", "IGNORED", "PAYLOAD_TYPES", "SlaEvents", "quotas_of", "words_of"]

_LOG: Final = "sla"
_KINDS: Final = {
    number: name.removeprefix("COMMITMENT_KIND_").lower() for name, number in slapb.CommitmentKind.items()
}
_BASES: Final = {number: name.removeprefix("TIME_BASIS_").lower() for name, number in slapb.TimeBasis.items()}
_STATES: Final = {
    number: name.removeprefix("STATE_").lower() for name, number in slapb.AgreementVersion.State.items()
}
_QUOTA_PERIODS: Final[dict[int, str]] = {
    slapb.MarketingQuota.PERIOD_MONTH: "month",
    slapb.MarketingQuota.PERIOD_QUARTER: "quarter",
    slapb.MarketingQuota.PERIOD_YEAR: "year",
}
_ALERT_STATES: Final = {
    number: name.removeprefix("STATE_").lower() for name, number in slapb.Alert.State.items()
}
_BUDGET_STATES: Final = {
    number: name.removeprefix("STATE_").lower() for name, number in budgetspb.Budget.State.items()
}

_PROMISES: Final = {
    number: name.removeprefix("KIND_").lower() for name, number in periodspb.PeriodPromise.Kind.items()
}
_VERDICTS: Final = {
    number: name.removeprefix("VERDICT_").lower()
    for name, number in periodspb.MarketingPeriod.Verdict.items()
}


class SlaEvents:
    """Folds batches of the sla log in the consumer's transaction."""

    def __init__(self, model: ReadModel, quotas: MarketingQuotas, partition: Partition = WHOLE) -> None:
        self._model = model
        self._quotas = quotas
        self._folded = partition.member_of(_LOG)
        self._recent = model.recent_facts(self._folded)

    def apply(self, connection: Any, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        """Take contiguous events into the read model."""
        del now
        self._recent.begin(connection)
        self._model.fold_sla(connection, words_of(events), self._recent)
        self._quotas.fold(connection, quotas_of(events))
        self._model.note_progress(
            connection, progress(self._folded, events[-1]), progress_of_tenants(_LOG, events)
        )
        self._recent.end(events[-1].log_id, events[-1].position)


def words_of(events: Sequence[eventlogpb.Event]) -> list[SlaWord]:
    """Return what the events say, in their order; events that say nothing to reports are left out."""
    words: list[SlaWord] = []
    for event in events:
        known = _CLOCKS.get(event.payload.type_url.rpartition("/")[2])
        if known is not None:
            parse, change = known
            said = parse(event.payload.value)
            words.append(_clock(event, change, said))
            if change is ClockChange.WARNED:
                words.append(_rung(event, said))
        elif event.payload.Is(slaeventspb.AlertChanged.DESCRIPTOR):
            words.append(_alert(event.tenant, slaeventspb.AlertChanged.FromString(event.payload.value)))
        elif event.payload.Is(budgetspb.BudgetStateChanged.DESCRIPTOR):
            words.append(_budget(event.tenant, budgetspb.BudgetStateChanged.FromString(event.payload.value)))
        else:
            words += _of_agreements(event)
    return words


def _of_agreements(event: eventlogpb.Event) -> Sequence[SlaWord]:
    if event.payload.Is(slaeventspb.AgreementVersionChanged.DESCRIPTOR):
        return [_agreement(event.tenant, slaeventspb.AgreementVersionChanged.FromString(event.payload.value))]
    if event.payload.Is(slaeventspb.CalendarVersionCreated.DESCRIPTOR):
        return [_calendar(slaeventspb.CalendarVersionCreated.FromString(event.payload.value))]
    if event.payload.Is(slaeventspb.ConsequenceDue.DESCRIPTOR):
        return _payouts(event)
    if event.payload.Is(periodspb.MarketingPeriodSettled.DESCRIPTOR):
        return _settled(event.tenant, periodspb.MarketingPeriodSettled.FromString(event.payload.value))
    return ()


def quotas_of(events: Sequence[eventlogpb.Event]) -> list[MarketingQuota]:
    """Return what the agreements in these events want of marketing, in their order."""
    found = []
    for event in events:
        if event.payload.Is(slaeventspb.AgreementVersionChanged.DESCRIPTOR):
            said = slaeventspb.AgreementVersionChanged.FromString(event.payload.value)
            quota = said.agreement_version.marketing_terms.quota
            if quota.period in _QUOTA_PERIODS:
                found.append(_quota(event.tenant, said.agreement_version, quota))
    return found


def _quota(tenant: str, version: slapb.AgreementVersion, quota: slapb.MarketingQuota) -> MarketingQuota:
    return MarketingQuota(
        version.name,
        tenant,
        _STATES.get(version.state, ""),
        version.calendar_version,
        micros_from(version.effective_time) if version.HasField("effective_time") else None,
        _QUOTA_PERIODS[quota.period],
        quota.value.currency_code,
        quota.value.minor_units,
    )


def _clock(event: eventlogpb.Event, change: ClockChange, said: Any) -> ClockEvent:
    facts: slaeventspb.ClockFacts = said.clock
    return ClockEvent(
        event.tenant,
        facts.clock,
        micros_from(event.occur_time),
        change,
        facts.handoff,
        facts.agreement_version,
        facts.commitment_id,
        _parties(facts.parties),
        _KINDS.get(facts.kind, ""),
        _BASES.get(facts.basis, ""),
        micros_from(facts.start_time),
        micros_from(facts.original_due_time),
        micros_from(facts.due_time),
        facts.owner,
        facts.team or None,
        facts.historical,
        _micros(said.elapsed_duration) if change in _WITH_ELAPSED else None,
        _micros(said.late_duration) if change is ClockChange.STOPPED_LATE else None,
    )


def _rung(event: eventlogpb.Event, said: slaeventspb.RungFired) -> RungTold:
    clock = said.clock
    time = micros_from(event.occur_time)
    return RungTold(event.tenant, clock.clock, time, clock.cycle, said.rung_id, said.delivered)


def _alert(tenant: str, said: slaeventspb.AlertChanged) -> AlertTold:
    alert = said.alert
    return AlertTold(
        alert.name,
        tenant,
        alert.handoff,
        alert.commitment_id,
        alert.rung_id,
        alert.team or None,
        _ALERT_STATES.get(alert.state, ""),
        micros_from(alert.create_time),
        micros_from(alert.acknowledge_time) if alert.HasField("acknowledge_time") else None,
        micros_from(alert.resolve_time) if alert.HasField("resolve_time") else None,
        alert.clock or None,
    )


def _budget(tenant: str, said: budgetspb.BudgetStateChanged) -> BudgetSaid:
    budget = said.budget
    return BudgetSaid(
        f"{budget.agreement}/{budget.commitment_id}",
        tenant,
        budget.agreement,
        budget.commitment_id,
        _parties(budget.parties),
        _BUDGET_STATES.get(budget.state, ""),
        budget.settled_count,
        budget.breached_count,
        budget.remaining_ratio if budget.HasField("remaining_ratio") else None,
        budget.fast_burn_rate if budget.HasField("fast_burn_rate") else None,
        budget.slow_burn_rate if budget.HasField("slow_burn_rate") else None,
        _micros(budget.exhaustion_duration) if budget.HasField("exhaustion_duration") else None,
        micros_from(budget.as_of_time),
        budget.objective_basis_points,
        budget.burning_fast,
        budget.burning_slowly,
    )


def _payouts(event: eventlogpb.Event) -> list[PayoutDue]:
    said = slaeventspb.ConsequenceDue.FromString(event.payload.value)
    if said.consequence.kind != slapb.CONSEQUENCE_KIND_PAYOUT_FACTOR:
        return []
    time = micros_from(event.occur_time)
    what = (said.agreement_version, said.commitment_id, said.consequence.consequence_id, said.clock.clock)
    return [
        PayoutDue(
            f"{'/'.join(what)}@{time}",
            event.tenant,
            said.agreement_version.partition("/versions/")[0],
            said.commitment_id,
            _parties(said.parties),
            said.consequence.percent,
            time,
        )
    ]


def _settled(tenant: str, said: periodspb.MarketingPeriodSettled) -> list[PromiseSettled]:
    period = said.marketing_period
    return [
        PromiseSettled(
            f"{period.agreement}/{period.period}/{_PROMISES.get(promise.kind, '')}",
            tenant,
            period.agreement,
            _PROMISES.get(promise.kind, ""),
            _VERDICTS.get(promise.verdict, ""),
            promise.limit_ratio,
            promise.actual_ratio if promise.HasField("actual_ratio") else None,
            micros_from(period.end_time) - 1,
            micros_from(period.as_of_time),
        )
        for promise in period.promises
    ]


def _parties(parties: Iterable[int]) -> str:
    """Return the words between commas, so that one can be looked for in the text."""
    return f",{','.join(sorted(party_word(party) for party in parties))},"


def _micros(duration: Duration) -> Micros:
    return duration.seconds * 1_000_000 + duration.nanos // 1000


def _agreement(tenant: str, said: slaeventspb.AgreementVersionChanged) -> AgreementKnown:
    version = said.agreement_version
    return AgreementKnown(
        tenant,
        version.name,
        _STATES.get(version.state, ""),
        version.calendar_version,
        micros_from(version.effective_time) if version.HasField("effective_time") else None,
        tuple(
            Commitment(
                promise.commitment_id,
                promise.title,
                _parties(promise.parties),
                _KINDS.get(promise.kind, ""),
                promise.objective_basis_points,
            )
            for promise in version.commitments
        ),
    )


def _calendar(said: slaeventspb.CalendarVersionCreated) -> CalendarKnown:
    version = said.calendar_version
    weekly: list[list[Window]] = [[] for _ in range(7)]
    for window in version.weekly_windows:
        weekly[window.iso_weekday - 1].append(Window.parse(window.open_time, window.close_time))
    calendar = Calendar(
        zone=version.time_zone,
        hours=tuple(map(tuple, weekly)),
        holidays=frozenset(date(day.year, day.month, day.day) for day in version.holidays),
        overrides=_dated(version.overrides),
        breaks=_dated(version.breaks),
    )
    return CalendarKnown(version.name, calendar)


def _dated(days: Iterable[slapb.DayWindows]) -> tuple[tuple[date, tuple[Window, ...]], ...]:
    return tuple(
        (
            date(day.date.year, day.date.month, day.date.day),
            tuple(Window.parse(window.open_time, window.close_time) for window in day.windows),
        )
        for day in days
    )


_WITH_ELAPSED: Final = {ClockChange.MET, ClockChange.STOPPED_LATE, ClockChange.RETRACTED}
_CLOCKS: Final[dict[str, tuple[Callable[[bytes], Any], ClockChange]]] = {
    payload_type.DESCRIPTOR.full_name: (payload_type.FromString, change)
    for payload_type, change in (
        (slaeventspb.ClockStarted, ClockChange.STARTED),
        (slaeventspb.ClockPaused, ClockChange.PAUSED),
        (slaeventspb.ClockResumed, ClockChange.RESUMED),
        (slaeventspb.ClockMet, ClockChange.MET),
        (slaeventspb.ClockBreached, ClockChange.BREACHED),
        (slaeventspb.ClockStoppedLate, ClockChange.STOPPED_LATE),
        (slaeventspb.BreachRetracted, ClockChange.RETRACTED),
        (slaeventspb.BreachExcused, ClockChange.EXCUSED),
        (slaeventspb.ClockVoided, ClockChange.VOIDED),
        (slaeventspb.ClockReopened, ClockChange.REOPENED),
        (slaeventspb.ClockReassigned, ClockChange.REASSIGNED),
        (slaeventspb.RungFired, ClockChange.WARNED),
    )
}

HANDLED: Final = frozenset(_CLOCKS) | {
    budgetspb.BudgetStateChanged.DESCRIPTOR.full_name,
    periodspb.MarketingPeriodSettled.DESCRIPTOR.full_name,
    slaeventspb.AgreementVersionChanged.DESCRIPTOR.full_name,
    slaeventspb.AlertChanged.DESCRIPTOR.full_name,
    slaeventspb.CalendarVersionCreated.DESCRIPTOR.full_name,
    slaeventspb.ConsequenceDue.DESCRIPTOR.full_name,
}
IGNORED: Final = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        exceptionspb.ExceptionChanged,
        slaeventspb.LeaveChanged,
        slaeventspb.TakeoverRequested,
    )
)
"""Passed over knowingly: they say nothing to reports."""
PAYLOAD_TYPES: Final = HANDLED | IGNORED
