"""What is wrong with a directory that somebody wants to apply: every fault, each with its path."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from services.leads.domain.directory import (
    Directory,
    Party,
    Person,
    Queue,
    Role,
    System,
    Team,
    TenantSettings,
    active_part,
)
from services.leads.domain.identity_faults import faults_of_identity
from services.leads.domain.routing_faults import faults_of_routing
from smarketing.businesstime.errors import BadCalendar
from smarketing.businesstime.zones import load_zone

__all__ = ["Fault", "faults_of"]

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_REGION: Final = re.compile(r"([A-Z]{2})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MOST: Final = {"teams": 1_000, "people": 10_000, "systems": 1_000, "queues": 1_000}
_MOST_CHARACTERS: Final = 200
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_MOST_ABILITIES: Final = {"skills": 50, "territories": 50, "languages": 20}
_MOST_CAPACITY: Final = 10_000

_Entry = TypeVar("_Entry", Team, Person, System, Queue)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that keeps a directory from being applied."""

    path: str
    """Where it stands: `people[2].team`."""
    description: str
    """What a right value looks like."""


def faults_of(wanted: Directory, *, old: Directory | None = None) -> tuple[Fault, ...]:
    """Return everything that keeps `wanted` from following `old`; inactive entries count as left out."""
    whole, wanted = wanted, active_part(wanted)
    return (
        *_faults_of_settings(whole.settings),
        *_faults_of_names(whole),
        *_each("teams", whole.teams, lambda team: _faults_of_team(wanted, team, old)),
        *_each("people", whole.people, lambda person: _faults_of_person(wanted, person)),
        *_each("systems", whole.systems, lambda system: _faults_of_system(wanted, system)),
        *_each("queues", whole.queues, lambda queue: _faults_of_queue(wanted, queue)),
        *(Fault(path, description) for path, description in faults_of_routing(wanted)),
        *(Fault(path, description) for path, description in faults_of_identity(wanted.identity)),
    )


def _faults_of_settings(settings: TenantSettings) -> Iterator[Fault]:
    try:
        load_zone(settings.time_zone)
    except BadCalendar:
        yield Fault("time_zone", "must be the name of an IANA time zone such as Asia/Seoul")
    if not _REGION.fullmatch(settings.region_code):
        yield Fault("region_code", "must be two capital letters of ISO 3166-1, or empty")
    if not _CURRENCY.fullmatch(settings.currency_code):
        yield Fault("currency_code", "must be three capital letters of ISO 4217")


def _faults_of_names(wanted: Directory) -> Iterator[Fault]:
    kinds: tuple[tuple[str, Sequence[Team | Person | System | Queue]], ...] = (
        ("teams", wanted.teams),
        ("people", wanted.people),
        ("systems", wanted.systems),
        ("queues", wanted.queues),
    )
    for kind, entries in kinds:
        if len(entries) > _MOST[kind]:
            yield Fault(kind, f"must hold at most {_MOST[kind]} entries")
        uses = Counter(entry.name for entry in entries)
        prefix = f"{wanted.tenant}/{kind}/"
        for index, entry in enumerate(entries):
            if not entry.name.startswith(prefix) or not _ID.fullmatch(entry.name.removeprefix(prefix)):
                yield Fault(f"{kind}[{index}].name", f"must be {prefix} and an id of a-z, 0-9, '.', '_', '-'")
            elif uses[entry.name] > 1:
                yield Fault(f"{kind}[{index}].name", "must not occur twice")
            if len(entry.display_name) > _MOST_CHARACTERS or not entry.display_name.isprintable():
                yield Fault(
                    f"{kind}[{index}].display_name", f"must be at most {_MOST_CHARACTERS} printable signs"
                )


def _faults_of_team(wanted: Directory, team: Team, old: Directory | None) -> Iterator[Fault]:
    yield from _faults_of_abilities(team)
    yield from _faults_of_party(team, old.team(team.name) if old is not None else None)
    yield from _person_exists(wanted, "manager", team.manager)
    above = wanted.team(team.parent_team)
    if team.parent_team and above is None:
        yield Fault("parent_team", "must be one of the teams")
    elif above is not None and above.party != team.party:
        yield Fault("parent_team", "must be a team of the same party")
    elif _is_above_itself(wanted, team):
        yield Fault("parent_team", "must not lead back to the team itself")


def _faults_of_party(team: Team, before: Team | None) -> Iterator[Fault]:
    if team.party not in {Party.MARKETING, Party.SALES}:
        yield Fault("party", "must be MARKETING or SALES")
    elif before is not None and before.party is not team.party:
        # Figures of the past are counted by it.
        yield Fault("party", f"must stay {before.party.name}; a team of the other party needs another name")


def _is_above_itself(wanted: Directory, team: Team) -> bool:
    seen: set[str] = set()
    above = wanted.team(team.parent_team)
    while above is not None and above.name not in seen:
        if above.name == team.name:
            return True
        seen.add(above.name)
        above = wanted.team(above.parent_team)
    return False


def _faults_of_person(wanted: Directory, person: Person) -> Iterator[Fault]:
    yield from _faults_of_roles(person.roles)
    yield from _faults_of_abilities(person)
    if person.team and wanted.team(person.team) is None:
        yield Fault("team", "must be one of the teams")


def _faults_of_abilities(entry: Team | Person) -> Iterator[Fault]:
    kinds = (("skills", entry.skills), ("territories", entry.territories), ("languages", entry.languages))
    for kind, words in kinds:
        if len(words) > _MOST_ABILITIES[kind]:
            yield Fault(kind, f"must hold at most {_MOST_ABILITIES[kind]}")
        right = _LANGUAGE if kind == "languages" else _ID
        wanted = "BCP 47 tags such as ko" if kind == "languages" else "ids of a-z, 0-9, '.', '_', '-'"
        if not all(right.fullmatch(word) for word in words):
            yield Fault(kind, f"must be {wanted}")
    if not 0 <= entry.capacity <= _MOST_CAPACITY:
        yield Fault("capacity", f"must be from 1 to {_MOST_CAPACITY}, or 0 for none of its own")


def _faults_of_system(wanted: Directory, system: System) -> Iterator[Fault]:
    yield from _faults_of_roles(system.roles)
    for index, team in enumerate(system.teams):
        if wanted.team(team) is None:
            yield Fault(f"teams[{index}]", "must be one of the teams")


def _faults_of_roles(roles: frozenset[Role]) -> Iterator[Fault]:
    if not roles:
        yield Fault("roles", "must hold at least one role")
    if Role.SERVICE in roles:
        yield Fault("roles", "must not hold the role of this product's own services")


def _faults_of_queue(wanted: Directory, queue: Queue) -> Iterator[Fault]:
    team = wanted.team(queue.team)
    if team is None or team.party is not Party.SALES:
        yield Fault("team", "must be one of the teams of SALES")
    yield from _person_exists(wanted, "manager", queue.manager)


def _person_exists(wanted: Directory, path: str, name: str) -> Iterable[Fault]:
    if name and wanted.person(name) is None:
        yield Fault(path, "must be one of the people, or empty")


def _each(
    kind: str, entries: Sequence[_Entry], faults: Callable[[_Entry], Iterable[Fault]]
) -> Iterator[Fault]:
    for index, entry in enumerate(entries):
        for fault in () if entry.inactive else faults(entry):
            yield Fault(f"{kind}[{index}].{fault.path}", fault.description)
