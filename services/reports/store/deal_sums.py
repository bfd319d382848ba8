"""Reads figures of the pipeline from sums, where nothing but the period is asked for.

Sums carry no labels of handoffs, so that a question by team or segment reads opportunities one by one. Void
handoffs are few: their opportunities are read by themselves and taken out of the sums.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, select

from services.reports.domain.deals import NO_DAY, closings_of, deal_tallies
from services.reports.domain.estimators import Curve, Outcome, estimate_counted
from services.reports.domain.figures import Amount, Figure, Undefined, half_even
from services.reports.domain.inputs import Sums
from services.reports.domain.kpi_kinds import PipelineKpi
from services.reports.domain.labels import Dimension
from services.reports.domain.opportunities import OpportunityFact
from services.reports.domain.periods import Days, Period
from services.reports.domain.pipeline_kpis import STALE_DAYS
from services.reports.store.queries import GroupKey, Queries, Question, month_of
from services.reports.store.schema import Tables

__all__ = ["DealCells", "DealSums", "void_deals"]

_Cells: TypeAlias = dict[tuple[str, str], tuple[int, int]]
"""By the two words of a cell: how many, and the sum beside."""

_SECOND: Final = 1_000_000
_BEFORE_ALL: Final = -(1 << 62)
_DAY: Final = 86_400 * _SECOND
_LAST_DAY: Final = 3_650_000
_NO_MONTH: Final = month_of(NO_DAY)
_OUTCOMES: Final = {"won": Outcome.ANSWERED, "lost": Outcome.EXITED}


class DealCells:
    """What was counted of a tenant's opportunities, those of void handoffs left out.

    Reads inside the caller's transaction, and remembers what it read: one for each question.
    """

    def __init__(self, queries: Queries, connection: Connection, tenant: str) -> None:
        self._queries = queries
        self._connection = connection
        self.days = queries.days(connection, tenant)
        self._void = self._of_void_handoffs(tenant)

    def _of_void_handoffs(self, tenant: str) -> list[OpportunityFact]:
        query = void_deals(self._queries.tables, tenant, *self._queries.tables.opportunity_fact.columns)
        return [OpportunityFact(*row) for row in self._connection.execute(query)]

    def of(self, anchor: str, question: Question) -> dict[tuple[GroupKey, str, str], tuple[int, int]]:
        """Return by group and by the two words of a cell how many, and the sum beside.

        Months are the only groups that these sums have.
        """
        table = self._queries.tables.tally_rollup
        sums = self._queries.sums(
            self._connection,
            question,
            table,
            [anchor],
            counters=("items", "number"),
            extra=(table.c.word, table.c.other),
        )
        found: dict[tuple[GroupKey, str, str], tuple[int, int]] = {}
        for (_, (*group, word, other)), (items, number) in sums.items():
            found[tuple(group), word or "", other or ""] = (items, number)
        period = question.period
        for day, word, other, number in self._counted_of_void(anchor):
            if period is None or period.first <= day < period.last:
                key = (tuple(month_of(day) for _ in question.group_by), word, other)
                items, known = found.get(key, (0, 0))
                found[key] = (items - 1, known - number)
        return {key: counted for key, counted in found.items() if counted[0]}

    def _counted_of_void(self, anchor: str) -> Iterator[tuple[Days, str, str, int]]:
        for fact in self._void:
            for own, time, word, other, number in deal_tallies(fact):
                if own == anchor:
                    yield self.days.day_of(time), word, other, number
            for own, day, word, other, number in closings_of(fact):
                if own == anchor:
                    yield day, word, other, number


def void_deals(tables: Tables, tenant: str, *columns: ColumnElement[Any]) -> Select[Any]:
    """Return what selects columns of the opportunities of a tenant's void handoffs."""
    deal, handoff = tables.opportunity_fact, tables.handoff_fact
    return (
        select(*columns)
        .select_from(handoff.join(deal, deal.c.handoff == handoff.c.handoff))
        .where(
            handoff.c.tenant == tenant,
            handoff.c.void_time.is_not(None),
            # Any instant: it makes the database take the index that holds these handoffs alone.
            handoff.c.void_time > _BEFORE_ALL,
            handoff.c.convert_time.is_not(None),
        )
    )


class DealSums:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def rows(
        self, connection: Connection, kpi: PipelineKpi, question: Question
    ) -> list[tuple[GroupKey, Figure]] | None:
        """Return the figure of all opportunities, or of each group where sums have it.

        None where it must be read from opportunities one by one.
        """
        read = _GROUPED.get((kpi.kpi_id, question.group_by))
        whole = None if question.group_by else _READERS.get(kpi.kpi_id)
        if read is None and whole is None:
            return None
        currency = self._queries.currency(connection, question.tenant)
        cells = DealCells(self._queries, connection, question.tenant)
        reading = _Reading(cells, question, currency)
        return [((), whole(reading))] if whole is not None else read(reading) if read is not None else None


class _Reading:
    """One question, and the sums that answer it."""

    def __init__(self, cells: DealCells, question: Question, currency: str) -> None:
        self._cells = cells
        self.question = question
        self.today: Days = cells.days.day_of(question.now)
        self.currency = currency

    def cells(self, anchor: str, period: Period | None) -> _Cells:
        """Return what was counted in a period, or ever."""
        counted = self._cells.of(anchor, replace(self.question, group_by=(), period=period))
        return {(word, other): sums for (_, word, other), sums in counted.items()}

    def asked(self, anchor: str) -> _Cells:
        """Return what was counted in the period asked for."""
        return self.cells(anchor, self.question.period)

    def to_come(self, anchor: str) -> _Cells:
        """Return what was counted in the part of the period that is not past, by days that people named."""
        return {} if self.rest is None else self.cells(anchor, self.rest)

    def by_close_month(self, anchor: str, period: Period | None) -> dict[str | None, _Cells]:
        """Return what was counted on days that people named, by month; of no day under None."""
        asked = replace(self.question, group_by=(Dimension.MONTH,), period=period)
        found: dict[str | None, _Cells] = defaultdict(dict)
        for ((month,), word, other), sums in self._cells.of(anchor, asked).items():
            found[None if month == _NO_MONTH else month][word, other] = sums
        return found

    @property
    def rest(self) -> Period | None:
        """The part of the period that is not past."""
        period = self.question.period
        first = self.today if period is None else max(period.first, self.today)
        last = _LAST_DAY if period is None else period.last
        return Period(first, last) if first < last else None

    def curve(self, ended: _Cells, waiting: _Cells) -> Curve:
        """Return how long opportunities take; of those that go on, the cells tell when they began."""
        items = [
            (seconds * _SECOND // number, _OUTCOMES[state], number)
            for (state, _), (number, seconds) in ended.items()
            if state in _OUTCOMES
        ]
        items += [
            (max(0, self.question.now - since * _SECOND // number), Outcome.WAITING, number)
            for number, since in waiting.values()
        ]
        return estimate_counted(items)


def _by_currency(cells: _Cells, word: Callable[[tuple[str, str]], str]) -> Sums:
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for key, (items, number) in cells.items():
        known = found[word(key)]
        found[word(key)] = (known[0] + items, known[1] + number)
    return dict(found)


def _first(key: tuple[str, str]) -> str:
    return key[0]


def _second(key: tuple[str, str]) -> str:
    return key[1]


def _items(cells: _Cells) -> int:
    return sum(items for items, _ in cells.values())


def _closed(cells: _Cells, state: str) -> _Cells:
    return {key: sums for key, sums in cells.items() if key[0] == state}


def _sum(amounts: Sums, reading: _Reading, *, left_out: int = 0) -> Figure:
    found = Figure.sum_of(amounts, default_currency=reading.currency)
    return replace(found, open_count=left_out or None)


def _hundredth(figure: Figure) -> Figure:
    if figure.amount is None:
        return figure
    amount = Amount(figure.amount.currency, half_even(figure.amount.minor_units, 100))
    return replace(figure, amount=amount)


def _open_pipeline(reading: _Reading) -> Figure:
    return _sum(_by_currency(reading.cells("deal open", None), _second), reading)


def _weighted(reading: _Reading) -> Figure:
    rated = reading.cells("deal weighted", None)
    left_out = _items(reading.cells("deal open", None)) - _items(rated)
    return _hundredth(_sum(_by_currency(rated, _first), reading, left_out=left_out))


def _forecast(reading: _Reading) -> Figure:
    won = _closed(reading.asked("deal closed"), "won")
    amounts = {currency: sums for (_, currency), sums in won.items()}
    return _forecast_of(reading, amounts, reading.to_come("deal weighted"), reading.to_come("deal closing"))


def _forecast_of(reading: _Reading, won: Sums, rated: _Cells, closing: _Cells) -> Figure:
    known = {currency: (items, 100 * number) for currency, (items, number) in won.items() if currency}
    left_out = sum(items for items, _ in won.values()) - sum(items for items, _ in known.values())
    left_out += _items(closing) - _items(rated)
    amounts = _added(known, _by_currency(rated, _first))
    return _hundredth(_sum(amounts, reading, left_out=left_out))


def _forecast_by_close_month(reading: _Reading) -> list[tuple[GroupKey, Figure]]:
    won: dict[str | None, Sums] = defaultdict(dict)
    months: set[str | None] = set()
    for (first, told), sums in reading.asked("deal came").items():
        month = month_of(int(first)) if first else None
        months.add(month)
        state, _, currency = told.partition(" ")
        if state == "won":
            won[month] = _added(won[month], {currency: sums})
    # Whoever is open has a row in its month, also where that is past or not asked for.
    dated = reading.by_close_month("deal closing", None)
    months |= dated.keys()
    if _items(reading.cells("deal open", None)) > sum(map(_items, dated.values())):
        months.add(None)
    rest = reading.rest
    rated, closing = (
        {} if rest is None else reading.by_close_month(anchor, rest)
        for anchor in ("deal weighted", "deal closing")
    )
    return [
        ((month,), _forecast_of(reading, won.get(month, {}), rated.get(month, {}), closing.get(month, {})))
        for month in months
    ]


def _open_by_stage(reading: _Reading) -> list[tuple[GroupKey, Figure]]:
    stages: dict[str, _Cells] = defaultdict(dict)
    for (stage, currency), sums in reading.cells("deal open", None).items():
        stages[stage][stage, currency] = sums
    return [((stage,), _sum(_by_currency(cells, _second), reading)) for stage, cells in stages.items()]


def _closing(reading: _Reading) -> Figure:
    return _sum(_by_currency(reading.to_come("deal closing"), _second), reading)


def _cycle(reading: _Reading) -> Figure:
    cells = reading.asked("deal cycle")
    waiting = {key: sums for key, sums in cells.items() if key[0] not in _OUTCOMES}
    return Figure.quantile(reading.curve(cells, waiting), 0.5)


def _velocity(reading: _Reading) -> Figure:
    closed, ended = reading.asked("deal closed"), reading.asked("deal ended")
    won, lost = _closed(closed, "won"), _items(_closed(closed, "lost"))
    dated = reading.cells("deal dated", Period(reading.today, _LAST_DAY))
    young = Period(reading.today - STALE_DAYS, _LAST_DAY)
    undated = reading.cells("deal undated", young)
    waiting = {("dated", day): sums for (_, day), sums in dated.items()}
    waiting |= {("undated", day): sums for (_, day), sums in undated.items()}
    alive = _items(waiting)
    mean = Figure.mean_of(_by_currency(won, _second))
    median = reading.curve(ended, waiting).quantile(0.5)
    if mean.amount is None:
        return Figure(undefined=mean.undefined)
    if median is None:
        return Figure(undefined=Undefined.QUANTILE_NOT_REACHED)
    if median == 0:
        return Figure(undefined=Undefined.NO_DENOMINATOR)
    rate = _items(won) / (_items(won) + lost)
    minor_units = alive * rate * mean.amount.minor_units / (median / _DAY)
    number = alive + _items(won) + lost
    return Figure(amount=Amount(mean.amount.currency, round(minor_units)), denominator=number)


def _brier(reading: _Reading) -> Figure:
    judged = reading.asked("deal judged")
    return Figure.quotient(sum(squares for _, squares in judged.values()), 10_000 * _items(judged))


def _created(reading: _Reading) -> Figure:
    return _sum(_by_currency(reading.asked("deal made"), _first), reading)


def _hygiene(reading: _Reading) -> Figure:
    clean = reading.cells("deal weighted", Period(reading.today, _LAST_DAY))
    return Figure.share(_items(clean), _items(reading.cells("deal open", None)))


def _added(one: Sums, other: Sums) -> Sums:
    found: dict[str, tuple[int, int]] = dict(one)
    for currency, (items, number) in other.items():
        known = found.get(currency, (0, 0))
        found[currency] = (known[0] + items, known[1] + number)
    return found


_READERS: Final[dict[str, Callable[[_Reading], Figure]]] = {
    "P1": _open_pipeline,
    "P2": _weighted,
    "P3": _forecast,
    "P5": _closing,
    "P7": _cycle,
    "P9": _velocity,
    "P14": _brier,
    "P16": _created,
    "P18": _hygiene,
}

_GROUPED: Final[
    dict[tuple[str, tuple[Dimension, ...]], Callable[[_Reading], list[tuple[GroupKey, Figure]]]]
] = {
    ("P1", (Dimension.OPPORTUNITY_STAGE,)): _open_by_stage,
    ("P3", (Dimension.CLOSE_MONTH,)): _forecast_by_close_month,
}
