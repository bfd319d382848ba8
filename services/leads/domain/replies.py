"""Inbound replies, and when there is contact: it needs both directions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.terms import FollowUpChannel

TURN_TAKING: Final = frozenset(
    {
        FollowUpChannel.EMAIL,
        FollowUpChannel.SMS,
        FollowUpChannel.SOCIAL_MESSAGE,
        FollowUpChannel.DIRECT_MAIL,
    }
)
"""Channels on which an attempt and its answer are two events: no attempt alone is contact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The lead answered."""

    handoff: HandoffId
    reply_id: str
    channel: FollowUpChannel
    occur_time: datetime
    record_time: datetime
    contact: bool
    external_id: str = ""
    """What the channel's system called it, until that is sealed."""
    external_digest: bytes = b""
    """Under which that is known; empty when it was given no name."""
    sealed_external_id: bytes = b""
    """The same as it is kept."""
    follow_up_count: int = 0
    """How many follow-ups were known when it was recorded: more of them answer it."""

    @property
    def name(self) -> str:
        """The resource name."""
        return f"{self.handoff.name}/replies/{self.reply_id}"

    def is_unanswered(self, handoff: Handoff) -> bool:
        """Whether nobody has followed up since."""
        return handoff.follow_up_count <= self.follow_up_count


def makes_contact(handoff: Handoff, occur_time: datetime) -> bool:
    """Whether a reply then makes contact: somebody had tried before it."""
    first = handoff.first_follow_up_time
    return first is not None and first <= occur_time


def attempt_is_contact(channel: FollowUpChannel, told: bool) -> bool:
    """Whether an attempt of which this is told was contact by itself."""
    return told and channel not in TURN_TAKING
