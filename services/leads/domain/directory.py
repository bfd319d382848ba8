"""Who there is in a tenant: parties, teams, people, systems, queues, and to whom handoffs are offered."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from services.leads.domain.matching import BY_ADDRESS, IdentityRules
from services.leads.domain.routing_rules import Routing, RoutingMember, RoutingRule

__all__ = [
    "NO_QUOTA",
    "OWNER_ROLES",
    "Abilities",
    "Change",
    "ChangeKind",
    "Directory",
    "Party",
    "Person",
    "Queue",
    "Role",
    "Routing",
    "RoutingMember",
    "RoutingRule",
    "System",
    "Team",
    "TenantQuota",
    "TenantSettings",
    "active_part",
    "diff",
    "succeed",
]


class Party(StrEnum):
    """On whom a promise, a reason or a minute of delay is counted; only the first two have teams."""

    MARKETING = "MARKETING"
    SALES = "SALES"
    SYSTEM = "SYSTEM"
    BUYER = "BUYER"
    NONE = "NONE"


class Role(StrEnum):
    """What a person or system may do; a principal may hold several."""

    MARKETING_SPECIALIST = "marketing_specialist"
    MARKETING_MANAGER = "marketing_manager"
    SALES_REP = "sales_rep"
    SALES_SPECIALIST = "sales_specialist"
    SALES_MANAGER = "sales_manager"
    ACCOUNT_MANAGER = "account_manager"
    CUSTOMER_SUCCESS = "customer_success"
    LEADERSHIP = "leadership"
    PRODUCT_READER = "product_reader"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SERVICE = "service"


OWNER_ROLES: Final = frozenset(
    {
        Role.SALES_REP,
        Role.SALES_SPECIALIST,
        Role.SALES_MANAGER,
        Role.ACCOUNT_MANAGER,
        Role.CUSTOMER_SUCCESS,
    }
)
"""Roles whose holders can own a handoff, and so stand in a routing rule's pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """What a tenant says of itself."""

    time_zone: str
    """IANA zone in which its days, weeks and months are counted."""
    region_code: str = ""
    """ISO 3166-1 code, the region of phone numbers that bring none; empty when nobody said."""
    currency_code: str
    """ISO 4217 code in which it reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantQuota:
    """How much of this service a tenant may use; 0 is what the installation gives everybody."""

    calls_per_second: int = 0
    leads_per_day: int = 0
    """Leads that start a handoff, by the tenant's days; 0 is no limit."""
    streams: int = 0
    """Open streams of all its principals together."""


NO_QUOTA: Final = TenantQuota()


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team of one party."""

    name: str
    display_name: str = ""
    party: Party
    manager: str = ""
    """The person who answers for it; empty when nobody was named yet."""
    parent_team: str = ""
    inactive: bool = False
    skills: tuple[str, ...] = ()
    """What every member can do, besides their own skills; likewise the next two."""
    territories: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    capacity: int = 0
    """Open handoffs at a time of a member without a capacity of their own; 0 is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of staff."""

    name: str
    display_name: str = ""
    """How colleagues know them; it never enters an event."""
    roles: frozenset[Role]
    team: str = ""
    inactive: bool = False
    skills: tuple[str, ...] = ()
    territories: tuple[str, ...] = ()
    """Ids whose dots say what lies inside what: `kr` covers `kr.seoul`."""
    languages: tuple[str, ...] = ()
    """BCP 47 tags."""
    capacity: int = 0
    """Open handoffs at a time; 0 is what their team says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What routing asks of a person, their team's share included."""

    skills: frozenset[str]
    territories: frozenset[str]
    languages: frozenset[str]
    capacity: int | None
    """How many open handoffs they work at a time; None is no limit."""

    def covers(self, territory: str) -> bool:
        """Whether the territory is one of theirs, or lies inside one: `kr` covers `kr.seoul`."""
        parts = territory.split(".")
        return any(".".join(parts[:end]) in self.territories for end in range(1, len(parts) + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A program that calls with a token of its own."""

    name: str
    display_name: str = ""
    roles: frozenset[Role]
    teams: tuple[str, ...] = ()
    """The teams for whose members it may act."""
    inactive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Where handoffs wait that nobody in particular was offered."""

    name: str
    display_name: str = ""
    team: str
    """The team whose members may take from it."""
    manager: str = ""
    inactive: bool = False


_Resource = TypeVar("_Resource", Team, Person, System, Queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Everything that one tenant says about who there is; lookups find inactive entries too."""

    tenant: str
    """`tenants/{tenant}`."""
    settings: TenantSettings
    quota: TenantQuota = NO_QUOTA
    """Given by the installation: applying a directory leaves it as it is."""
    teams: tuple[Team, ...] = ()
    people: tuple[Person, ...] = ()
    systems: tuple[System, ...] = ()
    queues: tuple[Queue, ...] = ()
    routing: Routing
    identity: IdentityRules = BY_ADDRESS
    """By which rules two submissions are the same person's."""
    _teams: Mapping[str, Team] = field(init=False, repr=False, compare=False)
    _people: Mapping[str, Person] = field(init=False, repr=False, compare=False)
    _systems: Mapping[str, System] = field(init=False, repr=False, compare=False)
    _queues: Mapping[str, Queue] = field(init=False, repr=False, compare=False)
    _members: Mapping[str, tuple[Person, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_teams", _by_name(self.teams))
        object.__setattr__(self, "_people", _by_name(self.people))
        object.__setattr__(self, "_systems", _by_name(self.systems))
        object.__setattr__(self, "_queues", _by_name(self.queues))
        object.__setattr__(self, "_members", _members_by_team(self.people))

    @property
    def name(self) -> str:
        """`tenants/{tenant}/directory`."""
        return f"{self.tenant}/directory"

    @property
    def etag(self) -> str:
        """A digest of the whole content: equal directories, and only they, have equal etags."""
        who = (self.teams, self.people, self.systems, self.queues)
        parts = (self.tenant, self.settings, self.quota, *who, self.routing, self.identity)
        return hashlib.sha256(_canonical(parts).encode()).hexdigest()[:32]

    def team(self, name: str) -> Team | None:
        """Return the team of this name."""
        return self._teams.get(name)

    def person(self, name: str) -> Person | None:
        """Return the person of this name."""
        return self._people.get(name)

    def system(self, name: str) -> System | None:
        """Return the system of this name."""
        return self._systems.get(name)

    def queue(self, name: str) -> Queue | None:
        """Return the queue of this name."""
        return self._queues.get(name)

    def principal(self, name: str) -> Person | System | None:
        """Return the person or system of this name."""
        return self._people.get(name) or self._systems.get(name)

    def active_person(self, name: str) -> Person | None:
        """Return the person unless they are unknown or left."""
        person = self._people.get(name)
        return None if person is None or person.inactive else person

    def may_own(self, name: str) -> bool:
        """Whether this is an active person with a role that owns handoffs: others may not work them."""
        person = self.active_person(name)
        return person is not None and not person.roles.isdisjoint(OWNER_ROLES)

    def team_of(self, person: str) -> Team | None:
        """Return the team that the person of this name belongs to."""
        found = self._people.get(person)
        return None if found is None else self._teams.get(found.team)

    def abilities_of(self, person: Person) -> Abilities:
        """Return what the person can do by themselves and by their team; teams above give nothing."""
        team = self._teams.get(person.team)
        shared = team if team is not None and not team.inactive else None
        return Abilities(
            skills=frozenset(person.skills + (shared.skills if shared else ())),
            territories=frozenset(person.territories + (shared.territories if shared else ())),
            languages=frozenset(person.languages + (shared.languages if shared else ())),
            capacity=(person.capacity or (shared.capacity if shared else 0)) or None,
        )

    def members_of(self, team: str) -> tuple[Person, ...]:
        """Return the active people of the team itself, not of those below it."""
        return self._members.get(team, ())

    def party_of(self, person: str) -> Party | None:
        """Return the party that the person's team belongs to."""
        team = self.team_of(person)
        return None if team is None else team.party

    def teams_below(self, team: str) -> frozenset[str]:
        """Return the names of the team and of every team under it."""
        found = {team}
        while further := {t.name for t in self.teams if t.parent_team in found} - found:
            found |= further
        return frozenset(found)

    def manager_of(self, name: str) -> str:
        """Return who answers for the team or queue of this name, looking upwards; empty when nobody does."""
        queue = self._queues.get(name)
        if queue is not None and self.active_person(queue.manager):
            return queue.manager
        team = self._teams.get(queue.team if queue is not None else name)
        seen: set[str] = set()
        while team is not None and team.name not in seen:
            if self.active_person(team.manager):
                return team.manager
            seen.add(team.name)
            team = self._teams.get(team.parent_team)
        return ""

    def may_act_for(self, system: str, person: str) -> bool:
        """Whether both are active and the person's team is among the system's teams."""
        actor, acted_for = self._systems.get(system), self.active_person(person)
        if actor is None or actor.inactive or acted_for is None:
            return False
        return acted_for.team != "" and acted_for.team in actor.teams

    def may_take_from(self, queue: str, person: str) -> bool:
        """Whether the person is an active member of the queue's team, or of a team below it."""
        waiting, taker = self._queues.get(queue), self.active_person(person)
        return waiting is not None and taker is not None and taker.team in self.teams_below(waiting.team)


def active_part(directory: Directory) -> Directory:
    """Return the directory without its inactive entries."""
    return replace(
        directory,
        teams=tuple(team for team in directory.teams if not team.inactive),
        people=tuple(person for person in directory.people if not person.inactive),
        systems=tuple(system for system in directory.systems if not system.inactive),
        queues=tuple(queue for queue in directory.queues if not queue.inactive),
    )


class ChangeKind(StrEnum):
    """What kind of difference there is."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between two directories."""

    resource: str
    """A resource name, the directory's own for the tenant's settings, `routing` or `identity`."""
    kind: ChangeKind
    fields: tuple[str, ...] = ()
    """The fields that differ, when changed."""


def succeed(old: Directory | None, wanted: Directory) -> Directory:
    """Return the directory that follows `old` when `wanted` is applied.

    What `wanted` leaves out, or has as inactive, stays as it was, inactive.
    The routing gets the next version when it differs.
    Entries are in the order of their names, so that the order in a file changes nothing.
    """
    routing = wanted.routing
    if old is None:
        routing = replace(routing, version=1)
    else:
        same = replace(routing, version=old.routing.version) == old.routing
        routing = replace(routing, version=old.routing.version + (0 if same else 1))
    return Directory(
        tenant=wanted.tenant,
        settings=wanted.settings,
        quota=old.quota if old else wanted.quota,
        teams=_merged(old.teams if old else (), wanted.teams),
        people=_merged(old.people if old else (), wanted.people),
        systems=_merged(old.systems if old else (), wanted.systems),
        queues=_merged(old.queues if old else (), wanted.queues),
        routing=routing,
        identity=wanted.identity,
    )


def diff(old: Directory | None, new: Directory) -> tuple[Change, ...]:
    """Return what differs: settings, teams, people, systems, queues, then the routing and who is who."""
    changes = _changes_of_part(new.name, old.settings if old else None, new.settings)
    changes += _changes_of_entries(old.teams if old else (), new.teams)
    changes += _changes_of_entries(old.people if old else (), new.people)
    changes += _changes_of_entries(old.systems if old else (), new.systems)
    changes += _changes_of_entries(old.queues if old else (), new.queues)
    changes += _changes_of_part("routing", old.routing if old else None, new.routing)
    if new.identity != (old.identity if old else BY_ADDRESS):
        changes += _changes_of_part("identity", old.identity if old else None, new.identity)
    return tuple(changes)


def _changes_of_part(
    resource: str,
    old: TenantSettings | Routing | IdentityRules | None,
    new: TenantSettings | Routing | IdentityRules,
) -> list[Change]:
    if old == new:
        return []
    if old is None:
        return [Change(resource=resource, kind=ChangeKind.ADDED)]
    return [Change(resource=resource, kind=ChangeKind.CHANGED, fields=_differing(old, new))]


def _changes_of_entries(old: Sequence[_Resource], new: Sequence[_Resource]) -> list[Change]:
    before = _by_name(old)
    changes: list[Change] = []
    for entry in new:
        earlier = before.get(entry.name)
        if earlier == entry:
            continue
        if earlier is None or (earlier.inactive and not entry.inactive):
            changes.append(Change(resource=entry.name, kind=ChangeKind.ADDED))
        elif entry.inactive:
            changes.append(Change(resource=entry.name, kind=ChangeKind.REMOVED))
        else:
            changed = _differing(earlier, entry)
            changes.append(Change(resource=entry.name, kind=ChangeKind.CHANGED, fields=changed))
    return changes


def _differing(old: Any, new: Any) -> tuple[str, ...]:
    names = (part.name for part in fields(new) if part.name != "version")
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def _merged(old: Iterable[_Resource], wanted: Iterable[_Resource]) -> tuple[_Resource, ...]:
    entries = {entry.name: replace(entry, inactive=True) for entry in old}
    entries |= {entry.name: entry for entry in wanted if not entry.inactive}
    return tuple(entries[name] for name in sorted(entries))


def _by_name(entries: Iterable[_Resource]) -> Mapping[str, _Resource]:
    return MappingProxyType({entry.name: entry for entry in entries})


def _members_by_team(people: Iterable[Person]) -> Mapping[str, tuple[Person, ...]]:
    members: dict[str, list[Person]] = {}
    for person in people:
        if person.team and not person.inactive:
            members.setdefault(person.team, []).append(person)
    return MappingProxyType({team: tuple(found) for team, found in members.items()})


def _canonical(value: Any) -> str:
    """Spell a value so that different values differ: every text is preceded by its length."""
    if isinstance(value, frozenset):
        return _canonical(tuple(sorted(value)))
    if isinstance(value, tuple):
        return f"({len(value)}:{''.join(map(_canonical, value))})"
    if hasattr(value, "__dataclass_fields__"):
        return _canonical(tuple(getattr(value, part.name) for part in fields(value) if part.compare))
    text = str(value)
    return f"{len(text)}:{text}"
