"""What clocks say at an instant: the same evaluation that decided them, asked again."""

from collections.abc import Sequence
from datetime import datetime

from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.recorded import Clock
from services.sla.store.archive import Archive
from services.sla.store.tx import SlaTx
from smarketing.sql import Connection


def states_of(
    connection: Connection, archive: Archive, clocks: Sequence[Clock], *, as_of: datetime
) -> dict[str, ClockState]:
    """Return the evaluation of each clock by its name; one that had not started by then is left out."""
    tx = SlaTx(connection, archive, now=as_of)
    histories = tx.histories({clock.handoff for clock in clocks})
    found: dict[str, ClockState] = {}
    for clock in clocks:
        measure = tx.measure(clock.agreement_version)
        timeline = histories[clock.handoff].timeline
        calendars = tx.calendars_of(clock, timeline.facts)
        for state in evaluate(measure.agreement, calendars, timeline, as_of):
            if (state.key.commitment, state.key.origin) == (clock.commitment_id, clock.origin):
                found[clock.name] = state
    return found
