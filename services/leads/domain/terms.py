"""The words shared with the rest of the product, numbered as in the contract, and money."""

from dataclasses import dataclass
from enum import IntEnum


class FollowUpChannel(IntEnum):
    """The medium of a follow-up."""

    CALL = 1
    EMAIL = 2
    MEETING_IN_PERSON = 3
    MEETING_ONLINE = 4
    DEMO = 5
    CHAT = 6
    SMS = 7
    SOCIAL_MESSAGE = 8
    DIRECT_MAIL = 9
    EVENT = 10


class EvidenceGrade(IntEnum):
    """How well a follow-up is attested; whether it is back-dated is the agreement's to say."""

    CONFIRMED = 1
    IMPORTED = 2
    SELF_REPORTED = 3


class SourceChannel(IntEnum):
    """Where a lead came from, in the closed vocabulary."""

    UNMAPPED = 1
    OTHER = 2
    CONTENT = 10
    ORGANIC_SEARCH = 11
    PAID_SEARCH = 12
    DISPLAY = 13
    DIRECT = 14
    SOCIAL_ORGANIC = 15
    SOCIAL_PAID = 16
    EMAIL = 17
    MOBILE_APP = 18
    WEBSITE_FORM = 19
    INBOUND_EVENT = 20
    INFLUENCER = 21
    WORD_OF_MOUTH = 22
    PRESS = 23
    DIRECT_MAIL_RESPONSE = 24
    RADIO_RESPONSE = 25
    BRAND_AMBASSADOR = 26
    COLD_CALL = 40
    OUTBOUND_EMAIL = 41
    NETWORKING = 42
    REFERRAL_PROGRAM = 43
    PURCHASED_ATTENDEE_LIST = 44
    CONFERENCE = 45
    PERSONAL_SELLING = 46
    CUSTOMER_REFERRAL = 60
    EXPANSION = 61
    RENEWAL = 62
    RE_ENGAGED = 63


_OTHER_WORDS = {
    "direct_traffic": SourceChannel.DIRECT,
    "social": SourceChannel.SOCIAL_ORGANIC,
    "seo": SourceChannel.ORGANIC_SEARCH,
    "sem": SourceChannel.PAID_SEARCH,
    "ppc": SourceChannel.PAID_SEARCH,
    "referral": SourceChannel.WORD_OF_MOUTH,
    "website": SourceChannel.WEBSITE_FORM,
    "other_publicities": SourceChannel.OTHER,
}
_CHANNEL_OF = {channel.name.lower(): channel for channel in SourceChannel} | _OTHER_WORDS


def channel_of(source: str | None) -> SourceChannel:
    """Return what the sender's own word means; UNMAPPED where nothing says so."""
    if not source:
        return SourceChannel.UNMAPPED
    word = source.strip().lower().replace(" ", "_").replace("-", "_")
    return _CHANNEL_OF.get(word, SourceChannel.UNMAPPED)


MOST_MINOR_UNITS = 9_007_199_254_740_991
"""Beyond it JSON clients round."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency's minor unit."""

    currency_code: str
    minor_units: int

    @property
    def is_sound(self) -> bool:
        """Whether the code looks like one and the amount is exact everywhere."""
        code = self.currency_code
        well_spelled = len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
        return well_spelled and abs(self.minor_units) <= MOST_MINOR_UNITS
