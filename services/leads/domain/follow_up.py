"""An attempt by a named person to reach the lead."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel


class FollowUpOutcome(IntEnum):
    """What came of an attempt, numbered as in the contract."""

    UNKNOWN = 0
    NO_ANSWER = 1
    LEFT_MESSAGE = 2
    UNREACHABLE = 3
    TALKED = 4
    CALL_BACK = 5
    MEETING_AGREED = 6
    OBJECTION = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """Who tried, on which channel, when, and how well it is attested."""

    handoff: HandoffId
    follow_up_id: str
    person: str
    channel: FollowUpChannel
    occur_time: datetime
    record_time: datetime
    grade: EvidenceGrade
    contact: bool = False
    outcome: FollowUpOutcome = FollowUpOutcome.UNKNOWN
    external_id: str = ""
    """What the channel's system called it: told to those who may see personal data, otherwise absent."""
    external_digest: bytes = b""
    """Under which that is known; empty when it was given no name."""
    sealed_external_id: bytes = b""
    """The same as it is kept."""

    @property
    def name(self) -> str:
        """The resource name."""
        return f"{self.handoff.name}/followUps/{self.follow_up_id}"


def grade_of(told: EvidenceGrade | None, *, by_system: bool) -> EvidenceGrade:
    """Return the grade that counts: a person can only say so; the channel's own system can confirm."""
    if not by_system or told is None:
        return EvidenceGrade.SELF_REPORTED
    return told
