"""What routing came to, or would: how much goes to whom, and why not to the others."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.leads.domain.directory import Directory
from services.leads.domain.routing import REASON_OF, Placement, Reason, letters_of
from services.leads.domain.turns import Pool

__all__ = ["PersonLoad", "Preview", "RuleLoad", "Tally", "given_of_rules", "rule_loads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLoad:
    """What goes to a person."""

    person: str
    handoffs: int = 0
    open_handoffs: int = 0
    capacity: int = 0
    """0 is without limit."""
    passed_over: Mapping[Reason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleLoad:
    """How the turns of a rule were shared."""

    rule_id: str
    pool: Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a routing would come to."""

    one: Placement | None = None
    """Where one lead would go."""
    handoffs: int
    truncated: bool = False
    rules: tuple[RuleLoad, ...]
    people: tuple[PersonLoad, ...]
    queues: Mapping[tuple[str, str], int]
    """(queue, ground) → how many handoffs."""


class Tally:
    """Adds placements up; a kind of decision is counted, and spelled out once at the end."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._members = {
            rule.rule_id: [member.person for member in rule.members] for rule in directory.routing.rules
        }
        self._candidates: Counter[tuple[str, str]] = Counter()
        self._owners: Counter[tuple[str, Reason]] = Counter()
        self._given: Counter[str] = Counter()
        self.queues: Counter[tuple[str, str]] = Counter()
        self.handoffs = 0

    def add(self, placement: Placement | None) -> None:
        """Count where a handoff goes."""
        self.handoffs += 1
        if placement is None:
            return
        decision = placement.decision
        if placement.is_queue:
            self.queues[placement.assignee, decision.ground] += 1
        else:
            self._given[placement.assignee] += 1
        if decision.candidates:
            self._candidates[decision.rule_id, decision.candidates] += 1
        first = decision.passed_over[:1]
        if decision.account_owner and first and first[0].person == decision.account_owner:
            self._owners[decision.account_owner, first[0].reason] += 1

    def people(self, open_work: Mapping[str, int]) -> tuple[PersonLoad, ...]:
        """Return everybody who was given something or passed over, by name."""
        reasons: dict[str, Counter[Reason]] = {}
        for (rule_id, candidates), count in self._candidates.items():
            for person, letter in zip(self._members[rule_id], letters_of(candidates), strict=True):
                told = reasons.setdefault(person, Counter())
                if letter in REASON_OF:
                    told[REASON_OF[letter]] += count
        for (person, reason), count in self._owners.items():
            reasons.setdefault(person, Counter())[reason] += count
        return tuple(
            PersonLoad(
                person=person,
                handoffs=self._given[person],
                open_handoffs=open_work.get(person, 0),
                capacity=_capacity(self._directory, person),
                passed_over=reasons.get(person, {}),
            )
            for person in sorted({*reasons, *self._given})
        )

    @property
    def names(self) -> list[str]:
        """Everybody of whom something may be told."""
        return sorted(
            {*_people_of_rules(self._directory), *self._given, *(owner for owner, _ in self._owners)}
        )


def _people_of_rules(directory: Directory) -> list[str]:
    """Return everybody in a rule, by name."""
    return sorted({member.person for rule in directory.routing.rules for member in rule.members})


def rule_loads(directory: Directory, pools: Mapping[str, Pool]) -> tuple[RuleLoad, ...]:
    """Return the rules that gave a turn, in the order of the routing."""
    ids: Iterable[str] = (rule.rule_id for rule in directory.routing.rules)
    return tuple(RuleLoad(rule_id, pools[rule_id]) for rule_id in ids if rule_id in pools)


def given_of_rules(
    directory: Directory, pools: Mapping[str, Pool], open_work: Mapping[str, int]
) -> tuple[PersonLoad, ...]:
    """Return what everybody in a rule was given, by name."""
    given: Counter[str] = Counter()
    for load in rule_loads(directory, pools):
        given.update({person: balance.turns for person, balance in load.pool.balances().items()})
    return tuple(
        PersonLoad(
            person=person,
            handoffs=given[person],
            open_handoffs=open_work.get(person, 0),
            capacity=_capacity(directory, person),
        )
        for person in _people_of_rules(directory)
    )


def _capacity(directory: Directory, name: str) -> int:
    person = directory.person(name)
    return 0 if person is None else directory.abilities_of(person).capacity or 0
