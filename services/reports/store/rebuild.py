"""Makes the read model anew from the beginnings of both logs, while nobody reads it.

It is folded by the code that follows the logs; only what is written when differs. A fact is written once it
was not touched for long, and the sums of a day once so many younger ones are counted, so that most are
written once instead of at every batch. In between, the tables say nothing that could be relied upon.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete

from services.reports.domain.agreements import TenantSet
from services.reports.store.fold import LeadWord, ReadModel, SlaWord
from services.reports.store.recent import RecentFacts

__all__ = ["Rebuild"]

_MOST_FACTS: Final = 60_000
"""Of each kind at hand, about two kilobytes each; a quarter more before the oldest are written."""
_MOST_SUMS: Final = 250_000
"""At hand, about a third of a kilobyte each; twice as many before those of the oldest days are written."""


class Rebuild:
    """One rebuild. Takes the words of both logs, each in order, in transactions of the caller's choice."""

    def __init__(
        self, model: ReadModel, *, most_facts: int = _MOST_FACTS, most_sums: int = _MOST_SUMS
    ) -> None:
        self._model = model
        self._most_facts = most_facts
        self._most_sums = most_sums
        # What one log counts and the other takes back must not be written in the other order.
        self._leads, self._sla = model.recent_facts_of_both()

    def begin(self, connection: Connection) -> None:
        """Empty the read model."""
        for table in self._model.tables.read_model:
            connection.execute(delete(table))

    def take_leads(self, connection: Connection, words: Sequence[LeadWord]) -> None:
        """Take what the leads log says next.

        Raises:
            FactMissing: when a word is about a handoff that was never submitted.
        """
        if any(type(word) is TenantSet for word in words):
            # Days may begin at other instants from now on, and all that is written be counted anew by them.
            self._settle(connection, self._sla)
        self._model.take_leads(connection, words, self._leads)
        self._relieve(connection, self._leads)

    def take_sla(self, connection: Connection, words: Sequence[SlaWord]) -> None:
        """Take what the sla log says next."""
        self._model.take_sla(connection, words, self._sla)
        self._relieve(connection, self._sla)

    def finish(self, connection: Connection) -> None:
        """Write everything that is at hand: the tables are then those of the logs."""
        for at_hand in (self._leads, self._sla):
            self._settle(connection, at_hand)

    def _settle(self, connection: Connection, at_hand: RecentFacts) -> None:
        self._model.settle(connection, at_hand)
        self._model.post(connection, at_hand)

    def _relieve(self, connection: Connection, at_hand: RecentFacts) -> None:
        if at_hand.most_changed > self._most_facts * 5 // 4:
            self._model.settle(connection, at_hand, but_newest=self._most_facts)
            at_hand.let_go(self._most_facts)
        self._model.post(connection, at_hand, but_newest=self._most_sums)
