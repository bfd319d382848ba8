"""What this service was told of a handoff: the facts, and who had it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.sla.domain.holders import Holders, Taken
from services.sla.domain.timeline import Fact, FactKind, Timeline
from services.sla.domain.unions import SHARED, unions_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One fact about a handoff, and the person or queue that has it from then on, if it says so."""

    handoff: str
    fact: Fact
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """All that was told of one handoff, each fact once, in the order in which it happened."""

    handoff: str
    told: tuple[Told, ...]

    @classmethod
    def of(cls, handoff: str, told: Iterable[Told]) -> "History":
        """Return the history; told twice is told once."""
        unique = {each.fact.position: each for each in told}
        ordered = sorted(unique.values(), key=lambda each: (each.fact.occur_time, each.fact.position))
        return cls(handoff, tuple(ordered))

    @property
    def timeline(self) -> Timeline:
        """The facts alone, by which clocks are decided."""
        return Timeline(handoff=self.handoff, facts=tuple(each.fact for each in self.told))

    @property
    def holders(self) -> Holders:
        """Who has had the handoff, or was offered it, and when."""
        return Holders(
            tuple(
                Taken(each.fact.occur_time, each.fact.kind, each.assignee, each.fact.team or "")
                for each in self.told
                if each.assignee
            )
        )

    def joined(self, new: Iterable[Told]) -> tuple["History", tuple[Told, ...]]:
        """Return the history with what is new, and that of it which was not known.

        Imported history of an archived handoff is archived too: it starts no clock until somebody
        takes the handoff up.
        """
        known = {each.fact.position for each in self.told}
        fresh = {each.fact.position: each for each in new if each.fact.position not in known}
        if any(self._archives(each) for each in (*self.told, *fresh.values())):
            fresh = {position: _archived(each) for position, each in fresh.items()}
        return History.of(self.handoff, (*self.told, *fresh.values())), tuple(fresh.values())

    @staticmethod
    def _archives(told: Told) -> bool:
        return told.fact.kind is FactKind.SUBMITTED and told.fact.is_archived


def shared(history: History, handoff: str) -> list[Told]:
    """Return what of a handoff's history counts for another one that goes on for it.

    What counts for it itself, because it goes on for others, is among that. Nobody has got the other handoff
    by it, and nothing is said of what is known of that.
    """
    facts = (each.fact for each in history.told)
    held = {union.source for union in unions_of(tuple(facts)) if union.end is None}
    return [
        Told(handoff=handoff, fact=replace(each.fact, source=history.handoff, attributes=None))
        for each in history.told
        if each.fact.kind in SHARED and (each.fact.source is None or each.fact.source in held)
    ]


def _archived(told: Told) -> Told:
    return replace(told, fact=replace(told.fact, is_archived=True)) if told.fact.is_history else told
