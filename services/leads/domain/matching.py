"""By which rules a submission is a known lead's, how surely, and what was seen.

A rule is the tenant's own statement: of a hundred pairs that look like this, so many are one person.
What is surer than the tenant's precision is decided at once, what is less sure is for a person.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cache
from typing import Final

from services.leads.domain.lead import Contact, Identity

__all__ = [
    "BY_ADDRESS",
    "CERTAIN",
    "IdentityRules",
    "Match",
    "MatchRule",
    "PossibleDuplicate",
    "Profile",
    "Signal",
    "judge",
    "profile_of",
    "signals_between",
    "word_of_name",
]

CERTAIN: Final = 10_000
"""A confidence is in hundredths of a percent."""

_SHORTEST_TO_SLIP: Final = 5
"""In a shorter word one letter is the difference between two names, not between a name and its typo."""


class Signal(IntEnum):
    """What is seen of a submission and a known lead beside one another, numbered as in the contract."""

    EMAIL = 1
    SIMILAR_EMAIL = 2
    PHONE = 3
    NAME = 4
    FAMILY_NAME = 5
    COMPANY = 6
    OTHER_GIVEN_NAME = 7
    OTHER_FAMILY_NAME = 8
    OTHER_COMPANY = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRule:
    """When a submission is taken for a known lead's, and how surely."""

    rule_id: str
    signals: tuple[Signal, ...]
    """All of these must be seen."""
    unless: tuple[Signal, ...] = ()
    """None of these may be."""
    confidence: int

    def holds_for(self, seen: frozenset[Signal]) -> bool:
        """Whether all of it is seen, and nothing that speaks against it."""
        return seen.issuperset(self.signals) and seen.isdisjoint(self.unless)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRules:
    """A tenant's rules."""

    automatic_from: int = 9_900
    """The precision that a decision without a person must have."""
    possible_from: int = 5_000
    rules: tuple[MatchRule, ...] = ()

    @property
    def are_set(self) -> bool:
        """Whether the tenant says anything; otherwise the surest address or number alone decides."""
        return bool(self.rules)


BY_ADDRESS: Final = IdentityRules()
"""Nothing said: the same mailbox is the same lead, or, without an address, the same number."""


@dataclass(frozen=True, slots=True)
class Match:
    """How surely two are the same, by which rule, and what was seen."""

    confidence: int
    rule_id: str
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleDuplicate:
    """A new lead that may be a known one."""

    tenant: str
    lead: str
    other_lead: str
    match: Match
    detect_time: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """What is compared of somebody."""

    identity: Identity
    given_name: str
    family_name: str


def profile_of(contact: Contact, identity: Identity) -> Profile:
    """Return what is compared of a contact."""
    return Profile(identity, word_of_name(contact.given_name), word_of_name(contact.family_name))


def judge(rules: IdentityRules, seen: frozenset[Signal]) -> Match | None:
    """Return the surest rule that holds; None when none does."""
    holding = [rule for rule in rules.rules if rule.holds_for(seen)]
    if not holding:
        return None
    surest = max(holding, key=lambda rule: rule.confidence)
    return Match(surest.confidence, surest.rule_id, tuple(sorted(seen)))


def signals_between(one: Profile, other: Profile) -> frozenset[Signal]:
    """Return what is seen of two people beside one another; it does not matter who is named first."""
    return frozenset((*_by_address(one.identity, other.identity), *_by_name(one, other)))


def _by_address(one: Identity, other: Identity) -> Iterable[Signal]:
    if one.email and one.email == other.email:
        yield Signal.EMAIL
    elif _is_similar_address(one.email, other.email):
        yield Signal.SIMILAR_EMAIL
    if one.phone and one.phone == other.phone:
        yield Signal.PHONE
    if one.company_domain and other.company_domain:
        same = one.company_domain == other.company_domain
        yield Signal.COMPANY if same else Signal.OTHER_COMPANY


def _by_name(one: Profile, other: Profile) -> Iterable[Signal]:
    given = _is_same_word(one.given_name, other.given_name)
    family = _is_same_word(one.family_name, other.family_name)
    if family:
        yield Signal.FAMILY_NAME
    if family and given:
        yield Signal.NAME
    if one.given_name and other.given_name and not given and not _is_short_for(one, other):
        yield Signal.OTHER_GIVEN_NAME
    if one.family_name and other.family_name and not family:
        yield Signal.OTHER_FAMILY_NAME


def _is_short_for(one: Profile, other: Profile) -> bool:
    """Whether a given name begins the other, as an initial does, or `Alex` of `Alexander`."""
    pair = (one.given_name, other.given_name)
    return pair[0].startswith(pair[1]) or pair[1].startswith(pair[0])


def _is_similar_address(one: str, other: str) -> bool:
    local, _, domain = one.rpartition("@")
    other_local, _, other_domain = other.rpartition("@")
    # Numbers are counted up by providers and schools: another number is another person.
    numbered = _digits(local) == _digits(other_local)
    return bool(local) and domain == other_domain and numbered and _is_same_word(local, other_local)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


@cache
def _is_combining(character: str) -> bool:
    return unicodedata.category(character) == "Mn"


def word_of_name(name: str) -> str:
    """Return a name as it is compared: without case, accents, blanks and signs."""
    plain = "".join(
        each for each in unicodedata.normalize("NFKD", name.casefold()) if not _is_combining(each)
    )
    # Put together again: a syllable of Hangul is one letter, not three.
    return "".join(each for each in unicodedata.normalize("NFKC", plain) if each.isalnum())


def _is_same_word(one: str, other: str) -> bool:
    """Whether two words are the same, or differ by a letter too much, too few, another, or two swapped."""
    if one == other:
        return bool(one)
    if min(len(one), len(other)) < _SHORTEST_TO_SLIP or abs(len(one) - len(other)) > 1:
        return False
    at = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return True
    rest, others = one[at:], other[at:]
    if len(one) == len(other):
        return rest[1:] == others[1:] or (rest[:2] == others[1::-1] and rest[2:] == others[2:])
    return rest[1:] == others if len(one) > len(other) else rest == others[1:]
