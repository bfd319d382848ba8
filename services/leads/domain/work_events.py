"""What happened around a handoff: disputes, takeovers, what follows upon it. Past tense, nothing personal."""

from datetime import datetime
from enum import IntEnum

from services.leads.domain.directory import Party
from services.leads.domain.events import HandoffEvent
from services.leads.domain.feedback import Feedback
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Rating
from services.leads.domain.next_steps import SetAction
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.opportunity_changes import OpportunityChange
from services.leads.domain.replies import Reply
from services.leads.domain.scoring import LeadScore
from smarketing.values import value


class DisputeState(IntEnum):
    """What became of a dispute, numbered as in the contract."""

    OPEN = 1
    UPHELD = 2
    OVERTURNED = 3


@value(frozen=True, slots=True, kw_only=True)
class HandoffTakenOver(HandoffEvent):
    """It was taken from its owner after a miss."""

    previous_owner: str
    clock: str
    rung_id: str
    takeover: int
    exhausted: bool


@value(frozen=True, slots=True, kw_only=True)
class RejectionDisputed(HandoffEvent):
    """Marketing said that the rejection was wrong."""

    person: str
    reason_code: str
    accountable_party: Party | None
    rejecting_team: str
    answer_due_time: datetime


@value(frozen=True, slots=True, kw_only=True)
class DisputeResolved(HandoffEvent):
    """The dispute was answered."""

    person: str
    state: DisputeState
    by_leadership: bool
    dispute_time: datetime


@value(frozen=True, slots=True, kw_only=True)
class HandoffRequalified(HandoffEvent):
    """A recycled lead qualified again."""

    previous: HandoffId
    recycle_until_time: datetime | None


@value(frozen=True, slots=True, kw_only=True)
class HandoffContinued(HandoffEvent):
    """A win started it."""

    previous: HandoffId
    opportunity: str


@value(frozen=True, slots=True, kw_only=True)
class OpportunityReopened(HandoffEvent):
    """The end of its opportunity was undone."""

    opportunity: Opportunity
    previous_state: OpportunityState
    previous_close_time: datetime | None


@value(frozen=True, slots=True, kw_only=True)
class ReplyRecorded(HandoffEvent):
    """The lead answered."""

    reply: Reply


@value(frozen=True, slots=True, kw_only=True)
class NextActionSet(HandoffEvent):
    """A person said what to do next."""

    said: SetAction


@value(frozen=True, slots=True, kw_only=True)
class OpportunityChanged(HandoffEvent):
    """Its opportunity changed, or took a step outside."""

    opportunity: Opportunity
    change: OpportunityChange
    previous_stage: str


@value(frozen=True, slots=True, kw_only=True)
class FeedbackRecorded(HandoffEvent):
    """The field told something."""

    feedback: Feedback


@value(frozen=True, slots=True, kw_only=True)
class FeedbackStatusChanged(HandoffEvent):
    """Marketing said what becomes of it."""

    feedback: Feedback


@value(frozen=True, slots=True, kw_only=True)
class HandoffRated(HandoffEvent):
    """The tenant's own model rated it, otherwise than before."""

    score: LeadScore
    previous: Rating | None
