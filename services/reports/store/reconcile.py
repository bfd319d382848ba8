"""Checks that sums and facts agree. Every number here must be 0; another one is a defect of the fold."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, func, select

from services.reports.domain.clocks import ClockState
from services.reports.domain.funnel import Stage
from services.reports.domain.words import State
from services.reports.store.schema import DAY, MONTH, Tables

__all__ = ["Mismatches", "reconcile"]


class Mismatches(NamedTuple):
    """By how many items the checks fail, over all tenants."""

    conservation: int
    """Submitted handoffs against the sum over their current states."""
    clock_pairs: int
    """Started clocks against the sum over their outcomes and the open ones."""
    totals: int
    """Sums by day against sums by month, in every roll-up and counter."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def reconcile(connection: Connection, tables: Tables) -> Mismatches:
    """Count every fact anew and compare; costs one pass over the facts."""
    return Mismatches(
        conservation=_conservation(connection, tables),
        clock_pairs=_clock_pairs(connection, tables),
        totals=sum(_totals(connection, table) for table in tables.rollups),
    )


def _conservation(connection: Connection, tables: Tables) -> int:
    fact, rollup = tables.handoff_fact, tables.handoff_rollup
    submitted = _by_tenant(
        connection, rollup, "items", rollup.c.anchor == Stage.SUBMITTED.value, rollup.c.grain == DAY
    )
    rows = connection.execute(
        select(fact.c.tenant, fact.c.state, func.count()).group_by(fact.c.tenant, fact.c.state)
    )
    in_states: dict[str, int] = {}
    known = {state.value for state in State}
    for tenant, state, number in rows:
        in_states[tenant] = in_states.get(tenant, 0) + (number if state in known else 0)
    return _difference(submitted, in_states)


def _clock_pairs(connection: Connection, tables: Tables) -> int:
    fact, rollup = tables.clock_fact, tables.clock_rollup
    rows = connection.execute(
        select(fact.c.tenant, fact.c.state, func.count()).group_by(fact.c.tenant, fact.c.state)
    )
    counted: dict[str, dict[str, int]] = {state.value: {} for state in ClockState}
    for tenant, state, number in rows:
        counted.setdefault(state, {})[tenant] = number
    mismatches = 0
    summed: dict[str, int] = {}
    for state in ClockState:
        of_state = _by_tenant(connection, rollup, state.value, rollup.c.grain == DAY)
        mismatches += _difference(of_state, counted[state.value])
        for tenant, number in of_state.items():
            summed[tenant] = summed.get(tenant, 0) + number
    return mismatches + _difference(summed, _by_tenant(connection, rollup, "items", rollup.c.grain == DAY))


def _totals(connection: Connection, table: Table) -> int:
    names = [column.name for column in table.columns]
    counters = [name for name in names[names.index("items") :] if name != "buckets"]
    query = select(table.c.tenant, *(func.sum(table.c[name]) for name in counters)).group_by(table.c.tenant)
    by_day = {row[0]: row[1:] for row in connection.execute(query.where(table.c.grain == DAY))}
    by_month = {row[0]: row[1:] for row in connection.execute(query.where(table.c.grain == MONTH))}
    nothing = (0,) * len(counters)
    return sum(
        abs(one - other)
        for tenant in by_day.keys() | by_month.keys()
        for one, other in zip(by_day.get(tenant, nothing), by_month.get(tenant, nothing), strict=True)
    )


def _by_tenant(
    connection: Connection, table: Table, counter: str, *conditions: ColumnElement[bool]
) -> dict[str, int]:
    query = select(table.c.tenant, func.sum(table.c[counter])).where(*conditions).group_by(table.c.tenant)
    return {row[0]: row[1] for row in connection.execute(query)}


def _difference(one: dict[str, int], other: dict[str, int]) -> int:
    return sum(abs(one.get(tenant, 0) - other.get(tenant, 0)) for tenant in one.keys() | other.keys())
