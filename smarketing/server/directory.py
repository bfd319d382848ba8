"""The service's own copy of the directory: ids, roles and token hashes, as the leads log tells them.

A consumer writes it with the plain values below, in the transaction of its checkpoint; after each
commit the service loads a snapshot, and from then on every call is judged by that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    and_,
    delete,
    insert,
    or_,
    select,
    update,
)

from smarketing.server.auth import Caller, Directory, DirectoryToken, PrincipalKind, Role
from smarketing.sql.types import UtcMicros

__all__ = [
    "DirectoryTables",
    "Principal",
    "PrincipalToken",
    "Team",
    "define_directory",
    "load_directory",
    "put_principals",
    "put_teams",
    "put_tokens",
    "revoke_tokens",
]

_CONDITIONS_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who may call."""

    tenant: str
    """Tenant id, `-` for services and operators of the installation."""
    principal: str
    """Resource name."""
    kind: PrincipalKind
    roles: frozenset[Role]
    party: str = ""
    teams: frozenset[str] = frozenset()
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalToken:
    """One token of a principal, by the hash of its secret."""

    tenant: str
    token_id: str
    principal: str
    secret_hash: bytes
    expire_time: datetime | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team, for the tree party → team → person."""

    tenant: str
    team: str
    """Resource name."""
    party: str
    manager: str = ""
    """Resource name of a person; empty while nobody manages it."""


@dataclass(frozen=True, slots=True)
class DirectoryTables:
    """Principals, their tokens, and the teams."""

    principal: Table
    token: Table
    team: Table


def define_directory(metadata: MetaData) -> DirectoryTables:
    """Declare the tables of the mirror."""
    return DirectoryTables(
        principal=Table(
            "directory_principal",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("principal", Text, primary_key=True),
            Column("kind", Text, nullable=False),
            Column("roles", Text, nullable=False),
            Column("party", Text, nullable=False),
            Column("teams", Text, nullable=False),
            Column("active", Boolean, nullable=False),
        ),
        token=Table(
            "directory_token",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("token_id", Text, primary_key=True),
            Column("principal", Text, nullable=False),
            Column("secret_hash", LargeBinary(32), nullable=False),
            Column("expire_time", UtcMicros),
            Column("revoked", Boolean, nullable=False),
        ),
        team=Table(
            "directory_team",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("team", Text, primary_key=True),
            Column("party", Text, nullable=False),
            Column("manager", Text, nullable=False),
        ),
    )


def put_principals(tables: DirectoryTables, connection: Connection, principals: Sequence[Principal]) -> None:
    """Insert or replace principals; of several with one name the last one counts."""
    rows = [
        {
            "tenant": each.tenant,
            "principal": each.principal,
            "kind": each.kind.value,
            "roles": " ".join(sorted(each.roles)),
            "party": each.party,
            "teams": " ".join(sorted(each.teams)),
            "active": each.active,
        }
        for each in principals
    ]
    _replace(tables.principal, connection, rows, key="principal")


def put_tokens(tables: DirectoryTables, connection: Connection, tokens: Sequence[PrincipalToken]) -> None:
    """Insert or replace tokens."""
    rows = [
        {
            "tenant": each.tenant,
            "token_id": each.token_id,
            "principal": each.principal,
            "secret_hash": each.secret_hash,
            "expire_time": each.expire_time,
            "revoked": each.revoked,
        }
        for each in tokens
    ]
    _replace(tables.token, connection, rows, key="token_id")


def put_teams(tables: DirectoryTables, connection: Connection, teams: Sequence[Team]) -> None:
    """Insert or replace teams."""
    rows = [
        {"tenant": each.tenant, "team": each.team, "party": each.party, "manager": each.manager}
        for each in teams
    ]
    _replace(tables.team, connection, rows, key="team")


def revoke_tokens(tables: DirectoryTables, connection: Connection, tokens: Sequence[tuple[str, str]]) -> None:
    """Revoke tokens, given as (tenant, token id); unknown ones are passed over."""
    token = tables.token
    for tenant, token_id in tokens:
        named = and_(token.c.tenant == tenant, token.c.token_id == token_id)
        connection.execute(update(token).where(named).values(revoked=True))


def load_directory(tables: DirectoryTables, connection: Connection) -> Directory:
    """Return a snapshot of everybody who may call."""
    principal, token = tables.principal, tables.token
    rows = connection.execute(select(principal).where(principal.c.active)).all()
    callers = {(row.tenant, row.principal): _caller(row) for row in rows}
    tokens = connection.execute(select(token).where(~token.c.revoked))
    return Directory(
        tokens=[
            DirectoryToken(
                token_id=row.token_id,
                secret_hash=row.secret_hash,
                caller=callers[row.tenant, row.principal],
                expire_time=row.expire_time,
            )
            for row in tokens
            if (row.tenant, row.principal) in callers
        ],
        people={
            caller.principal: caller.teams
            for caller in callers.values()
            if caller.kind is PrincipalKind.PERSON
        },
    )


def _replace(table: Table, connection: Connection, rows: Sequence[Mapping[str, Any]], *, key: str) -> None:
    latest = {(row["tenant"], row[key]): row for row in rows}
    if not latest:
        return
    same = [and_(table.c.tenant == tenant, table.c[key] == name) for tenant, name in latest]
    for start in range(0, len(same), _CONDITIONS_AT_ONCE):
        connection.execute(delete(table).where(or_(*same[start : start + _CONDITIONS_AT_ONCE])))
    connection.execute(insert(table), list(latest.values()))


def _caller(row: Row[Any]) -> Caller:
    known = frozenset(Role)
    return Caller(
        principal=row.principal,
        tenant=row.tenant,
        kind=PrincipalKind(row.kind),
        # A role that a newer leads invented gives no rights here.
        roles=frozenset(Role(role) for role in row.roles.split() if role in known),
        party=row.party,
        teams=frozenset(row.teams.split()),
    )
