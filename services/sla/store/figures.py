"""What metrics show, read from one state of the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from services.sla.domain.agreement import CommitmentKind
from services.sla.domain.budget import BudgetState
from services.sla.domain.course import Outcome
from services.sla.store import schema

_clock, _tally, _budget = schema.clock, schema.tally, schema.promise_tables.budget
_LATE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One reading. Keys of the mappings are label values, tenant first."""

    totals: dict[tuple[str, str, str, str, str], int] = field(default_factory=dict)
    """(tenant, what, commitment, team, label) → how often, ever."""
    open_clocks: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    """(tenant, commitment, team, state) → clocks."""
    overdue_follow_ups: dict[tuple[str, str], tuple[int, datetime]] = field(default_factory=dict)
    """(tenant, team) → handoffs, and the oldest due instant."""
    budgets: dict[tuple[str, str], int] = field(default_factory=dict)
    """(tenant, state) → budgets that stand so; every state of a tenant is there."""
    timers_overdue: int = 0
    oldest_overdue_timer: datetime | None = None
    quarantined: int = 0
    replays_pending: int = 0


def read_figures(connection: Connection, tenants: Sequence[str], *, now: datetime) -> Figures:
    """Return the figures of these tenants, and of the machinery."""
    timers, oldest = connection.execute(
        select(func.count(), func.min(_clock.c.next_time)).where(
            _clock.c.next_time.is_not(None), _clock.c.next_time < now - _LATE
        )
    ).one()
    return Figures(
        totals=_totals(connection, tenants),
        open_clocks=_open_clocks(connection, tenants),
        overdue_follow_ups=_overdue_follow_ups(connection, tenants),
        budgets=_budgets(connection, tenants),
        timers_overdue=timers,
        oldest_overdue_timer=oldest,
        quarantined=_count(connection, _clock.c.quarantine_time.is_not(None), _clock),
        replays_pending=_count(connection, schema.replay.c.tenant.is_not(None), schema.replay),
    )


def _count(connection: Connection, condition: Any, table: Any) -> int:
    found: int = connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
    return found


def _totals(connection: Connection, tenants: Sequence[str]) -> dict[tuple[str, str, str, str, str], int]:
    query = select(
        _tally.c.tenant,
        _tally.c.what,
        _tally.c.commitment_id,
        _tally.c.team,
        _tally.c.label,
        _tally.c["count"],
    ).where(_tally.c.tenant.in_(tenants))
    return {
        (tenant, what, commitment, team, label): count
        for tenant, what, commitment, team, label, count in connection.execute(query)
    }


def _open_clocks(connection: Connection, tenants: Sequence[str]) -> dict[tuple[str, str, str, str], int]:
    state = case(
        (_clock.c.outcome == Outcome.BREACHED.value, "overdue"),
        (_clock.c.outcome == Outcome.PAUSED.value, "paused"),
        (_clock.c.fired != "", "warned"),
        else_="in_time",
    )
    keys = (_clock.c.tenant, _clock.c.commitment_id, _clock.c.team, state)
    query = (
        select(*keys, func.count())
        .where(_clock.c.tenant.in_(tenants), _clock.c.end_time.is_(None))
        .group_by(*keys)
    )
    return {
        (tenant, commitment, team, shown): count
        for tenant, commitment, team, shown, count in connection.execute(query)
    }


def _budgets(connection: Connection, tenants: Sequence[str]) -> dict[tuple[str, str], int]:
    query = (
        select(_budget.c.tenant, _budget.c.state, func.count())
        .where(_budget.c.tenant.in_(tenants))
        .group_by(_budget.c.tenant, _budget.c.state)
    )
    counted = {(tenant, state): count for tenant, state, count in connection.execute(query)}
    return {
        (tenant, state.value): counted.get((tenant, state.value), 0)
        for tenant in tenants
        for state in BudgetState
    }


def _overdue_follow_ups(
    connection: Connection, tenants: Sequence[str]
) -> dict[tuple[str, str], tuple[int, datetime]]:
    query = (
        select(
            _clock.c.tenant,
            _clock.c.team,
            func.count(_clock.c.handoff.distinct()),
            func.min(_clock.c.due_time),
        )
        .where(
            _clock.c.tenant.in_(tenants),
            _clock.c.kind == CommitmentKind.FIRST_FOLLOW_UP.value,
            _clock.c.outcome == Outcome.BREACHED.value,
            _clock.c.end_time.is_(None),
            _clock.c.silent == 0,
        )
        .group_by(_clock.c.tenant, _clock.c.team)
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(query)}
