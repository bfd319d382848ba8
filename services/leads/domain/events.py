"""What happened to a handoff: past tense, and nothing personal."""

from datetime import datetime
from enum import IntEnum

from services.leads.domain.directory import Party
from services.leads.domain.follow_up import FollowUpOutcome
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Qualification
from services.leads.domain.mql_definition import Conformance
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.routing import Decision
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel
from smarketing.values import value


class OfferState(IntEnum):
    """What became of an offer, numbered as in the contract."""

    OPEN = 1
    ACCEPTED = 2
    REJECTED = 3
    DECLINED = 4
    EXPIRED = 5
    WITHDRAWN = 6


class Manner(IntEnum):
    """How a handoff got its owner, numbered as in the contract."""

    ACCEPTED = 1
    CLAIMED = 2
    FOLLOWED_UP = 3
    ASSIGNED = 4
    IMPORTED = 5


@value(frozen=True, slots=True, kw_only=True)
class HandoffEvent:
    """Something that happened to a handoff at an instant."""

    handoff: HandoffId
    occur_time: datetime


@value(frozen=True, slots=True, kw_only=True)
class HandoffSubmitted(HandoffEvent):
    """It began."""

    qualification: Qualification
    source_system: str
    historical: bool = False
    archived: bool = False
    conformance: Conformance | None = None
    """Absent where no MQL definition is in force."""


@value(frozen=True, slots=True, kw_only=True)
class HandoffRevised(HandoffEvent):
    """What marketing says of it changed."""

    qualification: Qualification


@value(frozen=True, slots=True, kw_only=True)
class SubmissionJoined(HandoffEvent):
    """A submission came in that belongs to it; the handoff's own qualification keeps only some of it."""

    qualification: Qualification
    source_system: str
    revision: int = 0
    correction: bool = False
    historical: bool = False


@value(frozen=True, slots=True, kw_only=True)
class HandoffOffered(HandoffEvent):
    """It is this person's or queue's to accept."""

    offer: int
    assignee: str
    team: str
    expire_time: datetime | None
    decision: Decision


@value(frozen=True, slots=True, kw_only=True)
class OfferClosed(HandoffEvent):
    """An offer ended otherwise than accepted or rejected."""

    offer: int
    assignee: str
    state: OfferState
    reason_code: str = ""


@value(frozen=True, slots=True, kw_only=True)
class HandoffAccepted(HandoffEvent):
    """It got an owner."""

    offer: int
    """0 when it was assigned without one."""
    owner: str
    team: str
    manner: Manner
    previous_owner: str = ""


@value(frozen=True, slots=True, kw_only=True)
class HandoffRejected(HandoffEvent):
    """No lead for sales."""

    offer: int
    person: str
    team: str
    reason_code: str
    accountable_party: Party
    with_evidence: bool


@value(frozen=True, slots=True, kw_only=True)
class FollowUpLogged(HandoffEvent):
    """Somebody tried to reach the lead."""

    follow_up: str
    """Id within the handoff."""
    person: str
    team: str
    channel: FollowUpChannel
    grade: EvidenceGrade
    contact: bool
    historical: bool = False
    outcome: FollowUpOutcome = FollowUpOutcome.UNKNOWN


@value(frozen=True, slots=True, kw_only=True)
class HandoffQualified(HandoffEvent):
    """Sales-qualified."""

    person: str


@value(frozen=True, slots=True, kw_only=True)
class HandoffDisqualified(HandoffEvent):
    """Nothing will come of it."""

    person: str
    reason_code: str
    accountable_party: Party
    with_evidence: bool


@value(frozen=True, slots=True, kw_only=True)
class HandoffRecycled(HandoffEvent):
    """Back with marketing until a date."""

    person: str
    reason_code: str
    accountable_party: Party
    recycle_until_time: datetime


@value(frozen=True, slots=True, kw_only=True)
class HandoffConverted(HandoffEvent):
    """It became an opportunity."""

    opportunity: Opportunity
    historical: bool = False


@value(frozen=True, slots=True, kw_only=True)
class OpportunityClosed(HandoffEvent):
    """Its opportunity, and so the handoff, ended."""

    opportunity: Opportunity
    historical: bool = False
    segment: str = ""
    lead_type: str = ""


@value(frozen=True, slots=True, kw_only=True)
class HandoffVoided(HandoffEvent):
    """It should never have been."""

    reason_code: str


@value(frozen=True, slots=True, kw_only=True)
class BehaviourRecorded(HandoffEvent):
    """The lead did something that a source told of."""

    kind: int
    """Numbered as in the contract."""
    source_system: str
    content: str = ""
    campaign: str = ""
    score: int | None = None
