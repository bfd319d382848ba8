"""What a forecast looks back on: clocks by when they fell due, and who there was to deal with them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, case, func, literal_column, select

from services.sla.domain.almanac import Leave
from services.sla.domain.course import Outcome
from services.sla.store import schema
from smarketing.server.auth import PrincipalKind, Role
from smarketing.sql import BigInt, from_micros
from smarketing.sql.expressions import in_micros

_clock: Final = schema.clock
_leave: Final = schema.leave
_QUARTER_US: Final = 900_000_000
_MISSED: Final = (Outcome.BREACHED.value, Outcome.EXCUSED.value)
_SETTLED: Final = (Outcome.MET.value, *_MISSED)
_WORKERS: Final = frozenset(
    role.value
    for role in (Role.SALES_REP, Role.SALES_SPECIALIST, Role.ACCOUNT_MANAGER, Role.CUSTOMER_SUCCESS)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueQuarter:
    """Clocks of one commitment that fell due within one quarter of an hour, and were met or missed."""

    agreement: str
    """The agreement's id."""
    commitment_id: str
    start: datetime
    due: int
    missed: int


def due_quarters(connection: Connection, tenant: str, start: datetime, end: datetime) -> list[DueQuarter]:
    """Return the quarters of `[start, end)` in which settled clocks fell due; quarters suit every zone."""
    quarter = in_micros(_clock.c.due_time) // literal_column(str(_QUARTER_US), BigInt)
    query = (
        select(
            _clock.c.agreement,
            _clock.c.commitment_id,
            quarter,
            func.count(),
            func.sum(case((_clock.c.outcome.in_(_MISSED), 1), else_=0)),
        )
        .where(
            _clock.c.tenant == tenant,
            _clock.c.due_time >= start,
            _clock.c.due_time < end,
            _clock.c.outcome.in_(_SETTLED),
            _clock.c.historical == 0,
        )
        .group_by(_clock.c.agreement, _clock.c.commitment_id, quarter)
    )
    return [
        DueQuarter(
            agreement=agreement,
            commitment_id=commitment,
            start=from_micros(int(at) * _QUARTER_US),
            due=due,
            missed=missed,
        )
        for agreement, commitment, at, due, missed in connection.execute(query)
    ]


def known_due(
    connection: Connection, tenant: str, start: datetime, end: datetime
) -> dict[tuple[str, str], int]:
    """Return how many clocks that have started fall due in `[start, end)`, by agreement and commitment.

    Void ones are owed to nobody.
    """
    query = (
        select(_clock.c.agreement, _clock.c.commitment_id, func.count())
        .where(
            _clock.c.tenant == tenant,
            _clock.c.due_time >= start,
            _clock.c.due_time < end,
            _clock.c.outcome != Outcome.VOID.value,
        )
        .group_by(_clock.c.agreement, _clock.c.commitment_id)
    )
    return {(agreement, commitment): count for agreement, commitment, count in connection.execute(query)}


def workers_of(connection: Connection, tenant: str) -> dict[str, str]:
    """Return who works on handoffs today: person → the first of their teams, empty for none."""
    principal = schema.directory_tables.principal
    query = select(principal.c.principal, principal.c.roles, principal.c.teams).where(
        principal.c.tenant == tenant,
        principal.c.kind == PrincipalKind.PERSON.value,
        principal.c.active.is_(True),
    )
    return {
        person: next(iter(sorted(teams.split())), "")
        for person, roles, teams in connection.execute(query)
        if _WORKERS.intersection(roles.split())
    }


def leave_between(
    connection: Connection, tenant: str, start: datetime, end: datetime
) -> dict[str, list[Leave]]:
    """Return the leave that touches `[start, end)` and stands, by person."""
    query = select(_leave).where(
        _leave.c.tenant == tenant,
        _leave.c.end_time > start,
        _leave.c.start_time < end,
        _leave.c.cancel_time.is_(None),
    )
    found: dict[str, list[Leave]] = {}
    for row in connection.execute(query):
        leave = Leave(
            tenant=tenant,
            person=row.person,
            id=row.leave,
            start_time=row.start_time,
            end_time=row.end_time,
        )
        found.setdefault(row.person, []).append(leave)
    return found
