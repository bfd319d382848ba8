"""Which handoffs are meant: lists of values, and a condition in words, asked together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from smarketing.conditions import ConditionInvalid, Vocabulary

VOCABULARY: Final = Vocabulary(
    {
        "source": str,
        "source_channel": str,
        "segment": str,
        "region": str,
        "product": str,
        "lead_type": str,
        "language": str,
        "definition": str,
        "band": str,
        "score": int,
        "value": int,
        "currency": str,
    }
)
"""What the leads log says of a handoff. `value` is in minor units of `currency`.

`score` is by the tenant's own model where there is one; a `band` is there only with it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is known of a handoff that a condition may ask about."""

    source_channel: str | None = None
    segment: str | None = None
    region: str | None = None
    score: int | None = None
    band: str | None = None
    source: str | None = None
    product: str | None = None
    lead_type: str | None = None
    language: str | None = None
    definition: str | None = None
    value: int | None = None
    currency: str | None = None

    def known(self, asked: Iterable[str]) -> Mapping[str, str | int]:
        """Return what is known of what is asked, by name; channels as they are written in files."""
        found = {name: value for name in asked if (value := getattr(self, name)) is not None}
        if "source_channel" in found:
            channel = found.pop("source_channel")
            if channel != "UNSPECIFIED":
                found["source_channel"] = channel.lower()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which handoffs are meant; an empty part asks nothing, the bounds of the score are inside."""

    source_channels: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    min_score: int | None = None
    max_score: int | None = None
    expression: str = ""
    """In words; it holds besides all the others."""

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether a handoff is meant; an unknown attribute meets no question about it."""
        named = (
            (self.source_channels, attributes.source_channel),
            (self.segments, attributes.segment),
            (self.regions, attributes.region),
        )
        if any(wanted and value not in wanted for wanted, value in named):
            return False
        if not self._scored(attributes.score):
            return False
        if not self.expression:
            return True
        rule = VOCABULARY.rule(self.expression)
        return rule.matches(attributes.known(rule.asks))

    def _scored(self, score: int | None) -> bool:
        if self.min_score is None and self.max_score is None:
            return True
        return (
            score is not None
            and (self.min_score is None or score >= self.min_score)
            and (self.max_score is None or score <= self.max_score)
        )

    def covers(self, other: "Condition") -> bool:
        """Tell whether this surely means every handoff that the other means.

        Of two different conditions in words nothing is said: they may mean the same and are taken not to.
        """
        lists = (
            (self.source_channels, other.source_channels),
            (self.segments, other.segments),
            (self.regions, other.regions),
        )
        if any(mine and not (theirs and theirs <= mine) for mine, theirs in lists):
            return False
        if self.min_score is not None and (other.min_score is None or other.min_score < self.min_score):
            return False
        if self.max_score is not None and (other.max_score is None or other.max_score > self.max_score):
            return False
        return not self.expression or _plain(self.expression) == _plain(other.expression)


ANY = Condition()


def fault_of_expression(text: str) -> str | None:
    """Return why a condition in words cannot be asked; None when it can, or when there is none."""
    if not text:
        return None
    try:
        VOCABULARY.rule(text)
    except ConditionInvalid as invalid:
        return f"the condition {invalid}"
    return None


def _plain(text: str) -> str:
    return " ".join(text.split())
