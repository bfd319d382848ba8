"""A sum over each stored event, by which a value that changed on the way to the disk or on it is seen.

The database's own check knows the shape of its pages, not what they say.
"""

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from smarketing.sql import StorageCorrupt, to_micros

COLUMNS: Final = (
    "position, tenant, tenant_position, subject, subject_version, occur_time, record_time, actor,"
    " traceparent, cause_log_id, cause_position, cause_tenant_position, skippable, payload_type"
)
"""What the sum is of, in this order, besides the payload."""

_FETCH_ROWS: Final = 1_000
_ALL: Final = text(
    f"SELECT {COLUMNS}, payload, checksum FROM event_log WHERE checksum IS NOT NULL ORDER BY position"  # noqa: S608 -- names of our own columns
)


class EventDamaged(StorageCorrupt):
    """The event stored at a position of a view is not the one that was recorded there."""

    def __init__(self, position: int) -> None:
        super().__init__(f"the event at position {position} is not as it was recorded")
        self.position = position


def checksum_of(kept: Sequence[Any]) -> int:
    """Return the CRC-32 of all that is kept of an event; a changed one almost surely has another.

    `kept` are the values of `COLUMNS`, instants in microseconds, and the payload.
    """
    (
        position,
        tenant,
        tenant_position,
        subject,
        subject_version,
        occur_micros,
        record_micros,
        actor,
        traceparent,
        cause_log_id,
        cause_position,
        cause_tenant_position,
        skippable,
        payload_type,
        payload,
    ) = kept
    # One text of all: a call of `crc32` for each would cost several times as much.
    cause = f"{cause_log_id}\0{cause_position}\0{cause_tenant_position}" if cause_log_id else ""
    around = (
        f"{position}\0{tenant}\0{tenant_position}\0{subject}\0{subject_version}\0{occur_micros}"
        f"\0{record_micros}\0{actor}\0{traceparent}\0{cause}\0{int(skippable)}\0{payload_type}"
    )
    return zlib.crc32(payload, zlib.crc32(around.encode()))


def damaged_positions(connection: Connection) -> Iterator[int]:
    """Yield where in the whole log an event is not as it was recorded, oldest first.

    Events that were recorded before there were sums are passed over.
    """
    with connection.execute(_ALL) as rows:
        for *values, checksum in rows.yield_per(_FETCH_ROWS):
            values[5:7] = (_micros(value) for value in values[5:7])
            if checksum_of(values) != checksum:
                yield values[0]


def _micros(stored: Any) -> int:
    """Return what the driver gave for a `UtcMicros` column."""
    return to_micros(stored) if isinstance(stored, datetime) else stored
