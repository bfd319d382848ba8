"""What a fold of one log has at hand, so that the next batch need not read it again.

It is what the database holds as long as the log is folded in to where it was when that was kept: a
transaction that was rolled back, another process that went on, or a log that began anew shows in that.
"""

from typing import Any, Final

from sqlalchemy import Connection, Table, select

from services.reports.domain.clocks import ClockFact
from services.reports.domain.handoffs import HandoffFact
from services.reports.domain.opportunities import OpportunityFact
from services.reports.store.facts import Facts, FactStatements
from services.reports.store.schema import Tables
from services.reports.store.sheet import Sheet

__all__ = ["RecentFacts", "Statements"]

_MOST_FACTS: Final = 40_000
"""Of each kind; about two kilobytes each."""


class Statements:
    """How each kind of fact that is kept at hand is read and written."""

    def __init__(self, tables: Tables) -> None:
        self.folded_log: Table = tables.folded_log
        self.handoffs = FactStatements(tables.handoff_fact, HandoffFact, settle=HandoffFact.settle)
        self.deals = FactStatements(tables.opportunity_fact, OpportunityFact)
        self.clocks = FactStatements(tables.clock_fact, ClockFact)


class RecentFacts:
    """A bounded number of facts, the least recently touched leave first, and sums not written yet."""

    def __init__(self, statements: Statements, service: str, *, sheet: Sheet | None = None) -> None:
        columns = statements.folded_log.c
        self._where = select(columns.log_id, columns.position).where(columns.service == service)
        self._place: tuple[Any, ...] | None = None
        self.handoffs = Facts(statements.handoffs)
        self.deals = Facts(statements.deals)
        self.clocks = Facts(statements.clocks)
        self.sheet = Sheet() if sheet is None else sheet

    @property
    def most_changed(self) -> int:
        """Of the kind of which most are to be written, how many."""
        return max(facts.changed_count for facts in self._kinds)

    @property
    def _kinds(self) -> tuple[Facts[Any], ...]:
        return self.handoffs, self.deals, self.clocks

    def begin(self, connection: Connection) -> None:
        """Forget everything unless the log is folded in to the place at which it was kept."""
        row = connection.execute(self._where).one_or_none()
        if row is None or tuple(row) != self._place:
            for facts in self._kinds:
                facts.clear()
            self.sheet.take_all()
        # What is kept from now on is true only once this transaction is committed.
        self._place = None

    def end(self, log_id: str, position: int) -> None:
        """Note where the log will be folded in to when the transaction is committed."""
        self._place = (log_id, position)
        self.let_go(_MOST_FACTS)

    def let_go(self, most: int) -> None:
        """Keep at most so many facts of each kind that are written: the ones touched last."""
        for facts in self._kinds:
            facts.let_go(most)
