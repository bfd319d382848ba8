"""The directory's messages and events, and its domain values."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.leads.domain.directory import (
    Change,
    ChangeKind,
    Directory,
    Party,
    Person,
    Queue,
    Role,
    System,
    Team,
    TenantSettings,
)
from services.leads.domain.directory_errors import DirectoryInvalid
from services.leads.domain.directory_faults import Fault
from services.leads.domain.tokens import Token
from services.leads.wire.identity import identity_from, identity_to, unknown_signals
from services.leads.wire.routing import routing_from, routing_to, unknown_channels
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb

__all__ = [
    "applied",
    "change_to",
    "directory_from",
    "directory_to",
    "events_of",
    "token_issued",
    "token_revoked",
    "token_to",
    "tokens_to",
]

_PARTIES: Final = {
    Party.MARKETING: termspb.PARTY_MARKETING,
    Party.SALES: termspb.PARTY_SALES,
    Party.SYSTEM: termspb.PARTY_SYSTEM,
    Party.BUYER: termspb.PARTY_BUYER,
    Party.NONE: termspb.PARTY_NONE,
}
_PARTY_OF: Final = {number: party for party, number in _PARTIES.items()}
_ROLES: Final = {role: directorypb.Role.Value(f"ROLE_{role.name}") for role in Role}
_ROLE_OF: Final = {number: role for role, number in _ROLES.items()}
_KINDS: Final = {
    ChangeKind.ADDED: directorypb.DirectoryChange.KIND_ADDED,
    ChangeKind.CHANGED: directorypb.DirectoryChange.KIND_CHANGED,
    ChangeKind.REMOVED: directorypb.DirectoryChange.KIND_REMOVED,
}


def directory_from(tenant: str, message: directorypb.Directory) -> Directory:
    """Return the directory as the message wants it to be; left-out amounts get their defaults.

    Entries marked inactive stay so: a directory that was read can be applied as it is.

    Raises:
        DirectoryInvalid: for roles and channels that are none, and a name of another directory.
    """
    faults = [
        *_roles_missing("people", message.people),
        *_roles_missing("systems", message.systems),
        *(Fault(path, "must be a source channel") for path in unknown_channels(message.routing)),
        *(Fault(path, "must be a match signal") for path in unknown_signals(message.identity)),
    ]
    if message.name not in {"", f"{tenant}/directory"}:
        faults.insert(0, Fault("name", f"must be {tenant}/directory, or empty"))
    if faults:
        raise DirectoryInvalid(faults)
    return Directory(
        tenant=tenant,
        settings=TenantSettings(
            time_zone=message.time_zone,
            region_code=message.region_code,
            currency_code=message.currency_code,
        ),
        teams=tuple(map(_team_from, message.teams)),
        people=tuple(map(_person_from, message.people)),
        systems=tuple(map(_system_from, message.systems)),
        queues=tuple(map(_queue_from, message.queues)),
        routing=routing_from(message.routing),
        identity=identity_from(message.identity),
    )


def directory_to(directory: Directory) -> directorypb.Directory:
    """Return the message of a directory."""
    return directorypb.Directory(
        name=directory.name,
        etag=directory.etag,
        time_zone=directory.settings.time_zone,
        region_code=directory.settings.region_code,
        currency_code=directory.settings.currency_code,
        teams=map(_team_to, directory.teams),
        people=map(_person_to, directory.people),
        systems=map(_system_to, directory.systems),
        queues=map(_queue_to, directory.queues),
        routing=routing_to(directory.routing),
        identity=identity_to(directory.identity),
    )


def change_to(change: Change) -> directorypb.DirectoryChange:
    """Return the message of one difference."""
    return directorypb.DirectoryChange(
        resource=change.resource, kind=_KINDS[change.kind], fields=change.fields
    )


def applied(directory: Directory, changes: Iterable[Change]) -> directorypb.ApplyDirectoryResponse:
    """Return the answer to an applied directory."""
    return directorypb.ApplyDirectoryResponse(
        directory=directory_to(directory), changes=map(change_to, changes)
    )


def token_to(token: Token) -> directorypb.Token:
    """Return the message of a token."""
    return directorypb.Token(
        name=token.name,
        display_name=token.display_name,
        create_time=_timestamp(token.create_time),
        expire_time=_timestamp(token.expire_time),
        revoke_time=_timestamp(token.revoke_time),
    )


def tokens_to(tokens: Iterable[Token], *, next_page_token: str) -> directorypb.ListTokensResponse:
    """Return a page of tokens."""
    return directorypb.ListTokensResponse(tokens=map(token_to, tokens), next_page_token=next_page_token)


def token_issued(token: Token, secret_hash: bytes) -> leadeventspb.TokenIssued:
    """Return the event of a new token."""
    return leadeventspb.TokenIssued(
        token=token.name,
        principal=token.principal,
        secret_hash=secret_hash,
        expire_time=_timestamp(token.expire_time),
    )


def token_revoked(token: Token) -> leadeventspb.TokenRevoked:
    """Return the event of an ended token."""
    return leadeventspb.TokenRevoked(token=token.name)


def events_of(old: Directory | None, new: Directory) -> Iterator[tuple[str, Message]]:
    """Yield subject and event of everything that others have to know; a change of a name of staff is nothing.

    Teams come before people, so that a reader knows a person's team when it learns of the person.
    """
    if old is None or old.settings != new.settings:
        yield (
            new.name,
            leadeventspb.TenantChanged(
                time_zone=new.settings.time_zone,
                region_code=new.settings.region_code,
                currency_code=new.settings.currency_code,
            ),
        )
    for team in new.teams:
        yield from _if_new(team.name, _team_event(old.team(team.name) if old else None), _team_event(team))
    for person in new.people:
        before = _person_event(old.person(person.name) if old else None)
        yield from _if_new(person.name, before, _person_event(person))
    for system in new.systems:
        earlier = _system_event(old.system(system.name) if old else None)
        yield from _if_new(system.name, earlier, _system_event(system))
    for queue in new.queues:
        yield from _if_new(
            queue.name, _queue_event(old.queue(queue.name) if old else None), _queue_event(queue)
        )
    if old is None or old.routing != new.routing:
        yield new.name, leadeventspb.RoutingChanged(routing=routing_to(new.routing))


def _if_new(subject: str, before: Message | None, after: Message | None) -> Iterator[tuple[str, Message]]:
    if after is not None and after != before:
        yield subject, after


def _team_event(team: Team | None) -> leadeventspb.TeamChanged | None:
    if team is None:
        return None
    return leadeventspb.TeamChanged(
        team=team.name,
        party=_PARTIES[team.party],
        manager=team.manager,
        parent_team=team.parent_team,
        inactive=team.inactive,
    )


def _person_event(person: Person | None) -> leadeventspb.PersonChanged | None:
    if person is None:
        return None
    return leadeventspb.PersonChanged(
        person=person.name, roles=_roles_to(person.roles), team=person.team, inactive=person.inactive
    )


def _system_event(system: System | None) -> leadeventspb.SystemChanged | None:
    if system is None:
        return None
    return leadeventspb.SystemChanged(
        system=system.name, roles=_roles_to(system.roles), teams=system.teams, inactive=system.inactive
    )


def _queue_event(queue: Queue | None) -> leadeventspb.QueueChanged | None:
    if queue is None:
        return None
    return leadeventspb.QueueChanged(
        queue=queue.name, team=queue.team, manager=queue.manager, inactive=queue.inactive
    )


def _team_from(message: directorypb.Team) -> Team:
    return Team(
        name=message.name,
        display_name=message.display_name,
        # A party that is none of the two is a fault with a path, found with all the others.
        party=_PARTY_OF.get(message.party, Party.NONE),
        manager=message.manager,
        parent_team=message.parent_team,
        inactive=message.inactive,
        skills=_ordered(message.skills),
        territories=_ordered(message.territories),
        languages=_ordered(message.languages),
        capacity=message.capacity,
    )


def _team_to(team: Team) -> directorypb.Team:
    return directorypb.Team(
        name=team.name,
        display_name=team.display_name,
        party=_PARTIES[team.party],
        manager=team.manager,
        parent_team=team.parent_team,
        inactive=team.inactive,
        skills=team.skills,
        territories=team.territories,
        languages=team.languages,
        capacity=team.capacity,
    )


def _person_from(message: directorypb.Person) -> Person:
    return Person(
        name=message.name,
        display_name=message.display_name,
        roles=frozenset(_ROLE_OF[number] for number in message.roles),
        team=message.team,
        inactive=message.inactive,
        skills=_ordered(message.skills),
        territories=_ordered(message.territories),
        languages=_ordered(message.languages),
        capacity=message.capacity,
    )


def _person_to(person: Person) -> directorypb.Person:
    return directorypb.Person(
        name=person.name,
        display_name=person.display_name,
        roles=_roles_to(person.roles),
        team=person.team,
        inactive=person.inactive,
        skills=person.skills,
        territories=person.territories,
        languages=person.languages,
        capacity=person.capacity,
    )


def _system_from(message: directorypb.System) -> System:
    return System(
        name=message.name,
        display_name=message.display_name,
        roles=frozenset(_ROLE_OF[number] for number in message.roles),
        teams=_ordered(message.teams),
        inactive=message.inactive,
    )


def _system_to(system: System) -> directorypb.System:
    return directorypb.System(
        name=system.name,
        display_name=system.display_name,
        roles=_roles_to(system.roles),
        teams=system.teams,
        inactive=system.inactive,
    )


def _queue_from(message: directorypb.Queue) -> Queue:
    return Queue(
        name=message.name,
        display_name=message.display_name,
        team=message.team,
        manager=message.manager,
        inactive=message.inactive,
    )


def _queue_to(queue: Queue) -> directorypb.Queue:
    return directorypb.Queue(
        name=queue.name,
        display_name=queue.display_name,
        team=queue.team,
        manager=queue.manager,
        inactive=queue.inactive,
    )


def _ordered(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words once each, in their order: how a file orders them changes nothing."""
    return tuple(sorted(set(words)))


def _roles_to(roles: frozenset[Role]) -> list[directorypb.Role.ValueType]:
    return sorted(_ROLES[role] for role in roles)


def _roles_missing(
    kind: str, principals: Iterable[directorypb.Person | directorypb.System]
) -> Iterator[Fault]:
    for index, principal in enumerate(principals):
        for at, number in enumerate(principal.roles):
            if number not in _ROLE_OF:
                yield Fault(f"{kind}[{index}].roles[{at}]", "must be a role")


def _timestamp(instant: datetime | None) -> Timestamp | None:
    if instant is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(instant.astimezone(UTC))
    return timestamp
