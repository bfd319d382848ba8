"""Running clocks by the hundred thousand, written straight into the tables of `sla`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from services.sla.store.schema import clock, fact
from tests.builders.sla_engine import Engine

FIRST: Final = "tenants/default/leads/lead-000000000/handoffs/1"
"""The handoff of which all others are copies."""

_INSTANTS: Final = frozenset(
    {"occur_time", "record_time", "start_time", "original_due_time", "due_time", "next_time"}
)
_MICROSECOND: Final = timedelta(microseconds=1)


def put_first(engine: Engine) -> None:
    """Submit and assign the handoff that is copied; its clocks begin now."""
    engine.submit(FIRST)
    engine.assign(FIRST)


def put_copies(
    connection: Connection, first: int, last: int, *, later: timedelta, spacing: timedelta
) -> None:
    """Write handoffs `first` to `last` with facts and clocks: the first one's, so much later, one by one."""
    shift = f"{later // _MICROSECOND} + (n - {first}) * {spacing // _MICROSECOND}"
    handoff = "'tenants/default/leads/lead-' || printf('%09d', n) || '/handoffs/1'"
    for table, own in (
        (fact, {"handoff": handoff}),
        (clock, {"handoff": handoff, "id": "printf('%09d', n) || substr(id, 10)"}),
    ):
        values = {column.name: f'"{column.name}"' for column in table.columns} | own
        for name in _INSTANTS & values.keys():
            values[name] = f'"{name}" + {shift}'
        columns = ", ".join(f'"{name}"' for name in values)
        connection.exec_driver_sql(
            f"WITH RECURSIVE k(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM k WHERE n < {last})"
            f" INSERT INTO {table.name} ({columns}) SELECT {', '.join(values.values())}"
            f" FROM k, {table.name} WHERE handoff = '{FIRST}'"
        )


@contextmanager
def counting_steps(connection: Connection) -> Iterator[list[int]]:
    """Count, in hundreds, the steps that the database's own machine takes meanwhile."""
    counted = [0]

    def count() -> int:
        counted[0] += 100
        return 0

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(count, 100)
    try:
        yield counted
    finally:
        driver.set_progress_handler(None, 0)
