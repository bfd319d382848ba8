"""Quotas on the tree party → team → person: as stated, else added up from below or shared from above."""

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from services.reports.domain.attribution import split
from services.reports.domain.figures import Amount, Undefined
from services.reports.domain.inputs import InputEntry, InputKind, spread
from services.reports.domain.periods import Days, Period

__all__ = ["Node", "Quota", "QuotaOrigin", "nodes_of", "quotas", "sales_goals", "stated_by_node", "stated_of"]

_PARTIES: Final = ("marketing", "sales")


class QuotaOrigin(enum.StrEnum):
    """Where a quota comes from."""

    STATED = "stated"
    ROLLED_UP = "rolled_up"
    SHARED_DOWN = "shared_down"
    AGREEMENT = "agreement"


class Node(NamedTuple):
    """A place in the tree."""

    name: str
    parent: str
    """Empty for a party."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a node is to reach in a period."""

    node: Node
    origin: QuotaOrigin
    value: Amount | Undefined
    below: Amount | None = None
    """What those below have in all, where it is not what was stated."""


def nodes_of(entries: Iterable[InputEntry]) -> list[Node]:
    """Return the tree that goals themselves tell: parties, then teams, then people."""
    teams: dict[str, str] = {}
    people: dict[str, str] = {}
    for entry in entries:
        if entry.person:
            people[entry.person] = entry.team or entry.party or "sales"
        if entry.team:
            teams.setdefault(entry.team, entry.party or "sales")
            if not entry.person and entry.party:
                teams[entry.team] = entry.party
    return [
        *(Node(party, "") for party in _PARTIES),
        *(Node(team, teams[team]) for team in sorted(teams)),
        *(Node(person, people[person]) for person in sorted(people)),
    ]


def sales_goals(entries: Iterable[InputEntry]) -> list[InputEntry]:
    """Return the goals that are sales quotas: those of revenue that are not marketing's."""
    return [
        entry
        for entry in entries
        if entry.kind == InputKind.GOAL and entry.word == "revenue" and entry.party != "marketing"
    ]


def stated_by_node(goals: Iterable[InputEntry], period: Period | None) -> dict[str, Amount | Undefined]:
    """Return what goals want in a period, by their node: a person's, else a team's, else a party's."""
    by_node: dict[str, list[InputEntry]] = defaultdict(list)
    for goal in goals:
        by_node[goal.person or goal.team or goal.party or "sales"].append(goal)
    stated = {node: stated_of(own, period) for node, own in by_node.items()}
    return {node: wanted for node, wanted in stated.items() if wanted is not None}


def stated_of(goals: Sequence[InputEntry], period: Period | None) -> Amount | Undefined | None:
    """Return what one node's goals want of it in a period, pro-rated by days; None where none is about it.

    Of goals that overlap, each day has the shortest: months that are stated go before their quarter.
    """
    bounds = sorted({bound for goal in goals for bound in (goal.first_day, goal.last_day)})
    sums: dict[str, int] = defaultdict(int)
    for first, last in pairwise(bounds):
        goal = _of_day(goals, first)
        asked = _overlap(first, last, period)
        if goal is not None and asked is not None:
            sums[goal.currency] += spread(goal.number, goal, asked)
    if not sums:
        return None
    if len(sums) > 1:
        return Undefined.MIXED_CURRENCIES
    (found,) = sums.items()
    return Amount(*found)


def quotas(nodes: Sequence[Node], stated: Mapping[str, Amount | Undefined]) -> list[Quota]:
    """Return a quota for each node that has one; nodes are given, and answered, from above to below."""
    children: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        children[node.parent].append(node)
    found: dict[str, Quota] = {}
    for node in children[""]:
        _roll_up(node, children, stated, found)
    for node in nodes:
        _share_down(node, children, found)
    return [found[node.name] for node in nodes if node.name in found]


def _roll_up(
    node: Node,
    children: Mapping[str, Sequence[Node]],
    stated: Mapping[str, Amount | Undefined],
    found: dict[str, Quota],
) -> None:
    below = children.get(node.name, ())
    for child in below:
        _roll_up(child, children, stated, found)
    added = _added([found[child.name].value for child in below if child.name in found])
    own = stated.get(node.name)
    if own is not None:
        differs = isinstance(added, Amount) and added != own
        found[node.name] = Quota(
            node=node,
            origin=QuotaOrigin.STATED,
            value=own,
            below=added if differs and isinstance(added, Amount) else None,
        )
    elif added is not None:
        found[node.name] = Quota(node=node, origin=QuotaOrigin.ROLLED_UP, value=added)


def _share_down(node: Node, children: Mapping[str, Sequence[Node]], found: dict[str, Quota]) -> None:
    """Share what is left of a node's quota evenly among those below it that have none."""
    quota = found.get(node.name)
    without = [child for child in children.get(node.name, ()) if child.name not in found]
    if not without or quota is None or not isinstance(quota.value, Amount):
        return
    # What was added up from below leaves nothing to share.
    if quota.origin is QuotaOrigin.ROLLED_UP:
        return
    having = _added([found[child.name].value for child in children[node.name] if child.name in found])
    if having is Undefined.MIXED_CURRENCIES:
        return
    taken = having.minor_units if isinstance(having, Amount) else 0
    left = max(quota.value.minor_units - taken, 0)
    for child, part in zip(without, split(left, [1] * len(without)), strict=True):
        value = Amount(quota.value.currency, part)
        found[child.name] = Quota(node=child, origin=QuotaOrigin.SHARED_DOWN, value=value)


def _added(values: Sequence[Amount | Undefined]) -> Amount | Undefined | None:
    if not values:
        return None
    amounts = [value for value in values if isinstance(value, Amount)]
    if len(amounts) < len(values) or len({each.currency for each in amounts}) > 1:
        return Undefined.MIXED_CURRENCIES
    return Amount(amounts[0].currency, sum(each.minor_units for each in amounts))


def _of_day(goals: Sequence[InputEntry], day: Days) -> InputEntry | None:
    of_day = [goal for goal in goals if goal.first_day <= day < goal.last_day]
    return min(of_day, key=lambda goal: (goal.last_day - goal.first_day, goal.external_id), default=None)


def _overlap(first: Days, last: Days, period: Period | None) -> Period | None:
    if period is not None:
        first, last = max(first, period.first), min(last, period.last)
    return Period(first, last) if first < last else None
