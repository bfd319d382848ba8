"""Reads figures of leads and stages from sums alone: the cost is that of the buckets of the period."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Table, func

from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.funnel import STAGES, FunnelTally, Stage
from services.reports.domain.further_kinds import LeadKpi, LeadView
from services.reports.domain.labels import Dimension
from services.reports.domain.lead_kpis import SETTLED_DAYS
from services.reports.domain.periods import Period
from services.reports.domain.responses import STAGE_MEASURES, ResponseItems
from services.reports.store.deal_sums import DealCells
from services.reports.store.queries import GroupKey, Queries, Question
from services.reports.store.responses import ResponseQueries

__all__ = ["Found", "LeadCounts", "inserted", "taken_out"]

Found: TypeAlias = list[tuple[GroupKey, Figure]]
"""A figure for each group, in no order."""

_Flows: TypeAlias = dict[GroupKey, dict[str, list[int]]]
"""By group and stage: how many came, how many went."""

_WAYS: Final = tuple(stage.value for stage in STAGES)
_IN: Final = 0
_OUT: Final = 1


class LeadCounts:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, responses: ResponseQueries) -> None:
        self._queries = queries
        self._tables = queries.tables
        self._responses = responses

    # Leads, each once.

    def leads(self, connection: Connection, kpi: LeadKpi, question: Question) -> Found:
        """Return a figure of leads for each group; without groups exactly one row."""
        asked = self._so_old(connection, question, kpi.horizon_days)
        if asked is None:
            return [] if question.group_by else [((), kpi.value(LeadView(FunnelTally(), {})))]
        queries = self._queries
        handoffs, tallies = self._tables.handoff_rollup, self._tables.tally_rollup
        cohorts = queries.sums(
            connection,
            asked,
            handoffs,
            [kpi.stage.value],
            counters=FunnelTally._fields,
            where=_of_channels(handoffs, kpi),
        )
        beside = {}
        if kpi.anchors:
            beside = queries.sums(
                connection,
                asked,
                tallies,
                kpi.anchors,
                counters=("items",),
                where=_of_channels(tallies, kpi),
                extra=(tallies.c.word,),
            )
        counted: dict[GroupKey, dict[tuple[str, str], int]] = defaultdict(dict)
        for (anchor, key), (items,) in beside.items():
            counted[key[:-1]][anchor, key[-1] or ""] = items
        whole = {group: FunnelTally(*counters) for (_, group), counters in cohorts.items()}
        groups = list(dict.fromkeys([*whole, *counted])) or ([] if question.group_by else [()])
        return [
            (group, kpi.value(LeadView(whole.get(group, FunnelTally()), counted.get(group, {}))))
            for group in groups
        ]

    def _so_old(self, connection: Connection, question: Question, days: int) -> Question | None:
        if not days:
            return question
        today = self._queries.days(connection, question.tenant).day_of(question.now)
        period = (question.period or Period(1, today + 1)).before(today - days)
        return None if period is None else replace(question, period=period)

    # Stages.

    def stays(self, connection: Connection, question: Question) -> Found:
        """Return how long handoffs stay in each stage (H7)."""
        at, asked = taken_out(question, Dimension.STAGE)
        found: Found = []
        for stage, measure in zip(_WAYS, STAGE_MEASURES, strict=False):
            by_group = self._responses.counted(connection, asked, measure)
            if not asked.group_by:
                by_group = by_group or {(): ResponseItems()}
            for group, items in by_group.items():
                figure = Figure.quantile(items.curve(), 0.5, invalid_count=items.invalid_count)
                found.append((inserted(group, at, stage), figure))
        return found

    def balance(self, connection: Connection, question: Question) -> Found:
        """Return how many handoffs stand in each stage when the period ends (H8)."""
        period = None if question.period is None else Period(1, question.period.last)
        return self._of_flows(connection, replace(question, period=period), 1, -1)

    def inflow(self, connection: Connection, question: Question) -> Found:
        """Return how many came to each stage (H8.in)."""
        return self._of_flows(connection, question, 1, 0)

    def outflow(self, connection: Connection, question: Question) -> Found:
        """Return how many went on from each stage or left there (H8.out)."""
        return self._of_flows(connection, question, 0, 1)

    def _of_flows(self, connection: Connection, question: Question, came: int, went: int) -> Found:
        at, asked = taken_out(question, Dimension.STAGE)
        flows = self._flows(connection, asked) or ({} if asked.group_by else {(): {}})
        return [
            (
                inserted(group, at, stage),
                Figure.number(
                    came * by_stage.get(stage, [0, 0])[_IN] + went * by_stage.get(stage, [0, 0])[_OUT]
                ),
            )
            for group, by_stage in flows.items()
            for stage in _WAYS[:-1]
        ]

    def _flows(self, connection: Connection, question: Question) -> _Flows:
        queries, tallies = self._queries, self._tables.tally_rollup
        flows: _Flows = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        entries = queries.sums(
            connection, question, self._tables.handoff_rollup, _WAYS, counters=("items", "archived")
        )
        previous = {following: stage for stage, following in pairwise(_WAYS)}
        for (stage, group), (items, archived) in entries.items():
            flows[group][stage][_IN] += items - archived
            if stage in previous:
                flows[group][previous[stage]][_OUT] += items - archived
        left = queries.sums(
            connection, question, tallies, ["left"], counters=("items",), extra=(tallies.c.word,)
        )
        for (_, key), (items,) in left.items():
            flows[key[:-1]][key[-1] or ""][_OUT] += items
        return flows

    def value(self, connection: Connection, question: Question) -> Found:
        """Return what open handoffs are worth by state: before an opportunity, and after (H14)."""
        asked, tallies = replace(question, group_by=(), period=None), self._tables.tally_rollup
        waiting = self._queries.sums(
            connection,
            asked,
            tallies,
            ["backlog"],
            counters=("items", "number"),
            extra=(tallies.c.word, tallies.c.other),
        )
        worth = [
            (state or "", currency or "", items, minor_units)
            for (_, (state, currency)), (items, minor_units) in waiting.items()
            if state != "converted"
        ]
        deals = DealCells(self._queries, connection, question.tenant).of("deal open", asked)
        worth += [("converted", currency, *counted) for (_, _, currency), counted in deals.items()]
        by_state: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        for state, currency, items, minor_units in worth:
            known = by_state[state].get(currency, (0, 0))
            by_state[state][currency] = (known[0] + items, known[1] + minor_units)
        default = self._queries.currency(connection, question.tenant)
        return [
            ((state,), Figure.sum_of(amounts, default_currency=default))
            for state, amounts in by_state.items()
        ]

    # Scores.

    def inversions(self, connection: Connection, question: Question) -> Found:
        """Return how many bands won less than one of lower scores (L1.inversions)."""
        asked = self._so_old(connection, question, SETTLED_DAYS)
        bands = {} if asked is None else self._bands(connection, asked)
        settled = sorted(
            (number / items, won / ended) for items, number, won, ended in bands.values() if ended
        )
        if not settled:
            return [((), Figure(undefined=Undefined.NO_DATA))]
        below = 0.0
        inverted = 0
        for _, share in settled:
            inverted += share < below
            below = max(below, share)
        return [((), Figure(count=inverted, denominator=len(settled)))]

    def _bands(self, connection: Connection, question: Question) -> dict[str, list[int]]:
        tallies = self._tables.tally_rollup
        sums = self._queries.sums(
            connection,
            replace(question, group_by=()),
            tallies,
            ["score"],
            counters=("items", "number"),
            extra=(tallies.c.word, tallies.c.other),
        )
        bands: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for (_, (band, outcome)), (items, number) in sums.items():
            known = bands[band or ""]
            known[0] += items
            known[1] += number
            known[2] += items if outcome == "won" else 0
            known[3] += items if outcome else 0
        return bands

    # Sums of handoffs by one of their labels or words, for figures of a mix.

    def mix(
        self, connection: Connection, question: Question, of: Dimension
    ) -> dict[GroupKey, dict[str, int]]:
        """Return for each group how many handoffs were submitted with each segment, or score band."""
        if of is Dimension.SCORE_BAND:
            table, anchor = self._tables.tally_rollup, "score"
            extra: tuple[ColumnElement[str], ...] = (table.c.word,)
        else:
            table, anchor = self._tables.handoff_rollup, Stage.SUBMITTED.value
            extra = (table.c[of.value],)
        sums = self._queries.sums(connection, question, table, [anchor], counters=("items",), extra=extra)
        mixes: dict[GroupKey, dict[str, int]] = defaultdict(dict)
        for (_, key), (items,) in sums.items():
            mixes[key[:-1]][key[-1] or ""] = items
        return mixes


def taken_out(question: Question, dimension: Dimension) -> tuple[int, Question]:
    """Return where a dimension stands among those asked for, and the question without it."""
    others = tuple(each for each in question.group_by if each is not dimension)
    at = question.group_by.index(dimension) if dimension in question.group_by else 0
    return at, replace(question, group_by=others)


def inserted(group: GroupKey, at: int, value: str) -> GroupKey:
    """Return a group with one more value at its place."""
    return (*group[:at], value, *group[at:])


def _of_channels(table: Table, kpi: LeadKpi) -> Sequence[ColumnElement[bool]]:
    channel = func.coalesce(table.c.source_channel, "")
    where: list[ColumnElement[bool]] = []
    if kpi.without_channels:
        where.append(channel.not_in(sorted(kpi.without_channels)))
    if kpi.only_channels:
        where.append(channel.in_(sorted(kpi.only_channels)))
    return where
