"""Reads sums and items for the figures. Sums cost the buckets of the period; items cost its handoffs."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache, partial
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
)

from services.reports.domain.clocks import DUE, ClockTally
from services.reports.domain.funnel import FunnelTally, Stage
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Micros, Period, Span, micros_of
from services.reports.store.fold import DEFAULT_ZONE, Folded
from services.reports.store.prepared import Prepared, PreparedStatements
from services.reports.store.schema import DAY, MONTH, OFFER_COUNTERS, Tables
from smarketing.businesstime import load_zone
from smarketing.eventlog.checkpoints import find_place

__all__ = ["CommitmentTerms", "GroupKey", "Queries", "Question", "month_of"]

GroupKey: TypeAlias = tuple[str | None, ...]
"""One value for each dimension asked for, in that order."""

_BEGINNING: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whose figures, of which days, in what groups, and at which instant open items are judged."""

    tenant: str
    period: Period | None
    """None: all time."""
    group_by: tuple[Dimension, ...] = ()
    now: Micros
    party: str = ""
    """Of clocks: only promises of this party; empty for everybody's."""
    kind: str = ""
    """Of clocks: only commitments of this kind; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentTerms:
    """A commitment as its newest version in force words it, else as its newest version does."""

    commitment_id: str
    title: str
    parties: tuple[str, ...]
    kind: str
    objective_basis_points: int
    active: bool


class Queries:
    """Questions to the read model, each inside the caller's read transaction."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._statements = PreparedStatements()
        zone = tables.tenant_setting.c
        self._zone = Prepared(select(zone.time_zone).where(zone.tenant == bindparam("tenant")))

    # The model itself.

    def folded(self, connection: Connection) -> list[Folded]:
        """Return how far each log is folded in, by service; one that is divided, by all its members."""
        table = self.tables.folded_log
        found = [Folded(*row) for row in connection.execute(select(table).order_by(table.c.service))]
        whole = {each.service: each for each in found if "." not in each.service}
        for service in dict.fromkeys(each.service.partition(".")[0] for each in found if "." in each.service):
            # What a member folded in last says nothing of the others' events that it has behind it.
            place = find_place(connection, f"reports.{service}")
            if place is not None and place.record_time is not None:
                whole[service] = Folded(service, place.log_id, place.position, micros_of(place.record_time))
        return [whole[service] for service in sorted(whole)]

    def folded_of(self, connection: Connection, tenant: str) -> list[Folded]:
        """Return how far the tenant's view of each log is folded in, by service.

        A log that told nothing of the tenant yet is left out.
        """
        table = self.tables.folded_tenant
        rows = connection.execute(
            select(table.c.service, table.c.log_id, table.c.position, table.c.record_time)
            .where(table.c.tenant == tenant)
            .order_by(table.c.service)
        )
        return [Folded(*row) for row in rows]

    def days(self, connection: Connection, tenant: str) -> LocalDays:
        """Return the tenant's days."""
        rows = self._zone.run(connection, tenant=tenant)
        return _days_of(rows[0][0] if rows and rows[0][0] else DEFAULT_ZONE)

    def currency(self, connection: Connection, tenant: str) -> str:
        """Return the tenant's reporting currency; empty when it never named one."""
        setting = self.tables.tenant_setting
        return connection.scalar(select(setting.c.currency_code).where(setting.c.tenant == tenant)) or ""

    def commitments(self, connection: Connection, tenant: str) -> list[CommitmentTerms]:
        """Return the tenant's commitments, each once, in the order of the agreements."""
        version, promise = self.tables.agreement_version, self.tables.commitment_version
        rows = connection.execute(
            select(promise, version.c.state)
            .join(version, version.c.agreement_version == promise.c.agreement_version)
            .where(promise.c.tenant == tenant)
            .order_by(
                (version.c.state == "active").desc(),
                func.coalesce(version.c.effective_time, 0).desc(),
                promise.c.agreement_version.desc(),
                promise.c.rank,
            )
        )
        found: dict[str, CommitmentTerms] = {}
        for row in rows:
            found.setdefault(
                row.commitment_id,
                CommitmentTerms(
                    commitment_id=row.commitment_id,
                    title=row.title,
                    parties=tuple(row.parties.strip(",").split(",")),
                    kind=row.kind,
                    objective_basis_points=row.objective_basis_points,
                    active=row.state == "active",
                ),
            )
        return list(found.values())

    # Handoffs.

    def cohort(
        self, connection: Connection, question: Question, anchor: Stage, *, without: Collection[str] = ()
    ) -> dict[GroupKey, FunnelTally]:
        """Return handoffs that reached `anchor` in the period, with what became of them whenever.

        `without` leaves out source channels.
        """
        table = self.tables.handoff_rollup
        sums = self.sums(
            connection,
            question,
            table,
            [anchor.value],
            counters=FunnelTally._fields,
            where=_without(table, without),
        )
        return {group: FunnelTally(*counters) for (_, group), counters in sums.items()}

    def entries(
        self, connection: Connection, question: Question, *, without: Collection[str] = ()
    ) -> dict[GroupKey, FunnelTally]:
        """Return handoffs that reached each stage in the period, whenever they were submitted."""
        table = self.tables.handoff_rollup
        anchors = [stage.value for stage in Stage]
        sums = self.sums(
            connection,
            question,
            table,
            anchors,
            counters=("items", "archived"),
            where=_without(table, without),
        )
        tallies: dict[GroupKey, dict[str, int]] = defaultdict(dict)
        for (anchor, group), (items, archived) in sums.items():
            if anchor == Stage.SUBMITTED.value:
                tallies[group] |= {"items": items, "archived": archived}
            else:
                tallies[group][anchor] = items
        for group, number in self._rejected_on_marketing(connection, question, without).items():
            tallies[group]["rejected_on_marketing"] = number
        return {group: FunnelTally(**counted) for group, counted in tallies.items()}

    def _rejected_on_marketing(
        self, connection: Connection, question: Question, without: Collection[str]
    ) -> dict[GroupKey, int]:
        table = self.tables.reason_rollup
        sums = self.sums(
            connection,
            question,
            table,
            [Stage.REJECTED.value],
            counters=("items",),
            where=[
                *_rejections_in(table),
                *_without(table, without),
                table.c.accountable_party == "marketing",
            ],
        )
        return {group: items for (_, group), (items,) in sums.items()}

    def rejections(self, connection: Connection, question: Question, anchor: Stage) -> dict[GroupKey, int]:
        """Return standing rejections; reason code and party may be among the groups."""
        table = self.tables.reason_rollup
        sums = self.sums(
            connection,
            question,
            table,
            [anchor.value],
            counters=("items",),
            where=_rejections_in(table),
        )
        return {group: items for (_, group), (items,) in sums.items()}

    def amounts(
        self, connection: Connection, question: Question, anchor: str
    ) -> dict[GroupKey, dict[str, tuple[int, int]]]:
        """Return, by currency, how many amounts `anchor` has, and their sum; no currency: not known."""
        table = self.tables.amount_rollup
        amounts: dict[GroupKey, dict[str, tuple[int, int]]] = defaultdict(dict)
        sums = self.sums(
            connection,
            question,
            table,
            [anchor],
            counters=("items", "minor_units"),
            extra=(table.c.currency,),
        )
        for (_, group), (items, minor_units) in sums.items():
            amounts[group[:-1]][group[-1] or ""] = (items, minor_units)
        return dict(amounts)

    def offer_ends(self, connection: Connection, question: Question) -> dict[GroupKey, dict[str, int]]:
        """Return how many offers ended in the period, in all (`items`) and in each way."""
        sums = self.sums(connection, question, self.tables.offer_rollup, ["ended"], counters=OFFER_COUNTERS)
        return {
            group: dict(zip(OFFER_COUNTERS, counters, strict=True)) for (_, group), counters in sums.items()
        }

    def unattended(self, connection: Connection, tenant: str) -> int:
        """Return how many handoffs nobody is responsible for."""
        fact = self.tables.handoff_fact
        query = select(func.count()).where(fact.c.tenant == tenant, fact.c.unattended == 1)
        return connection.scalar(query) or 0

    # Clocks.

    def clocks(self, connection: Connection, question: Question) -> dict[GroupKey, ClockTally]:
        """Return clocks due in the period, counted at their due instants.

        A clock met early is counted once it would have been due; the days until yesterday are read from
        sums, today and what is due later from the clocks themselves.
        """
        days = self.days(connection, question.tenant)
        today = days.day_of(question.now)
        asked = question.period or Period(_BEGINNING, date.max.toordinal())
        tallies: dict[GroupKey, list[int]] = {}
        past = asked.before(today)
        if past is not None:
            table = self.tables.clock_rollup
            counters = ClockTally._fields[:-1]
            earlier = replace(question, period=past)
            summed = self.sums(
                connection, earlier, table, [DUE], counters=counters, where=self._promised(table, question)
            )
            for (_, group), sums in summed.items():
                # Every clock of a past day that still runs is past its due instant.
                _merge(tallies, group, (*sums, sums[counters.index("running")]))
        if asked.last > today:
            first = max(asked.first, today)
            last = None if question.period is None else days.start_of(asked.last)
            for group, sums in self._young_clocks(connection, question, days.start_of(first), last):
                _merge(tallies, group, sums)
        by_party = _by_party(tallies, question.group_by)
        return {group: ClockTally(*sums) for group, sums in by_party.items()}

    def _young_clocks(
        self, connection: Connection, question: Question, first: Micros, last: Micros | None
    ) -> Iterator[tuple[GroupKey, tuple[int, ...]]]:
        clock, handoff = self.tables.clock_fact, self.tables.handoff_fact
        due = clock.c.due_time <= question.now
        state = clock.c.state
        breached = state == "breached"
        met = and_(state == "met", due)
        conditions = {
            "items": clock.c.clock.is_not(None),
            "met": met,
            "breached": breached,
            "excused": state == "excused",
            "void": and_(state == "void", due),
            "running": state == "running",
            "paused": state == "paused",
            "unserved": and_(breached, clock.c.stop_time.is_(None)),
            "retracted": and_(met, clock.c.retracted == 1),
            "met_original": and_(met, clock.c.stop_time <= clock.c.original_due_time),
            "warned": and_(or_(met, breached), clock.c.warned == 1),
            "warned_met": and_(met, clock.c.warned == 1),
            "running_late": and_(state == "running", clock.c.due_time < question.now),
        }
        groups = [self._clock_column(dimension) for dimension in question.group_by]
        counts = [func.sum(case((conditions[name], 1), else_=0)) for name in ClockTally._fields]
        query = (
            select(*groups, *counts)
            .select_from(clock.outerjoin(handoff, handoff.c.handoff == clock.c.handoff))
            .where(
                clock.c.tenant == question.tenant, clock.c.due_time >= first, *self._promised(clock, question)
            )
        )
        if last is not None:
            query = query.where(clock.c.due_time < last)
        if groups:
            query = query.group_by(*groups)
        days = self.days(connection, question.tenant) if Dimension.MONTH in question.group_by else None
        for row in connection.execute(query):
            if row[len(groups)] is None:  # a sum over nothing
                continue
            yield _keyed(row[: len(groups)], question.group_by, days), tuple(row[len(groups) :])

    def _clock_column(self, dimension: Dimension) -> ColumnElement[Any]:
        clock = self.tables.clock_fact
        if dimension is Dimension.PARTY:
            return clock.c.parties
        if dimension is Dimension.MONTH:
            return clock.c.due_time
        if dimension in (Dimension.TEAM, Dimension.COMMITMENT, Dimension.AGREEMENT):
            return clock.c[dimension.value]
        return self.tables.handoff_fact.c[dimension.value]

    def _promised(self, table: Table, question: Question) -> list[ColumnElement[bool]]:
        found = _promised_by(table, question)
        if question.kind:
            known = self.tables.commitment_version
            of_kind = select(known.c.commitment_id).where(
                known.c.tenant == question.tenant, known.c.kind == question.kind
            )
            found.append(table.c.commitment_id.in_(of_kind))
        return found

    # Sums.

    def sums(
        self,
        connection: Connection,
        question: Question,
        table: Table,
        anchors: Sequence[str],
        *,
        counters: Sequence[str],
        where: Sequence[ColumnElement[bool]] = (),
        extra: Sequence[ColumnElement[Any]] = (),
    ) -> dict[tuple[str, GroupKey], tuple[int, ...]]:
        """Return sums of counters by anchor and group, `extra` columns behind the dimensions."""
        groups = [_rollup_column(table, dimension) for dimension in question.group_by]
        keys = [table.c.anchor, *groups, *extra]

        def select_sums(span: Span | None) -> Select[Any]:
            query = select(*keys, *(func.sum(table.c[name]) for name in counters))
            return query.where(*_of_tenant(table, anchors), *where, *_within(table, span)).group_by(*keys)

        asked = (table.name, *anchors, "by", question.group_by, *(each.name for each in extra), *counters)
        sums: dict[tuple[str, GroupKey], list[int]] = {}
        for span in _spans(question.period):
            values = _values(question, span)
            if where:
                rows: Iterable[Any] = connection.execute(select_sums(span), values)
            else:
                statement = self._statements.get((*asked, _kind(span)), partial(select_sums, span))
                rows = statement.run(connection, **values)
            for row in rows:
                labels = _keyed(row[1 : len(groups) + 1], question.group_by, None)
                _merge(sums, (row[0], (*labels, *row[len(groups) + 1 : len(keys)])), row[len(keys) :])
        return {key: tuple(found) for key, found in sums.items()}

    def cells(
        self,
        connection: Connection,
        question: Question,
        table: Table,
        anchor: str,
        values: Sequence[ColumnElement[Any]],
        *,
        in_days: bool = False,
    ) -> Iterator[tuple[GroupKey, Sequence[Any]]]:
        """Return values of each cell of the period, with its group; `in_days`: never the cells of months."""
        groups = [_rollup_column(table, dimension) for dimension in question.group_by]

        def select_cells(span: Span | None) -> Select[Any]:
            return select(*groups, *values).where(*_of_tenant(table, [anchor]), *_within(table, span))

        asked = (table.name, anchor, *(value.key for value in values), question.group_by)
        for span in _days_of_period(question.period) if in_days else _spans(question.period):
            statement = self._statements.get((*asked, _kind(span)), partial(select_cells, span))
            for row in statement.run(connection, **_values(question, span)):
                yield _keyed(row[: len(groups)], question.group_by, None), row[len(groups) :]


@lru_cache(maxsize=64)
def _days_of(zone: str) -> LocalDays:
    """Return the days of a zone, which remember what they were asked."""
    return LocalDays(load_zone(zone).info)


def _spans(period: Period | None) -> Iterator[Span | None]:
    return iter([None]) if period is None else period.spans()


def _days_of_period(period: Period | None) -> Iterator[Span | None]:
    return iter(() if period is None else [Span(period.first, period.last, whole_months=False)])


def _without(table: Table, channels: Collection[str]) -> list[ColumnElement[bool]]:
    if not channels:
        return []
    return [func.coalesce(table.c.source_channel, "").not_in(sorted(channels))]


def _promised_by(table: Table, question: Question) -> list[ColumnElement[bool]]:
    return [table.c.parties.contains(f",{question.party},")] if question.party else []


def _rejections_in(table: Table) -> list[ColumnElement[bool]]:
    return [table.c.outcome == Stage.REJECTED.value]


def _of_tenant(table: Table, anchors: Sequence[str]) -> list[ColumnElement[bool]]:
    # Anchors are words of ours and part of the statement, so that one can be rendered for all time.
    words: list[ColumnElement[str]] = [literal_column(f"'{anchor}'") for anchor in anchors]
    return [table.c.tenant == bindparam("tenant"), table.c.anchor.in_(words)]


def _within(table: Table, span: Span | None) -> list[ColumnElement[bool]]:
    grain = table.c.grain == literal_column(str(DAY if _kind(span) == "days" else MONTH))
    if span is None:
        return [grain]
    return [grain, table.c.day >= bindparam("first"), table.c.day < bindparam("last")]


def _kind(span: Span | None) -> str:
    if span is None:
        return "all"
    return "months" if span.whole_months else "days"


def _values(question: Question, span: Span | None) -> dict[str, Any]:
    whose: dict[str, Any] = {"tenant": question.tenant}
    return whose if span is None else whose | {"first": span.first, "last": span.last}


def _rollup_column(table: Table, dimension: Dimension) -> ColumnElement[Any]:
    if dimension is Dimension.PARTY:
        return table.c.parties if "parties" in table.c else table.c.accountable_party
    return table.c[dimension.value]


def _keyed(values: Sequence[Any], group_by: Sequence[Dimension], days: LocalDays | None) -> GroupKey:
    """Return a group's values as text; `days` turns due instants into the month of their day."""
    if Dimension.MONTH not in group_by:
        return tuple(values)
    return tuple(
        (month_of(days.day_of(value)) if days else month_of(value)) if dimension is Dimension.MONTH else value
        for dimension, value in zip(group_by, values, strict=True)
    )


def month_of(day: int) -> str:
    """Return the month of a day, as people write it: `2026-03`."""
    return date.fromordinal(day).isoformat()[:7]


def _merge(sums: dict[Any, list[int]], key: Any, more: Sequence[int]) -> None:
    known = sums.get(key)
    sums[key] = list(more) if known is None else [a + b for a, b in zip(known, more, strict=True)]


def _by_party(
    tallies: Mapping[GroupKey, list[int]], group_by: Sequence[Dimension]
) -> dict[GroupKey, list[int]]:
    """Count a joint promise for each of its parties."""
    if Dimension.PARTY not in group_by:
        return dict(tallies)
    at = group_by.index(Dimension.PARTY)
    split: dict[GroupKey, list[int]] = {}
    for group, sums in tallies.items():
        for party in (group[at] or "").strip(",").split(","):
            _merge(split, (*group[:at], party, *group[at + 1 :]), sums)
    return split
