"""Reads how opportunities go through stages, from sums: the cost is that of buckets and of open ones."""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, select

from services.reports.domain.deals import WON
from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.forecast_kpis import STAY_QUANTILE, STAY_WINDOW_DAYS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Days, Micros, Period
from services.reports.store.deal_sums import DealCells
from services.reports.store.lead_counts import Found, inserted, taken_out
from services.reports.store.queries import GroupKey, Queries, Question

__all__ = ["DEFAULT_STAGES", "DealStages"]

DEFAULT_STAGES: Final = ("DISCOVERY", "PROPOSAL", "NEGOTIATION", "CONTRACT")
"""Those of a tenant that named none."""

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND


class DealStages:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._tables = queries.tables

    def order(self, connection: Connection, tenant: str) -> tuple[str, ...]:
        """Return the tenant's stages, first to last."""
        table = self._tables.opportunity_stages
        told = connection.scalar(select(table.c.stages).where(table.c.tenant == tenant))
        return tuple(told.split(",")) if told else DEFAULT_STAGES

    def conversion(self, connection: Connection, question: Question) -> Found:
        """Return how many of those that came to a stage came further (P10)."""
        order = self.order(connection, question.tenant)
        at, asked = taken_out(question, Dimension.OPPORTUNITY_STAGE)
        ranks = _Ranks(order)
        came: dict[GroupKey, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        cells = DealCells(self._queries, connection, question.tenant)
        for (group, stage, reached), (items, _) in cells.of("deal stage", asked).items():
            for passed, went_on in ranks.passed(stage, reached.split(",")):
                came[group][passed][0] += items * went_on
                came[group][passed][1] += items
        groups = came or ({} if asked.group_by else {(): {}})
        return [
            (inserted(group, at, stage), Figure.share(*by_stage.get(stage, [0, 0])))
            for group, by_stage in groups.items()
            for stage in [*order, *sorted(by_stage.keys() - set(order))]
        ]

    def bottleneck(self, connection: Connection, question: Question) -> Found:
        """Return how many came to each stage of those that left it (P17)."""
        order = self.order(connection, question.tenant)
        at, asked = taken_out(question, Dimension.OPPORTUNITY_STAGE)
        flows: dict[GroupKey, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        cells = DealCells(self._queries, connection, question.tenant)
        for number, anchor in enumerate(("deal in", "deal out")):
            for (group, stage, other), (items, _) in cells.of(anchor, asked).items():
                # Without a name it is the first stage: between the two nobody came and nobody left.
                if (stage or order[0]) != (other or order[0]):
                    flows[group][stage or order[0]][number] += items
        groups = flows or ({} if asked.group_by else {(): {}})
        return [
            (inserted(group, at, stage), Figure.quotient(*by_stage.get(stage, [0, 0])))
            for group, by_stage in groups.items()
            for stage in [*order, *sorted(by_stage.keys() - set(order))]
        ]

    def stagnation(self, connection: Connection, question: Question) -> Found:
        """Return how many open ones stand longer in their stage than usual (P12)."""
        order = self.order(connection, question.tenant)
        cells = DealCells(self._queries, connection, question.tenant)
        today = cells.days.day_of(question.now)
        usual = _usual_stays(cells, question, today, order[0])
        by_stage: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for stage, items in _open(cells, question, None).items():
            known, stay = by_stage[stage or order[0]], usual.get(stage)
            if stay is None:
                known[2] += items
                continue
            # Those who came on that day or later stand there no longer than usual.
            long_ago = Period(1, max(2, today - stay // _DAY))
            known[0] += _open(cells, question, long_ago).get(stage, 0)
            known[1] += items
        if question.group_by:
            return [((stage,), _stagnant([counted])) for stage, counted in by_stage.items()]
        return [((), _stagnant(list(by_stage.values())))]


class _Ranks:
    """The order of stages, an unnamed one the first, a win behind all."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self._order = order
        self._rank = {stage: rank for rank, stage in enumerate((*order, WON))} | {"": 0}

    def passed(self, stage: str, reached: list[str]) -> list[tuple[str, int]]:
        """Return the stages to be credited with a coming to `stage`, and whether each was gone beyond.

        These are the stage itself and those skipped just before it.
        """
        rank = self._rank.get(stage)
        if rank is None:
            return [(stage, int(WON in reached))]
        if stage == "" and self._order[0] in reached:
            return []
        ranks = sorted({self._rank[each] for each in reached if each in self._rank})
        below = bisect_right(ranks, rank - 1)
        first = ranks[below - 1] + 1 if below else 0
        last = min(rank, len(self._order) - 1)
        return [(self._order[each], int(ranks[-1] > each)) for each in range(first, last + 1)]


def _open(cells: DealCells, question: Question, period: Period | None) -> dict[str, int]:
    """Return how many open ones stand in each stage; with a period those that came to it then."""
    asked = replace(question, group_by=(), period=period)
    found: dict[str, int] = defaultdict(int)
    for (_, stage, _), (items, _) in cells.of("deal open", asked).items():
        found[stage] += items
    return found


def _usual_stays(cells: DealCells, question: Question, today: Days, first: str) -> dict[str, Micros]:
    """Return the length of stay that four fifths of those won kept to, by stage; an empty one as well."""
    window = Period(max(1, today - STAY_WINDOW_DAYS), today + 1)
    asked = replace(question, group_by=(), period=window)
    stays: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for (_, stage, bucket), (items, seconds) in cells.of("deal stay", asked).items():
        stays[stage].append((bucket, items, seconds))
    usual = {stage: _quantile(sorted(counted)) for stage, counted in stays.items()}
    if "" in usual or first in usual:
        longest = max(usual.get("", 0), usual.get(first, 0))
        usual |= {"": longest, first: longest}
    return usual


def _quantile(counted: list[tuple[str, int, int]]) -> Micros:
    wanted = STAY_QUANTILE * sum(items for _, items, _ in counted) - 1e-9
    passed = 0
    for _, items, seconds in counted:
        passed += items
        if passed >= wanted:
            return seconds * _SECOND // items
    return 0


def _stagnant(counted: list[list[int]]) -> Figure:
    stagnant, rated, unrated = (
        (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0, 0)
    )
    if not rated and unrated:
        return Figure(undefined=Undefined.NO_DATA, open_count=unrated)
    return Figure.share(stagnant, rated, open_count=unrated or None)
