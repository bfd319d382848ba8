"""Loads and keeps directories, tokens and, in the same transaction, what every service mirrors of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection, Row, Table, insert, select

from services.leads.domain.directory import (
    Directory,
    Party,
    Person,
    Queue,
    Role,
    Routing,
    System,
    Team,
    TenantQuota,
    TenantSettings,
)
from services.leads.domain.tokens import Token
from services.leads.store.directory_schema import DirectoryTables
from services.leads.wire import directory as wire
from services.leads.wire.identity import identity_bytes, identity_from_bytes
from services.leads.wire.routing import routing_bytes, routing_from_bytes
from smarketing import names
from smarketing.eventlog.directory import fold_payloads
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.server.audit import AuditEntry, append_entries
from smarketing.server.commands import Command, CommandTables, Done, run_commands
from smarketing.server.directory import DirectoryTables as MirrorTables
from smarketing.sql import FindRows, UpsertRows, Writer
from smarketing.sql.tenancy import confined

__all__ = ["Directories", "DirectoryStore", "DirectoryTx", "Tables", "UseCase"]

Q = TypeVar("Q")
A = TypeVar("A")

_SEPARATOR: Final = " "

UseCase = Callable[["DirectoryTx", Sequence[Q], datetime], Sequence[A | Exception]]
"""Decides a batch of requests in one transaction, at one instant."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table that a change of a directory touches, besides the log's."""

    directory: DirectoryTables
    mirror: MirrorTables
    commands: CommandTables


class Directories:
    """Finds tenants' directories as a transaction sees them; what did not change is not read again."""

    def __init__(self, tables: DirectoryTables) -> None:
        self._tables = tables
        self._known: dict[str, tuple[str, Directory]] = {}
        self._find_etag = FindRows(tables.tenant, key=["tenant"], columns=["etag", "scoring_version"])

    def find(self, connection: Connection, tenant: str) -> Directory | None:
        """Return the directory of `tenants/{tenant}`; None when there is no such tenant."""
        return self.find_scored(connection, tenant)[0]

    def find_scored(self, connection: Connection, tenant: str) -> tuple[Directory | None, int]:
        """Return the same, and how often the tenant changed how it scores; 0 when it does not."""
        tenant_id = names.tenant_of(tenant)
        found = self._find_etag.find(connection, [(tenant_id,)])
        if not found:
            return None, 0
        [(etag, scoring_version)] = found
        # The etag is a digest of the content: a change that was rolled back leaves nothing wrong here.
        known_etag, known = self._known.get(tenant_id, ("", None))
        if known is None or known_etag != etag:
            table = self._tables.tenant
            row = connection.execute(select(table).where(table.c.tenant == tenant_id)).one()
            known = _load(self._tables, connection, row)
            self._known[tenant_id] = (etag, known)
        return known, scoring_version


class DirectoryTx:
    """One transaction: what the use cases of the directory load, save and tell."""

    def __init__(
        self, tables: Tables, directories: Directories, connection: Connection, *, now: datetime
    ) -> None:
        self._tables = tables
        self._directories = directories
        self._connection = connection
        self._now = now
        self._events: list[NewEvent] = []

    def directory(self, tenant: str) -> Directory | None:
        """Return the tenant's directory as this transaction left it."""
        return self._directories.find(self._connection, tenant)

    def save(self, old: Directory | None, new: Directory, *, actor: str, traceparent: str = "") -> None:
        """Make `new` the tenant's directory, and tell what others have to know of the difference."""
        _save(self._tables.directory, self._connection, old, new)
        for subject, payload in wire.events_of(old, new):
            self._tell(new.tenant, subject, payload, actor, traceparent)

    def token(self, name: str) -> Token | None:
        """Return the token of this name."""
        table = self._tables.directory.token
        row = self._connection.execute(select(table).where(table.c.name == name)).one_or_none()
        return None if row is None else _token(row)

    def tokens_of(self, principal: str) -> list[Token]:
        """Return a principal's tokens."""
        table = self._tables.directory.token
        found = select(table).where(table.c.principal == principal).order_by(table.c.name)
        return [_token(row) for row in self._connection.execute(found)]

    def add_token(self, token: Token, secret_hash: bytes, *, actor: str, traceparent: str = "") -> None:
        """Keep a new token, and tell of it."""
        table = self._tables.directory.token
        self._connection.execute(
            insert(table).values(
                name=token.name,
                tenant=names.tenant_of(token.name),
                principal=token.principal,
                display_name=token.display_name,
                create_time=token.create_time,
                expire_time=token.expire_time,
                revoke_time=token.revoke_time,
            )
        )
        event = wire.token_issued(token, secret_hash)
        self._tell(_tenant_name(token.name), token.name, event, actor, traceparent)

    def end_token(self, token: Token, *, actor: str, traceparent: str = "") -> None:
        """Keep that the token is revoked, and tell of it."""
        table = self._tables.directory.token
        changed = table.update().where(table.c.name == token.name).values(revoke_time=token.revoke_time)
        self._connection.execute(changed)
        event = wire.token_revoked(token)
        self._tell(_tenant_name(token.name), token.name, event, actor, traceparent)

    def shorten_token(self, token: Token, *, actor: str, traceparent: str = "") -> None:
        """Keep that the token ends at its `expire_time`, and tell of it as of a token made anew."""
        table, known = self._tables.directory.token, self._tables.mirror.token.c
        changed = table.update().where(table.c.name == token.name).values(expire_time=token.expire_time)
        self._connection.execute(changed)
        own = (known.tenant == names.tenant_of(token.name), known.token_id == token.token_id)
        secret_hash = self._connection.execute(select(known.secret_hash).where(*own)).scalar_one()
        event = wire.token_issued(token, bytes(secret_hash))
        self._tell(_tenant_name(token.name), token.name, event, actor, traceparent)

    def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Put on record what no command did."""
        append_entries(self._tables.commands.audit, self._connection, entries, now=self._now)

    def flush(self) -> None:
        """Write the mirror and the log; nothing may be saved afterwards."""
        told = [(names.tenant_of(event.tenant), event.payload) for event in self._events]
        fold_payloads(self._tables.mirror, self._connection, told)
        append(self._connection, self._events, now=self._now)

    def _tell(self, tenant: str, subject: str, payload: Message, actor: str, traceparent: str) -> None:
        self._events.append(
            NewEvent(
                tenant=tenant,
                subject=subject,
                occur_time=self._now,
                actor=actor,
                payload=payload,
                traceparent=traceparent,
            )
        )


class DirectoryStore:
    """Runs the directory's use cases on the service's one writer, and its queries on the readers."""

    def __init__(self, writer: Writer, tables: Tables, directories: Directories) -> None:
        self._writer = writer
        self._tables = tables
        self._directories = directories

    async def command(
        self, use_case: UseCase[Q, A], command: Command[Q], *, render: Callable[[A], Message]
    ) -> Done | Exception:
        """Run one command at most once; the answer comes after its commit."""
        [outcome] = await self._writer.run(_Unit(self, use_case, render), [command])
        return outcome

    async def run(self, change: Callable[["DirectoryTx", datetime], A]) -> A:
        """Run a change of the installation's own making; what it raises undoes it."""

        def unit(connection: Connection, requests: Sequence[None], now: datetime) -> list[A]:
            tx = self.begin(connection, now=now)
            answers = [change(tx, now) for _ in requests]
            tx.flush()
            return answers

        [answer] = await self._writer.run(unit, [None])
        return answer

    async def find(self, tenant: str) -> Directory | None:
        """Return the directory of `tenants/{tenant}`."""
        return await self._writer.read(lambda connection: self._directories.find(connection, tenant))

    async def tokens(self, principal: str, *, before: str = "", limit: int = 1000) -> list[Token]:
        """Return the principal's tokens, newest first, those before the named one."""
        table = self._tables.directory.token
        wanted = (
            select(table).where(table.c.principal == principal).order_by(table.c.name.desc()).limit(limit)
        )
        if before:
            wanted = wanted.where(table.c.name < before)
        return await self._writer.read(lambda connection: [_token(row) for row in connection.execute(wanted)])

    async def tenants(self, *, after: str = "", limit: int | None = None) -> list[Directory]:
        """Return the directories of the tenants behind `after`, by name; the installation's own is none."""
        table = self._tables.directory.tenant.c

        def query(connection: Connection) -> list[Directory]:
            found = select(table.tenant).where(table.tenant > after, table.tenant != names.ALL_TENANTS)
            ids = connection.execute(found.order_by(table.tenant).limit(limit)).scalars().all()
            each = (self._directories.find(connection, f"tenants/{tenant}") for tenant in ids)
            return [directory for directory in each if directory is not None]

        return await self._writer.read(query)

    async def quotas(self) -> dict[str, TenantQuota]:
        """Return what each tenant may use, by the tenant's id."""
        table = self._tables.directory.tenant.c
        columns = (table.tenant, table.calls_per_second, table.leads_per_day, table.streams)
        query = select(*columns).where(table.tenant != names.ALL_TENANTS)

        def read(connection: Connection) -> dict[str, TenantQuota]:
            return {
                tenant: TenantQuota(calls_per_second=calls, leads_per_day=leads, streams=streams)
                for tenant, calls, leads, streams in connection.execute(query)
            }

        # Calls of every tenant are admitted by it, whoever's call it is that changed something.
        with confined(None):
            return await self._writer.read(read)

    def begin(self, connection: Connection, *, now: datetime) -> DirectoryTx:
        """Return the directory's part of a transaction."""
        return DirectoryTx(self._tables, self._directories, connection, now=now)

    def run_commands(
        self,
        connection: Connection,
        commands: Sequence[Command[Q]],
        *,
        now: datetime,
        use_case: UseCase[Q, A],
        render: Callable[[A], Message],
    ) -> list[Done | Exception]:
        """Run commands inside a writer's unit."""
        tx = self.begin(connection, now=now)
        outcomes = run_commands(
            self._tables.commands,
            connection,
            commands,
            now=now,
            use_case=lambda requests: use_case(tx, requests, now),
            render=render,
        )
        tx.flush()
        return outcomes


@dataclass(frozen=True)
class _Unit(Generic[Q, A]):
    """A use case as the writer runs it; equal ones that wait together share a call."""

    store: DirectoryStore
    use_case: UseCase[Q, A]
    render: Callable[[A], Message]

    def __call__(
        self, connection: Connection, commands: Sequence[Command[Q]], now: datetime
    ) -> list[Done | Exception]:
        return self.store.run_commands(
            connection, commands, now=now, use_case=self.use_case, render=self.render
        )


def _load(tables: DirectoryTables, connection: Connection, tenant: Row[Any]) -> Directory:
    def entries(table: Table) -> Iterable[Row[Any]]:
        return connection.execute(select(table).where(table.c.tenant == tenant.tenant).order_by(table.c.name))

    return Directory(
        tenant=f"tenants/{tenant.tenant}",
        settings=TenantSettings(
            time_zone=tenant.time_zone,
            region_code=tenant.region_code,
            currency_code=tenant.currency_code,
        ),
        quota=TenantQuota(
            calls_per_second=tenant.calls_per_second,
            leads_per_day=tenant.leads_per_day,
            streams=tenant.streams,
        ),
        teams=tuple(map(_team, entries(tables.team))),
        people=tuple(map(_person, entries(tables.person))),
        systems=tuple(map(_system, entries(tables.system))),
        queues=tuple(map(_queue, entries(tables.queue))),
        routing=_routing(tables, connection, tenant.tenant, tenant.routing_version),
        identity=identity_from_bytes(tenant.identity),
    )


def _routing(tables: DirectoryTables, connection: Connection, tenant: str, version: int) -> Routing:
    table = tables.routing_version
    kept = select(table.c.routing).where(table.c.tenant == tenant, table.c.version == version)
    return routing_from_bytes(connection.execute(kept).scalar_one())


def _save(tables: DirectoryTables, connection: Connection, old: Directory | None, new: Directory) -> None:
    tenant = names.tenant_of(new.tenant)
    routing = new.routing
    _put(
        tables.tenant,
        connection,
        [
            (
                tenant,
                new.settings.time_zone,
                new.settings.region_code,
                new.settings.currency_code,
                routing.version,
                identity_bytes(new.identity),
                new.etag,
                *_quota(new.quota),
            )
        ],
    )
    _put(
        tables.team,
        connection,
        [
            (
                each.name,
                tenant,
                each.display_name,
                each.party.name,
                each.manager,
                each.parent_team,
                each.inactive,
                *_abilities(each),
            )
            for each in new.teams
            if old is None or old.team(each.name) != each
        ],
    )
    _put(
        tables.person,
        connection,
        [
            (
                each.name,
                tenant,
                each.display_name,
                _joined(each.roles),
                each.team,
                each.inactive,
                *_abilities(each),
            )
            for each in new.people
            if old is None or old.person(each.name) != each
        ],
    )
    _put(
        tables.system,
        connection,
        [
            (each.name, tenant, each.display_name, _joined(each.roles), _joined(each.teams), each.inactive)
            for each in new.systems
            if old is None or old.system(each.name) != each
        ],
    )
    _put(
        tables.queue,
        connection,
        [
            (each.name, tenant, each.display_name, each.team, each.manager, each.inactive)
            for each in new.queues
            if old is None or old.queue(each.name) != each
        ],
    )
    if old is None or old.routing != routing:
        _put(tables.routing_version, connection, [(tenant, routing.version, routing_bytes(routing))])


_SCORING_VERSION = "scoring_version"
"""No part of the directory: who applies one leaves it as it is."""


def _put(table: Table, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows, or replace those of the same key."""
    key = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in {*key, _SCORING_VERSION}]
    UpsertRows(table, key=key, replace=others).upsert(connection, rows)


def _team(row: Row[Any]) -> Team:
    return Team(
        name=row.name,
        display_name=row.display_name,
        party=Party[row.party],
        manager=row.manager,
        parent_team=row.parent_team,
        inactive=row.inactive,
        skills=_words(row.skills),
        territories=_words(row.territories),
        languages=_words(row.languages),
        capacity=row.capacity,
    )


def _person(row: Row[Any]) -> Person:
    return Person(
        name=row.name,
        display_name=row.display_name,
        roles=_roles(row.roles),
        team=row.team,
        inactive=row.inactive,
        skills=_words(row.skills),
        territories=_words(row.territories),
        languages=_words(row.languages),
        capacity=row.capacity,
    )


def _system(row: Row[Any]) -> System:
    return System(
        name=row.name,
        display_name=row.display_name,
        roles=_roles(row.roles),
        teams=_words(row.teams),
        inactive=row.inactive,
    )


def _queue(row: Row[Any]) -> Queue:
    return Queue(
        name=row.name,
        display_name=row.display_name,
        team=row.team,
        manager=row.manager,
        inactive=row.inactive,
    )


def _token(row: Row[Any]) -> Token:
    return Token(
        name=row.name,
        display_name=row.display_name,
        create_time=row.create_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
    )


def _abilities(entry: Team | Person) -> tuple[str, str, str, int]:
    """Return the last columns of a team or person."""
    return _joined(entry.skills), _joined(entry.territories), _joined(entry.languages), entry.capacity


def _quota(quota: TenantQuota) -> tuple[int, int, int]:
    """Return the last columns of a tenant."""
    return quota.calls_per_second, quota.leads_per_day, quota.streams


def _words(joined: str) -> tuple[str, ...]:
    return tuple(joined.split(_SEPARATOR)) if joined else ()


def _joined(words: Iterable[str]) -> str:
    return _SEPARATOR.join(sorted(words))


def _roles(joined: str) -> frozenset[Role]:
    return frozenset(map(Role, joined.split(_SEPARATOR))) if joined else frozenset()


def _tenant_name(name: str) -> str:
    return f"tenants/{names.tenant_of(name)}"
