"""Marketing's periods: what the leads log tells of them, and how they are shown."""

from collections.abc import Callable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from google.protobuf.message import Message

from services.sla.domain.agreement import Party
from services.sla.domain.marketing_terms import MarketingTerms
from services.sla.domain.period import Statement
from services.sla.domain.period_facts import HandedOver, Turn, TurnKind
from services.sla.domain.period_promises import Judged, judge_promises
from services.sla.wire.facts import attributes_of
from services.sla.wire.instants import instant, stamp
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.terms.v1 import terms_pb2 as termspb

__all__ = ["period_facts_of", "period_message", "period_settled"]

_PARTIES: Final = {
    termspb.PARTY_MARKETING: Party.MARKETING,
    termspb.PARTY_SALES: Party.SALES,
    termspb.PARTY_SYSTEM: Party.SYSTEM,
}


def period_facts_of(event: eventlogpb.Event) -> Sequence[HandedOver | Turn]:
    """Return what an event tells that counts in a period; nothing for any other."""
    known = _READERS.get(event.payload.TypeName())
    if known is None:
        return ()
    message_type, read = known
    payload: Any = message_type()
    event.payload.Unpack(payload)
    return read(payload, instant(event.occur_time))


def _submitted(payload: leadeventspb.HandoffSubmitted, at: datetime) -> Sequence[HandedOver]:
    if payload.historical:
        return ()
    verdict = payload.conformance
    return [
        HandedOver(
            handoff=payload.handoff,
            at=at,
            attributes=attributes_of(payload.qualification),
            conforms=verdict.conforming if payload.HasField("conformance") else None,
            required=verdict.required_field_count,
            filled=verdict.filled_field_count,
        )
    ]


def _rejected(payload: leadeventspb.HandoffRejected, at: datetime) -> Sequence[Turn]:
    party = _PARTIES.get(payload.accountable_party)
    return [Turn(handoff=payload.handoff, kind=TurnKind.REJECTED, at=at, party=party)]


def _resolved(payload: leadeventspb.DisputeResolved, at: datetime) -> Sequence[Turn]:
    overturned = payload.state == disputespb.Dispute.STATE_OVERTURNED
    kind = TurnKind.OVERTURNED if overturned else TurnKind.UPHELD
    return [Turn(handoff=payload.handoff, kind=kind, at=at)]


def _unmerged(payload: leadeventspb.LeadsUnmerged, at: datetime) -> Sequence[Turn]:
    return [Turn(handoff=each.handoff, kind=TurnKind.RESTORED, at=at) for each in payload.restored_handoffs]


def _simply(kind: TurnKind) -> Callable[[Any, datetime], Sequence[Turn]]:
    return lambda payload, at: [Turn(handoff=payload.handoff, kind=kind, at=at)]


_READERS: Final[dict[str, tuple[type[Message], Callable[[Any, datetime], Sequence[HandedOver | Turn]]]]] = {
    message_type.DESCRIPTOR.full_name: (message_type, read)
    for message_type, read in (
        (leadeventspb.HandoffSubmitted, _submitted),
        (leadeventspb.HandoffAccepted, _simply(TurnKind.TAKEN)),
        (leadeventspb.HandoffRejected, _rejected),
        (leadeventspb.RejectionDisputed, _simply(TurnKind.DISPUTED)),
        (leadeventspb.DisputeResolved, _resolved),
        (leadeventspb.HandoffVoided, _simply(TurnKind.VOIDED)),
        (leadeventspb.LeadsUnmerged, _unmerged),
    )
}


def period_message(
    statement: Statement, terms: MarketingTerms, *, agreement: str, version: str, as_of: datetime
) -> periodspb.MarketingPeriod:
    """Return a period as it is shown; what is not defined is left out."""
    counts, quota = statement.counts, terms.quota
    pace = "UNSPECIFIED" if statement.pace_state is None else statement.pace_state.value
    message = periodspb.MarketingPeriod(
        agreement=agreement,
        agreement_version=version,
        period=statement.period.id,
        start_time=stamp(statement.period.start_time),
        end_time=stamp(statement.period.end_time),
        verdict=periodspb.MarketingPeriod.Verdict.Value(f"VERDICT_{statement.verdict.value}"),
        pace=periodspb.MarketingPeriod.Pace.Value(f"PACE_{pace}"),
        attainment_ratio=_number(statement.attainment),
        pace_ratio=_number(statement.pace),
        submitted_count=counts.submitted,
        unvalued_count=counts.unvalued,
        conformance_ratio=_number(statement.conformance),
        completeness_ratio=_number(statement.completeness),
        fully_complete_ratio=_number(statement.fully_complete),
        rejected_ratio=_number(statement.rejected_share),
        waiting_count=counts.waiting,
        as_of_time=stamp(as_of),
        promises=[_promise(each) for each in judge_promises(terms, statement, as_of=as_of)],
    )
    if terms.lead_values:
        currency = terms.lead_values[0].value.currency
        message.delivered.CopyFrom(termspb.Money(currency_code=currency, minor_units=counts.delivered))
        message.pending.CopyFrom(termspb.Money(currency_code=currency, minor_units=counts.pending))
    if quota is not None:
        message.quota.CopyFrom(
            termspb.Money(currency_code=quota.value.currency, minor_units=quota.value.minor_units)
        )
    return message


def period_settled(
    statement: Statement, terms: MarketingTerms, *, agreement: str, version: str, as_of: datetime
) -> periodspb.MarketingPeriodSettled:
    """Return the event of a period that was settled."""
    return periodspb.MarketingPeriodSettled(
        marketing_period=period_message(statement, terms, agreement=agreement, version=version, as_of=as_of)
    )


def _promise(judged: Judged) -> periodspb.PeriodPromise:
    return periodspb.PeriodPromise(
        kind=periodspb.PeriodPromise.Kind.Value(f"KIND_{judged.promise.value}"),
        verdict=periodspb.MarketingPeriod.Verdict.Value(f"VERDICT_{judged.verdict.value}"),
        limit_ratio=float(judged.limit),
        actual_ratio=_number(judged.actual),
    )


def _number(ratio: Fraction | None) -> float | None:
    return None if ratio is None else float(ratio)
