"""A year of finished handoffs and their clocks in the read model, summed: what a question is measured on.

A few thousand lives are folded from events; the others are these again, a week and some later each, under
names of their own. Then the sums are counted from the facts, as they are when a tenant's days change.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random
from typing import Any, Final

from sqlalchemy import Connection, select

from services.reports.consumers.lead_events import words_of
from services.reports.domain.agreements import TenantSet
from services.reports.domain.clocks import ClockFact
from services.reports.domain.handoffs import HandoffFact
from services.reports.domain.periods import Micros
from services.reports.store.fold import ReadModel
from services.reports.store.schema import Tables
from smarketing.sql.rows import InsertRows
from tests.builders.long_log import life
from tests.builders.reports import TENANT, a_ledger

__all__ = ["YEAR", "ZONE", "put_year"]

ZONE: Final = "Asia/Seoul"
YEAR: Final = 364 * 86_400_000_000
_LIVES: Final = 5_000
_HOUR: Final = 3_600_000_000
_FIELDS: Final = tuple(HandoffFact.__dataclass_fields__)
_TIMES: Final = [at for at, name in enumerate(_FIELDS) if name.endswith("_time") or name == "open_since"]
_TOUCHES: Final = _FIELDS.index("touches")
_SUBMIT, _TEAM, _FOLLOWED = (_FIELDS.index(name) for name in ("submit_time", "team", "first_follow_up_time"))

Row = Sequence[Any]


def put_year(connection: Connection, tables: Tables, count: int, start: Micros) -> None:
    """Write `count` handoffs of a year from `start`, a clock each, and all their sums."""
    spacing = YEAR // count
    lives = _lives(min(count, _LIVES), start, spacing)
    handoffs, clocks = InsertRows(tables.handoff_fact), InsertRows(tables.clock_fact)
    for copy in range(count // len(lives)):
        rows = [_again(row, copy, copy * spacing * len(lives)) for row in lives]
        handoffs.insert(connection, rows)
        clocks.insert(connection, [_clock(row) for row in rows])
    # The tenant's days change, so everything is counted anew: by the code that counts it always.
    ReadModel(tables).fold_leads(connection, [TenantSet(TENANT, ZONE, "EUR")])


def _lives(count: int, start: Micros, spacing: Micros) -> list[tuple[Any, ...]]:
    with a_ledger() as ledger:
        ledger.leads(*_words(count, start, spacing))
        with ledger.database.reading() as connection:
            fact = ledger.tables.handoff_fact
            return [tuple(row) for row in connection.execute(select(fact).order_by(fact.c.submit_time))]


def _words(count: int, start: Micros, spacing: Micros) -> Iterator[Any]:
    chance = Random(1)
    lives = (life(chance, number, start + number * spacing, few=True) for number in range(count))
    return iter(words_of(list(chain.from_iterable(lives))))


def _again(row: Row, copy: int, later: Micros) -> tuple[Any, ...]:
    values = list(row)
    values[0] = f"{row[0].removesuffix('/handoffs/1')}x{copy}/handoffs/1"
    for at in _TIMES:
        if values[at] is not None:
            values[at] += later
    touches = (touch.partition(",") for touch in row[_TOUCHES].split(";") if touch)
    values[_TOUCHES] = ";".join(f"{int(time) + later},{rest}" for time, _, rest in touches)
    return tuple(values)


def _clock(row: Row) -> tuple[Any, ...]:
    """Return the clock of the first follow-up, due after a day of hours."""
    start, stop = row[_SUBMIT], row[_FOLLOWED]
    due = start + 24 * _HOUR
    state = "met" if stop is not None and stop <= due else "breached"
    clock = ClockFact(
        clock=row[0].replace("/leads/", "/clocks/"),
        tenant=TENANT,
        handoff=row[0],
        agreement_version=f"{TENANT}/agreements/main/versions/1",
        commitment_id="first-follow-up",
        parties=",sales,",
        kind="first_follow_up",
        basis="business",
        start_time=start,
        original_due_time=due,
        due_time=due,
        owner="",
        team=row[_TEAM],
        historical=False,
        state=state,
        stop_time=stop,
        elapsed=None if stop is None else stop - start,
        undone_due_time=due if stop is None else None,
        missed_due_time=due if state == "breached" else None,
        agreement=f"{TENANT}/agreements/main",
    )
    return tuple(getattr(clock, name) for name in ClockFact.__dataclass_fields__)
