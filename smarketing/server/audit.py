"""The audit trail: per tenant a chain of entries in which each hash seals all that came before."""

import enum
import hashlib
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache

from sqlalchemy import Column, Connection, LargeBinary, MetaData, Row, Table, Text, select

from smarketing.sql import FindRows, InsertRows, UpsertRows
from smarketing.sql.types import BigInt, UtcMicros, to_micros
from smarketing.values import value

__all__ = [
    "AuditEntry",
    "AuditOutcome",
    "AuditTables",
    "Verdict",
    "append_entries",
    "define_audit",
    "verify_chain",
]

_VERSION = b"\x01"
_length = struct.Struct(">I").pack
_ROWS_AT_ONCE = 1000


class AuditOutcome(enum.IntEnum):
    """What became of a call; the numbers are those of the contract and of the stored rows."""

    APPLIED = 1
    REPLAYED = 2
    REFUSED = 3
    DENIED = 4


@value(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who asked for what, and what came of it."""

    tenant: str
    principal: str
    on_behalf_of: str
    method: str
    resource: str
    outcome: AuditOutcome
    reason: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditTables:
    """The entries, and per tenant the end of the chain, so that a cut-off tail shows too."""

    entry: Table
    head: Table


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along a tenant's chain found."""

    entries_checked: int
    first_broken_sequence: int | None


def define_audit(metadata: MetaData) -> AuditTables:
    """Declare the tables of the audit trail."""
    entry = Table(
        "audit_entry",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("sequence", BigInt, primary_key=True, autoincrement=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("principal", Text, nullable=False),
        Column("on_behalf_of", Text, nullable=False),
        Column("method", Text, nullable=False),
        Column("resource", Text, nullable=False),
        Column("outcome", BigInt, nullable=False),
        Column("reason", Text, nullable=False),
        Column("request_id", Text, nullable=False),
        Column("previous_hash", LargeBinary(32), nullable=False),
        Column("hash", LargeBinary(32), nullable=False),
    )
    head = Table(
        "audit_head",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("sequence", BigInt, nullable=False, autoincrement=False),
        Column("hash", LargeBinary(32), nullable=False),
    )
    return AuditTables(entry, head)


def append_entries(
    tables: AuditTables, connection: Connection, entries: Sequence[AuditEntry], *, now: datetime
) -> None:
    """Add the entries to the ends of their tenants' chains, in order, within the caller's transaction."""
    if not entries:
        return
    by_tenant: dict[str, list[AuditEntry]] = defaultdict(list)
    for entry in entries:
        by_tenant[entry.tenant].append(entry)
    statements = _statements(tables)
    heads = _heads(statements.lock_heads, connection, by_tenant)
    rows: list[tuple[object, ...]] = []
    moved: list[tuple[object, ...]] = []
    for tenant, added in by_tenant.items():
        sequence, previous_hash = heads.get(tenant, (0, b""))
        for entry in added:
            sequence += 1
            digest = _digest(entry, sequence, now, previous_hash)
            rows.append(_row(entry, sequence, now, previous_hash, digest))
            previous_hash = digest
        moved.append((tenant, sequence, previous_hash))
    statements.move_heads.upsert(connection, moved)
    statements.insert_entries.insert(connection, rows)


def verify_chain(tables: AuditTables, connection: Connection, tenant: str) -> Verdict:
    """Recompute every hash of a tenant from the first entry, and compare the end with the head."""
    sequence, previous_hash = 0, b""
    for row in _rows_of(tables.entry, connection, tenant):
        entry = _entry_of(row)
        digest = _digest(entry, row.sequence, row.record_time, previous_hash)
        if (row.sequence, row.previous_hash, row.hash) != (sequence + 1, previous_hash, digest):
            return Verdict(sequence, sequence + 1)
        sequence, previous_hash = row.sequence, row.hash
    head = _heads(_statements(tables).find_heads, connection, [tenant]).get(tenant, (0, b""))
    return Verdict(sequence, None if head == (sequence, previous_hash) else sequence + 1)


@dataclass(frozen=True, slots=True)
class _Statements:
    lock_heads: FindRows
    find_heads: FindRows
    move_heads: UpsertRows
    insert_entries: InsertRows


@cache
def _statements(tables: AuditTables) -> _Statements:
    # The services' tables are few and live as long as the process.
    return _Statements(
        # Where several writers exist, the locked head is what keeps a chain from forking.
        FindRows(tables.head, key=["tenant"], locked=True),
        FindRows(tables.head, key=["tenant"]),
        UpsertRows(tables.head, key=["tenant"], replace=["sequence", "hash"]),
        InsertRows(tables.entry),
    )


def _heads(find: FindRows, connection: Connection, tenants: Iterable[str]) -> Mapping[str, tuple[int, bytes]]:
    found = find.find(connection, [(tenant,) for tenant in tenants])
    return {tenant: (sequence, digest) for tenant, sequence, digest in found}


def _rows_of(entry: Table, connection: Connection, tenant: str) -> Iterator[Row[tuple[object, ...]]]:
    after = 0
    while True:
        page = (
            select(entry)
            .where(entry.c.tenant == tenant, entry.c.sequence > after)
            .order_by(entry.c.sequence)
            .limit(_ROWS_AT_ONCE)
        )
        rows = connection.execute(page).all()
        yield from rows
        if len(rows) < _ROWS_AT_ONCE:
            return
        after = rows[-1].sequence


def _entry_of(row: Row[tuple[object, ...]]) -> AuditEntry:
    return AuditEntry(
        tenant=row.tenant,
        principal=row.principal,
        on_behalf_of=row.on_behalf_of,
        method=row.method,
        resource=row.resource,
        outcome=row.outcome,
        reason=row.reason,
        request_id=row.request_id,
    )


def _row(
    entry: AuditEntry, sequence: int, now: datetime, previous_hash: bytes, digest: bytes
) -> tuple[object, ...]:
    return (
        entry.tenant,
        sequence,
        now,
        entry.principal,
        entry.on_behalf_of,
        entry.method,
        entry.resource,
        int(entry.outcome),
        entry.reason,
        entry.request_id,
        previous_hash,
        digest,
    )


def _digest(entry: AuditEntry, sequence: int, record_time: datetime, previous_hash: bytes) -> bytes:
    # Each field is led by its length, so that no two entries read alike when run together.
    sealed = (
        _VERSION,
        _led(previous_hash),
        _led_text(entry.tenant),
        _led(b"%d" % sequence),
        _led(b"%d" % to_micros(record_time)),
        _led_text(entry.principal),
        _led_text(entry.on_behalf_of),
        _led_text(entry.method),
        _led_text(entry.resource),
        _led(b"%d" % entry.outcome),
        _led_text(entry.reason),
        _led(entry.request_id.encode()),
    )
    return hashlib.sha256(b"".join(sealed)).digest()


def _led(field: bytes) -> bytes:
    return _length(len(field)) + field


@lru_cache(maxsize=1024)
def _led_text(text: str) -> bytes:
    """Return what most entries have in common with those before."""
    return _led(text.encode())
