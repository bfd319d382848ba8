"""Who leaves: the directory without them, and who gets each of their handoffs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from services.leads.domain.directory import Directory, Queue, Routing, Team

_Managed = TypeVar("_Managed", Team, Queue)


@dataclass(frozen=True, slots=True)
class Move:
    """A handoff that goes from one to another."""

    handoff: str
    assignee: str
    """A person or queue; empty when it waits for routing."""


def departed(directory: Directory, person: str) -> Directory:
    """Return the directory in which the person is inactive, in no pool, and answers for nothing.

    What they answered for falls to whoever is above; a rule of which they were the last is taken away.
    """
    left = replace(
        directory,
        people=tuple(
            replace(each, inactive=True) if each.name == person else each for each in directory.people
        ),
    )
    # While they are inactive, the next above them is found.
    return replace(
        left,
        teams=_managed(left, left.teams, person),
        queues=_managed(left, left.queues, person),
        routing=_without(left.routing, person),
    )


def _managed(left: Directory, entries: Iterable[_Managed], person: str) -> tuple[_Managed, ...]:
    return tuple(
        replace(each, manager=left.manager_of(each.name)) if each.manager == person else each
        for each in entries
    )


def _without(routing: Routing, person: str) -> Routing:
    rules = (
        replace(rule, members=tuple(member for member in rule.members if member.person != person))
        for rule in routing.rules
    )
    kept = tuple(rule for rule in rules if rule.members)
    if kept == routing.rules:
        return routing
    return replace(routing, rules=kept, version=routing.version + 1)
