"""Who and what a month is made of: names, companies, sources, and reasons to say no."""

from dataclasses import dataclass
from random import Random
from typing import Final

from services.leads.domain.lead import Contact
from services.leads.domain.terms import SourceChannel

__all__ = ["REJECTIONS", "SOURCES", "URGENT", "Rejection", "Source", "contact_of"]

_GIVEN: Final = (
    "Lena", "Jonas", "Mia", "Felix", "Sara", "Paul", "Nora", "Tim", "Aylin", "Viktor", "Greta", "Hugo",
    "Irene", "Karim", "Ludmila", "Marta", "Niklas", "Olga", "Peter", "Rosa", "Stefan", "Theo", "Ute", "Yusuf",
)  # fmt: skip
_FAMILY: Final = (
    "Albrecht", "Bauer", "Conrad", "Demir", "Engel", "Fuchs", "Graf", "Hartmann", "Ivanov", "Jansen",
    "Krause", "Lorenz", "Maurer", "Nowak", "Ortega", "Pohl", "Richter", "Schuster", "Tanaka", "Ulrich",
    "Wagner", "Zimmer",
)  # fmt: skip
_COMPANIES: Final = (
    "Birkenhof", "Steinbach", "Morgenrot", "Wiesengrund", "Hafenwerk", "Lindenapotheke", "Nordkant",
    "Eichwald", "Seeblick", "Kupferhammer", "Blauwerk", "Talmühle", "Sonnenfeld", "Weitblick",
    "Rosengarten", "Altstadt",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where leads come from, and what they are like."""

    word: str | None
    """As the sender says it; None where it says nothing."""
    channel: SourceChannel
    weight: int
    score: int
    """About what its leads score."""
    campaign: str = ""
    is_urgent: bool = False
    """Somebody waits at the other end for a call."""


URGENT: Final = Source(
    word="mobile_app", channel=SourceChannel.MOBILE_APP, weight=6, score=78, is_urgent=True
)

SOURCES: Final = (
    Source(word="website_form", channel=SourceChannel.WEBSITE_FORM, weight=22, score=62),
    Source(word="paid_search", channel=SourceChannel.PAID_SEARCH, weight=20, score=48, campaign="autumn"),
    Source(word="organic_search", channel=SourceChannel.ORGANIC_SEARCH, weight=16, score=55),
    Source(word="email", channel=SourceChannel.EMAIL, weight=10, score=58, campaign="newsletter"),
    Source(word="social_paid", channel=SourceChannel.SOCIAL_PAID, weight=9, score=38, campaign="reels"),
    Source(word="conference", channel=SourceChannel.CONFERENCE, weight=6, score=66, campaign="fair"),
    Source(word="customer_referral", channel=SourceChannel.CUSTOMER_REFERRAL, weight=5, score=82),
    Source(word=None, channel=SourceChannel.UNMAPPED, weight=4, score=45),
    Source(word="unknown", channel=SourceChannel.UNMAPPED, weight=2, score=40),
    URGENT,
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A reason why sales gives a lead back, and what proves it."""

    code: str
    evidence: str
    weight: int

    @property
    def told(self) -> tuple[str, str]:
        """The code and its proof."""
        return self.code, self.evidence


REJECTIONS: Final = (
    Rejection("CONTACT_DATA_WRONG", "call-log: number not in service, mail bounced", 26),
    Rejection("NOT_AS_DEFINED", "note: below the agreed company size", 22),
    Rejection("NO_BUYER", "note: student writing a thesis", 16),
    Rejection("DUPLICATE", "crm: open case of the same company", 8),
    Rejection("ALREADY_CUSTOMER", "crm: customer since last year", 10),
    Rejection("WRONG_TERRITORY", "", 8),
    Rejection("NO_CAPACITY", "", 10),
)


def contact_of(dice: Random, number: int) -> Contact:
    """Return somebody who does not exist, at an address and a number that nobody has."""
    given, family = dice.choice(_GIVEN), dice.choice(_FAMILY)
    company = dice.choice(_COMPANIES)
    domain = f"{company.lower().replace('ü', 'ue')}.example.com"
    return Contact(
        given_name=given,
        family_name=family,
        email=f"{given}.{family}.{number}@{domain}".lower(),
        # Berlin's numbers for stage and screen.
        phone=f"+49 30 23125 {dice.randrange(1000):03}" if dice.random() < 0.6 else "",
        job_title=dice.choice(("Owner", "Head of operations", "Assistant", "Managing director", "")),
        company=company,
        company_domain=domain,
    )
