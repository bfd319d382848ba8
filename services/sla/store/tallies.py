"""Totals of what happened to clocks, kept in the transaction that makes it happen."""

from collections import Counter
from typing import Final

from sqlalchemy import Connection

from services.sla.domain.course import Outcome
from services.sla.domain.events import (
    BreachExcused,
    BreachRetracted,
    ClockBreached,
    ClockMet,
    ClockStarted,
    ClockVoided,
    RungFired,
)
from services.sla.domain.recorded import Clock, Happening
from services.sla.store import schema
from smarketing.sql import UpsertRows

STARTED: Final = "started"
SETTLED: Final = "settled"
RETRACTED: Final = "retracted"
RUNG: Final = "rung"
EXCEPTION: Final = "exception"

_add: Final = UpsertRows(
    schema.tally, key=["tenant", "what", "commitment_id", "team", "label"], add=["count"]
)


class Tallies:
    """Counts by tenant, what, commitment, team and label; never less than before."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str, str, str]] = Counter()

    def count(self, clock: Clock, happening: Happening) -> None:
        """Count one thing that happened to a clock."""
        match happening:
            case ClockStarted():
                self._add(clock, STARTED)
            case ClockMet():
                self._settle(clock, "met")
            case ClockBreached():
                self._settle(clock, "breached")
            case ClockVoided():
                self._settle(clock, "void")
            case BreachExcused():
                self._settle(clock, "excused")
            case BreachRetracted():
                self._retracted(clock)
            case RungFired(rung=rung):
                self._add(clock, RUNG, label=rung)
            case _:
                return

    def count_exception(self, tenant: str, commitment_id: str, label: str) -> None:
        """Count what became of a request for an exception."""
        self._counts[tenant, EXCEPTION, commitment_id, "", label] += 1

    def flush(self, connection: Connection) -> None:
        """Add the counts to the totals."""
        _add.upsert(connection, [(*key, count) for key, count in self._counts.items()])

    def _retracted(self, clock: Clock) -> None:
        # The miss stays counted: a total does not fall. What is taken back has its own.
        self._add(clock, RETRACTED)
        if clock.outcome is Outcome.MET:
            self._settle(clock, "met")

    def _settle(self, clock: Clock, outcome: str) -> None:
        self._add(clock, SETTLED, team=clock.team, label=outcome)

    def _add(self, clock: Clock, what: str, *, team: str = "", label: str = "") -> None:
        self._counts[clock.tenant, what, clock.commitment_id, team, label] += 1
