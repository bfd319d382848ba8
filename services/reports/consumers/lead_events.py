"""What the leads log says, in the words of reports."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from services.reports.domain.agreements import TenantSet
from services.reports.domain.handoffs import (
    Accepted,
    Closed,
    Converted,
    Disqualified,
    FollowedUp,
    Offered,
    OfferEnded,
    OfferOutcome,
    Origin,
    Qualified,
    Recycled,
    Rejected,
    Revised,
    Submitted,
    Voided,
)
from services.reports.domain.periods import Micros
from services.reports.store.fold import Folded, FoldedTenant, LeadWord, ReadModel
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.eventlog.directory import DIRECTORY_TYPES
from smarketing.eventlog.reading import view_log_id
from smarketing.eventlog.tables import WHOLE_LOG

__all__ = [
    "HANDLED",
    "IGNORED",
    "PAYLOAD_TYPES",
    "LeadEvents",
    "micros_from",
    "party_word",
    "progress",
    "progress_of_tenants",
    "words_of",
]

_Translate: TypeAlias = Callable[[str, Micros, Any], LeadWord]

_CHANNELS: Final[dict[int, str]] = {
    number: name.removeprefix("SOURCE_CHANNEL_").lower() for name, number in termspb.SourceChannel.items()
}
_PARTIES: Final[dict[int, str]] = {
    number: name.removeprefix("PARTY_").lower() for name, number in termspb.Party.items()
}
_OUTCOMES: Final = {
    leadspb.Offer.STATE_DECLINED: OfferOutcome.DECLINED,
    leadspb.Offer.STATE_EXPIRED: OfferOutcome.EXPIRED,
    leadspb.Offer.STATE_WITHDRAWN: OfferOutcome.WITHDRAWN,
}


class LeadEvents:
    """Folds batches of the leads log, and the directory in it, in the consumer's transaction."""

    def __init__(
        self, model: ReadModel, fold_directory: Callable[[Any, Sequence[eventlogpb.Event]], object]
    ) -> None:
        self._model = model
        self._fold_directory = fold_directory

    def apply(self, connection: Any, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        """Take contiguous events into the read model."""
        del now
        self._fold_directory(connection, events)
        self._model.fold_leads(connection, words_of(events))
        self._model.note_progress(
            connection, progress("leads", events[-1]), progress_of_tenants("leads", events)
        )


def progress(service: str, last: eventlogpb.Event) -> Folded:
    """Return how far a log is folded in once its event `last` is."""
    return Folded(service, last.log_id, last.position, micros_from(last.record_time))


def progress_of_tenants(service: str, events: Sequence[eventlogpb.Event]) -> list[FoldedTenant]:
    """Return how far each tenant's view of a log is folded in once its events are."""
    newest = {event.tenant: event for event in events}
    # The installation's own events are in no tenant's view.
    newest.pop(WHOLE_LOG, None)
    return [
        FoldedTenant(
            service,
            tenant,
            view_log_id(event.log_id, tenant),
            event.tenant_position,
            micros_from(event.record_time),
        )
        for tenant, event in newest.items()
    ]


def words_of(events: Sequence[eventlogpb.Event]) -> list[LeadWord]:
    """Return what the events say, in their order; events that say nothing to reports are left out."""
    words: list[LeadWord] = []
    for event in events:
        known = _TRANSLATIONS.get(event.payload.type_url.rpartition("/")[2])
        if known is not None:
            parse, translate = known
            words.append(translate(event.tenant, micros_from(event.occur_time), parse(event.payload.value)))
    return words


def micros_from(timestamp: Timestamp) -> Micros:
    """Return an instant of the wire; microseconds are the finest that anything is decided by."""
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1000


def party_word(party: int) -> str:
    """Return the word for a party; empty when nobody was named."""
    return "" if party == termspb.PARTY_UNSPECIFIED else _PARTIES.get(party, "")


def _channel_word(channel: int) -> str:
    """Return the word for a channel; of one newer than this build, its number is kept in its place."""
    return _CHANNELS.get(channel) or f"unknown_{channel}"


def _origin(said: leadspb.Qualification) -> Origin:
    channel = said.source_channel
    return Origin(
        said.source if said.HasField("source") else None,
        _channel_word(channel) if channel else None,
        said.segment or None,
        said.region or None,
        said.product or None,
        said.lead_type or None,
        micros_from(said.inquire_time) if said.HasField("inquire_time") else None,
    )


def _tenant(tenant: str, _time: Micros, said: leadeventspb.TenantChanged) -> TenantSet:
    return TenantSet(tenant, said.time_zone, said.currency_code)


def _submitted(tenant: str, time: Micros, said: leadeventspb.HandoffSubmitted) -> Submitted:
    origin = _origin(said.qualification)
    return Submitted(tenant, said.handoff, time, said.lead, origin, said.historical, said.archived)


def _revised(tenant: str, time: Micros, said: leadeventspb.HandoffRevised) -> Revised:
    return Revised(tenant, said.handoff, time, _origin(said.qualification))


def _offered(tenant: str, time: Micros, said: leadeventspb.HandoffOffered) -> Offered:
    return Offered(tenant, said.handoff, time, said.offer, said.assignee, said.team)


def _offer_ended(tenant: str, time: Micros, said: leadeventspb.OfferEnded) -> OfferEnded:
    outcome = _OUTCOMES.get(said.state, OfferOutcome.WITHDRAWN)
    return OfferEnded(tenant, said.handoff, time, said.offer, outcome)


def _accepted(tenant: str, time: Micros, said: leadeventspb.HandoffAccepted) -> Accepted:
    # A direct assignment withdraws the offer; only the others accept one.
    offer = "" if said.manner == leadeventspb.HandoffAccepted.MANNER_ASSIGNED else said.offer
    return Accepted(tenant, said.handoff, time, offer, said.owner, said.team, said.previous_owner)


def _rejected(tenant: str, time: Micros, said: leadeventspb.HandoffRejected) -> Rejected:
    party = party_word(said.accountable_party)
    return Rejected(tenant, said.handoff, time, said.offer, said.reason_code, party)


def _followed_up(tenant: str, time: Micros, said: leadeventspb.FollowUpLogged) -> FollowedUp:
    counts = said.grade != termspb.EVIDENCE_GRADE_BACK_DATED
    return FollowedUp(tenant, said.handoff, time, said.contact, counts)


def _qualified(tenant: str, time: Micros, said: leadeventspb.HandoffQualified) -> Qualified:
    return Qualified(tenant, said.handoff, time)


def _disqualified(tenant: str, time: Micros, said: leadeventspb.HandoffDisqualified) -> Disqualified:
    return Disqualified(tenant, said.handoff, time, said.reason_code, party_word(said.accountable_party))


def _recycled(tenant: str, time: Micros, said: leadeventspb.HandoffRecycled) -> Recycled:
    return Recycled(tenant, said.handoff, time, said.reason_code, party_word(said.accountable_party))


def _converted(tenant: str, time: Micros, said: leadeventspb.HandoffConverted) -> Converted:
    return Converted(tenant, said.handoff, time, said.owner)


def _closed(tenant: str, time: Micros, said: leadeventspb.OpportunityClosed) -> Closed:
    known = said.HasField("amount")
    return Closed(
        tenant,
        said.handoff,
        time,
        said.state == leadspb.Opportunity.STATE_WON,
        said.amount.currency_code if known else "",
        said.amount.minor_units if known else 0,
        said.reason_code,
        said.segment,
        said.lead_type,
    )


def _voided(tenant: str, time: Micros, said: leadeventspb.HandoffVoided) -> Voided:
    return Voided(tenant, said.handoff, time, said.reason_code)


_TRANSLATIONS: Final[dict[str, tuple[Callable[[bytes], Any], _Translate]]] = {
    payload_type.DESCRIPTOR.full_name: (payload_type.FromString, translate)
    for payload_type, translate in (
        (leadeventspb.TenantChanged, _tenant),
        (leadeventspb.HandoffSubmitted, _submitted),
        (leadeventspb.HandoffRevised, _revised),
        (leadeventspb.HandoffOffered, _offered),
        (leadeventspb.OfferEnded, _offer_ended),
        (leadeventspb.HandoffAccepted, _accepted),
        (leadeventspb.HandoffRejected, _rejected),
        (leadeventspb.FollowUpLogged, _followed_up),
        (leadeventspb.HandoffQualified, _qualified),
        (leadeventspb.HandoffDisqualified, _disqualified),
        (leadeventspb.HandoffRecycled, _recycled),
        (leadeventspb.HandoffConverted, _converted),
        (leadeventspb.OpportunityClosed, _closed),
        (leadeventspb.HandoffVoided, _voided),
    )
}

HANDLED: Final = frozenset(_TRANSLATIONS) | DIRECTORY_TYPES
IGNORED: Final = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        leadeventspb.BehaviourRecorded,
        leadeventspb.ConsentRecorded,
        leadeventspb.DisputeResolved,
        leadeventspb.FeedbackRecorded,
        leadeventspb.FeedbackStatusChanged,
        leadeventspb.HandoffContinued,
        leadeventspb.HandoffRated,
        leadeventspb.HandoffRequalified,
        leadeventspb.HandoffTakenOver,
        leadeventspb.HandoffsRerated,
        leadeventspb.LeadsMerged,
        leadeventspb.LeadsUnmerged,
        leadeventspb.MqlDefinitionActivated,
        leadeventspb.NextActionSet,
        leadeventspb.OpportunityChanged,
        leadeventspb.OpportunityReopened,
        leadeventspb.PlaybookChanged,
        leadeventspb.QueueChanged,
        leadeventspb.RejectionDisputed,
        leadeventspb.ReplyRecorded,
        leadeventspb.RoutingChanged,
        leadeventspb.ScoreModelActivated,
        leadeventspb.SubjectErased,
        leadeventspb.SubmissionJoined,
    )
)
"""Passed over knowingly: they say nothing to reports."""
PAYLOAD_TYPES: Final = HANDLED | IGNORED
