"""Words of both logs as reports folds them, an empty read model, and random but possible histories."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import MetaData, select

from services.reports.domain.agreements import MarketingQuota
from services.reports.domain.clocks import ClockChange, ClockEvent
from services.reports.domain.inputs import InputEntry, Outcome
from services.reports.domain.periods import Micros, micros_of
from services.reports.domain.words import Origin, Submitted
from services.reports.store.fold import LeadWord, ReadModel, SlaWord
from services.reports.store.inputs import InputStore
from services.reports.store.marketing_quotas import MarketingQuotas
from services.reports.store.schema import Tables, define_tables
from smarketing.sql.engine import Database
from tests.builders.stores import a_database

TENANT = "tenants/default"
# The model holds no data, only statements, which are rendered once for all ledgers.
_TABLES = define_tables(MetaData())
_MODEL = ReadModel(_TABLES)
_INPUTS = InputStore(_TABLES.input_entry)
_QUOTAS = MarketingQuotas(_TABLES)
_OF_SUBMISSION = (
    "historical",
    "archived",
    "tenant",
    "value_currency",
    "value_minor_units",
    "conforming",
    "required_fields",
    "valid_fields",
    "band",
    "score",
)
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(*, days: float = 0, hours: float = 0, minutes: float = 0, since: datetime = MONDAY) -> Micros:
    """Return an instant as so much after Monday, 2 March 2026, 09:00 UTC."""
    return micros_of(since + timedelta(days=days, hours=hours, minutes=minutes))


def handoff(number: int = 1) -> str:
    return f"{TENANT}/leads/l{number}/handoffs/1"


def submitted(number: int = 1, time: Micros | None = None, **changes: Any) -> Submitted:
    """Return a submission on Monday; `changes` to the origin or to the submission itself."""
    own = {name: changes.pop(name) for name in _OF_SUBMISSION if name in changes}
    origin = Origin(**{"source": "webform", "source_channel": "website_form", **changes})
    return Submitted(
        own.pop("tenant", TENANT),
        handoff(number),
        at() if time is None else time,
        f"l{number}",
        origin,
        **own,
    )


def clock_event(change: ClockChange, time: Micros, number: int = 1, **changes: Any) -> ClockEvent:
    """Return a change of clock `number`: first follow-up within eight hours, started on Monday 09:00."""
    start = changes.pop("start_time", at())
    due = changes.pop("due_time", start + 8 * 3_600_000_000)
    values: dict[str, Any] = {
        "handoff": handoff(number),
        "agreement_version": f"{TENANT}/agreements/main/versions/1",
        "commitment_id": "first-follow-up",
        "parties": ",sales,",
        "kind": "first_follow_up",
        "basis": "business",
        "original_due_time": due,
        "owner": f"{TENANT}/people/kim",
        "team": f"{TENANT}/teams/north",
        "historical": False,
        "elapsed": None,
    }
    values |= changes
    return ClockEvent(
        tenant=TENANT,
        clock=f"{TENANT}/clocks/c{number}",
        time=time,
        change=change,
        start_time=start,
        due_time=due,
        **values,
    )


@dataclass
class Ledger:
    """A read model in memory, with the fold that fills it."""

    database: Database
    tables: Tables
    model: ReadModel

    def leads(self, *words: LeadWord) -> None:
        with self.database.writer_engine.begin() as connection:
            self.model.fold_leads(connection, words)

    def sla(self, *words: SlaWord) -> None:
        with self.database.writer_engine.begin() as connection:
            self.model.fold_sla(connection, words)

    def inputs(self, *entries: InputEntry) -> list[Outcome | None]:
        with self.database.writer_engine.begin() as connection:
            return _INPUTS.record(connection, entries, may_replace=lambda _: True)

    def quotas(self, *told: MarketingQuota) -> None:
        with self.database.writer_engine.begin() as connection:
            _QUOTAS.fold(connection, told)

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table, ordered by key."""
        with self.database.reading() as connection:
            return {
                table.name: [
                    tuple(row)
                    for row in connection.execute(select(table).order_by(*table.primary_key.columns))
                ]
                for table in self.tables.read_model
            }


@contextmanager
def a_ledger() -> Iterator[Ledger]:
    """Give an empty read model."""
    with a_database("reports_read_model", _TABLES.metadata.create_all) as database:
        yield Ledger(database, _TABLES, _MODEL)


def cut(words: Sequence[Any], sizes: Iterable[int]) -> list[Sequence[Any]]:
    """Return the words in batches of these sizes, the rest in one."""
    batches: list[Sequence[Any]] = []
    at_word = 0
    for size in sizes:
        batches.append(words[at_word : at_word + size])
        at_word += size
    batches.append(words[at_word:])
    return [batch for batch in batches if batch]
