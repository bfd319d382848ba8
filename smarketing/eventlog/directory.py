"""Folds the directory's events into a service's own mirror, by which it knows its callers.

`leads` writes its mirror from the same payloads in the transaction that makes them true; `sla` and
`reports` from its log, in the transaction of their checkpoint. Both then load a new snapshot.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from itertools import groupby
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message
from sqlalchemy import Connection, func, literal_column, select

from smarketing import names
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.eventlog.checkpoints import find_place
from smarketing.eventlog.group import Progress
from smarketing.server.auth import Authenticator, Directory, PrincipalKind, Role
from smarketing.server.directory import (
    DirectoryTables,
    Principal,
    PrincipalToken,
    Team,
    load_directory,
    put_principals,
    put_teams,
    put_tokens,
    revoke_tokens,
)
from smarketing.sql import BigInt, Writer
from smarketing.sql.tenancy import confined

__all__ = ["DIRECTORY_TYPES", "DirectoryKeeper", "DirectoryReadiness", "fold_events", "fold_payloads"]

# A payload is of the type that its fold is listed for; several types share one list's shape.
_Told: TypeAlias = Sequence[tuple[str, Any]]
_Fold: TypeAlias = Callable[[DirectoryTables, Connection, _Told], None]

# On PostgreSQL each row bears the number of the transaction that wrote it.
_WRITTEN: Final = select(func.count(), func.sum(literal_column("xmin::text::bigint", BigInt)))
_SHARED_LOOK_SECONDS: Final = 0.5
"""Between two looks at what another process may have changed: a revoked token is refused everywhere soon."""

_PARTIES: Final = {termspb.PARTY_MARKETING: "MARKETING", termspb.PARTY_SALES: "SALES"}
_PARTY_OF_ROLE: Final = {
    Role.MARKETING_SPECIALIST: "MARKETING",
    Role.MARKETING_MANAGER: "MARKETING",
    Role.SALES_REP: "SALES",
    Role.SALES_SPECIALIST: "SALES",
    Role.SALES_MANAGER: "SALES",
    Role.ACCOUNT_MANAGER: "SALES",
    Role.CUSTOMER_SUCCESS: "SALES",
}


def fold_events(tables: DirectoryTables, connection: Connection, events: Iterable[eventlogpb.Event]) -> bool:
    """Write what the events say of who may call; return whether they said anything."""
    told = []
    for event in events:
        payload_type = _PAYLOADS.get(event.payload.TypeName())
        if payload_type is not None:
            told.append((names.tenant_of(event.tenant), payload_type.FromString(event.payload.value)))
    fold_payloads(tables, connection, told)
    return bool(told)


def fold_payloads(
    tables: DirectoryTables, connection: Connection, told: Iterable[tuple[str, Message]]
) -> None:
    """Write what payloads say of who may call, each given with its tenant's id, in order."""
    for payload_type, group in groupby(told, key=lambda each: type(each[1])):
        fold = _FOLDS.get(payload_type)
        if fold is not None:
            fold(tables, connection, list(group))


class DirectoryKeeper:
    """Keeps a service's snapshot of the directory as new as its mirror.

    A service that follows the leads log gives the name of its consumer, calls `fold` in the consumer's
    `apply`, and has `run` among its background tasks. `leads` itself calls `load` after each change.
    """

    def __init__(
        self, tables: DirectoryTables, writer: Writer, authenticator: Authenticator, *, consumer: str = ""
    ) -> None:
        self._tables = tables
        self._writer = writer
        self._authenticator = authenticator
        self._consumer = consumer
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._folded = 0
        self._loaded = -1
        self._shared = writer.database.is_remote
        self._seen: list[tuple[Any, ...]] | None = None

    @property
    def fresh(self) -> bool:
        """Whether calls are judged by everything that was folded."""
        return self._loaded >= self._folded

    def fold(self, connection: Connection, events: Sequence[eventlogpb.Event]) -> None:
        """Write what events of the leads log say of who may call, in the consumer's transaction."""
        if fold_events(self._tables, connection, events):
            self._folded = max(self._folded, events[-1].position)

    async def load(self) -> bool:
        """Judge calls by the mirror as it is now; return whether there is one.

        A mirror without anybody is one that was never filled: the service stays not ready.
        """
        # One after the other, so that an older snapshot never takes the place of a newer one.
        async with self._turn:
            # Whoever's call it is that changed something: callers of every tenant are judged by it.
            with confined(None):
                self._loaded, directory = await self._writer.read(self._read)
            if directory is not None:
                self._authenticator.replace_directory(directory)
            return directory is not None

    async def run(self) -> None:
        """Load, and load again after each commit that folded something, until cancelled."""
        forget = self._writer.when_committed(self._wake_if_stale)
        try:
            while True:
                self._wake.clear()
                if not self._shared or await self._is_changed() or not self.fresh:
                    await self.load()
                await self._wake.wait()
        finally:
            forget()

    async def _is_changed(self) -> bool:
        """Whether the mirror is another one than when this was asked last, whichever process changed it."""
        before = self._seen
        if before is not None:
            await asyncio.sleep(_SHARED_LOOK_SECONDS)
        self._seen = await self._writer.read(self._look)
        return before != self._seen

    def _look(self, connection: Connection) -> list[tuple[Any, ...]]:
        tables = (self._tables.principal, self._tables.token, self._tables.team)
        return [tuple(connection.execute(_WRITTEN.select_from(table)).one()) for table in tables]

    def _wake_if_stale(self) -> None:
        # What is folded may not be committed yet: then this comes again with that commit.
        if self._shared or self._loaded < self._folded:
            self._wake.set()

    def _read(self, connection: Connection) -> tuple[int, Directory | None]:
        checkpoint = find_place(connection, self._consumer) if self._consumer else None
        position = checkpoint.position if checkpoint is not None else 0
        principal = self._tables.principal
        if connection.execute(select(principal.c.tenant).limit(1)).first() is None:
            return position, None
        return position, load_directory(self._tables, connection)


class DirectoryReadiness:
    """Says when a service that follows the leads log may begin to judge callers.

    By the directory as it stood when the process began: a token that was made or ended while it was down
    must be known before the first caller comes. Only when leads does not answer for a while does the
    directory of the last run have to do. Once begun, a busy moment does not take it back.
    """

    def __init__(
        self,
        keeper: DirectoryKeeper,
        consumer: Progress,
        authenticator: Authenticator,
        *,
        monotonic: Callable[[], float],
        patience_seconds: float = 10.0,
    ) -> None:
        self._keeper = keeper
        self._consumer = consumer
        self._authenticator = authenticator
        self._monotonic = monotonic
        self._until = monotonic() + patience_seconds
        self._begun = False

    async def __call__(self) -> bool:
        """Return whether calls can be answered."""
        if not self._begun:
            caught_up = self._consumer.caught_up and self._keeper.fresh
            self._begun = caught_up or self._monotonic() >= self._until
        return self._begun and self._authenticator.ready


def _fold_teams(tables: DirectoryTables, connection: Connection, told: _Told) -> None:
    teams = [
        Team(
            tenant=tenant,
            team=payload.team,
            party=_PARTIES.get(payload.party, ""),
            manager=payload.manager,
        )
        for tenant, payload in told
    ]
    put_teams(tables, connection, teams)


def _fold_people(tables: DirectoryTables, connection: Connection, told: _Told) -> None:
    parties = _parties_of_teams(tables, connection, (payload.team for _, payload in told))
    people = []
    for tenant, payload in told:
        roles, teams = _roles(payload.roles), frozenset({payload.team} - {""})
        person = Principal(
            tenant=tenant,
            principal=payload.person,
            kind=PrincipalKind.PERSON,
            roles=roles,
            party=_party(parties, teams, roles),
            teams=teams,
            active=not payload.inactive,
        )
        people.append(person)
    put_principals(tables, connection, people)


def _fold_systems(tables: DirectoryTables, connection: Connection, told: _Told) -> None:
    parties = _parties_of_teams(tables, connection, (team for _, payload in told for team in payload.teams))
    systems = []
    for tenant, payload in told:
        roles, teams = _roles(payload.roles), frozenset(payload.teams)
        system = Principal(
            tenant=tenant,
            principal=payload.system,
            kind=PrincipalKind.SERVICE if Role.SERVICE in roles else PrincipalKind.SYSTEM,
            roles=roles,
            party=_party(parties, teams, roles),
            teams=teams,
            active=not payload.inactive,
        )
        systems.append(system)
    put_principals(tables, connection, systems)


def _fold_issued(tables: DirectoryTables, connection: Connection, told: _Told) -> None:
    put_tokens(tables, connection, [_token(tenant, payload) for tenant, payload in told])


def _fold_revoked(tables: DirectoryTables, connection: Connection, told: _Told) -> None:
    revoke_tokens(tables, connection, [(tenant, _token_id(payload.token)) for tenant, payload in told])


_FOLDS: Final[dict[type[Message], _Fold]] = {
    leadeventspb.TeamChanged: _fold_teams,
    leadeventspb.PersonChanged: _fold_people,
    leadeventspb.SystemChanged: _fold_systems,
    leadeventspb.TokenIssued: _fold_issued,
    leadeventspb.TokenRevoked: _fold_revoked,
}
_PAYLOADS: Final = {payload_type.DESCRIPTOR.full_name: payload_type for payload_type in _FOLDS}

DIRECTORY_TYPES: Final = frozenset(_PAYLOADS)
"""The payloads that `DirectoryKeeper.fold` takes in; it passes over all others."""


def _parties_of_teams(
    tables: DirectoryTables, connection: Connection, teams: Iterable[str]
) -> Mapping[str, str]:
    table = tables.team
    found = connection.execute(select(table.c.team, table.c.party).where(table.c.team.in_(set(teams))))
    return {row.team: row.party for row in found}


def _party(parties: Mapping[str, str], teams: frozenset[str], roles: frozenset[Role]) -> str:
    """Return the one party of the teams, or without teams of the roles; empty when they are of both."""
    if teams:
        found = {parties.get(team, "") for team in teams}
    else:
        found = {_PARTY_OF_ROLE[role] for role in roles if role in _PARTY_OF_ROLE}
    return found.pop() if len(found) == 1 else ""


def _token(tenant: str, payload: leadeventspb.TokenIssued) -> PrincipalToken:
    expires = payload.HasField("expire_time")
    return PrincipalToken(
        tenant=tenant,
        token_id=_token_id(payload.token),
        principal=payload.principal,
        secret_hash=payload.secret_hash,
        expire_time=payload.expire_time.ToDatetime(tzinfo=UTC) if expires else None,
    )


def _token_id(name: str) -> str:
    return name.rsplit("/", 1)[1]


def _roles(numbers: Iterable[directorypb.Role.ValueType]) -> frozenset[Role]:
    """Return the roles that this release knows; one that a newer one invented gives no rights here."""
    by_number = {directorypb.Role.Value(f"ROLE_{role.name}"): role for role in Role}
    return frozenset(by_number[number] for number in numbers if number in by_number)
