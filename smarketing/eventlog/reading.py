"""Reads this service's log: pages of it, its head, its identity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection, MetaData, insert, select, text

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checksums import COLUMNS, EventDamaged, checksum_of
from smarketing.eventlog.tables import WHOLE_LOG, define_tables
from smarketing.sql import to_micros

MAX_PAGE_BYTES: Final = 2 * 1024 * 1024
"""A page ends with the event that reaches this size."""

_TYPE_URL: Final = "type.googleapis.com/"
_FETCH_ROWS: Final = 500
_ENVELOPE_BYTES: Final = 400
"""About what an event weighs besides its payload."""

_tables = define_tables(MetaData())

# Text, so that rows come as the driver has them: the page is the hot path of every follower.
_PAGE_OF_ALL: Final = text(
    f"SELECT checksum, {COLUMNS}, payload FROM event_log"  # noqa: S608 -- names of our own columns
    " WHERE position > :after ORDER BY position LIMIT :limit"
)
_PAGE_OF_TENANT: Final = text(
    f"SELECT checksum, {COLUMNS}, payload FROM event_log"  # noqa: S608 -- names of our own columns
    " WHERE tenant = :view AND tenant_position > :after ORDER BY tenant_position LIMIT :limit"
)
_RECORD_TIME_IN_ALL: Final = text("SELECT record_time FROM event_log WHERE position = :position")
_RECORD_TIME_IN_TENANT: Final = text(
    "SELECT record_time FROM event_log WHERE tenant = :view AND tenant_position = :position"
)
_HEAD: Final = text("SELECT i.log_id, h.position FROM log_identity i LEFT JOIN log_head h ON h.view = :view")

_LAST_RECORD_TIME: Final = select(_tables.log_head.c.record_time).where(_tables.log_head.c.view == WHOLE_LOG)


class LogRegressed(Exception):
    """A reader knows more than the log holds, or knows another log: the log was restored or replaced.

    Whoever followed it must not go on: it would skip or double what was recorded anew.
    """

    def __init__(self, *, wanted_log_id: str, wanted_position: int, log_id: str, head_position: int) -> None:
        super().__init__(
            f"position {wanted_position} of log {wanted_log_id or '(any)'} was asked for, "
            f"but this is log {log_id} with head {head_position}"
        )
        self.wanted_log_id = wanted_log_id
        self.wanted_position = wanted_position
        self.log_id = log_id
        self.head_position = head_position


@dataclass(frozen=True, slots=True)
class Page:
    """Contiguous events of one view, oldest first, and the head at the moment they were read."""

    log_id: str
    events: list[eventlogpb.Event]
    head_position: int


def ensure_identity(connection: Connection, *, new_log_id: Callable[[], str]) -> str:
    """Return the `log_id` of the whole log, and give it one, a UUID, when it has none yet."""
    known = connection.execute(select(_tables.log_identity.c.log_id)).scalar()
    if known is not None:
        return str(known)
    log_id = new_log_id()
    connection.execute(insert(_tables.log_identity).values(log_id=str(UUID(log_id))))
    return log_id


def view_log_id(log_id: str, view: str) -> str:
    """Return the id of a view (`tenants/-` or `tenants/{tenant}`) of the log `log_id`."""
    return log_id if view == WHOLE_LOG else str(uuid5(UUID(log_id), view))


def head(connection: Connection, view: str) -> tuple[str, int]:
    """Return the view's log id and the position of its newest event; 0 when it has none."""
    log_id, position = connection.execute(_HEAD, {"view": view}).one()
    return view_log_id(log_id, view), position or 0


def last_record_time(connection: Connection) -> datetime | None:
    """Return when the newest event was recorded, which no transaction's instant may lie before."""
    return connection.execute(_LAST_RECORD_TIME).scalar()


def read(
    connection: Connection,
    view: str,
    *,
    after: int,
    limit: int,
    log_id: str = "",
    after_record_micros: int | None = None,
) -> Page:
    """Return at most `limit` events of the view behind position `after`.

    The page also ends at about `MAX_PAGE_BYTES`. `log_id` is the log that `after` was learnt from;
    empty for whoever knows none. `after_record_micros` is when the event at `after` was recorded, for
    whoever knows it. The connection must see one state throughout, as a reader's does.

    Raises:
        LogRegressed: when this is another log, ends before `after`, or holds another event there.
        EventDamaged: when an event of the page is not as it was recorded.
    """
    own_log_id, head_position = head(connection, view)
    if (
        (log_id and log_id != own_log_id)
        or after > head_position
        or not _recorded_at(connection, view, after, after_record_micros)
    ):
        raise LogRegressed(
            wanted_log_id=log_id, wanted_position=after, log_id=own_log_id, head_position=head_position
        )
    if after == head_position or limit <= 0:
        return Page(own_log_id, [], head_position)
    statement = _PAGE_OF_ALL if view == WHOLE_LOG else _PAGE_OF_TENANT
    events: list[eventlogpb.Event] = []
    size = 0
    with connection.execute(statement, {"view": view, "after": after, "limit": limit}) as rows:
        for row in rows.yield_per(_FETCH_ROWS):
            events.append(_event(own_log_id, view, row))
            size += len(row[-1]) + _ENVELOPE_BYTES
            if size >= MAX_PAGE_BYTES:
                break
    return Page(own_log_id, events, head_position)


def _recorded_at(connection: Connection, view: str, position: int, micros: int | None) -> bool:
    """Tell whether the event at a position is the one that a reader remembers.

    A log restored from an older copy has the same identity, and may have grown beyond the reader
    again. What it recorded since was recorded later: no two events share both position and instant.
    """
    if micros is None or not position:
        return True
    statement = _RECORD_TIME_IN_ALL if view == WHOLE_LOG else _RECORD_TIME_IN_TENANT
    stored = connection.execute(statement, {"view": view, "position": position}).scalar()
    return stored is not None and _micros(stored) == micros


def _event(log_id: str, view: str, row: Sequence[Any]) -> eventlogpb.Event:
    (
        checksum,
        position,
        tenant,
        tenant_position,
        subject,
        subject_version,
        occur_time,
        record_time,
        actor,
        traceparent,
        cause_log_id,
        cause_position,
        cause_tenant_position,
        skippable,
        payload_type,
        payload,
    ) = row
    occur_micros, record_micros = _micros(occur_time), _micros(record_time)
    if checksum is not None and checksum != checksum_of((*row[1:6], occur_micros, record_micros, *row[8:])):
        raise EventDamaged(position if view == WHOLE_LOG else tenant_position)
    # Field by field: handing whole sub-messages to the constructor costs nearly twice as much.
    event = eventlogpb.Event(
        log_id=log_id,
        position=position if view == WHOLE_LOG else tenant_position,
        tenant=tenant,
        subject=subject,
        subject_version=subject_version,
        actor=actor,
        traceparent=traceparent,
        skippable=bool(skippable),
        tenant_position=tenant_position,
    )
    _set_instant(event.occur_time, occur_micros)
    _set_instant(event.record_time, record_micros)
    if cause_log_id is not None and view == WHOLE_LOG:
        event.cause.log_id = cause_log_id
        event.cause.position = cause_position
    elif cause_tenant_position is not None:
        # Positions of the whole log count what other tenants do; a tenant is told of its own alone.
        event.cause.log_id = view_log_id(cause_log_id, view)
        event.cause.position = cause_tenant_position
    packed = event.payload
    packed.type_url = _TYPE_URL + payload_type
    packed.value = payload
    return event


def _set_instant(target: Timestamp, micros: int) -> None:
    """Fill in an instant."""
    seconds, micros = divmod(micros, 1_000_000)
    target.seconds = seconds
    target.nanos = micros * 1000


def _micros(stored: int | datetime) -> int:
    return stored if isinstance(stored, int) else to_micros(stored)
