"""Reads what trainings and systems brought, how long new people take, and what misses cost."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from services.reports.domain.estimators import Interval, Outcome, estimate, wilson
from services.reports.domain.figures import Amount, Figure, Undefined
from services.reports.domain.funnel import FunnelTally, Stage
from services.reports.domain.goals import sales_goals, stated_by_node
from services.reports.domain.inputs import InputEntry, InputKind, Sums, money_of, summed
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Days, Period, first_of_month, month_after
from services.reports.domain.responses import Measure, ResponseItems
from services.reports.domain.return_kpis import EFFECT_DAYS, NEVER_TOUCHED_DAYS
from services.reports.store.inputs import InputStore
from services.reports.store.lead_counts import Found
from services.reports.store.queries import GroupKey, Queries, Question
from services.reports.store.responses import ResponseQueries

__all__ = ["Returns", "costs_of"]

_DAY: Final = 86_400_000_000


class _Invested(NamedTuple):
    """What was spent on one investment, or on all of them, and when."""

    entries: list[InputEntry]

    @property
    def first(self) -> Days:
        return min(entry.first_day for entry in self.entries)

    @property
    def last(self) -> Days:
        return max(entry.last_day for entry in self.entries)

    @property
    def cost(self) -> Sums:
        """All of it, whatever part the period asked for holds: the gain is that of all of it too."""
        return summed((entry.currency, entry.number) for entry in self.entries)


class Returns:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, responses: ResponseQueries) -> None:
        self._queries = queries
        self._tables = queries.tables
        self._responses = responses
        self._inputs = InputStore(queries.tables.input_entry)

    # Trainings.

    def training(self, connection: Connection, question: Question) -> Found:
        """Return what trainings brought beyond what other teams got without one (F4)."""
        return self._trainings(connection, question, against_others=True)

    def training_before(self, connection: Connection, question: Question) -> Found:
        """Return what trainings brought against the time before (F4.before)."""
        return self._trainings(connection, question, against_others=False)

    def _trainings(self, connection: Connection, question: Question, *, against_others: bool) -> Found:
        invested = self._invested(connection, question, "training")
        if not invested and not question.group_by:
            return [((), Figure(undefined=Undefined.NO_DATA))]
        return [
            (group, self._trained(connection, question, spent, against_others))
            for group, spent in invested.items()
        ]

    def _trained(
        self, connection: Connection, question: Question, spent: _Invested, against_others: bool
    ) -> Figure:
        teams = {entry.team for entry in spent.entries if entry.team}
        today = self._queries.days(connection, question.tenant).day_of(question.now)
        if not teams:
            return Figure(undefined=Undefined.NO_DATA)
        if today < spent.last + EFFECT_DAYS:
            return Figure(undefined=Undefined.NOT_REACHED)
        windows = (
            Period(spent.first - EFFECT_DAYS, spent.first),
            Period(spent.last, spent.last + EFFECT_DAYS),
        )
        won = [self._won_by_team(connection, question, window) for window in windows]
        own = [_together(amounts for team, amounts in each.items() if team in teams) for each in won]
        others = [_together(amounts for team, amounts in each.items() if team not in teams) for each in won]
        found = money_of(*own, *others, spent.cost)
        if isinstance(found, Undefined):
            return Figure(undefined=found)
        currency = next(iter(spent.cost))
        counts = [sums.get(currency, (0, 0))[0] for sums in (*own, *others)]
        if not all(counts[: 4 if against_others else 2]):
            return Figure(undefined=Undefined.NO_DENOMINATOR)
        gain = found[1] / counts[1] - found[0] / counts[0]
        if against_others:
            gain -= found[3] / counts[3] - found[2] / counts[2]
        return _percent(gain * counts[1], found[4], counts[1])

    def _won_by_team(
        self, connection: Connection, question: Question, window: Period
    ) -> dict[str | None, Sums]:
        asked = replace(question, group_by=(Dimension.TEAM,), period=window)
        found = self._queries.amounts(connection, asked, Stage.WON.value)
        return {
            team: {currency: sums for currency, sums in amounts.items() if currency}
            for (team,), amounts in found.items()
        }

    def _invested(self, connection: Connection, question: Question, word: str) -> dict[GroupKey, _Invested]:
        """Return the investments that cost something in the period, each with all that it ever cost.

        What has no name cannot be told from another without one: of that, only the bills of the period.
        """
        entries = self._inputs.overlapping(connection, question.tenant, [InputKind.COST], None)
        of_word = [entry for entry in entries if entry.word == word]
        asked = {entry.investment for entry in of_word if _overlaps(entry, question.period)} - {None}
        found: dict[GroupKey, _Invested] = {}
        for entry in of_word:
            if entry.investment in asked or _overlaps(entry, question.period):
                group = (entry.investment,) if question.group_by else ()
                found.setdefault(group, _Invested([])).entries.append(entry)
        return found

    # Systems.

    def system(self, connection: Connection, question: Question) -> Found:
        """Return what a system brought at most (F5)."""
        invested = self._invested(connection, question, "tool")
        if not invested and not question.group_by:
            return [((), Figure(undefined=Undefined.NO_DATA))]
        return [
            (group, self._recovered(connection, question, group, spent)) for group, spent in invested.items()
        ]

    def _recovered(
        self, connection: Connection, question: Question, group: GroupKey, spent: _Invested
    ) -> Figure:
        today = self._queries.days(connection, question.tenant).day_of(question.now)
        if today - NEVER_TOUCHED_DAYS <= spent.first:
            return Figure(undefined=Undefined.NOT_REACHED)
        before = Period(spent.first - EFFECT_DAYS, spent.first)
        since = Period(spent.first, today - NEVER_TOUCHED_DAYS)
        answered, old = self._touched(connection, question, before)
        answered_since, number = self._touched(connection, question, since)
        asked = replace(question, group_by=(), period=since)
        values = self._queries.amounts(connection, asked, "promised").get((), {})
        saved = self._saved(connection, question, group, spent)
        found = money_of(values, saved, spent.cost)
        if isinstance(found, Undefined):
            return Figure(undefined=found)
        valued = sum(items for items, _ in values.values())
        if not old or not number or not valued:
            return Figure(undefined=Undefined.NO_DENOMINATOR)
        fewer_lost = (old - answered) / old - (number - answered_since) / number
        return _percent(fewer_lost * number * found[0] / valued + found[1], found[2], number)

    def _touched(self, connection: Connection, question: Question, period: Period) -> tuple[int, int]:
        """Return how many were followed up in time, of how many."""
        asked = replace(question, group_by=(), period=period)
        horizon = NEVER_TOUCHED_DAYS * _DAY
        measure = Measure.BUYER_FIRST_FOLLOW_UP
        items = self._responses.items_so_old(connection, asked, measure, horizon)
        return items.get((), ResponseItems()).within(horizon)

    def _saved(self, connection: Connection, question: Question, group: GroupKey, spent: _Invested) -> Sums:
        named = {entry.investment for entry in spent.entries if entry.investment}
        entries = self._inputs.overlapping(connection, question.tenant, [InputKind.SUM], None)
        return summed(
            (entry.currency, entry.number)
            for entry in entries
            if entry.word == "saved_labour"
            and (not group or entry.investment == group[0])
            and (entry.investment in named or _overlaps(entry, question.period))
        )

    # People.

    def ramp(self, connection: Connection, question: Question) -> Found:
        """Return after how many months new people booked their quota (V11)."""
        goals = self._inputs.overlapping(connection, question.tenant, [InputKind.GOAL], None)
        by_person: dict[str, list[InputEntry]] = defaultdict(list)
        for goal in sales_goals(goals):
            if goal.person:
                by_person[goal.person].append(goal)
        began = {person: min(goal.first_day for goal in own) for person, own in by_person.items()}
        joined = [person for person, day in began.items() if _is_within(day, question.period)]
        if not joined:
            return [] if question.group_by else [((), Figure(undefined=Undefined.NO_DATA))]
        booked = self._booked(connection, question, joined, min(began[person] for person in joined))
        today = self._queries.days(connection, question.tenant).day_of(question.now)
        items: dict[GroupKey, list[tuple[int, Outcome]]] = defaultdict(list)
        for person in joined:
            group = (by_person[person][0].team,) if question.group_by else ()
            items[group].append(_months_to_quota(by_person[person], booked, began[person], today))
        return [(group, _median_months(of_group)) for group, of_group in items.items()]

    def _booked(
        self, connection: Connection, question: Question, people: list[str], first: Days
    ) -> dict[tuple[str, Days], Sums]:
        """Return what each of these people won, by month."""
        days = self._queries.days(connection, question.tenant)
        deal = self._tables.opportunity_fact
        query = select(deal.c.owner, deal.c.close_time, deal.c.currency, deal.c.minor_units).where(
            deal.c.tenant == question.tenant,
            deal.c.state == "won",
            deal.c.close_time >= days.start_of(first_of_month(first)),
            deal.c.owner.in_(sorted(people)),
        )
        won: dict[tuple[str, Days], list[tuple[str, int]]] = defaultdict(list)
        for owner, time, currency, minor_units in connection.execute(query):
            won[owner, first_of_month(days.day_of(time))].append((currency, minor_units))
        return {key: summed(amounts) for key, amounts in won.items()}


def costs_of(
    whole: Mapping[GroupKey, FunnelTally],
    sold: Mapping[GroupKey, Sums],
    missed: Mapping[GroupKey, tuple[int, int]],
    *,
    by_segment: bool,
) -> Found:
    """Return what fewer wins among missed handoffs were worth, by segment or in all, with its interval."""
    figures = {
        segment: _cost_of(tally, sold.get(segment, {}), *missed.get(segment, (0, 0)))
        for segment, tally in whole.items()
    }
    if by_segment:
        return list(figures.items())
    known = [figure for figure in figures.values() if figure.amount is not None]
    mixed = any(figure.undefined is Undefined.MIXED_CURRENCIES for figure in figures.values())
    if mixed or len({figure.amount.currency for figure in known if figure.amount}) > 1:
        return [((), Figure(undefined=Undefined.MIXED_CURRENCIES))]
    if not known:
        return [((), Figure(undefined=Undefined.NO_DENOMINATOR))]
    amounts = [figure.amount for figure in known if figure.amount is not None]
    total = Amount(amounts[0].currency, sum(each.minor_units for each in amounts))
    bounds = [figure.interval for figure in known if figure.interval is not None]
    interval = Interval(sum(each.low for each in bounds), sum(each.high for each in bounds))
    missed_in_all = sum(figure.denominator or 0 for figure in known)
    return [((), Figure(amount=total, interval=interval, denominator=missed_in_all))]


def _cost_of(tally: FunnelTally, sold: Sums, missed: int, won_of_missed: int) -> Figure:
    known = {currency: sums for currency, sums in sold.items() if currency}
    others, won_of_others = tally.items - missed, tally.won - won_of_missed
    if len(known) > 1:
        return Figure(undefined=Undefined.MIXED_CURRENCIES)
    if not known or not missed or others <= 0:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=missed)
    ((currency, (number, minor_units)),) = known.items()
    worth = missed * minor_units / number
    kept, broken = won_of_others / others, won_of_missed / missed
    difference = kept - broken
    interval = _difference(kept, wilson(won_of_others, others), broken, wilson(won_of_missed, missed))
    return Figure(
        amount=Amount(currency, round(worth * difference)),
        denominator=missed,
        interval=Interval(worth * interval.low, worth * interval.high),
    )


def _difference(one: float, of_one: Interval | None, other: float, of_other: Interval | None) -> Interval:
    """Return Newcombe's interval of the difference of two shares."""
    if of_one is None or of_other is None:
        return Interval(-1.0, 1.0)
    low = math.hypot(one - of_one.low, of_other.high - other)
    high = math.hypot(of_one.high - one, other - of_other.low)
    return Interval(one - other - low, one - other + high)


def _together(amounts: Iterable[Sums]) -> Sums:
    found: dict[str, tuple[int, int]] = {}
    for each in amounts:
        for currency, (items, minor_units) in each.items():
            known = found.get(currency, (0, 0))
            found[currency] = (known[0] + items, known[1] + minor_units)
    return found


def _percent(gained: float, cost: int, number: int) -> Figure:
    if not cost:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=0)
    return Figure(scalar=100 * (gained - cost) / cost, denominator=number)


def _overlaps(entry: InputEntry, period: Period | None) -> bool:
    return period is None or (entry.first_day < period.last and entry.last_day > period.first)


def _is_within(day: Days, period: Period | None) -> bool:
    return period is None or period.first <= day < period.last


def _months_to_quota(
    goals: list[InputEntry], booked: Mapping[tuple[str, Days], Sums], first: Days, today: Days
) -> tuple[int, Outcome]:
    """Return the first month, counted from 1, whose quota was booked; else how many have been waited."""
    person = goals[0].person or ""
    month, number = first_of_month(first), 0
    while month_after(month) <= today:
        number += 1
        quota = stated_by_node(goals, Period(month, month_after(month))).get(person)
        won = booked.get((person, month), {})
        if isinstance(quota, Amount) and won.get(quota.currency, (0, 0))[1] >= quota.minor_units > 0:
            return number, Outcome.ANSWERED
        month = month_after(month)
    return number, Outcome.WAITING


def _median_months(items: list[tuple[int, Outcome]]) -> Figure:
    curve = estimate(items)
    months = curve.quantile(0.5)
    if months is None:
        reason = Undefined.QUANTILE_NOT_REACHED
        return Figure(undefined=reason, denominator=curve.item_count, open_count=curve.waiting_count)
    return Figure(scalar=float(months), denominator=curve.item_count, open_count=curve.waiting_count)
