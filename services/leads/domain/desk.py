"""The desk where handoffs are given out: which rule, who of it can, whose turn it is, or which queue.

The order of everything: offered often enough in vain → the queue; the owner of the account,
where asked first; the first rule whose condition holds; of its members those who can; of these the one
owed most; nobody → the rule's queue, or the fallback. What depends on the directory alone is prepared
once (`Plan`), what depends on the instant once a transaction (`Desk`), the rest for each handoff.
"""

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from services.leads.domain.directory import OWNER_ROLES, Abilities, Directory
from services.leads.domain.open_work import OpenWork
from services.leads.domain.routing import (
    ABLE,
    LETTER_OF,
    MOST_NAMED,
    REASON_OF,
    Decision,
    Ground,
    Letters,
    PassedOver,
    Placement,
    Reason,
)
from services.leads.domain.routing_rules import RoutingRule, Traits, domain_matches, lies_within, word
from services.leads.domain.turns import Balance, Pool, shares_of
from smarketing.values import value

__all__ = ["Case", "Desk", "Plan", "to_fallback"]

_MOST_KINDS: Final = 1_000
"""Kinds of handoffs, by territory and language, that are kept prepared."""


def _nobody() -> str:
    return ""


@value(frozen=True, slots=True, kw_only=True)
class Case:
    """A handoff to be given out; what is asked seldom is looked up only when it is asked."""

    traits: Traits
    tried: Sequence[str] = ()
    """Who was offered it before."""
    cooling_off: Collection[str] = ()
    """Who owned the lead lately."""
    company_domain: Callable[[], str] = _nobody
    account_owner: Callable[[], str] = _nobody


class Plan:
    """A directory's routing, prepared; good as long as the directory is the same."""

    def __init__(self, directory: Directory) -> None:
        self.directory: Final = directory
        self.pools: Final = tuple(PoolPlan(directory, rule) for rule in directory.routing.rules)


class PoolPlan:
    """A rule with its members, and for each kind of handoff who of them could ever take it."""

    def __init__(self, directory: Directory, rule: RoutingRule) -> None:
        self.rule: Final = rule
        self.people: Final = [member.person for member in rule.members]
        self.place_of: Final = {person: place for place, person in enumerate(self.people)}
        self.weights: Final = [member.weight for member in rule.members]
        self.calendars: Final = [member.calendar or rule.needs.calendar for member in rule.members]
        self._abilities = [_abilities_of(directory, person) for person in self.people]
        self.limits: Final = {
            place: able.capacity
            for place, able in enumerate(self._abilities)
            if able is not None and able.capacity is not None
        }
        self._always = [self._standing(able) for able in self._abilities]
        self._kinds: dict[tuple[str, str], str] = {}

    def letters_for(self, territory: str, language: str) -> str:
        """Return a letter for each member: able, or why not, as far as the directory says."""
        needs = self.rule.needs
        kind = (territory if needs.territory else "", language if needs.language else "")
        letters = self._kinds.get(kind)
        if letters is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            letters = self._kinds[kind] = "".join(
                self._of_kind(standing, able, *kind)
                for standing, able in zip(self._always, self._abilities, strict=True)
            )
        return letters

    def _standing(self, able: Abilities | None) -> str:
        if able is None:
            return LETTER_OF[Reason.INACTIVE]
        return ABLE if able.skills.issuperset(self.rule.needs.skills) else LETTER_OF[Reason.SKILL_MISSING]

    @staticmethod
    def _of_kind(standing: str, able: Abilities | None, territory: str, language: str) -> str:
        if standing != ABLE or able is None:
            return standing
        if territory and not able.covers(territory):
            return LETTER_OF[Reason.OTHER_TERRITORY]
        if language and not any(_speaks(each, language) for each in able.languages):
            return LETTER_OF[Reason.OTHER_LANGUAGE]
        return ABLE


@dataclass(slots=True)
class _Line:
    """Who of a pool can take a kind of handoff at this instant, in the order of the rule."""

    letters: Letters
    seen: int
    """How far the pool's changes of who is full are counted in."""
    places: list[int]
    balances: list[Balance]
    shares: list[int]
    passed_over: tuple[PassedOver, ...]


class _PoolNow:
    """One pool at this instant: who is away, and who is full."""

    def __init__(self, plan: PoolPlan, pool: Pool, work: OpenWork, away: Mapping[int, str]) -> None:
        self.plan: Final = plan
        self.pool: Final = pool
        self.away: Final = away
        self.lines: Final[dict[str, _Line]] = {}
        self.flips: Final[list[int]] = []
        """Places of those who became full or are so no longer, in order; it only grows."""
        self._work = work
        work.load(plan.people[place] for place in plan.limits)
        self._seen = len(work.moved)
        self.full: Final = {place for place in plan.limits if self._is_full(place)}

    def catch_up(self) -> None:
        """Count in whose open work changed since."""
        moved = self._work.moved
        for person in moved[self._seen :]:
            place = self.plan.place_of.get(person)
            if place in self.plan.limits and self._is_full(place) is not (place in self.full):
                self.full.symmetric_difference_update({place})
                self.flips.append(place)
        self._seen = len(moved)

    def letters(self, standing: str) -> str:
        """Return the letters of a kind of handoff, with who is away or full now."""
        if not self.away and not self.full:
            return standing
        letters = list(standing)
        for changes in (dict.fromkeys(self.full, LETTER_OF[Reason.AT_CAPACITY]), self.away):
            for place, letter in changes.items():
                if standing[place] == ABLE:
                    letters[place] = letter
        return "".join(letters)

    def line(self, letters: str) -> _Line:
        """Return the line of those who are able by these letters."""
        people = self.plan.people
        places = [place for place, letter in enumerate(letters) if letter == ABLE]
        others = (place for place, letter in enumerate(letters) if letter != ABLE)
        return _Line(
            letters=Letters(letters),
            seen=len(self.flips),
            places=places,
            balances=[self.pool.balance(people[place]) for place in places],
            shares=shares_of([self.plan.weights[place] for place in places]),
            passed_over=tuple(
                PassedOver(people[place], REASON_OF[letters[place]]) for place in islice(others, MOST_NAMED)
            ),
        )

    def _is_full(self, place: int) -> bool:
        return self._work.of(self.plan.people[place]) >= self.plan.limits[place]


class Desk:
    """Gives handoffs out at one instant, in one transaction; what it gave counts for the next."""

    def __init__(
        self,
        plan: Plan,
        *,
        pool_of: Callable[[str], Pool],
        work: OpenWork,
        on_leave: Container[str] = (),
        is_open: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._plan = plan
        self._directory = plan.directory
        self._pool_of = pool_of
        self._work = work
        self._on_leave = on_leave
        self._is_open = is_open
        self._pools: dict[str, _PoolNow] = {}

    def decide(self, case: Case) -> Placement | None:
        """Return whom the handoff is offered next, a person or a queue; None where there is no queue either.

        A person found by a rule has their turn taken.
        """
        routing = self._directory.routing
        if len(case.tried) >= routing.max_offers:
            return self._queue("", Decision(routing.version, ground=Ground.OFFERS_USED_UP))
        owner, reason = self._owner_of_account(case) if routing.account_owner_first else ("", None)
        if owner and reason is None:
            decision = Decision(routing.version, ground=Ground.ACCOUNT_OWNER, account_owner=owner)
            return self._to(owner, decision)
        before = (PassedOver(owner, reason),) if reason is not None else ()
        for plan in self._plan.pools:
            if plan.rule.holds_for(case.traits) and _company_is_meant(plan.rule, case):
                return self._by_turn(plan, case, owner, before)
        decision = Decision(routing.version, "", before, "", Ground.NO_RULE_MATCHED, owner)
        return self._queue("", decision)

    def _by_turn(
        self, plan: PoolPlan, case: Case, owner: str, before: tuple[PassedOver, ...]
    ) -> Placement | None:
        version, rule = self._directory.routing.version, plan.rule
        pool = self._pool_now(plan)
        line = _for_this_one(pool, _line(pool, case), case)
        passed_over = (*before, *line.passed_over)
        if not line.places:
            decision = Decision(
                version, rule.rule_id, passed_over, line.letters.shortened(), Ground.NOBODY_ELIGIBLE, owner
            )
            return self._queue(rule.queue, decision)
        place = line.places[pool.pool.give(line.balances, line.shares)]
        decision = Decision(
            version, rule.rule_id, passed_over, line.letters.with_chosen(place), Ground.TURN, owner
        )
        return self._to(plan.people[place], decision)

    def _pool_now(self, plan: PoolPlan) -> _PoolNow:
        rule_id = plan.rule.rule_id
        pool = self._pools.get(rule_id)
        if pool is None:
            pool = self._pools[rule_id] = _PoolNow(plan, self._pool_of(rule_id), self._work, self._away(plan))
        return pool

    def _away(self, plan: PoolPlan) -> dict[int, str]:
        """Return why some cannot take anything at this instant."""
        calendars = {calendar: self._is_open(calendar) for calendar in set(plan.calendars) if calendar}
        away: dict[int, str] = {}
        for place, (person, calendar) in enumerate(zip(plan.people, plan.calendars, strict=True)):
            if person in self._on_leave:
                away[place] = LETTER_OF[Reason.ON_LEAVE]
            elif not calendars.get(calendar, True):
                away[place] = LETTER_OF[Reason.OUT_OF_HOURS]
        return away

    def _owner_of_account(self, case: Case) -> tuple[str, Reason | None]:
        """Return the owner of the lead's account, and why they cannot take the handoff."""
        owner = case.account_owner()
        return owner, self._reason_against(owner, case) if owner else None

    def _reason_against(self, owner: str, case: Case) -> Reason | None:
        if owner in case.tried:
            return Reason.ALREADY_OFFERED
        person = self._directory.active_person(owner)
        if person is None or not person.roles & OWNER_ROLES:
            return Reason.INACTIVE
        if owner in self._on_leave:
            return Reason.ON_LEAVE
        capacity = self._directory.abilities_of(person).capacity
        return Reason.AT_CAPACITY if capacity is not None and self._work.of(owner) >= capacity else None

    def _to(self, person: str, decision: Decision) -> Placement:
        team = self._directory.team_of(person)
        return Placement(person, team.name if team else "", decision, is_queue=False)

    def _queue(self, name: str, decision: Decision) -> Placement | None:
        return _to_queue(self._directory, name, decision)


def _line(pool: _PoolNow, case: Case) -> _Line:
    """Return who can take a handoff of this kind; made anew only when that changed."""
    pool.catch_up()
    standing = pool.plan.letters_for(case.traits.territory, case.traits.language)
    line = pool.lines.get(standing)
    if line is None or any(standing[place] == ABLE for place in pool.flips[line.seen :]):
        line = pool.lines[standing] = pool.line(pool.letters(standing))
    line.seen = len(pool.flips)
    return line


def _for_this_one(pool: _PoolNow, line: _Line, case: Case) -> _Line:
    """Return the line without those who cannot take this very handoff."""
    if not case.tried and not case.cooling_off:
        return line
    letters = list(line.letters.text)
    for people, reason in ((case.cooling_off, Reason.COOLING_OFF), (case.tried, Reason.ALREADY_OFFERED)):
        for person in people:
            place = pool.plan.place_of.get(person)
            if place is not None:
                letters[place] = LETTER_OF[reason]
    changed = "".join(letters)
    return line if changed == line.letters.text else pool.line(changed)


def to_fallback(directory: Directory, ground: Ground = Ground.HISTORY) -> Placement | None:
    """Return the fallback queue, for what is offered to nobody in particular; None without such a queue."""
    return _to_queue(directory, "", Decision(directory.routing.version, ground=ground))


def _to_queue(directory: Directory, name: str, decision: Decision) -> Placement | None:
    """Return the queue of this name, or else the fallback queue."""
    for each in (name, directory.routing.fallback_queue):
        queue = directory.queue(each)
        if queue is not None and not queue.inactive:
            return Placement(queue.name, queue.team, decision, is_queue=True)
    return None


def _company_is_meant(rule: RoutingRule, case: Case) -> bool:
    domains = rule.condition.company_domains
    return not domains or domain_matches(case.company_domain(), map(word, domains))


def _abilities_of(directory: Directory, name: str) -> Abilities | None:
    person = directory.active_person(name)
    return None if person is None else directory.abilities_of(person)


def _speaks(spoken: str, wanted: str) -> bool:
    known = word(spoken)
    return lies_within(wanted, known, "-") or lies_within(known, wanted, "-")
