"""How far each consumer is: rows that are written together with what the consumer did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, MetaData, delete, select

from smarketing.eventlog.tables import define_tables
from smarketing.sql import UpsertRows

_table = define_tables(MetaData()).consumer_checkpoint
_put: Final = UpsertRows(
    _table, key=["consumer"], replace=["log_id", "position", "progress_time", "attempts", "record_time"]
)


def relay_name(log: str) -> str:
    """Return under what name the place of a log's relay is kept: it is a consumer of its own log."""
    return f"{log}.relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a consumer has done with: everything up to `position` of the log `log_id`."""

    consumer: str
    log_id: str
    """Empty until the consumer has seen its log."""
    position: int
    progress_time: datetime
    """When it got here."""
    attempts: int
    """How often handling what follows was begun, by this process or one before, without getting further."""
    record_time: datetime | None = None
    """When the event at `position` was recorded; None when not known, as after a reset."""


def find_checkpoint(connection: Connection, consumer: str, *, to_move: bool = False) -> Checkpoint | None:
    """Return the consumer's checkpoint; None before its first.

    With `to_move` nobody else moves it before this transaction ends, also where writers overlap.
    """
    query = select(_table).where(_table.c.consumer == consumer)
    row = connection.execute(query.with_for_update() if to_move else query).one_or_none()
    return None if row is None else _checkpoint_of(row)


def list_group(connection: Connection, group: str) -> list[Checkpoint]:
    """Return the checkpoints of a group: of its one consumer, or of the members that divide its log."""
    found = list_checkpoints(connection)
    return [each for each in found if each.consumer == group or _is_member(each.consumer, group)]


def find_place(connection: Connection, group: str) -> Checkpoint | None:
    """Return the checkpoint up to which all of a group have done everything; None before its first."""
    return min(list_group(connection, group), key=lambda each: each.position, default=None)


def forget_checkpoints(connection: Connection, consumers: Sequence[str]) -> None:
    """Delete checkpoints."""
    connection.execute(delete(_table).where(_table.c.consumer.in_(consumers)))


def _is_member(consumer: str, group: str) -> bool:
    number, of, count = consumer.removeprefix(f"{group}.").partition("of")
    return consumer.startswith(f"{group}.") and of == "of" and number.isdigit() and count.isdigit()


def list_checkpoints(connection: Connection) -> list[Checkpoint]:
    """Return every consumer's checkpoint, for metrics."""
    rows = connection.execute(select(_table).order_by(_table.c.consumer))
    return [_checkpoint_of(row) for row in rows]


def _checkpoint_of(row: Any) -> Checkpoint:
    return Checkpoint(
        consumer=row.consumer,
        log_id=row.log_id,
        position=row.position,
        progress_time=row.progress_time,
        attempts=row.attempts,
        record_time=row.record_time,
    )


def put_checkpoint(connection: Connection, checkpoint: Checkpoint) -> None:
    """Store the checkpoint in the place of the consumer's last one."""
    row = (
        checkpoint.consumer,
        checkpoint.log_id,
        checkpoint.position,
        checkpoint.progress_time,
        checkpoint.attempts,
        checkpoint.record_time,
    )
    _put.upsert(connection, [row])


def reset_checkpoint(
    connection: Connection, consumer: str, *, log_id: str, position: int, now: datetime
) -> None:
    """Let the consumer go on behind `position` of the log `log_id`: an operator's answer to `LogRegressed`.

    What the consumer made of the old log is the operator's to set right first.

    Raises:
        ValueError: the consumer is a group that divides its log: no one place is its own.
    """
    if any(place.consumer != consumer for place in list_group(connection, consumer)):
        raise ValueError(f"{consumer} divides its log")
    put_checkpoint(
        connection,
        Checkpoint(consumer=consumer, log_id=log_id, position=position, progress_time=now, attempts=0),
    )
