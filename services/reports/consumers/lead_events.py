"""What the leads log says, in the words of reports."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from services.reports.domain.agreements import StagesSet, TenantSet
from services.reports.domain.field_notes import FeedbackGiven, FeedbackMoved
from services.reports.domain.opportunities import OpportunityStep
from services.reports.domain.periods import Days, Micros
from services.reports.domain.words import (
    Accepted,
    Behaved,
    Closed,
    Converted,
    DisputeAnswered,
    Disputed,
    Disqualified,
    FollowedUp,
    Follows,
    Joined,
    Merged,
    Offered,
    OfferEnded,
    OfferOutcome,
    Origin,
    Qualified,
    Recycled,
    Rejected,
    Reopened,
    Replied,
    Restored,
    Returned,
    Revalued,
    Revised,
    State,
    Submitted,
    TakenOver,
    Unmerged,
    Voided,
)
from services.reports.store.fold import Folded, FoldedTenant, LeadWord, ReadModel
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.eventlog.directory import DIRECTORY_TYPES
from smarketing.eventlog.partitions import WHOLE, Partition
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

_Translate: TypeAlias = Callable[[str, Micros, Any], LeadWord | tuple[LeadWord, ...]]

_LOG: Final = "leads"
_BAND_WIDTH: Final = 20
_CHANNELS: Final[dict[int, str]] = {
    number: name.removeprefix("SOURCE_CHANNEL_").lower() for name, number in termspb.SourceChannel.items()
}
_PARTIES: Final[dict[int, str]] = {
    number: name.removeprefix("PARTY_").lower() for name, number in termspb.Party.items()
}
_TOUCH_CHANNELS: Final[dict[int, str]] = {
    number: name.removeprefix("FOLLOW_UP_CHANNEL_").lower()
    for name, number in termspb.FollowUpChannel.items()
}
_GRADES: Final[dict[int, str]] = {
    number: name.removeprefix("EVIDENCE_GRADE_").lower() for name, number in termspb.EvidenceGrade.items()
}
_STATES: Final[dict[int, State]] = {
    leadspb.Handoff.State.Value(f"STATE_{state.name}"): state for state in State
}
_FEEDBACK_KINDS: Final[dict[int, str]] = {
    number: name.removeprefix("TYPE_").lower() for name, number in workpb.Feedback.Type.items()
}
_FEEDBACK_STATUSES: Final[dict[int, str]] = {
    number: name.removeprefix("STATUS_").lower() for name, number in workpb.Feedback.Status.items()
}
_OUTCOMES: Final = {
    leadspb.Offer.STATE_DECLINED: OfferOutcome.DECLINED,
    leadspb.Offer.STATE_EXPIRED: OfferOutcome.EXPIRED,
    leadspb.Offer.STATE_WITHDRAWN: OfferOutcome.WITHDRAWN,
}


class LeadEvents:
    """Folds batches of the leads log, and the directory in it, in the consumer's transaction."""

    def __init__(
        self,
        model: ReadModel,
        fold_directory: Callable[[Any, Sequence[eventlogpb.Event]], object],
        partition: Partition = WHOLE,
    ) -> None:
        self._model = model
        self._fold_directory = fold_directory
        self._folded = partition.member_of(_LOG)
        self._recent = model.recent_facts(self._folded)

    def apply(self, connection: Any, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        """Take contiguous events into the read model."""
        del now
        self._fold_directory(connection, events)
        self._recent.begin(connection)
        self._model.fold_leads(connection, words_of(events), self._recent)
        self._model.note_progress(
            connection, progress(self._folded, events[-1]), progress_of_tenants(_LOG, events)
        )
        self._recent.end(events[-1].log_id, events[-1].position)


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
    words: list[Any] = []
    for event in events:
        payload = event.payload
        url = payload.type_url
        known = _BY_URL.get(url) or _TRANSLATIONS.get(url.rpartition("/")[2])
        if known is None:
            continue
        parse, translate = known
        time = event.occur_time
        micros = time.seconds * 1_000_000 + time.nanos // 1000
        said = translate(event.tenant, micros, parse(payload.value))
        # A word is a tuple too, of a class of its own; several are a plain one.
        if type(said) is tuple:
            words += said
        else:
            words.append(said)
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
    value = said.qualification.value
    return Submitted(
        tenant,
        said.handoff,
        time,
        said.lead,
        origin,
        said.historical,
        said.archived,
        value.currency_code,
        value.minor_units,
        *_conformance(said),
        *_scored(said.qualification),
    )


def _scored(said: leadspb.Qualification) -> tuple[str | None, int | None]:
    """Return the band and score: ours where a model rated it, else marketing's own, by twenties of 100."""
    if said.HasField("rating"):
        return said.rating.band, said.rating.score
    if not said.HasField("score"):
        return None, None
    low = min(max(said.score, 0), 99) // _BAND_WIDTH * _BAND_WIDTH
    return f"{low:02}-{low + _BAND_WIDTH}", said.score


def _conformance(said: leadeventspb.HandoffSubmitted) -> tuple[bool | None, int, int]:
    if not said.HasField("conformance"):
        return None, 0, 0
    found = said.conformance
    return found.conforming, found.required_field_count, found.filled_field_count


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
    return Rejected(tenant, said.handoff, time, said.offer, said.reason_code, party, said.with_evidence)


def _followed_up(tenant: str, time: Micros, said: leadeventspb.FollowUpLogged) -> FollowedUp:
    counts = said.grade != termspb.EVIDENCE_GRADE_BACK_DATED
    channel = _TOUCH_CHANNELS.get(said.channel, f"unknown_{said.channel}")
    grade = _GRADES.get(said.grade, f"unknown_{said.grade}")
    unreachable = said.outcome == leadspb.FollowUp.OUTCOME_UNREACHABLE
    return FollowedUp(tenant, said.handoff, time, said.contact, counts, channel, grade, unreachable)


def _qualified(tenant: str, time: Micros, said: leadeventspb.HandoffQualified) -> Qualified:
    return Qualified(tenant, said.handoff, time)


def _disqualified(tenant: str, time: Micros, said: leadeventspb.HandoffDisqualified) -> Disqualified:
    party = party_word(said.accountable_party)
    return Disqualified(tenant, said.handoff, time, said.reason_code, party, said.with_evidence)


def _recycled(tenant: str, time: Micros, said: leadeventspb.HandoffRecycled) -> Recycled:
    return Recycled(tenant, said.handoff, time, said.reason_code, party_word(said.accountable_party))


def _converted(tenant: str, time: Micros, said: leadeventspb.HandoffConverted) -> tuple[LeadWord, ...]:
    step = OpportunityStep(
        tenant,
        said.handoff,
        time,
        said.opportunity,
        "opened",
        said.owner,
        currency=said.amount.currency_code,
        minor_units=said.amount.minor_units,
        probability=said.probability_percent if said.HasField("probability_percent") else None,
        close_day=_day(said.expected_close_date),
    )
    amount = said.amount
    return Converted(tenant, said.handoff, time, said.owner, amount.currency_code, amount.minor_units), step


def _changed(tenant: str, time: Micros, said: leadeventspb.OpportunityChanged) -> tuple[LeadWord, ...]:
    change = said.change
    # What stands in a proposal or a contract is not yet what the opportunity is worth.
    amount = change.amount if change.kind == workpb.OpportunityChange.KIND_UPDATED else termspb.Money()
    step = OpportunityStep(
        tenant,
        said.handoff,
        time,
        said.opportunity,
        "proposed" if change.kind == workpb.OpportunityChange.KIND_PROPOSAL_SENT else "changed",
        said.owner,
        change.stage,
        amount.currency_code,
        amount.minor_units,
        change.probability_percent if change.HasField("probability_percent") else None,
        _day(change.expected_close_date),
    )
    if not amount.currency_code:
        return (step,)
    return Revalued(tenant, said.handoff, time, amount.currency_code, amount.minor_units), step


def _reopened(tenant: str, time: Micros, said: leadeventspb.OpportunityReopened) -> tuple[LeadWord, ...]:
    step = OpportunityStep(tenant, said.handoff, time, said.opportunity, "reopened", said.owner)
    return Reopened(tenant, said.handoff, time, said.owner), step


def _closed(tenant: str, time: Micros, said: leadeventspb.OpportunityClosed) -> tuple[LeadWord, ...]:
    known = said.HasField("amount")
    currency = said.amount.currency_code if known else ""
    minor_units = said.amount.minor_units if known else 0
    won = said.state == leadspb.Opportunity.STATE_WON
    closed = Closed(
        tenant,
        said.handoff,
        time,
        won,
        currency,
        minor_units,
        said.reason_code,
        said.segment,
        said.lead_type,
    )
    step = OpportunityStep(
        tenant,
        said.handoff,
        time,
        said.opportunity,
        "won" if won else "lost",
        said.owner,
        currency=currency,
        minor_units=minor_units,
    )
    return closed, step


def _voided(tenant: str, time: Micros, said: leadeventspb.HandoffVoided) -> Voided:
    return Voided(tenant, said.handoff, time, said.reason_code)


def _joined(tenant: str, time: Micros, said: leadeventspb.SubmissionJoined) -> Joined:
    return Joined(tenant, said.handoff, time, _origin(said.qualification), said.correction)


def _taken_over(tenant: str, time: Micros, said: leadeventspb.HandoffTakenOver) -> TakenOver:
    return TakenOver(tenant, said.handoff, time, said.previous_owner)


def _disputed(tenant: str, time: Micros, said: leadeventspb.RejectionDisputed) -> Disputed:
    return Disputed(tenant, said.handoff, time)


def _dispute_answered(tenant: str, time: Micros, said: leadeventspb.DisputeResolved) -> DisputeAnswered:
    overturned = said.state == disputespb.Dispute.STATE_OVERTURNED
    return DisputeAnswered(tenant, said.handoff, time, overturned)


def _requalified(tenant: str, time: Micros, said: leadeventspb.HandoffRequalified) -> tuple[LeadWord, ...]:
    follows = Follows(tenant, said.handoff, time, said.previous_handoff, continued=False)
    return follows, Returned(tenant, said.previous_handoff, time)


def _continued(tenant: str, time: Micros, said: leadeventspb.HandoffContinued) -> Follows:
    return Follows(tenant, said.handoff, time, said.previous_handoff, continued=True)


def _replied(tenant: str, time: Micros, said: leadeventspb.ReplyRecorded) -> Replied:
    channel = _TOUCH_CHANNELS.get(said.channel, f"unknown_{said.channel}")
    return Replied(tenant, said.handoff, time, channel, said.contact)


def _behaved(tenant: str, time: Micros, said: leadeventspb.BehaviourRecorded) -> Behaved:
    return Behaved(tenant, said.handoff, time)


def _merged(tenant: str, time: Micros, said: leadeventspb.LeadsMerged) -> Merged:
    return Merged(tenant, said.handoff, time, tuple(said.merged_handoffs))


def _unmerged(tenant: str, time: Micros, said: leadeventspb.LeadsUnmerged) -> Unmerged:
    restored = tuple(
        Restored(each.handoff, _STATES[each.state], each.owner, each.queue) for each in said.restored_handoffs
    )
    return Unmerged(tenant, said.handoff, time, restored)


def _feedback(tenant: str, time: Micros, said: leadeventspb.FeedbackRecorded) -> FeedbackGiven:
    kind = _FEEDBACK_KINDS.get(said.type, f"unknown_{said.type}")
    return FeedbackGiven(tenant, said.handoff, time, said.feedback, kind, said.theme)


def _feedback_status(tenant: str, time: Micros, said: leadeventspb.FeedbackStatusChanged) -> FeedbackMoved:
    status = _FEEDBACK_STATUSES.get(said.status, f"unknown_{said.status}")
    return FeedbackMoved(tenant, said.handoff, time, said.feedback, status)


def _playbook(tenant: str, _time: Micros, said: leadeventspb.PlaybookChanged) -> StagesSet:
    return StagesSet(tenant, tuple(each.stage for each in said.playbook.stages))


def _day(said: Any) -> Days | None:
    """Return a date of the wire; None where there is none, or one without a day."""
    if not (said.year and said.month and said.day):
        return None
    return date(said.year, said.month, said.day).toordinal()


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
        (leadeventspb.SubmissionJoined, _joined),
        (leadeventspb.HandoffTakenOver, _taken_over),
        (leadeventspb.RejectionDisputed, _disputed),
        (leadeventspb.DisputeResolved, _dispute_answered),
        (leadeventspb.HandoffRequalified, _requalified),
        (leadeventspb.HandoffContinued, _continued),
        (leadeventspb.ReplyRecorded, _replied),
        (leadeventspb.BehaviourRecorded, _behaved),
        (leadeventspb.LeadsMerged, _merged),
        (leadeventspb.LeadsUnmerged, _unmerged),
        (leadeventspb.OpportunityChanged, _changed),
        (leadeventspb.OpportunityReopened, _reopened),
        (leadeventspb.FeedbackRecorded, _feedback),
        (leadeventspb.FeedbackStatusChanged, _feedback_status),
        (leadeventspb.PlaybookChanged, _playbook),
    )
}

_BY_URL: Final = {f"type.googleapis.com/{name}": known for name, known in _TRANSLATIONS.items()}
"""The same by what is written before nearly every payload, to find it without cutting."""

HANDLED: Final = frozenset(_TRANSLATIONS) | DIRECTORY_TYPES
IGNORED: Final = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        leadeventspb.ConsentRecorded,
        leadeventspb.DistinctionWithdrawn,
        leadeventspb.HandoffRated,
        leadeventspb.HandoffsRerated,
        leadeventspb.LeadsDistinguished,
        leadeventspb.MqlDefinitionActivated,
        leadeventspb.NextActionSet,
        leadeventspb.QueueChanged,
        leadeventspb.RoutingChanged,
        leadeventspb.ScoreModelActivated,
        leadeventspb.SubjectErased,
    )
)
"""Passed over knowingly: they say nothing to reports. An erasure changes no figure: none rests on a name."""
PAYLOAD_TYPES: Final = HANDLED | IGNORED
