"""What is wrong with a routing: faults of spelling, pools that are empty, rules that nothing ever reaches."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from services.leads.domain.directory import OWNER_ROLES, Abilities, Directory, Party
from services.leads.domain.routing_rules import Condition, RoutingRule, lies_within, word
from services.leads.domain.terms import SourceChannel

__all__ = ["faults_of_routing"]

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DOMAIN: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_MOST_RULES: Final = 200
_MOST_MEMBERS: Final = 1_000
"""Of all rules together: routing is one event, and an event has a limit."""
_MOST_ENTRIES: Final = 200
_MOST_WORDS: Final = 2_000
"""Of all conditions together, for the same reason."""
_MOST_BYTES: Final = 50_000
"""Of what stands beside the members, in all rules together, for the same reason."""
_LONGEST_WORD: Final = 200
_HEAVIEST: Final = 1_000
_SHORTEST_OFFER: Final = timedelta(seconds=1)
_LONGEST_OFFER: Final = timedelta(days=30)
_LONGEST_COOL_OFF: Final = timedelta(days=366)
_MOST_OFFERS: Final = 20
_LISTS: Final = (
    "sources",
    "source_channels",
    "source_systems",
    "territories",
    "languages",
    "segments",
    "products",
    "lead_types",
    "company_domains",
)

Found = Iterator[tuple[str, str]]
"""Where it stands, and what a right value looks like."""


def faults_of_routing(wanted: Directory) -> Found:
    """Yield everything that is wrong with the routing of a directory without its inactive entries."""
    routing = wanted.routing
    yield from _faults_of_queue(wanted, "routing.fallback_queue", routing.fallback_queue)
    if not _SHORTEST_OFFER <= routing.offer_duration <= _LONGEST_OFFER:
        yield "routing.offer_duration", "must be from 1 s to 30 days"
    if not 1 <= routing.max_offers <= _MOST_OFFERS:
        yield "routing.max_offers", f"must be from 1 to {_MOST_OFFERS}"
    if not timedelta(0) <= routing.previous_owner_cool_off <= _LONGEST_COOL_OFF:
        yield "routing.previous_owner_cool_off_duration", "must be from 0 to 366 days"
    yield from _faults_of_rules(wanted)


def _faults_of_queue(wanted: Directory, path: str, name: str) -> Found:
    """Yield what keeps a queue from being where handoffs wait: somebody has to answer for them."""
    if wanted.queue(name) is None:
        yield path, "must be one of the queues"
    elif wanted.routing.rules and not wanted.manager_of(name):
        # A fresh installation routes nothing yet, and has nobody who could answer.
        yield path, "must be a queue with a manager, of its own or of its team"


def _faults_of_rules(wanted: Directory) -> Found:
    rules = wanted.routing.rules
    if len(rules) > _MOST_RULES:
        yield "routing.rules", f"must hold at most {_MOST_RULES} rules"
        return
    if sum(len(rule.members) for rule in rules) > _MOST_MEMBERS:
        yield "routing.rules", f"must hold at most {_MOST_MEMBERS} members in all"
    if sum(len(getattr(rule.condition, name)) for rule in rules for name in _LISTS) > _MOST_WORDS:
        yield "routing.rules", f"must hold at most {_MOST_WORDS} entries of conditions in all"
        return
    if sum(len(text.encode()) for rule in rules for text in _texts_of(rule)) > _MOST_BYTES:
        yield "routing.rules", f"must hold at most {_MOST_BYTES} bytes beside the members in all"
    yield from _faults_of_ids(rules)
    for index, rule in enumerate(rules):
        path = f"routing.rules[{index}]"
        for where, what in _faults_of_rule(wanted, rule):
            yield f"{path}.{where}", what
        shadow = next((each for each in rules[:index] if _covers(each.condition, rule.condition)), None)
        if shadow is not None:
            yield path, f"is never reached: every handoff it is for is decided by {shadow.rule_id} before it"


def _texts_of(rule: RoutingRule) -> Iterator[str]:
    """Yield what a rule says beside who is in it."""
    yield from (rule.queue, rule.needs.calendar, *rule.needs.skills)
    yield from (member.calendar for member in rule.members)
    for name in _LISTS:
        if name != "source_channels":
            yield from getattr(rule.condition, name)


def _faults_of_ids(rules: Sequence[RoutingRule]) -> Found:
    uses = Counter(rule.rule_id for rule in rules)
    for index, rule in enumerate(rules):
        path = f"routing.rules[{index}].rule_id"
        if not _ID.fullmatch(rule.rule_id):
            yield path, "must be an id of a-z, 0-9, '.', '_', '-'"
        elif uses[rule.rule_id] > 1:
            yield path, "must not occur twice"


def _faults_of_rule(wanted: Directory, rule: RoutingRule) -> Found:
    if not rule.members:
        yield "members", "must hold at least one person"
    if rule.queue:
        yield from _faults_of_queue(wanted, "queue", rule.queue)
    yield from _faults_of_members(wanted, rule)
    for where, what in _faults_of_condition(rule.condition):
        yield f"condition.{where}", what
    yield from _faults_of_needs(wanted, rule)


def _faults_of_members(wanted: Directory, rule: RoutingRule) -> Found:
    uses = Counter(member.person for member in rule.members)
    for index, member in enumerate(rule.members):
        path = f"members[{index}]"
        person = wanted.person(member.person)
        if person is None:
            yield f"{path}.person", "must be one of the people"
        elif wanted.party_of(person.name) is not Party.SALES or not person.roles & OWNER_ROLES:
            yield f"{path}.person", "must be in a team of SALES, with a role that owns handoffs"
        elif uses[person.name] > 1:
            yield f"{path}.person", "must not occur twice in a rule"
        if not 1 <= member.weight <= _HEAVIEST:
            yield f"{path}.weight", f"must be from 1 to {_HEAVIEST}"
        if not _is_calendar(wanted, member.calendar):
            yield f"{path}.calendar", f"must be {wanted.tenant}/calendars/ and an id, or empty"


def _faults_of_needs(wanted: Directory, rule: RoutingRule) -> Found:
    """Yield needs and conditions that no member can meet: the rule would send everything to its queue."""
    needs, pool = rule.needs, _abilities(wanted, rule)
    if not _is_calendar(wanted, needs.calendar):
        yield "needs.calendar", f"must be {wanted.tenant}/calendars/ and an id, or empty"
    if not pool:
        return
    for skill in needs.skills:
        if not any(skill in able.skills for able in pool):
            yield "needs.skills", f"{skill} is no skill of any member"
    if needs.skills and not any(able.skills.issuperset(needs.skills) for able in pool):
        yield "needs.skills", "no member has all of these"
    if needs.territory:
        yield from _nobody_for(
            "condition.territories",
            rule.condition.territories,
            pool,
            _works_in,
        )
    if needs.language:
        yield from _nobody_for("condition.languages", rule.condition.languages, pool, _speaks)


def _nobody_for(
    where: str, wanted: tuple[str, ...], pool: list[Abilities], can: Callable[[Abilities, str], bool]
) -> Found:
    for each in wanted:
        if not any(can(able, each) for able in pool):
            yield where, f"{each} is nothing that any member covers, as this rule needs"


def _works_in(able: Abilities, territory: str) -> bool:
    """Whether somebody covers the territory, or some part of it."""
    name = word(territory)
    return able.covers(name) or any(lies_within(own, name, ".") for own in able.territories)


def _speaks(able: Abilities, language: str) -> bool:
    name = word(language)
    return any(
        lies_within(name, word(own), "-") or lies_within(word(own), name, "-") for own in able.languages
    )


def _abilities(wanted: Directory, rule: RoutingRule) -> list[Abilities]:
    people = (wanted.person(member.person) for member in rule.members)
    return [wanted.abilities_of(person) for person in people if person is not None]


def _faults_of_condition(condition: Condition) -> Found:
    for name in _LISTS:
        entries = getattr(condition, name)
        if len(entries) > _MOST_ENTRIES:
            yield name, f"must hold at most {_MOST_ENTRIES} entries"
        for each in entries:
            if isinstance(each, SourceChannel):
                continue
            if not word(each) or len(each) > _LONGEST_WORD or not each.isprintable():
                yield name, f"must hold words of 1 to {_LONGEST_WORD} printable signs"
            elif not _is_spelled_right(name, word(each)):
                yield name, f"{each} must be {_SPELLINGS[name][1]}"
    yield from _faults_of_bands(condition)


_SPELLINGS: Final = {
    "territories": (_ID, "an id such as kr.seoul"),
    "languages": (_LANGUAGE, "a BCP 47 tag such as ko"),
    "company_domains": (_DOMAIN, "a domain such as acme.com"),
    "source_systems": (_ID, "an id such as hubspot"),
}


def _is_spelled_right(name: str, text: str) -> bool:
    spelling = _SPELLINGS.get(name)
    return spelling is None or spelling[0].fullmatch(text) is not None


def _faults_of_bands(condition: Condition) -> Found:
    least, most = condition.min_score, condition.max_score
    if least is not None and most is not None and least > most:
        yield "max_score", "must not be below min_score: no handoff would match"
    low, high = condition.min_value, condition.max_value
    for name, amount in (("min_value", low), ("max_value", high)):
        if amount is not None and not amount.is_sound:
            yield name, "must be an ISO 4217 code and an amount within ±9,007,199,254,740,991"
    if low is None or high is None:
        return
    if low.currency_code != high.currency_code:
        yield "max_value", "must be in the currency of min_value: no handoff would match"
    elif low.minor_units > high.minor_units:
        yield "max_value", "must not be below min_value: no handoff would match"


def _covers(wide: Condition, narrow: Condition) -> bool:
    """Whether every handoff that fulfils `narrow` fulfils `wide` for certain."""
    return all(_covers_list(wide, narrow, name) for name in _LISTS) and _covers_bands(wide, narrow)


def _covers_list(wide: Condition, narrow: Condition, name: str) -> bool:
    outer, inner = getattr(wide, name), getattr(narrow, name)
    if not outer:
        return True
    if not inner:
        return False
    separator = {"territories": ".", "languages": "-"}.get(name)
    if name == "source_channels":
        return set(inner) <= set(outer)
    names = [word(each) for each in outer]
    if name == "company_domains":
        return all(any(word(each) == o or word(each).endswith(f".{o}") for o in names) for each in inner)
    if separator is None:
        return {word(each) for each in inner} <= set(names)
    return all(any(lies_within(word(each), o, separator) for o in names) for each in inner)


def _covers_bands(wide: Condition, narrow: Condition) -> bool:
    if wide.min_score is not None and (narrow.min_score is None or narrow.min_score < wide.min_score):
        return False
    if wide.max_score is not None and (narrow.max_score is None or narrow.max_score > wide.max_score):
        return False
    low, high = wide.min_value, wide.max_value
    own_low, own_high = narrow.min_value, narrow.max_value
    if low is not None and (
        own_low is None or own_low.currency_code != low.currency_code or own_low.minor_units < low.minor_units
    ):
        return False
    return high is None or (
        own_high is not None
        and own_high.currency_code == high.currency_code
        and own_high.minor_units <= high.minor_units
    )


def _is_calendar(wanted: Directory, name: str) -> bool:
    prefix = f"{wanted.tenant}/calendars/"
    return not name or (name.startswith(prefix) and _ID.fullmatch(name.removeprefix(prefix)) is not None)
