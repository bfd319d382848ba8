"""Reads figures of recorded inputs, and of what stands in the logs beside them.

The cost is that of the entries that overlap the period; sums of handoffs cost the buckets of their period.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection

from services.reports.domain.attribution import Model, credited
from services.reports.domain.cycle_kpis import TimeToWonKpi
from services.reports.domain.figures import Figure
from services.reports.domain.funnel import STAGES, FunnelTally, Stage
from services.reports.domain.goals import nodes_of, quotas, sales_goals, stated_by_node
from services.reports.domain.input_kinds import (
    AttributionKpi,
    Beside,
    Credit,
    InputKpi,
    InputView,
    StageCostKpi,
)
from services.reports.domain.inputs import InputEntry, InputKind, InputParts, Part, part_of, summed
from services.reports.domain.kpi_kinds import Basis, Kpi, PipelineKpi
from services.reports.domain.labels import Dimension
from services.reports.domain.money_kpis import money_for_each
from services.reports.domain.periods import Days, Period, first_of_month, month_after
from services.reports.domain.pipeline_kpis import closing_in_period
from services.reports.store.cycles import CycleQueries
from services.reports.store.deal_sums import DealSums
from services.reports.store.inputs import InputStore
from services.reports.store.marketing_quotas import MarketingQuotas, of_period
from services.reports.store.pipeline import PipelineQueries
from services.reports.store.queries import GroupKey, Queries, Question, month_of

__all__ = ["InputReadings"]

_MATURE_DAYS: Final = 90
_WINDOW_DAYS: Final = 365
_RENEWED: Final = frozenset({"expansion", "renewal"})
_CLOSING: Final = PipelineKpi(
    kpi_id="P5", title="", formula="", unit="money", of="open", value=closing_in_period
)


class InputReadings:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, pipeline: PipelineQueries) -> None:
        self.queries = queries
        self.pipeline = pipeline
        self.deals = DealSums(queries)
        self.cycles = CycleQueries(queries)
        """How long handoffs take to be won."""
        self.inputs = InputStore(queries.tables.input_entry)
        """What was recorded."""
        self.quotas = MarketingQuotas(queries.tables)
        """What agreements want of marketing."""

    def rows(
        self, connection: Connection, kpi: Kpi, question: Question, basis: Basis
    ) -> list[tuple[GroupKey, Figure]] | None:
        """Return the figure for each group; None for a kind of figure that is read elsewhere."""
        match kpi:
            case InputKpi():
                return self._of_inputs(connection, kpi, question)
            case StageCostKpi():
                return self._costs_of_stages(connection, kpi, question, basis)
            case AttributionKpi():
                return self._credits(connection, kpi, question)
            case TimeToWonKpi():
                return self.cycles.rows(connection, question)
            case _:
                return None

    # Inputs by group.

    def _of_inputs(
        self, connection: Connection, kpi: InputKpi, question: Question
    ) -> list[tuple[GroupKey, Figure]]:
        question = replace(question, group_by=kpi.grouped_by(question.group_by))
        entries = self.inputs.overlapping(connection, question.tenant, kpi.kinds, question.period)
        parts = grouped(entries, question)
        beside = _Logs(self, connection, question)
        for word in kpi.beside:
            _READERS[word](beside)
        groups = dict.fromkeys([*parts, *beside.groups])
        today = self.queries.days(connection, question.tenant).day_of(question.now)
        return [
            (group, kpi.value(InputView(parts.get(group, InputParts()), beside.of(group), today)))
            for group in groups or ([] if question.group_by else [()])
        ]

    def _costs_of_stages(
        self, connection: Connection, kpi: Kpi, question: Question, basis: Basis
    ) -> list[tuple[GroupKey, Figure]]:
        group_by = kpi.grouped_by(question.group_by)
        at = group_by.index(Dimension.STAGE)
        asked = replace(question, group_by=(*group_by[:at], *group_by[at + 1 :]))
        entries = self.inputs.overlapping(connection, question.tenant, [InputKind.COST], question.period)
        parts = grouped(entries, asked)
        if basis is Basis.EVENT:
            tallies = self.queries.entries(connection, asked)
        else:
            tallies = self.queries.cohort(connection, asked, Stage.SUBMITTED)
        found = []
        for group in dict.fromkeys([*parts, *tallies]) or ([] if asked.group_by else [()]):
            tally = tallies.get(group, FunnelTally())
            cost = parts.get(group, InputParts()).sums(InputKind.COST, party="marketing")
            for stage in STAGES:
                number = tally.items if stage is Stage.SUBMITTED else getattr(tally, stage.value)
                found.append(((*group[:at], stage.value, *group[at:]), money_for_each(cost, number)))
        return found

    # Revenue credited to campaigns.

    def _credits(
        self, connection: Connection, kpi: AttributionKpi, question: Question
    ) -> list[tuple[GroupKey, Figure]]:
        group_by = kpi.grouped_by(question.group_by)
        kinds = (InputKind.REVENUE, InputKind.COST)
        entries = self.inputs.overlapping(connection, question.tenant, kinds, question.period)
        parts = [part_of(entry, question.period) for entry in entries]
        lines = [part for part in parts if part.entry.word in ("new", "repeat", "expansion")]
        journeys = {part.entry.journey for part in lines if part.entry.journey}
        ways: dict[str, list[InputEntry]] = defaultdict(list)
        for touch in self.inputs.touchpoints(connection, question.tenant, journeys):
            ways[touch.journey].append(touch)
        costs = [part for part in parts if part.entry.kind == InputKind.COST]
        found = []
        for model in [Model(kpi.model)] if kpi.model else list(Model):
            ledger = credit_lines(lines, ways, model)
            by_campaign = Dimension.CAMPAIGN in group_by
            campaigns: Sequence[str | None] = (
                sorted({*ledger, *(each.entry.campaign for each in costs if each.entry.campaign)})
                if by_campaign
                else [None]
            )
            for campaign in campaigns:
                group = tuple(
                    model.value if dimension is Dimension.ATTRIBUTION_MODEL else campaign
                    for dimension in group_by
                )
                found.append((group, kpi.value(_credit_of(campaign, ledger, lines, costs))))
        return found


def grouped(entries: Iterable[InputEntry], question: Question) -> dict[GroupKey, InputParts]:
    """Return the parts of entries in the period by group; months cut the entries that reach over them."""
    by_group: dict[GroupKey, list[Part]] = {} if question.group_by else {(): []}
    periods: dict[GroupKey, Period | None] = {}
    for entry in entries:
        for period in _cuts(entry, question):
            group = tuple(_label(entry, dimension, period) for dimension in question.group_by)
            by_group.setdefault(group, []).append(part_of(entry, period))
            periods[group] = period
    return {
        group: InputParts(parts, periods.get(group, question.period)) for group, parts in by_group.items()
    }


def _cuts(entry: InputEntry, question: Question) -> Iterator[Period | None]:
    if Dimension.MONTH not in question.group_by:
        yield question.period
        return
    asked = question.period or Period(entry.first_day, entry.last_day)
    day: Days = first_of_month(max(entry.first_day, asked.first))
    while day < min(entry.last_day, asked.last):
        yield Period(max(day, asked.first) if question.period else day, _month_end(day, question.period))
        day = month_after(day)


def _month_end(day: Days, asked: Period | None) -> Days:
    return month_after(day) if asked is None else min(month_after(day), asked.last)


def _label(entry: InputEntry, dimension: Dimension, period: Period | None) -> str | None:
    if dimension is Dimension.MONTH:
        return month_of((period or Period(entry.first_day, entry.last_day)).first)
    label: str | None = getattr(entry, dimension.value)
    return label


def credit_lines(
    lines: Iterable[Part], ways: dict[str, list[InputEntry]], model: Model
) -> dict[str, list[tuple[str, int, int | None]]]:
    """Return what each campaign is credited with: currency, revenue, and what was sold had cost.

    A line whose way has no touchpoint before it is its own campaign's; without one, nobody's.
    """
    ledger: dict[str, list[tuple[str, int, int | None]]] = defaultdict(list)
    for line in lines:
        entry = line.entry
        touches = [
            touch
            for touch in ways.get(entry.journey, [])
            if touch.campaign and touch.first_day <= entry.first_day
        ]
        if not touches:
            if entry.campaign:
                ledger[entry.campaign].append((entry.currency, line.number, line.second))
            continue
        days = [touch.first_day for touch in touches]
        revenue = credited(line.number, model, days)
        sold: Sequence[int | None] = [None] * len(days)
        if line.second is not None:
            sold = credited(line.second, model, days)
        for touch, earned, cost in zip(touches, revenue, sold, strict=True):
            ledger[touch.campaign or ""].append((entry.currency, earned, cost))
    return dict(ledger)


def _credit_of(
    campaign: str | None,
    ledger: dict[str, list[tuple[str, int, int | None]]],
    lines: Sequence[Part],
    costs: Sequence[Part],
) -> Credit:
    own = ledger.get(campaign, []) if campaign else [each for found in ledger.values() for each in found]
    return Credit(
        revenue=summed((currency, earned) for currency, earned, _ in own),
        margin=(
            None
            if any(sold is None for _, _, sold in own)
            else summed((currency, earned - (sold or 0)) for currency, earned, sold in own)
        ),
        cost=summed(
            (part.entry.currency, part.number)
            for part in costs
            if part.entry.campaign and campaign in (None, part.entry.campaign)
        ),
        won=summed((part.entry.currency, part.number) for part in lines),
    )


@dataclass
class _Logs:
    """What stands in the logs, read for one question; each reader fills what a figure asks for."""

    readings: InputReadings
    connection: Connection
    question: Question

    def __post_init__(self) -> None:
        self._found: dict[str, dict[GroupKey, Any]] = {}
        self._everywhere: dict[str, Any] = {}

    @property
    def groups(self) -> list[GroupKey]:
        """Every group that something was found for."""
        return list(dict.fromkeys(group for found in self._found.values() for group in found))

    def of(self, group: GroupKey) -> Beside:
        """Return what was found for a group."""
        own = {name: found[group] for name, found in self._found.items() if group in found}
        return Beside(**self._everywhere, **own)

    def won(self) -> None:
        """Find the amounts won in the period."""
        queries = self.readings.queries
        self._found["won"] = dict(queries.amounts(self.connection, self.question, Stage.WON.value))

    def won_count(self) -> None:
        """Find how many new customers were won in it."""
        queries = self.readings.queries
        tallies = queries.cohort(self.connection, self.question, Stage.WON, without=_RENEWED)
        self._found["won_count"] = {group: tally.items for group, tally in tallies.items()}
        self._everywhere |= {} if self.question.group_by or tallies else {"won_count": 0}

    def submitted_count(self) -> None:
        """Find how many handoffs were submitted in it."""
        self._count_submitted("submitted_count", "")

    def referred_count(self) -> None:
        """Find how many of these customers brought."""
        self._count_submitted("referred_count", "customer_referral")

    def _count_submitted(self, name: str, channel: str) -> None:
        queries = self.readings.queries
        table = queries.tables.handoff_rollup
        where = [table.c.source_channel == channel] if channel else []
        anchors = [Stage.SUBMITTED.value]
        sums = queries.sums(self.connection, self.question, table, anchors, counters=("items",), where=where)
        self._found[name] = {group: items for (_, group), (items,) in sums.items()}

    def earlier(self) -> None:
        """Find what became of those who came long enough before it."""
        queries = self.readings.queries
        question = self.question
        today = queries.days(self.connection, question.tenant).day_of(question.now)
        first = question.period.first if question.period else today
        window = Period(max(first - _MATURE_DAYS - _WINDOW_DAYS, 1), first - _MATURE_DAYS)
        asked = replace(question, period=window)
        tallies = queries.cohort(self.connection, asked, Stage.SUBMITTED)
        whole = queries.cohort(self.connection, replace(asked, group_by=()), Stage.SUBMITTED)
        self._found["earlier"] = dict(tallies)
        self._found["earlier_won"] = dict(queries.amounts(self.connection, asked, Stage.SUBMITTED.value))
        self._everywhere["earlier_whole"] = whole.get((), FunnelTally())

    def delivered(self) -> None:
        """Find what marketing handed over, and what the agreement wants."""
        readings, question = self.readings, self.question
        queries = readings.queries
        self._found["delivered"] = dict(queries.amounts(self.connection, question, "promised"))
        quota = readings.quotas.in_force(self.connection, question.tenant)
        if quota is None or question.period is None:
            return
        days = queries.days(self.connection, question.tenant)
        self._everywhere["quota"] = of_period(quota, question.period)
        self._everywhere["elapsed"] = readings.quotas.elapsed(
            self.connection, quota, question.period, days, question.now
        )

    def quota(self) -> None:
        """Find what is to be booked."""
        question = self.question
        entries = self.readings.inputs.overlapping(
            self.connection, question.tenant, [InputKind.GOAL], question.period
        )
        sales = sales_goals(entries)
        stated = stated_by_node(sales, question.period)
        found = {quota.node.name: quota.value for quota in quotas(nodes_of(sales), stated)}
        if not question.group_by:
            self._found["quota"] = {(): found["sales"]} if "sales" in found else {}
            return
        teams = {entry.team for entry in sales if entry.team}
        self._found["quota"] = {(team,): found[team] for team in sorted(teams) if team in found}

    def pipeline(self) -> None:
        """Find what may still close in it."""
        readings = self.readings
        summed = readings.deals.rows(self.connection, _CLOSING, self.question)
        if summed is None:
            summed = readings.pipeline.rows(self.connection, _CLOSING, self.question)
        self._found["pipeline"] = dict(summed)


_READERS: Final[dict[str, Callable[[_Logs], None]]] = {
    "won": _Logs.won,
    "won_count": _Logs.won_count,
    "submitted_count": _Logs.submitted_count,
    "referred_count": _Logs.referred_count,
    "earlier": _Logs.earlier,
    "delivered": _Logs.delivered,
    "quota": _Logs.quota,
    "pipeline": _Logs.pipeline,
}
