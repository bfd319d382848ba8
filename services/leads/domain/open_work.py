"""How much open work everybody has: what routing compares with their capacity."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from services.leads.domain.handoff import Handoff

__all__ = ["OpenWork", "holder_of"]


def holder_of(handoff: Handoff) -> str:
    """Return whose open work the handoff is: its owner's, or who is offered it; empty when nobody's."""
    if handoff.archived or not handoff.is_open:
        return ""
    if handoff.owner:
        return handoff.owner
    offer = handoff.open_offer
    # An offer without an end is a queue's.
    return offer.assignee if offer is not None and offer.expire_time is not None else ""


class OpenWork:
    """Counts handoffs by who holds them: as it was found, and what moved since."""

    def __init__(self, find: Callable[[Sequence[str]], Mapping[str, int]]) -> None:
        self._find = find
        self._found: dict[str, int] = {}
        self.moves: Final[Counter[str]] = Counter()
        """How much more, or less, each has than was found."""
        self.moved: Final[list[str]] = []
        """Whose work changed, in order; it only grows."""

    def load(self, people: Iterable[str]) -> None:
        """Find the work of those not found before, at once."""
        missing = [person for person in people if person not in self._found]
        if missing:
            found = self._find(missing)
            self._found.update({person: found.get(person, 0) for person in missing})

    def of(self, person: str) -> int:
        """Return how many open handoffs a person has now."""
        if person not in self._found:
            self.load([person])
        return self._found[person] + self.moves[person]

    def add(self, person: str, more: int = 1) -> None:
        """Count one more, or with -1 one less."""
        self.moves[person] += more
        self.moved.append(person)

    def move(self, before: Handoff | None, after: Handoff) -> None:
        """Count what became of a handoff; `before` is None for a new one."""
        had, has = "" if before is None else holder_of(before), holder_of(after)
        if had == has:
            return
        if had:
            self.add(had, -1)
        if has:
            self.add(has)
