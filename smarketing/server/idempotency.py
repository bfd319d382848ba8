"""`request_id` → the response it got, so that asking again changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import grpc
from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    select,
)

from smarketing.server.errors import FieldViolation, Refusal
from smarketing.sql import FindRows, InsertRows
from smarketing.sql.types import UtcMicros
from smarketing.values import value

__all__ = [
    "RETENTION",
    "IdempotencyKey",
    "IdempotencyRecord",
    "RequestIdReused",
    "define_idempotency",
    "find_records",
    "keep_records",
    "purge_records",
]

RETENTION = timedelta(days=8)
"""How long an answer is kept: the promised seven days, and one for clocks and weekends."""


class IdempotencyKey(NamedTuple):
    """Whose request it was: another tenant, principal or method with the same id is another request."""

    tenant: str
    principal: str
    method: str
    request_id: str


@value(frozen=True, slots=True)
class IdempotencyRecord:
    """What was asked, as a fingerprint, and what was answered."""

    key: IdempotencyKey
    fingerprint: bytes
    response: bytes


class RequestIdReused(Refusal):
    """The id came before with other content; nothing was done."""

    def __init__(self, request_id: str) -> None:
        super().__init__(
            grpc.StatusCode.INVALID_ARGUMENT,
            "IDEMPOTENCY_KEY_REUSED",
            f"The request_id {request_id} was used for another request; take a new one.",
            {"field": "request_id", "request_id": request_id},
            field_violations=[FieldViolation("request_id", "a new UUID for each new request")],
        )


def define_idempotency(metadata: MetaData) -> Table:
    """Declare the table of answered requests."""
    return Table(
        "idempotency_record",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("request_id", Text, primary_key=True),
        Column("principal", Text, primary_key=True),
        Column("method", Text, primary_key=True),
        Column("fingerprint", LargeBinary(32), nullable=False),
        Column("response", LargeBinary, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Index("idempotency_record_by_age", "create_time"),
    )


def find_records(
    table: Table, connection: Connection, keys: Sequence[IdempotencyKey]
) -> Mapping[IdempotencyKey, IdempotencyRecord]:
    """Return the records known for `keys`, with one statement."""
    wanted = [(key.tenant, key.request_id, key.principal, key.method) for key in keys]
    found = _statements(table).find.find(connection, wanted)
    records = (
        IdempotencyRecord(IdempotencyKey(tenant, principal, method, request_id), fingerprint, response)
        for tenant, request_id, principal, method, fingerprint, response in found
    )
    return {record.key: record for record in records}


def keep_records(
    table: Table, connection: Connection, records: Sequence[IdempotencyRecord], *, now: datetime
) -> None:
    """Insert the records; one that exists already is an error of the caller, and rolls the unit back."""
    rows = [
        (
            record.key.tenant,
            record.key.request_id,
            record.key.principal,
            record.key.method,
            record.fingerprint,
            record.response,
            now,
        )
        for record in records
    ]
    _statements(table).insert.insert(connection, rows)


def purge_records(
    table: Table,
    connection: Connection,
    *,
    now: datetime,
    retention: timedelta = RETENTION,
    limit: int = 1000,
) -> int:
    """Delete at most `limit` records older than `retention`, oldest first; returns how many went."""
    aged = (
        select(table.c.tenant, table.c.request_id, table.c.principal, table.c.method)
        .where(table.c.create_time < now - retention)
        .order_by(table.c.create_time)
        .limit(limit)
    )
    keys = [dict(row) for row in connection.execute(aged).mappings()]
    if keys:
        own = [table.c[name] == bindparam(f"aged_{name}") for name in keys[0]]
        statement = delete(table).where(*own)
        connection.execute(
            statement, [{f"aged_{name}": value for name, value in key.items()} for key in keys]
        )
    return len(keys)


@dataclass(frozen=True, slots=True)
class _Statements:
    find: FindRows
    insert: InsertRows


@cache
def _statements(table: Table) -> _Statements:
    # The services' tables are few and live as long as the process.
    columns = [column.name for column in table.columns]
    key = columns[:4]
    return _Statements(FindRows(table, key=key, columns=columns[:6]), InsertRows(table))
