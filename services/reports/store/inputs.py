"""Keeps inputs: one row each, the highest revision that was told."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, or_, select

from services.reports.domain.inputs import InputEntry, InputKind, Outcome
from services.reports.domain.periods import Micros, Period
from services.reports.store.input_journal import InputJournal
from smarketing.sql import FindRows, UpsertRows

__all__ = ["InputStore"]

_KEY = ("tenant", "source_system", "external_id")


class InputStore:
    """Reads and writes inside the caller's transaction."""

    def __init__(self, table: Table, journal: InputJournal | None = None) -> None:
        self._table = table
        self._journal = journal
        self._names = [column.name for column in table.columns]
        others = [name for name in self._names if name not in _KEY]
        self._find = FindRows(table, key=_KEY, columns=self._names, locked=True)
        self._find_of_journeys = FindRows(table, key=["tenant", "journey"], columns=self._names)
        self._upsert = UpsertRows(table, key=_KEY, replace=others)
        self._written = [*_KEY, *others]

    def record(
        self,
        connection: Connection,
        entries: Sequence[InputEntry],
        *,
        may_replace: Callable[[InputEntry], bool],
        now: Micros = 0,
    ) -> list[Outcome | None]:
        """Keep entries in order, and return what became of each: None where the known may not be replaced.

        The same revision changes nothing, a higher one takes its place, a lower one is ignored.
        """
        rows_known = self._find.find(connection, [_key_of(entry) for entry in entries])
        known = {_key_of(entry): entry for entry in map(self._entry, rows_known)}
        kept: dict[tuple[str, ...], InputEntry] = {}
        outcomes: list[Outcome | None] = []
        for entry in entries:
            key = _key_of(entry)
            before = known.get(key)
            outcome = _outcome_of(entry, before)
            if before is not None and outcome is Outcome.REPLACED and not may_replace(before):
                outcomes.append(None)
                continue
            if outcome in (Outcome.RECORDED, Outcome.REPLACED):
                kept[key] = known[key] = entry
            outcomes.append(outcome)
        rows = [[_stored(getattr(entry, name)) for name in self._written] for entry in kept.values()]
        self._upsert.upsert(connection, rows)
        if self._journal is not None:
            self._journal.note(connection, list(kept.values()), now)
        return outcomes

    def overlapping(
        self, connection: Connection, tenant: str, kinds: Iterable[InputKind], period: Period | None
    ) -> list[InputEntry]:
        """Return what was recorded about any day of the period, in order of the keys."""
        table = self._table
        query = (
            select(table)
            .where(
                table.c.tenant == tenant,
                table.c.kind.in_(sorted(kind.value for kind in kinds)),
                table.c.withdrawn == 0,
            )
            .order_by(*(table.c[name] for name in _KEY))
        )
        if period is not None:
            query = query.where(table.c.first_day < period.last, table.c.last_day > period.first)
        return [self._entry(row) for row in connection.execute(query)]

    def touchpoints(self, connection: Connection, tenant: str, journeys: Iterable[str]) -> list[InputEntry]:
        """Return the touchpoints of these ways, by day, whenever they were."""
        found = self._find_of_journeys.find(connection, [(tenant, journey) for journey in journeys])
        return sorted(
            (
                entry
                for entry in map(self._entry, found)
                if entry.kind == InputKind.TOUCHPOINT and not entry.withdrawn
            ),
            key=lambda entry: (entry.first_day, entry.source_system, entry.external_id),
        )

    def page(
        self, connection: Connection, tenant: str, *, source_system: str, after: Sequence[str], limit: int
    ) -> list[InputEntry]:
        """Return entries behind a source system and external id, in that order."""
        table = self._table
        query = (
            select(table)
            .where(table.c.tenant == tenant, table.c.withdrawn == 0)
            .order_by(table.c.source_system, table.c.external_id)
            .limit(limit)
        )
        if source_system:
            query = query.where(table.c.source_system == source_system)
        if after:
            system, external_id = after
            query = query.where(
                or_(
                    table.c.source_system > system,
                    (table.c.source_system == system) & (table.c.external_id > external_id),
                )
            )
        return [self._entry(row) for row in connection.execute(query)]

    def _entry(self, row: Any) -> InputEntry:
        values = dict(zip(self._names, row, strict=True))
        values["withdrawn"] = bool(values["withdrawn"])
        return InputEntry(**values)


def _outcome_of(entry: InputEntry, known: InputEntry | None) -> Outcome:
    if known is None:
        return Outcome.RECORDED
    if entry.revision == known.revision:
        return Outcome.DUPLICATE
    return Outcome.REPLACED if entry.revision > known.revision else Outcome.OUTDATED


def _key_of(entry: InputEntry) -> tuple[str, ...]:
    return entry.tenant, entry.source_system, entry.external_id


def _stored(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
