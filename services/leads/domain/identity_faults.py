"""What is wrong with the rules of who is who: such as find nobody, and such as contradict themselves."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from services.leads.domain.matching import CERTAIN, IdentityRules, MatchRule, Signal

__all__ = ["faults_of_identity"]

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MOST_RULES: Final = 50
_LEAST_AUTOMATIC: Final = 5_000
"""Below it a decision is wrong more often than right."""

_FINDS: Final = (
    frozenset({Signal.EMAIL}),
    frozenset({Signal.PHONE}),
    frozenset({Signal.NAME, Signal.COMPANY}),
    frozenset({Signal.NAME, Signal.SIMILAR_EMAIL}),
)
"""By what known leads are looked up; a rule without one of them never has anybody to look at."""

Found = Iterator[tuple[str, str]]
"""Where it stands, and what a right value looks like."""


def faults_of_identity(rules: IdentityRules) -> Found:
    """Yield everything that is wrong with a tenant's rules."""
    if not _LEAST_AUTOMATIC <= rules.automatic_from <= CERTAIN:
        yield "identity.automatic_from", "must be from 50% to 100%"
    if not 1 <= rules.possible_from <= rules.automatic_from:
        yield "identity.possible_from", "must be above 0% and at most `automatic_from`"
    if len(rules.rules) > _MOST_RULES:
        yield "identity.rules", f"must be at most {_MOST_RULES}"
    named = Counter(rule.rule_id for rule in rules.rules)
    for index, rule in enumerate(rules.rules):
        at = f"identity.rules[{index}]"
        if named[rule.rule_id] > 1:
            yield f"{at}.rule_id", "must be unique"
        yield from _faults_of_rule(at, rule)


def _faults_of_rule(at: str, rule: MatchRule) -> Found:
    if not _ID.fullmatch(rule.rule_id):
        yield f"{at}.rule_id", "must be an id of a-z, 0-9 and inner `.`, `_`, `-`"
    if not 1 <= rule.confidence <= CERTAIN:
        yield f"{at}.confidence", "must be above 0% and at most 100%"
    if not any(finds.issubset(rule.signals) for finds in _FINDS):
        yield f"{at}.signals", "must have email, phone, or name with company or similar_email"
    if not frozenset(rule.signals).isdisjoint(rule.unless):
        yield f"{at}.unless", "must have none of the signals that must be seen"
