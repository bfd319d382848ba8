"""`request_id` → the response it got, so that asking again changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import grpc
from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
)

from smarketing.server.errors import FieldViolation, Refusal
from smarketing.sql.types import UtcMicros

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


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Whose request it was: another tenant, principal or method with the same id is another request."""

    tenant: str
    principal: str
    method: str
    request_id: str


@dataclass(frozen=True, slots=True)
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
    rows = connection.execute(
        select(
            table.c.tenant,
            table.c.principal,
            table.c.method,
            table.c.request_id,
            table.c.fingerprint,
            table.c.response,
        ).where(
            and_(
                table.c.tenant.in_({key.tenant for key in keys}),
                table.c.request_id.in_({key.request_id for key in keys}),
            )
        )
    )
    wanted = frozenset(keys)
    # The statement may match another caller's use of the same id; only exact keys count.
    found = ((IdempotencyKey(*row[:4]), row[4], row[5]) for row in rows)
    return {
        key: IdempotencyRecord(key, fingerprint, response)
        for key, fingerprint, response in found
        if key in wanted
    }


def keep_records(
    table: Table, connection: Connection, records: Sequence[IdempotencyRecord], *, now: datetime
) -> None:
    """Insert the records; one that exists already is an error of the caller, and rolls the unit back."""
    if not records:
        return
    connection.execute(
        insert(table),
        [
            {
                "tenant": record.key.tenant,
                "principal": record.key.principal,
                "method": record.key.method,
                "request_id": record.key.request_id,
                "fingerprint": record.fingerprint,
                "response": record.response,
                "create_time": now,
            }
            for record in records
        ],
    )


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
    keys = connection.execute(aged).all()
    if not keys:
        return 0
    columns = table.c
    for tenant, request_id, principal, method in keys:
        connection.execute(
            delete(table).where(
                columns.tenant == tenant,
                columns.request_id == request_id,
                columns.principal == principal,
                columns.method == method,
            )
        )
    return len(keys)
