"""To whom a handoff is offered, and why not to the others."""

from collections.abc import Container, MutableMapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from services.leads.domain.directory import Directory, RoutingMember, RoutingRule

TURN: Final = 10**9
"""The parts of one turn; shares are whole parts, so that no rounding can drift."""

Credits: TypeAlias = MutableMapping[tuple[str, str], int]
"""(rule, person) → turns they are owed, in parts; negative when they are ahead of their share."""


class Reason(StrEnum):
    """Why somebody of a pool was passed over."""

    ON_LEAVE = "ON_LEAVE"
    INACTIVE = "INACTIVE"
    ALREADY_OFFERED = "ALREADY_OFFERED"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Somebody passed over."""

    person: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """Why this assignee and not another; version 0 when a person chose."""

    routing_version: int = 0
    rule_id: str = ""
    passed_over: tuple[PassedOver, ...] = ()


A_PERSONS_CHOICE: Final = Decision()
"""How an assignee was found whom no rule found."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a handoff goes next."""

    assignee: str
    team: str
    decision: Decision
    is_queue: bool


def route(
    directory: Directory, credits_of: Credits, *, on_leave: Container[str], tried: Sequence[str]
) -> Placement | None:
    """Return whom the handoff is offered next: a person, or the fallback queue; None without either.

    `tried` are those who were offered this handoff before; after `max_offers` of them it waits in the
    queue. A person chosen has their turn taken off `credits_of`.
    """
    routing = directory.routing
    passed_over: list[PassedOver] = []
    if len(tried) < routing.max_offers:
        for rule in routing.rules:
            eligible, others = _eligible(rule, directory, on_leave, tried)
            passed_over += others
            if eligible:
                person = next_turn(rule.rule_id, eligible, credits_of)
                team = directory.team_of(person)
                decision = Decision(routing.version, rule.rule_id, tuple(passed_over))
                return Placement(person, team.name if team else "", decision, is_queue=False)
    return to_fallback(directory, tuple(passed_over))


def to_fallback(directory: Directory, passed_over: tuple[PassedOver, ...] = ()) -> Placement | None:
    """Return the fallback queue; None when the directory has none."""
    routing = directory.routing
    queue = directory.queue(routing.fallback_queue)
    if queue is None or queue.inactive:
        return None
    return Placement(queue.name, queue.team, Decision(routing.version, "", passed_over), is_queue=True)


def next_turn(rule_id: str, eligible: Sequence[RoutingMember], credits_of: Credits) -> str:
    """Return whose turn it is, by smooth weighted round robin, and keep the accounts.

    Each eligible member is credited with their share of one turn, the one owed most gets the turn and
    pays for it; equals go in the order of the rule. Who is away is neither credited nor charged: they
    come back to the account they left, so nothing piles up to flood them and nothing they had is lost.

    Bound: in a rule that n people were ever members of, whatever the weights and whoever was away when,
    nobody is ever more than n - 1 turns off the sum of their shares; as long as the same people are
    eligible from the start, nobody is ever a full turn ahead of it.
    """
    total = sum(member.weight for member in eligible)
    chosen, most, paid = "", None, 0
    for member in eligible:
        key = (rule_id, member.person)
        share = member.weight * TURN // total
        owed = credits_of.get(key, 0) + share
        credits_of[key] = owed
        paid += share
        if most is None or owed > most:
            chosen, most = member.person, owed
    credits_of[rule_id, chosen] -= paid
    return chosen


def _eligible(
    rule: RoutingRule, directory: Directory, on_leave: Container[str], tried: Container[str]
) -> tuple[list[RoutingMember], list[PassedOver]]:
    eligible: list[RoutingMember] = []
    passed_over: list[PassedOver] = []
    for member in rule.members:
        reason = _reason_to_pass_over(member.person, directory, on_leave, tried)
        if reason is None:
            eligible.append(member)
        else:
            passed_over.append(PassedOver(member.person, reason))
    return eligible, passed_over


def _reason_to_pass_over(
    person: str, directory: Directory, on_leave: Container[str], tried: Container[str]
) -> Reason | None:
    if person in tried:
        return Reason.ALREADY_OFFERED
    if directory.active_person(person) is None:
        return Reason.INACTIVE
    return Reason.ON_LEAVE if person in on_leave else None
