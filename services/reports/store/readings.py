"""Reads figures of what is counted beside the stages, and of single facts that are few: each kind its way.

Sums cost the buckets of the period. Single facts are read where they are bounded by what is open, missed
or told by people in the period, each through an index of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, func, select

from services.reports.domain.budgets import BudgetSaid
from services.reports.domain.clocks import ClockTally
from services.reports.domain.estimators import Outcome, estimate
from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.funnel import FunnelTally, Stage
from services.reports.domain.handover_kpis import ACTED_THRESHOLD
from services.reports.domain.kpi_kinds import (
    BacklogAgeKpi,
    BudgetKpi,
    ClockListKpi,
    FeedbackKpi,
    Kpi,
    LadderKpi,
    SettledKpi,
    TallyKpi,
    TallyRow,
    TwoSidedKpi,
)
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Micros, Period
from services.reports.domain.promise_kpis import ACKNOWLEDGE_HOURS, DUE_SOON_HOURS
from services.reports.domain.settled_periods import PromiseSettled
from services.reports.store.backlog import BacklogQueries
from services.reports.store.delays import DelayQueries
from services.reports.store.late_clocks import LateClocks
from services.reports.store.queries import GroupKey, Queries, Question

__all__ = ["Found", "Readings"]

Found: TypeAlias = list[tuple[GroupKey, Figure]]
"""A figure for each group, in no order."""

T = TypeVar("T")

_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR


class Readings:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, delays: DelayQueries | None = None) -> None:
        self._queries = queries
        self._tables = queries.tables
        self._delays = delays or DelayQueries(queries)
        self._backlog = BacklogQueries(queries)
        self._late = LateClocks(queries)

    def rows(self, connection: Connection, kpi: Kpi, question: Question) -> Found:
        """Return the figure for each group; without groups exactly one row.

        Raises:
            TypeError: for a kind of figure that is read elsewhere.
        """
        read = _READERS.get(type(kpi))
        if read is None:
            raise TypeError(f"{type(kpi).__name__} is read by nobody")
        found: Found = read(self, connection, kpi, question)
        return found

    # Sums.

    def _tallies(self, connection: Connection, kpi: TallyKpi, question: Question) -> Found:
        question = replace(question, group_by=kpi.grouped_by(question.group_by))
        words = {kpi.word: 0, kpi.other: 1}
        others = tuple(each for each in question.group_by if each not in words)
        asked = self._asked_of_tallies(connection, kpi, replace(question, group_by=others))
        if asked is None:
            return [] if question.group_by else [((), kpi.value(_row({}, {}, FunnelTally())))]
        table = self._tables.tally_rollup
        summed = self._queries.sums(
            connection,
            asked,
            table,
            [kpi.anchor],
            counters=("items", "number"),
            extra=(table.c.word, table.c.other),
        )
        parts: dict[GroupKey, dict[tuple[str, str], tuple[int, int]]] = defaultdict(dict)
        for (_, key), (items, number) in summed.items():
            parts[key[:-2]][key[-2] or "", key[-1] or ""] = (items, number)
        cohorts: dict[GroupKey, FunnelTally] = {}
        if kpi.always:
            cohorts = self._queries.cohort(connection, asked, Stage.SUBMITTED)
        found: Found = []
        groups = list(dict.fromkeys([*parts, *cohorts]))
        for rest in groups or ([] if question.group_by else [()]):
            whole, cohort = parts.get(rest, {}), cohorts.get(rest, FunnelTally())
            for group, of_group in _split(question.group_by, rest, whole, words):
                found.append((group, kpi.value(_row(of_group, whole, cohort))))
        return found

    def _asked_of_tallies(self, connection: Connection, kpi: TallyKpi, question: Question) -> Question | None:
        if kpi.all_time:
            return replace(question, period=None)
        if not kpi.horizon_days:
            return question
        today = self._queries.days(connection, question.tenant).day_of(question.now)
        period = (question.period or Period(1, today + 1)).before(today - kpi.horizon_days)
        return None if period is None else replace(question, period=period)

    def _two_sided(self, connection: Connection, kpi: TwoSidedKpi, question: Question) -> Found:
        del kpi
        asked = replace(question, group_by=(Dimension.PARTY,), party="")
        tallies = self._queries.clocks(connection, asked)
        sides = [tallies.get((party,), ClockTally()) for party in ("marketing", "sales")]
        shares = [Figure.share(side.met, side.settled, open_count=side.open) for side in sides]
        undefined = [share for share in shares if share.ratio is None]
        return [((), undefined[0] if undefined else min(shares, key=lambda share: share.ratio or 0.0))]

    # Open handoffs.

    def _backlog_age(self, connection: Connection, kpi: BacklogAgeKpi, question: Question) -> Found:
        del kpi
        return self._backlog.ages(connection, question)

    # Single clocks, rungs, alerts, budgets.

    def _clock_list(self, connection: Connection, kpi: ClockListKpi, question: Question) -> Found:
        if kpi.reading == "delay":
            return self._delays.parts(connection, question)
        if kpi.reading == "due_soon":
            return self._due_soon(connection, question)
        read = self._late.late_by if kpi.reading == "late_by" else self._late.never_served
        return read(connection, question)

    def _due_soon(self, connection: Connection, question: Question) -> Found:
        clock = self._tables.clock_fact
        columns = [_clock_column(clock, dimension) for dimension in question.group_by]
        query = select(*columns, func.count()).where(
            clock.c.tenant == question.tenant,
            clock.c.undone_due_time >= question.now,
            clock.c.undone_due_time < question.now + DUE_SOON_HOURS * _HOUR,
            clock.c.state == "running",
        )
        if columns:
            query = query.group_by(*columns)
        return [(tuple(row[:-1]), Figure.number(row[-1])) for row in connection.execute(query)]

    def _ladder(self, connection: Connection, kpi: LadderKpi, question: Question) -> Found:
        if kpi.reading == "duplicates":
            rung = self._tables.rung_fact
            delivered = rung.c.delivered_count
            sums = select(func.count(), func.coalesce(func.sum(delivered), 0)).where(
                rung.c.tenant == question.tenant,
                delivered > 0,
                *self._within(connection, question, rung.c.fire_time),
            )
            distinct, told = connection.execute(sums).one()
            return [((), Figure.share(told - distinct, told))]
        alert = self._tables.alert_fact
        where = self._within(connection, question, alert.c.create_time)
        rows = connection.execute(select(alert).where(alert.c.tenant == question.tenant, *where)).all()
        grouped = _grouped(rows, question, _clock_value)
        return [(group, _acknowledged(of_group, question.now)) for group, of_group in grouped.items()]

    def _budgets(self, connection: Connection, kpi: BudgetKpi, question: Question) -> Found:
        table = self._tables.budget_said
        query = select(table).where(table.c.tenant == question.tenant).order_by(table.c.budget)
        rows = [BudgetSaid(*row) for row in connection.execute(query)]
        question = replace(question, group_by=kpi.grouped_by(question.group_by))
        wanted = [row for row in rows if not question.party or f",{question.party}," in row.parties]
        grouped = _grouped(wanted, question, _budget_value)
        return [(group, _of_budgets(kpi, of_group)) for group, of_group in grouped.items()]

    def _settled(self, connection: Connection, kpi: SettledKpi, question: Question) -> Found:
        table = self._tables.promise_settled
        where = self._within(connection, question, table.c.last_time)
        query = select(table).where(table.c.tenant == question.tenant, *where).order_by(table.c.promise)
        rows = [PromiseSettled(*row) for row in connection.execute(query)]
        question = replace(question, group_by=kpi.grouped_by(question.group_by))
        is_theirs = question.party in {None, "", "marketing"}
        wanted = [row for row in rows if is_theirs and row.commitment_id == (kpi.of or row.commitment_id)]
        grouped = _grouped(wanted, question, _clock_value)
        return [(group, _of_settled(kpi, of_group)) for group, of_group in grouped.items()]

    # What the field told.

    def _feedback(self, connection: Connection, kpi: FeedbackKpi, question: Question) -> Found:
        table = self._tables.feedback_fact
        where = self._within(connection, question, table.c.create_time)
        rows = connection.execute(select(table).where(table.c.tenant == question.tenant, *where)).all()
        if kpi.reading == "acted":
            return [((), _acted(rows))]
        grouped = _grouped(rows, question, lambda row, _: row.theme)
        return [(group, _answered(of_group, question.now)) for group, of_group in grouped.items()]

    def _within(
        self, connection: Connection, question: Question, column: ColumnElement[Any]
    ) -> list[ColumnElement[bool]]:
        if question.period is None:
            return []
        days = self._queries.days(connection, question.tenant)
        first, last = days.start_of(question.period.first), days.start_of(question.period.last)
        return [column >= first, column < last]


_READERS: Final[dict[type[Kpi], Callable[..., Found]]] = {
    TallyKpi: Readings._tallies,  # noqa: SLF001 -- the table of this class's own readers
    TwoSidedKpi: Readings._two_sided,  # noqa: SLF001 -- likewise
    BacklogAgeKpi: Readings._backlog_age,  # noqa: SLF001 -- likewise
    ClockListKpi: Readings._clock_list,  # noqa: SLF001 -- likewise
    LadderKpi: Readings._ladder,  # noqa: SLF001 -- likewise
    BudgetKpi: Readings._budgets,  # noqa: SLF001 -- likewise
    SettledKpi: Readings._settled,  # noqa: SLF001 -- likewise
    FeedbackKpi: Readings._feedback,  # noqa: SLF001 -- likewise
}


def _row(
    words: dict[tuple[str, str], tuple[int, int]],
    whole: dict[tuple[str, str], tuple[int, int]],
    cohort: FunnelTally,
) -> TallyRow:
    items, number = (sum(column) for column in zip(*words.values(), strict=True)) if words else (0, 0)
    return TallyRow(items, number, words, sum(each for each, _ in whole.values()), cohort)


def _split(
    group_by: Sequence[Dimension],
    rest: GroupKey,
    whole: dict[tuple[str, str], tuple[int, int]],
    words: dict[Dimension | None, int],
) -> Iterable[tuple[GroupKey, dict[tuple[str, str], tuple[int, int]]]]:
    """Cut a group by those of its cells' words that were asked for."""
    if not any(dimension in words for dimension in group_by):
        return [(rest, whole)]
    found: dict[GroupKey, dict[tuple[str, str], tuple[int, int]]] = defaultdict(dict)
    for key, sums in whole.items():
        others = iter(rest)
        group = tuple(key[words[each]] if each in words else next(others) for each in group_by)
        found[group][key] = sums
    return found.items()


def _grouped(
    rows: Iterable[T], question: Question, value: Callable[[T, Dimension], str | None]
) -> dict[GroupKey, list[T]]:
    grouped: dict[GroupKey, list[T]] = {} if question.group_by else {(): []}
    for row in rows:
        group = tuple(value(row, dimension) for dimension in question.group_by)
        grouped.setdefault(group, []).append(row)
    return grouped


def _clock_value(row: Any, dimension: Dimension) -> str | None:
    found: str | None = getattr(row, dimension.value)
    return found


def _budget_value(row: BudgetSaid, dimension: Dimension) -> str | None:
    found: str | None = getattr(row, dimension.value)
    return found


def _clock_column(clock: Any, dimension: Dimension) -> ColumnElement[Any]:
    column: ColumnElement[Any] = clock.c[dimension.value]
    return column


def _acknowledged(alerts: Sequence[Any], now: Micros) -> Figure:
    within = ACKNOWLEDGE_HOURS * _HOUR
    old = [alert for alert in alerts if now - alert.create_time >= within]
    acknowledged = sum(
        alert.acknowledge_time is not None and alert.acknowledge_time - alert.create_time <= within
        for alert in old
    )
    return Figure.share(acknowledged, len(old), open_count=len(alerts) - len(old))


def _of_budgets(kpi: BudgetKpi, budgets: Sequence[BudgetSaid]) -> Figure:
    if kpi.worst is None:
        return Figure.number(len(budgets))
    figures = [kpi.value(budget) for budget in budgets]
    known = [figure for figure in figures if figure.undefined is None]
    if not known:
        reason = Undefined.NO_DENOMINATOR if figures else Undefined.NO_DATA
        return Figure(undefined=reason)
    return kpi.worst(known, key=lambda figure: figure.duration if figure.ratio is None else figure.ratio)


def _of_settled(kpi: SettledKpi, settled: Sequence[PromiseSettled]) -> Figure:
    if kpi.worst is None:
        return Figure.number(len(settled))
    known = [each.actual_ratio for each in settled if each.actual_ratio is not None]
    if not known:
        return Figure(undefined=Undefined.NO_DENOMINATOR if settled else Undefined.NO_DATA)
    return Figure(ratio=kpi.worst(known))


def _answered(told: Sequence[Any], now: Micros) -> Figure:
    return Figure.quantile(
        estimate(
            (now - row.create_time, Outcome.WAITING)
            if row.answer_time is None
            else (max(0, row.answer_time - row.create_time), Outcome.ANSWERED)
            for row in told
        ),
        0.5,
    )


def _acted(told: Sequence[Any]) -> Figure:
    themes: dict[str, list[Any]] = defaultdict(list)
    for row in told:
        themes[row.theme].append(row)
    frequent = [rows for rows in themes.values() if len(rows) >= ACTED_THRESHOLD]
    acted = sum(any(row.done_time is not None for row in rows) for rows in frequent)
    return Figure.share(acted, len(frequent))
