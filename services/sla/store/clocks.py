"""Clocks by name and in lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, tuple_

from services.sla.domain.course import Outcome
from services.sla.domain.recorded import Clock
from services.sla.domain.sight import Sight
from services.sla.store import schema
from services.sla.store.rows import CLOCK_COLUMNS, clock_of
from services.sla.store.sights import seen_clocks
from smarketing.names import CLOCK
from smarketing.sql import from_micros

_clock = schema.clock
_columns = [_clock.columns[name] for name in CLOCK_COLUMNS]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFilter:
    """Which clocks are listed; what is empty asks nothing."""

    states: tuple[str, ...] = ()
    handoff: str = ""
    owner: str = ""
    team: str = ""
    commitment_id: str = ""
    overdue_only: bool = False


def find_clock(connection: Connection, name: str, sight: Sight | None = None) -> Clock | None:
    """Return the clock of this name; None when there is none, or it is out of sight."""
    if not CLOCK.matches(name):
        return None
    tenant, each = CLOCK.parse(name)
    query = select(*_columns).where(_clock.c.id == each, _clock.c.tenant == tenant)
    if sight is not None:
        query = query.where(seen_clocks(sight))
    row = connection.execute(query).one_or_none()
    return None if row is None else clock_of(tuple(row))


def page_of_clocks(
    connection: Connection,
    tenant: str,
    wanted: ClockFilter,
    *,
    sight: Sight | None = None,
    limit: int,
    after: Sequence[Any] | None,
) -> list[Clock]:
    """Return the clocks in sight, the one due first at the top; `after`: due in µs and id of the last."""
    # With the tenant in it SQLite holds any index for as good as the handoff's own, which it is not.
    its_tenant = _clock.c.tenant.concat("") if wanted.handoff else _clock.c.tenant
    query = select(*_columns).where(its_tenant == tenant)
    for column, value in (
        (_clock.c.handoff, wanted.handoff),
        (_clock.c.owner, wanted.owner),
        (_clock.c.team, wanted.team),
        (_clock.c.commitment_id, wanted.commitment_id),
    ):
        if value:
            query = query.where(column == value)
    if sight is not None:
        query = query.where(seen_clocks(sight))
    if wanted.states:
        query = query.where(_clock.c.outcome.in_(wanted.states))
    if wanted.overdue_only:
        query = query.where(_clock.c.outcome == Outcome.BREACHED.value, _clock.c.end_time.is_(None))
    if after is not None:
        query = query.where(tuple_(_clock.c.due_time, _clock.c.id) > (from_micros(after[0]), after[1]))
    query = query.order_by(*_in_order(wanted)).limit(limit)
    return [clock_of(tuple(row)) for row in connection.execute(query)]


def _in_order(wanted: ClockFilter) -> tuple[ColumnElement[Any], ...]:
    due: ColumnElement[Any] = _clock.c.due_time
    if wanted.handoff or wanted.owner:
        # These are few, and soon sorted. SQLite would go through all of the tenant's by the index of the
        # order, to have none to sort; of what a function gives it has no index.
        due = func.coalesce(due, due)
    return due, _clock.c.id
