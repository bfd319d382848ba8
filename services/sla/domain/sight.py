"""Which clocks and alerts somebody may see who may not see all of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a person has or was told of, what their teams and queues have, and what a party promised."""

    person: str
    """Resource name."""
    groups: frozenset[str] = frozenset()
    """Resource names of teams and queues."""
    party: str = ""
    """A party whose promises are seen whoever holds the handoff; empty for none."""
