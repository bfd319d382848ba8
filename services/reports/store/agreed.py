"""Reads what both parties agreed and how it stands: alarms, verdicts, payouts, whose time was lost.

What is read one by one is few: budgets, agreements, payouts, alerts told, clocks moved by pauses.
"""

import math
from collections import defaultdict
from dataclasses import replace
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from services.reports.domain.alignment_kpis import FEW_SETTLED, PARTY_OF_PART
from services.reports.domain.clocks import DUE
from services.reports.domain.estimators import Interval, Outcome, estimate
from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.funnel import Stage
from services.reports.domain.handover_kpis import ACTED_THRESHOLD
from services.reports.domain.labels import Dimension
from services.reports.domain.misses import MISSED_UNTIL_DAYS
from services.reports.domain.periods import Micros, Period
from services.reports.store.calendars import CompiledCalendars
from services.reports.store.delays import DelayQueries
from services.reports.store.lead_counts import Found, LeadCounts, inserted, taken_out
from services.reports.store.queries import GroupKey, Queries, Question
from services.reports.store.returns import costs_of
from services.reports.store.sheet import MISSED

__all__ = ["Agreed"]

_MINUTE: Final = 60
_ALWAYS: Final = date.max.toordinal()
_BASELINE_DAYS: Final = 365
_FLOOR: Final = 0.001
"""A segment that one side lacks has so small a share there: its logarithm stays finite."""
_ALL_BUT_ONE_OF_A_HUNDRED: Final = 0.99


class Agreed:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, counts: LeadCounts) -> None:
        self._queries = queries
        self._tables = queries.tables
        self._counts = counts
        self._delays = DelayQueries(queries)
        self._calendars = CompiledCalendars(queries.tables)

    # Budgets and alarms.

    def burning_fast(self, connection: Connection, question: Question) -> Found:
        """Return how many budgets burn fast (B3)."""
        return self._burning(connection, question, self._tables.budget_said.c.burning_fast)

    def burning_slowly(self, connection: Connection, question: Question) -> Found:
        """Return how many budgets burn slowly (B5)."""
        return self._burning(connection, question, self._tables.budget_said.c.burning_slowly)

    def _burning(self, connection: Connection, question: Question, flag: ColumnElement[Any]) -> Found:
        table = self._tables.budget_said
        groups = [table.c[dimension.value] for dimension in question.group_by]
        query = select(*groups, func.count(), func.sum(flag)).where(table.c.tenant == question.tenant)
        if question.party:
            query = query.where(table.c.parties.contains(f",{question.party},"))
        rows = connection.execute(query.group_by(*groups) if groups else query)
        return [
            (tuple(group), Figure(count=int(burning or 0), denominator=told))
            if told
            else (tuple(group), Figure(undefined=Undefined.NO_DATA))
            for *group, told, burning in rows
        ]

    def chance_of_misses(self, connection: Connection, question: Question) -> Found:
        """Return how likely so many misses are where a promise is just kept (B4)."""
        tallies = self._queries.clocks(connection, replace(question, group_by=(Dimension.COMMITMENT,)))
        objectives = {
            terms.commitment_id: terms.objective_basis_points
            for terms in self._queries.commitments(connection, question.tenant)
        }
        found: dict[GroupKey, Figure] = {}
        for (commitment,), tally in tallies.items():
            objective = objectives.get(commitment or "", 0)
            if 0 < tally.settled < FEW_SETTLED and objective:
                chance = _at_least(tally.breached, tally.settled, 1 - objective / 10_000)
                found[commitment,] = Figure(ratio=chance, denominator=tally.settled)
        if question.group_by:
            return list(found.items())
        least = min(found.values(), key=lambda figure: figure.ratio or 0.0, default=None)
        return [((), least or Figure(undefined=Undefined.NO_DENOMINATOR))]

    def delay_of_alerts(self, connection: Connection, question: Question) -> Found:
        """Return how long after its instant a rung is told of (S28)."""
        rung, alert = self._tables.rung_fact, self._tables.alert_fact
        days = self._queries.days(connection, question.tenant)
        where = [rung.c.tenant == question.tenant, rung.c.delivered_count > 0]
        told = [alert.c.tenant == question.tenant, alert.c.clock.is_not(None)]
        if question.period is not None:
            first, last = days.start_of(question.period.first), days.start_of(question.period.last)
            where += [rung.c.fire_time >= first, rung.c.fire_time < last]
            told.append(alert.c.create_time >= first)
        created: dict[tuple[str, str], list[Micros]] = defaultdict(list)
        for clock, rung_id, time in connection.execute(
            select(alert.c.clock, alert.c.rung_id, alert.c.create_time).where(*told)
        ):
            created[clock, rung_id].append(time)
        items = []
        for clock, rung_id, fired in connection.execute(
            select(rung.c.clock, rung.c.rung_id, rung.c.fire_time).where(*where)
        ):
            behind = [time for time in created.get((clock, rung_id), []) if time >= fired]
            waited = (min(behind) - fired, Outcome.ANSWERED) if behind else None
            items.append(waited or (max(0, question.now - fired), Outcome.WAITING))
        return [((), Figure.quantile(estimate(items), _ALL_BUT_ONE_OF_A_HUNDRED))]

    def pauses(self, connection: Connection, question: Question) -> Found:
        """Return what part of their time clocks stood still (S32)."""
        elapsed = self._queries.sums(
            connection, question, self._tables.clock_rollup, [DUE], counters=("elapsed",)
        )
        counted: dict[GroupKey, list[Micros]] = defaultdict(lambda: [0, 0])
        for (_, group), (micros,) in elapsed.items():
            counted[group][1] += micros
        for group, micros in self._paused(connection, question):
            counted[group][0] += micros
            counted[group][1] += micros
        groups = counted or ({} if question.group_by else {(): [0, 0]})
        # In seconds: the sums of microseconds of a large house outgrow the wire's numbers.
        return [
            (group, Figure.quotient(paused // 1_000_000, whole // 1_000_000))
            for group, (paused, whole) in groups.items()
        ]

    def _paused(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Micros]]:
        clock, version = self._tables.clock_fact, self._tables.agreement_version
        groups = [clock.c[dimension.value] for dimension in question.group_by]
        query = (
            select(
                *groups,
                clock.c.basis,
                clock.c.original_due_time,
                clock.c.due_time,
                version.c.calendar_version,
            )
            .select_from(clock.outerjoin(version, version.c.agreement_version == clock.c.agreement_version))
            .where(
                clock.c.tenant == question.tenant,
                clock.c.due_time != clock.c.original_due_time,
                clock.c.elapsed.is_not(None),
            )
        )
        if question.period is not None:
            days = self._queries.days(connection, question.tenant)
            query = query.where(
                clock.c.due_time >= days.start_of(question.period.first),
                clock.c.due_time < days.start_of(question.period.last),
            )
        found = []
        for *group, basis, original, due, calendar in connection.execute(query):
            openings = self._calendars.find(connection, calendar) if basis == "business" else None
            moved = due - original if openings is None else openings.between_us(original, due)
            found.append((tuple(group), max(0, moved)))
        return found

    # The agreement.

    def payout(self, connection: Connection, question: Question) -> Found:
        """Return by what payouts are multiplied (A3)."""
        table = self._tables.payout_due
        query = select(table).where(table.c.tenant == question.tenant).order_by(table.c.payout)
        if question.party:
            query = query.where(table.c.parties.contains(f",{question.party},"))
        if question.period is not None:
            days = self._queries.days(connection, question.tenant)
            query = query.where(
                table.c.due_time >= days.start_of(question.period.first),
                table.c.due_time < days.start_of(question.period.last),
            )
        factors: dict[GroupKey, list[int]] = defaultdict(list)
        for row in connection.execute(query):
            factors[tuple(getattr(row, each.value) for each in question.group_by)].append(row.percent)
        for agreement in self._in_force(connection, question.tenant):
            factors.setdefault((agreement,) if question.group_by else (), [])
        found = [
            (group, Figure(scalar=math.prod(each / 100 for each in of_group), denominator=len(of_group)))
            for group, of_group in factors.items()
        ]
        return found or ([] if question.group_by else [((), Figure(undefined=Undefined.NO_DATA))])

    def _in_force(self, connection: Connection, tenant: str) -> dict[str, Micros]:
        """Return when the newest version in force of each agreement took effect."""
        table = self._tables.agreement_version
        query = select(table.c.agreement_version, table.c.effective_time).where(
            table.c.tenant == tenant, table.c.state == "active", table.c.effective_time.is_not(None)
        )
        found: dict[str, Micros] = {}
        for version, effective in connection.execute(query):
            agreement = version.partition("/versions/")[0]
            found[agreement] = max(effective, found.get(agreement, effective))
        return found

    def age_of_agreement(self, connection: Connection, question: Question) -> Found:
        """Return how long ago the newest version took effect (A7)."""
        newest = max(self._in_force(connection, question.tenant).values(), default=None)
        if newest is None:
            return [((), Figure(undefined=Undefined.NO_DATA))]
        return [((), Figure(duration=max(0, question.now - newest)))]

    def silent_promises(self, connection: Connection, question: Question) -> Found:
        """Return how many promises nothing was counted for (A7.silent)."""
        promised = {
            terms.commitment_id
            for terms in self._queries.commitments(connection, question.tenant)
            if terms.active and (not question.party or question.party in terms.parties)
        }
        tallies = self._queries.clocks(connection, replace(question, group_by=(Dimension.COMMITMENT,)))
        heard = {commitment for (commitment,), tally in tallies.items() if tally.items}
        return [((), Figure.share(len(promised - heard), len(promised)))]

    # Whose time was lost.

    def delay_by_party(self, connection: Connection, question: Question) -> Found:
        """Return what part of the time of missed clocks was each party's (A4)."""
        return [
            (group, Figure.quotient(lost, whole)) for group, lost, whole in self._lost(connection, question)
        ]

    def minutes_by_party(self, connection: Connection, question: Question) -> Found:
        """Return how many minutes each party lost (A4.minutes)."""
        return [
            (group, Figure.number(lost // _MINUTE)) for group, lost, _ in self._lost(connection, question)
        ]

    def _lost(self, connection: Connection, question: Question) -> list[tuple[GroupKey, int, int]]:
        at, asked = taken_out(question, Dimension.PARTY)
        split = replace(asked, group_by=(*asked.group_by, Dimension.DELAY_PART))
        parts: dict[GroupKey, dict[str, int]] = defaultdict(dict)
        for (*rest, part), figure in self._delays.parts(connection, split):
            parts[tuple(rest)][part or ""] = figure.numerator or 0
        found = []
        for group, seconds in parts.items():
            by_party: dict[str, int] = dict.fromkeys(PARTY_OF_PART.values(), 0)
            for part, length in seconds.items():
                by_party[PARTY_OF_PART[part]] += length
            found += [
                (inserted(group, at, party), lost, sum(seconds.values())) for party, lost in by_party.items()
            ]
        return found

    # What the field told.

    def open_themes(self, connection: Connection, question: Question) -> Found:
        """Return the themes that were told often and of which nothing is done (A6.open)."""
        table = self._tables.feedback_fact
        query = (
            select(table.c.theme, func.count(), func.count(table.c.done_time))
            .where(table.c.tenant == question.tenant)
            .group_by(table.c.theme)
        )
        if question.period is not None:
            days = self._queries.days(connection, question.tenant)
            query = query.where(
                table.c.create_time >= days.start_of(question.period.first),
                table.c.create_time < days.start_of(question.period.last),
            )
        return [
            ((theme,), Figure.number(told))
            for theme, told, done in connection.execute(query)
            if told >= ACTED_THRESHOLD and not done
        ]

    # Marketing's quality.

    def verdict_on_conformance(self, connection: Connection, question: Question) -> Found:
        """Return whether marketing's promise of conformance is kept, as far as chance lets it be said."""
        table = self._tables.tally_rollup
        sums = self._queries.sums(
            connection,
            replace(question, group_by=()),
            table,
            ["definition"],
            counters=("items",),
            extra=(table.c.word,),
        )
        counted = {word: items for (_, (word,)), (items,) in sums.items()}
        share = Figure.share(counted.get("met", 0), sum(counted.values()))
        return self._verdict(connection, question, "conformance", share, at_least=True)

    def verdict_on_rejections(self, connection: Connection, question: Question) -> Found:
        """Return whether marketing's promise about rejections is kept, likewise."""
        tallies = self._queries.cohort(connection, replace(question, group_by=()), Stage.SUBMITTED)
        counted = tallies.get(())
        share = Figure.share(0, 0)
        if counted is not None:
            share = Figure.share(counted.rejected_on_marketing, counted.accepted + counted.rejected)
        return self._verdict(connection, question, "rejections", share, at_least=False)

    def _verdict(
        self, connection: Connection, question: Question, promise: str, share: Figure, *, at_least: bool
    ) -> Found:
        table = self._tables.promise_settled
        limit = connection.scalar(
            select(table.c.limit_ratio)
            .where(table.c.tenant == question.tenant, table.c.commitment_id == promise)
            .order_by(table.c.last_time.desc(), table.c.promise)
            .limit(1)
        )
        if limit is None:
            return [(("unknown",), Figure(undefined=Undefined.NO_DATA))]
        if share.interval is None:
            return [(("undecided",), share)]
        return [((_judged(share.interval, limit, at_least),), share)]

    # Drift.

    def drift_of_segments(self, connection: Connection, question: Question) -> Found:
        """Return how far the mix of segments is from before the agreement (K15)."""
        return self._drift(connection, question, Dimension.SEGMENT)

    def drift_of_scores(self, connection: Connection, question: Question) -> Found:
        """Return how far the mix of score bands is from before the agreement (K15.score)."""
        return self._drift(connection, question, Dimension.SCORE_BAND)

    def _drift(self, connection: Connection, question: Question, of: Dimension) -> Found:
        newest = max(self._in_force(connection, question.tenant).values(), default=None)
        if newest is None:
            return [] if question.group_by else [((), Figure(undefined=Undefined.NO_DATA))]
        began = self._queries.days(connection, question.tenant).day_of(newest)
        before = replace(question, period=Period(max(1, began - _BASELINE_DAYS), began))
        mixes = self._counts.mix(connection, question, of)
        baselines = self._counts.mix(connection, before, of)
        groups = mixes or ({} if question.group_by else {(): {}})
        return [(group, _index(mix, baselines.get(group, {}))) for group, mix in groups.items()]

    # What misses cost.

    def cost_of_misses(self, connection: Connection, question: Question) -> Found:
        """Return what fewer wins among the missed ones were worth (F8)."""
        asked = replace(question, group_by=(Dimension.SEGMENT,))
        whole = self._queries.cohort(connection, asked, Stage.SUBMITTED)
        sold = self._queries.amounts(connection, asked, Stage.SUBMITTED.value)
        missed = self._missed_by_segment(connection, asked)
        return costs_of(whole, sold, missed, by_segment=bool(question.group_by))

    def _missed_by_segment(
        self, connection: Connection, question: Question
    ) -> dict[GroupKey, tuple[int, int]]:
        table = self._tables.tally_rollup
        sums = self._queries.sums(
            connection, question, table, [MISSED], counters=("items",), extra=(table.c.word, table.c.other)
        )
        end = _ALWAYS if question.period is None else question.period.last + MISSED_UNTIL_DAYS
        found: dict[GroupKey, tuple[int, int]] = {}
        for (_, (*group, won, late)), (items,) in sums.items():
            if not late or int(late) < end:
                known = found.get(tuple(group), (0, 0))
                found[tuple(group)] = (known[0] + items, known[1] + (items if won else 0))
        return found


def _at_least(breached: int, settled: int, chance: float) -> float:
    """Return the chance of at least so many misses among so many, each missed with `chance`."""
    return math.fsum(
        math.comb(settled, number) * chance**number * (1 - chance) ** (settled - number)
        for number in range(breached, settled + 1)
    )


def _judged(interval: Interval, limit: float, at_least: bool) -> str:
    if at_least:
        kept, broken = interval.low >= limit, interval.high < limit
    else:
        kept, broken = interval.high <= limit, interval.low > limit
    if kept:
        return "kept"
    return "broken" if broken else "undecided"


def _index(mix: dict[str, int], baseline: dict[str, int]) -> Figure:
    now, then = sum(mix.values()), sum(baseline.values())
    if not now or not then:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=now)
    drift = 0.0
    for name in mix.keys() | baseline.keys():
        share = max(mix.get(name, 0) / now, _FLOOR)
        earlier = max(baseline.get(name, 0) / then, _FLOOR)
        drift += (share - earlier) * math.log(share / earlier)
    return Figure(scalar=drift, denominator=now)
