"""What is pinned when a clock starts, changed in the one way that it can be."""

from sqlalchemy import Connection, update

from services.sla.domain.recorded import Clock
from services.sla.store import schema
from services.sla.store.rows import clock_values

_PINNED = ("agreement_version", "calendar_version", "basis", "parties", "target")


def repin(connection: Connection, clock: Clock) -> bool:
    """Keep by what a clock is measured from now on; tell whether it is still as it was read."""
    table, values = schema.clock, clock_values(clock)
    done = connection.execute(
        update(table)
        .where(table.c.id == clock.id, table.c.generation == clock.generation)
        .values({name: values[name] for name in _PINNED} | {"generation": clock.generation + 1})
    )
    return done.rowcount == 1
