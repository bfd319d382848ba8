"""Record replies, next actions, changes of opportunities, and what the field heard."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.leads.domain.answers import check_may_decide
from services.leads.domain.errors import (
    FeedbackUnknown,
    FieldInvalid,
    OpportunityUnknown,
    StateForbids,
    TimeInFuture,
)
from services.leads.domain.feedback import Feedback, FeedbackStatus, FeedbackType, check_feedback
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import FUTURE_TOLERANCE
from services.leads.domain.next_steps import NextStep, SetAction, next_step
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.opportunity_changes import (
    ChangeKind,
    OpportunityChange,
    Wanted,
    change_of,
    updated,
)
from services.leads.domain.replies import Reply, makes_contact
from services.leads.domain.states import NextAction
from services.leads.domain.terms import FollowUpChannel, Money
from services.leads.domain.work_events import (
    FeedbackRecorded,
    FeedbackStatusChanged,
    NextActionSet,
    OpportunityChanged,
    ReplyRecorded,
)
from services.leads.store.sealed_texts import EXTERNAL_ID, seal
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import Asker, each, known_handoff

_LONGEST_ACTION: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReply:
    """The lead answered."""

    handoff: HandoffId
    asker: Asker
    channel: FollowUpChannel | None
    occur_time: datetime | None = None
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNextAction:
    """What comes next on a handoff."""

    handoff: HandoffId
    asker: Asker
    action: NextAction
    due_time: datetime | None
    channel: FollowUpChannel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOpportunity:
    """What an opportunity shall be."""

    tenant: str
    opportunity_id: str
    asker: Asker
    wanted: Wanted
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMilestone:
    """A step of an opportunity outside."""

    tenant: str
    opportunity_id: str
    asker: Asker
    kind: ChangeKind | None
    occur_time: datetime | None = None
    amount: Money | None = None
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFeedback:
    """What the field heard."""

    handoff: HandoffId
    asker: Asker
    type: FeedbackType | None
    theme: str
    verbatim: str = ""
    competitor: str = ""
    price: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFeedbackStatus:
    """What becomes of feedback."""

    tenant: str
    feedback_id: str
    asker: Asker
    status: FeedbackStatus | None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """Feedback with the words that were said."""

    feedback: Feedback
    verbatim: str


def record_replies(tx: LeadTx, requests: Sequence[RecordReply]) -> list[Reply | Exception]:
    """Record that leads answered; one that the channel's system told before is not recorded again."""

    def decide(request: RecordReply) -> Reply:
        tx.directory(request.handoff.tenant)
        handoff = known_handoff(tx, request.handoff)
        if request.channel is None:
            raise FieldInvalid("reply.channel", "the channel on which it came")
        occur_time = _not_future("reply.occur_time", request.occur_time, tx.now)
        digest = tx.touch_digest(handoff.id, request.external_id)
        if digest:
            known = (one for one in tx.work.replies(handoff.id) if one.external_digest == digest)
            if (told := next(known, None)) is not None:
                return told
        reply = Reply(
            handoff=handoff.id,
            reply_id=tx.new_id(),
            channel=request.channel,
            occur_time=occur_time,
            record_time=tx.now,
            contact=makes_contact(handoff, occur_time),
            external_id=request.external_id,
            external_digest=digest,
            follow_up_count=handoff.follow_up_count,
        )
        reply = seal(tx.people, handoff.id[:2], reply, EXTERNAL_ID)
        tx.work.add_reply(reply)
        tx.tell(request.asker.by(), ReplyRecorded(handoff=handoff.id, occur_time=occur_time, reply=reply))
        return reply

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def set_next_actions(tx: LeadTx, requests: Sequence[SetNextAction]) -> list[NextStep | Exception]:
    """Keep what people say comes next."""

    def decide(request: SetNextAction) -> NextStep:
        directory = tx.directory(request.handoff.tenant)
        handoff = known_handoff(tx, request.handoff)
        person = request.asker.person_in(directory, otherwise=handoff.owner)
        check_may_decide(handoff, person, directory, manages=request.asker.manages)
        if not handoff.is_live:
            raise StateForbids(handoff.name, handoff.state.name, handoff.etag)
        due_time = request.due_time
        if due_time is None or not tx.now < due_time <= tx.now + _LONGEST_ACTION:
            raise FieldInvalid("due_time", "an instant in the future, at most 366 days from now")
        said = SetAction(
            handoff=handoff.id,
            action=request.action or handoff.next_action,
            due_time=due_time,
            channel=request.channel,
            person=person,
            state=handoff.state,
            follow_up_count=handoff.follow_up_count,
        )
        tx.work.put_action(said)
        tx.tell(request.asker.by(person), NextActionSet(handoff=handoff.id, occur_time=tx.now, said=said))
        step = next_step(handoff, said, tx.work.playbook(request.handoff.tenant))
        assert step is not None, "a live handoff has a next step"  # noqa: S101 -- checked above
        return step

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def update_opportunities(tx: LeadTx, requests: Sequence[UpdateOpportunity]) -> list[Opportunity | Exception]:
    """Change open opportunities; what changes nothing leaves no trace."""

    def decide(request: UpdateOpportunity) -> Opportunity:
        opportunity, person = _opportunity_of(tx, request.tenant, request.opportunity_id, request.asker)
        opportunity.check_etag(request.etag)
        _check_worth(request.wanted.amount, request.wanted.probability_percent)
        changed = updated(opportunity, request.wanted, tx.work.playbook(request.tenant))
        if changed is opportunity:
            return opportunity
        tx.save_opportunity(changed)
        change = change_of(
            changed,
            ChangeKind.UPDATED,
            number=tx.work.count_changes(changed) + 1,
            person=person,
            occur_time=tx.now,
            now=tx.now,
        )
        _record(tx, request.asker.by(person), changed, change, opportunity.stage)
        return changed

    _load(tx, [(request.tenant, request.opportunity_id) for request in requests])
    return each(requests, decide)


def record_milestones(tx: LeadTx, requests: Sequence[RecordMilestone]) -> list[OpportunityChange | Exception]:
    """Record proposals and contracts; they change nothing of the opportunity itself."""

    def decide(request: RecordMilestone) -> OpportunityChange:
        opportunity, person = _opportunity_of(tx, request.tenant, request.opportunity_id, request.asker)
        if request.kind is None or request.kind is ChangeKind.UPDATED:
            raise FieldInvalid("kind", "a proposal sent, or a contract sent, signed, declined or expired")
        occur_time = _not_future("occur_time", request.occur_time, tx.now)
        _check_worth(request.amount, None)
        change = change_of(
            opportunity,
            request.kind,
            number=tx.work.count_changes(opportunity) + 1,
            person=person,
            occur_time=occur_time,
            now=tx.now,
            amount=request.amount,
            external_id=request.external_id,
        )
        change = seal(tx.people, opportunity.handoff[:2], change, EXTERNAL_ID)
        _record(tx, request.asker.by(person), opportunity, change, opportunity.stage)
        return change

    _load(tx, [(request.tenant, request.opportunity_id) for request in requests])
    return each(requests, decide)


def record_feedback(tx: LeadTx, requests: Sequence[RecordFeedback]) -> list[Heard | Exception]:
    """Keep what the field heard; the words are sealed with the lead's key, and in no event."""

    def decide(request: RecordFeedback) -> Heard:
        directory = tx.directory(request.handoff.tenant)
        handoff = known_handoff(tx, request.handoff)
        person = request.asker.person_in(directory, otherwise=handoff.owner)
        if request.type is None:
            raise FieldInvalid("feedback.type", "what it is about")
        check_feedback(request.theme, request.competitor, request.price, request.verbatim)
        feedback = Feedback(
            tenant=handoff.id.tenant,
            feedback_id=tx.new_id(),
            handoff=handoff.id,
            type=request.type,
            theme=request.theme,
            competitor=request.competitor,
            price=request.price,
            person=person,
            create_time=tx.now,
        )
        lead = (handoff.id.tenant, handoff.id.lead)
        sealed = tx.people.sealed(lead, request.verbatim, purpose="#verbatim") if request.verbatim else None
        tx.work.add_feedback(feedback, sealed)
        tx.tell(
            request.asker.by(person),
            FeedbackRecorded(handoff=handoff.id, occur_time=tx.now, feedback=feedback),
        )
        return Heard(feedback, request.verbatim if sealed is not None else "")

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def set_feedback_statuses(tx: LeadTx, requests: Sequence[SetFeedbackStatus]) -> list[Feedback | Exception]:
    """Say what becomes of feedback."""

    def decide(request: SetFeedbackStatus) -> Feedback:
        known = tx.work.feedback(request.tenant, request.feedback_id)
        if known is None:
            raise FeedbackUnknown(f"tenants/{request.tenant}/feedback/{request.feedback_id}")
        person = request.asker.principal
        changed = known.with_status(request.status, person=person, etag=request.etag)
        tx.work.save_feedback(changed)
        tx.tell(
            request.asker.by(),
            FeedbackStatusChanged(handoff=changed.handoff, occur_time=tx.now, feedback=changed),
        )
        return changed

    return each(requests, decide)


def _load(tx: LeadTx, keys: Sequence[tuple[str, str]]) -> None:
    tx.load_opportunities(keys)
    known = (tx.opportunity(*key) for key in keys)
    tx.load_handoffs(opportunity.handoff for opportunity in known if opportunity is not None)


def _opportunity_of(tx: LeadTx, tenant: str, opportunity_id: str, asker: Asker) -> tuple[Opportunity, str]:
    opportunity = tx.opportunity(tenant, opportunity_id)
    if opportunity is None:
        raise OpportunityUnknown(f"tenants/{tenant}/opportunities/{opportunity_id}")
    handoff: Handoff = known_handoff(tx, opportunity.handoff)
    directory = tx.directory(tenant)
    person = asker.person_in(directory, otherwise=opportunity.owner or handoff.owner)
    check_may_decide(handoff, person, directory, manages=asker.manages)
    return opportunity, person


def _record(
    tx: LeadTx, by: By, opportunity: Opportunity, change: OpportunityChange, previous_stage: str
) -> None:
    tx.work.add_change(opportunity, change)
    event = OpportunityChanged(
        handoff=opportunity.handoff,
        occur_time=change.occur_time,
        opportunity=opportunity,
        change=change,
        previous_stage=previous_stage,
    )
    tx.tell(by, event)


def _not_future(field: str, instant: datetime | None, now: datetime) -> datetime:
    if instant is not None and instant > now + FUTURE_TOLERANCE:
        raise TimeInFuture(field, "an instant at most 60 s ahead of this server's clock")
    return instant or now


def _check_worth(amount: Money | None, percent: int | None) -> None:
    if amount is not None and not (amount.is_sound and amount.minor_units >= 0):
        raise FieldInvalid("amount", "an ISO 4217 code and zero or more of its minor unit")
    if percent is not None and not 0 <= percent <= 100:
        raise FieldInvalid("probability_percent", "0 to 100")
