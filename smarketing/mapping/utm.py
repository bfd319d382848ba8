"""What the tags of a link say about the channel through which somebody came."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["DEFAULT_RULES", "UtmRule", "channel_of"]

_SOCIAL: Final = ("facebook", "instagram", "linkedin", "twitter", "x", "tiktok", "youtube", "pinterest")
_SEARCH: Final = ("google", "bing", "naver", "daum", "yahoo", "baidu", "duckduckgo", "yandex", "ecosia")


@dataclass(frozen=True, slots=True)
class UtmRule:
    """Links with this source and medium, both as shell patterns in lower case, are of this channel."""

    source: str
    medium: str
    channel: str

    def matches(self, source: str, medium: str) -> bool:
        """Whether a link is meant."""
        return fnmatchcase(source, self.source) and fnmatchcase(medium, self.medium)


def _rules(channel: str, *mediums: str, sources: Sequence[str] = ("*",)) -> tuple[UtmRule, ...]:
    return tuple(UtmRule(source, medium, channel) for source in sources for medium in mediums)


_PAID: Final = ("cpc", "ppc", "paid", "paid?search", "sem", "cpm?paid")

DEFAULT_RULES: Final[tuple[UtmRule, ...]] = (
    *_rules("social_paid", "paid?social", "paidsocial", "social?paid", "social?ads"),
    *_rules("social_paid", *_PAID, sources=_SOCIAL),
    *_rules("paid_search", *_PAID, "paidsearch"),
    *_rules("display", "display", "banner", "cpm", "interstitial", "programmatic", "video"),
    *_rules("outbound_email", "cold?email", "outbound?email", "outreach"),
    *_rules("email", "email", "e-mail", "newsletter", "mail"),
    *_rules("social_organic", "social", "social?media", "social?network", "sm"),
    *_rules("social_organic", "referral", "organic", "", sources=_SOCIAL),
    *_rules("organic_search", "organic", "seo"),
    *_rules("organic_search", "", sources=_SEARCH),
    *_rules("influencer", "influencer", "creator"),
    *_rules("brand_ambassador", "ambassador"),
    *_rules("content", "content", "blog", "article", "whitepaper", "ebook"),
    *_rules("inbound_event", "event", "webinar"),
    *_rules("mobile_app", "app", "in?app", "push", "mobile"),
    *_rules("press", "pr", "press"),
    *_rules("direct_mail_response", "print", "direct?mail", "letter", "qr"),
    *_rules("radio_response", "radio", "audio", "podcast"),
    *_rules("word_of_mouth", "referral", "affiliate", "partner"),
    *_rules("direct", "none", "(none)", sources=("direct", "(direct)")),
)
"""Used behind a tenant's own rules; the first that matches decides."""


def channel_of(rules: Sequence[UtmRule], *, source: str, medium: str, paid_click: bool) -> str:
    """Return the channel of a link, by the first rule that matches; empty when none does.

    A click that was paid for is a search advertisement's unless the tags say otherwise.
    """
    source, medium = source.strip().lower(), medium.strip().lower()
    if source or medium:
        for rule in rules:
            if rule.matches(source, medium):
                return rule.channel
    return "paid_search" if paid_click else ""
