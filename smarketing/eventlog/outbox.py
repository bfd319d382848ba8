"""Appends events to this service's log, in the transaction that makes them true."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from google.protobuf.message import Message
from sqlalchemy import Connection, MetaData

from smarketing.eventlog.checksums import checksum_of
from smarketing.eventlog.tables import WHOLE_LOG, define_tables
from smarketing.failpoints import failpoint
from smarketing.sql import FindRows, InsertRows, KeyedStatement, UpsertRows, has_turn_alone, to_micros
from smarketing.values import value

_tables = define_tables(MetaData())
_event_log = _tables.event_log.columns
_insert_events: Final = InsertRows(_tables.event_log)
_HEAD: Final = ["view", "position", "record_time"]
_find_heads: Final = FindRows(_tables.log_head, key=["view"], columns=_HEAD)
_lock_heads: Final = FindRows(_tables.log_head, key=["view"], columns=_HEAD, locked=True)
_put_heads: Final = UpsertRows(_tables.log_head, key=["view"], replace=["position", "record_time"])
_latest_versions: Final = KeyedStatement(
    [_event_log.tenant, _event_log.subject],
    "SELECT k.k0, k.k1, (SELECT max(e.subject_version) FROM event_log e"
    " WHERE e.tenant = k.k0 AND e.subject = k.k1) FROM k WHERE k.k0 IS NOT NULL",
)


MAX_PAYLOAD_BYTES: Final = 256 * 1024
"""What one event may weigh; followers size their memory by it."""


class EventTooLarge(ValueError):
    """An event's payload is beyond `MAX_PAYLOAD_BYTES`: the request that would cause it asks for too much."""

    def __init__(self, subject: str, size_bytes: int) -> None:
        super().__init__(f"an event of {subject} weighs {size_bytes} bytes, more than {MAX_PAYLOAD_BYTES}")
        self.subject = subject
        self.size_bytes = size_bytes


@dataclass(frozen=True, slots=True)
class Cause:
    """The event of another log that an event answers."""

    log_id: str
    """Of the whole log."""
    position: int
    """In the whole log."""
    tenant_position: int = 0
    """In the view of the tenant; 0 when not known, and then the tenant is not told of the cause."""


@value(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A fact about to be recorded."""

    tenant: str
    """`tenants/{tenant}`."""
    subject: str
    """The resource it is about."""
    occur_time: datetime
    """When it happened."""
    actor: str
    """Who made it happen: a person, or a system; a service of ours is a system of `tenants/-`."""
    payload: Message
    """What happened: a message of the service's `events.proto`."""
    skippable: bool = False
    """A reader that does not know the payload's type may pass over it."""
    cause: Cause | None = None
    traceparent: str = ""


def begin_log(connection: Connection, *, now: datetime) -> None:
    """Make the row by which transactions that share their turn wait for one another, where there is none."""
    if not _find_heads.find(connection, [(WHOLE_LOG,)]):
        _put_heads.upsert(connection, [(WHOLE_LOG, 0, now)])


def append(connection: Connection, events: Sequence[NewEvent], *, now: datetime) -> None:
    """Record the events, adjacent and in this order, with the next positions and subject versions.

    They are in the log when, and only when, the caller's transaction commits. `record_time` is `now`,
    or the newest recorded time if the clock went back since. Call it once per batch: its cost is per
    call rather than per event. The caller's connection must hold the write lock, as the writer's does.

    On PostgreSQL that is the lock which every writing transaction begins with, so positions are given out in
    the order of commits there too. Transactions that share it have their turn one after the other from here
    on, by the rows of the heads, which they keep until they have committed.

    Raises:
        EventTooLarge: when a payload is too large to be followed.
    """
    if not events:
        return
    views = dict.fromkeys([WHOLE_LOG, *(event.tenant for event in events)])
    find_heads = _find_heads if has_turn_alone(connection) else _lock_heads
    found = find_heads.find(connection, [(view,) for view in views])
    heads: dict[str, int] = {view: position for view, position, _ in found}
    record_time = max([now, *(recorded for _, _, recorded in found)])
    versions = _versions(connection, events)
    recorded = (record_time, to_micros(record_time))
    rows = [_row(event, heads, versions, recorded) for event in events]
    _insert_events.insert(connection, rows)
    _put_heads.upsert(connection, [(view, heads[view], record_time) for view in views])
    failpoint("outbox.after_append")


def _versions(connection: Connection, events: Sequence[NewEvent]) -> dict[tuple[str, str], int]:
    subjects = list(dict.fromkeys((event.tenant, event.subject) for event in events))
    found, _ = _latest_versions.run(connection, subjects)
    return {(tenant, subject): version or 0 for tenant, subject, version in found}


def _row(
    event: NewEvent,
    heads: dict[str, int],
    versions: dict[tuple[str, str], int],
    recorded: tuple[datetime, int],
) -> tuple[object, ...]:
    """Return the event's row, and move the heads and versions on."""
    record_time, record_micros = recorded
    position = heads[WHOLE_LOG] = heads.get(WHOLE_LOG, 0) + 1
    if event.tenant == WHOLE_LOG:
        # The installation's own events: they are in no tenant's view, only in the whole log.
        tenant_position = position
    else:
        tenant_position = heads[event.tenant] = heads.get(event.tenant, 0) + 1
    key = (event.tenant, event.subject)
    version = versions[key] = versions[key] + 1
    payload = event.payload.SerializeToString(deterministic=True)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise EventTooLarge(event.subject, len(payload))
    cause = event.cause
    before = (position, event.tenant, tenant_position, event.subject, version)
    after = (
        event.actor,
        event.traceparent,
        cause.log_id if cause else None,
        cause.position if cause else None,
        cause.tenant_position or None if cause else None,
        event.skippable,
        event.payload.DESCRIPTOR.full_name,
        payload,
    )
    # Most events are recorded in the instant in which they happen.
    occur_micros = record_micros if event.occur_time is record_time else to_micros(event.occur_time)
    checksum = checksum_of((*before, occur_micros, record_micros, *after))
    return (*before, event.occur_time, record_time, *after, checksum)
