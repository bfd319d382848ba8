"""Reads what was expected of opportunities, and what came of it.

What held at an instant is read from the steps kept of each opportunity, through the index of the day on
which it was then to close: the cost is that of the opportunities ever expected in the period.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, literal_column, not_, select
from sqlalchemy.sql.selectable import FromClause

from services.reports.domain.deals import WON
from services.reports.domain.figures import Figure, Undefined, half_even
from services.reports.domain.forecast_kpis import CATEGORIES, LEAD_DAYS
from services.reports.domain.funnel import MARKETING_SOURCED_EXCLUDES, Stage
from services.reports.domain.inputs import InputKind, Sums, money_of
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Micros, Period, first_of_month, month_after
from services.reports.store.deal_sums import void_deals
from services.reports.store.lead_counts import Found, inserted, taken_out
from services.reports.store.queries import GroupKey, Queries, Question, month_of

__all__ = ["Forecasts"]

_CLOSED: Final = ("won", "lost")
_FEW_TOUCHED: Final = 5000
"""So many opportunities with a touchpoint are found by name; of more, those made in the period are read."""
_ByGroup: TypeAlias = dict[GroupKey, dict[str, tuple[int, int]]]
"""Amounts by group and currency: how many, and their sum."""


class Forecasts:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._tables = queries.tables

    # What is expected now.

    def categories(self, connection: Connection, question: Question) -> Found:
        """Return the forecast of each category (P4)."""
        at, asked = taken_out(question, Dimension.FORECAST_CATEGORY)
        days = self._queries.days(connection, question.tenant)
        currency = self._queries.currency(connection, question.tenant)
        won = self._queries.amounts(connection, asked, Stage.WON.value)
        found: Found = []
        for category, least in CATEGORIES:
            sums = _added(won, self._to_close(connection, asked, days, least))
            for group in sums or ([] if asked.group_by else [()]):
                figure = Figure.sum_of(sums.get(group, {}), default_currency=currency)
                found.append((inserted(group, at, category), figure))
        return found

    def _to_close(self, connection: Connection, question: Question, days: LocalDays, least: int) -> _ByGroup:
        deal = self._tables.opportunity_fact
        where = [deal.c.state == "open", deal.c.close_day >= days.day_of(question.now)]
        if question.period is not None:
            where += [deal.c.close_day >= question.period.first, deal.c.close_day < question.period.last]
        if least:
            where.append(deal.c.probability >= least)
        return self._amounts(connection, question, where)

    def _amounts(
        self,
        connection: Connection,
        question: Question,
        where: Sequence[ColumnElement[bool]],
        *,
        tenant: ColumnElement[str] | None = None,
    ) -> _ByGroup:
        deal = self._tables.opportunity_fact
        whose: ColumnElement[str] = deal.c.tenant if tenant is None else tenant
        groups, source = self._grouped(question)
        query = (
            select(*groups, deal.c.currency, func.count(), func.sum(deal.c.minor_units))
            .select_from(source)
            .where(whose == question.tenant, *where)
            .group_by(*groups, deal.c.currency)
        )
        found: _ByGroup = defaultdict(dict)
        for *group, currency, items, minor_units in connection.execute(query):
            found[tuple(group)][currency] = (items, int(minor_units))
        return found

    def _grouped(self, question: Question) -> tuple[list[ColumnElement[Any]], FromClause]:
        deal, handoff = self._tables.opportunity_fact, self._tables.handoff_fact
        source = deal.join(handoff, and_(handoff.c.handoff == deal.c.handoff, handoff.c.void_time.is_(None)))
        return [handoff.c[dimension.value] for dimension in question.group_by], source

    # What was expected then, and what came.

    def slippage(self, connection: Connection, question: Question) -> Found:
        """Return how many of those expected in the period were moved behind it while it ran (P11)."""
        period = question.period
        if period is None:
            return [] if question.group_by else [((), Figure(undefined=Undefined.NO_DATA))]
        days = self._queries.days(connection, question.tenant)
        begin, end = days.start_of(period.first), days.start_of(period.last)
        step, later = self._tables.opportunity_step, self._tables.opportunity_step.alias("later")
        moved = exists().where(
            later.c.opportunity == step.c.opportunity,
            later.c.number > step.c.number,
            later.c.time < min(end, question.now),
            later.c.close_day >= period.last,
        )
        groups, source = self._grouped(question)
        deal = self._tables.opportunity_fact
        query = (
            select(*groups, func.count(), func.coalesce(func.sum(case((moved, 1), else_=0)), 0))
            .select_from(step.join(source, deal.c.opportunity == step.c.opportunity))
            .where(*self._in_force(question, period, begin))
        )
        rows = connection.execute(query.group_by(*groups) if groups else query)
        return [(tuple(group), Figure.share(int(slipped), items)) for *group, items, slipped in rows]

    def _in_force(self, question: Question, period: Period, instant: Micros) -> list[ColumnElement[bool]]:
        """Return what picks the step that held of each opportunity then expected to close in the period."""
        step, newer = self._tables.opportunity_step, self._tables.opportunity_step.alias("newer")
        superseded = exists().where(
            newer.c.opportunity == step.c.opportunity,
            newer.c.number > step.c.number,
            newer.c.time < instant,
        )
        return [
            step.c.tenant == question.tenant,
            step.c.close_day >= period.first,
            step.c.close_day < period.last,
            step.c.time < instant,
            step.c.kind.not_in(_CLOSED),
            not_(superseded),
        ]

    def error(self, connection: Connection, question: Question) -> Found:
        """Return by how much forecasts missed what came (P13)."""
        return self._against_what_came(connection, question, absolute=True)

    def bias(self, connection: Connection, question: Question) -> Found:
        """Return by how much forecasts promised too much (P13.bias)."""
        return self._against_what_came(connection, question, absolute=False)

    def _against_what_came(self, connection: Connection, question: Question, *, absolute: bool) -> Found:
        days = self._queries.days(connection, question.tenant)
        at, asked = taken_out(question, Dimension.LEAD_TIME)
        today = days.day_of(question.now)
        found: Found = []
        for group, period in _periods(asked, today):
            actual = self._won(connection, asked, period)
            for lead in LEAD_DAYS:
                if period is None or period.last > today:
                    figure = Figure(undefined=Undefined.NOT_REACHED if period else Undefined.NO_DATA)
                else:
                    instant = days.start_of(period.first - lead)
                    figure = _missed(self._forecast(connection, asked, period, instant), actual, absolute)
                found.append((inserted(group, at, f"{lead:02} days"), figure))
        return found

    def _won(self, connection: Connection, question: Question, period: Period | None) -> Sums:
        """Return what was won in a period; a win whose handoff became void later was never to come either."""
        asked = replace(question, group_by=(), period=period)
        won = dict(self._queries.amounts(connection, asked, Stage.WON.value).get((), {}))
        days, deal = self._queries.days(connection, question.tenant), self._tables.opportunity_fact.c
        void = void_deals(self._tables, question.tenant, deal.close_time, deal.currency, deal.minor_units)
        for close_time, currency, minor_units in connection.execute(void.where(deal.state == WON)):
            if currency in won and (period is None or period.first <= days.day_of(close_time) < period.last):
                items, known = won[currency]
                won[currency] = (items - 1, known - minor_units)
        return {currency: sums for currency, sums in won.items() if sums[0]}

    def _forecast(self, connection: Connection, question: Question, period: Period, instant: Micros) -> Sums:
        step = self._tables.opportunity_step
        chance = func.coalesce(step.c.probability, 0)
        void = void_deals(self._tables, question.tenant, self._tables.opportunity_fact.c.opportunity)
        query = (
            select(step.c.currency, func.count(), func.sum(step.c.minor_units * chance))
            .where(
                *self._in_force(question, period, instant),
                step.c.currency != "",
                step.c.opportunity.not_in(void),
            )
            .group_by(step.c.currency)
        )
        return {
            currency: (items, half_even(int(hundredfold), 100))
            for currency, items, hundredfold in connection.execute(query)
        }

    # Where opportunities came from.

    def sourced(self, connection: Connection, question: Question) -> Found:
        """Return what part of the pipeline created marketing brought (P15)."""
        table = self._tables.amount_rollup
        channel = func.coalesce(table.c.source_channel, "")
        own = [channel.not_in(sorted(MARKETING_SOURCED_EXCLUDES))]
        return _parts(question, self._created(connection, question, own), self._created(connection, question))

    def influenced(self, connection: Connection, question: Question) -> Found:
        """Return what part of it has a touchpoint of marketing (P15.influenced)."""
        entry, deal = self._tables.input_entry, self._tables.opportunity_fact
        touched = (
            select(entry.c.journey)
            .where(
                entry.c.tenant == question.tenant,
                entry.c.kind == InputKind.TOUCHPOINT.value,
                entry.c.withdrawn == 0,
            )
            .distinct()
        )
        some = touched.limit(_FEW_TOUCHED + 1).subquery()
        few = (connection.scalar(select(func.count()).select_from(some)) or 0) <= _FEW_TOUCHED
        created: ColumnElement[int] = deal.c.create_time
        tenant: ColumnElement[str] = deal.c.tenant
        if few:
            # A value with nothing added has no index: SQLite finds them by name, and walks no others.
            created, tenant = created + literal_column("0"), tenant.concat(literal_column("''"))
        where = self._within(connection, question, created)
        amounts = self._amounts(
            connection, question, [deal.c.opportunity.in_(touched), *where], tenant=tenant
        )
        return _parts(question, amounts, self._created(connection, question))

    def _created(
        self, connection: Connection, question: Question, where: Sequence[ColumnElement[bool]] = ()
    ) -> _ByGroup:
        """Return amounts of opportunities made in the period, as they are now known."""
        table = self._tables.amount_rollup
        sums = self._queries.sums(
            connection,
            question,
            table,
            ["created"],
            counters=("items", "minor_units"),
            where=where,
            extra=(table.c.currency,),
        )
        found: _ByGroup = defaultdict(dict)
        for (_, key), (items, minor_units) in sums.items():
            found[key[:-1]][key[-1] or ""] = (items, minor_units)
        return found

    def proposals(self, connection: Connection, question: Question) -> Found:
        """Return how many of the opportunities with a proposal were won (V9)."""
        deal = self._tables.opportunity_fact
        groups, source = self._grouped(question)
        where = self._within(connection, question, deal.c.proposal_time)
        query = (
            select(*groups, deal.c.state, func.count())
            .select_from(source)
            .where(deal.c.tenant == question.tenant, deal.c.proposal_time.is_not(None), *where)
            .group_by(*groups, deal.c.state)
        )
        by_group: dict[GroupKey, dict[str, int]] = {} if groups else {(): {}}
        for *group, state, items in connection.execute(query):
            by_group.setdefault(tuple(group), {})[state] = items
        return [(group, _won_of(states)) for group, states in by_group.items()]

    def _within(
        self, connection: Connection, question: Question, column: ColumnElement[Any]
    ) -> list[ColumnElement[bool]]:
        if question.period is None:
            return []
        days = self._queries.days(connection, question.tenant)
        first, last = days.start_of(question.period.first), days.start_of(question.period.last)
        return [column >= first, column < last]


def _periods(question: Question, today: int) -> Iterable[tuple[GroupKey, Period | None]]:
    """Yield the period asked for, or each of its months that began."""
    if not question.group_by or question.period is None:
        yield () if not question.group_by else (None,), question.period
        return
    day = first_of_month(question.period.first)
    while day < min(question.period.last, today):
        yield (month_of(day),), Period(day, month_after(day))
        day = month_after(day)


def _missed(forecast: Sums, actual: Sums, absolute: bool) -> Figure:
    if not forecast:
        return Figure(undefined=Undefined.NO_DATA)
    found = money_of(forecast, actual)
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    expected, came = found
    return Figure.quotient(abs(expected - came) if absolute else expected - came, came)


def _parts(question: Question, part: _ByGroup, whole: _ByGroup) -> Found:
    groups = whole or ({} if question.group_by else {(): {}})
    return [(group, _share(part.get(group, {}), amounts)) for group, amounts in groups.items()]


def _share(part: Sums, whole: Sums) -> Figure:
    found = money_of(part, whole) if whole else Undefined.NO_DATA
    return Figure(undefined=found) if isinstance(found, Undefined) else Figure.quotient(*found)


def _won_of(states: dict[str, int]) -> Figure:
    won = states.get("won", 0)
    return Figure.share(won, won + states.get("lost", 0), open_count=states.get("open", 0))


def _added(one: _ByGroup, other: _ByGroup) -> _ByGroup:
    found: _ByGroup = defaultdict(dict)
    for sums in (one, other):
        for group, amounts in sums.items():
            for currency, (items, minor_units) in amounts.items():
                known = found[group].get(currency, (0, 0))
                found[group][currency] = (known[0] + items, known[1] + minor_units)
    return found
