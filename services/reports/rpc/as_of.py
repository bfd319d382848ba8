"""As of when an answer holds, read in the transaction of the answer."""

from typing import Any

from services.reports import wire
from services.reports.domain.as_of import INPUTS
from services.reports.store.input_journal import InputJournal
from services.reports.store.queries import Queries, Question
from smarketing.api.reports.v1 import reports_pb2 as reportspb

__all__ = ["AsOfReader"]


class AsOfReader:
    """Reads how far the logs are folded in, and how many changes of inputs there were."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._journal = InputJournal(queries.tables.input_change)

    def read(self, connection: Any, question: Question, *, above: bool = False) -> reportspb.AsOf:
        """Return as of when an answer to the question holds; `above` tenants by the whole logs."""
        queries = self._queries
        folded = queries.folded(connection) if above else queries.folded_of(connection, question.tenant)
        positions = [
            reportspb.LogPosition(service=log.service, log_id=log.log_id, position=log.position)
            for log in folded
        ]
        changes = self._journal.count(connection, question.tenant)
        if changes:
            positions.append(reportspb.LogPosition(service=INPUTS, position=changes))
        return reportspb.AsOf(
            positions=positions,
            as_of_time=wire.instant_to(question.now),
            newest_event_time=(wire.instant_to(max(log.record_time for log in folded)) if folded else None),
        )
