"""What routing knows: loaded for one transaction when it is asked for, and written back when it changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from services.leads.domain.desk import Desk, Plan
from services.leads.domain.directory import Directory
from services.leads.domain.open_work import OpenWork
from services.leads.domain.turns import Pool
from services.leads.store.schema import SCHEMA
from services.leads.wire.calendars import openings_of
from smarketing import names
from smarketing.businesstime import Openings
from smarketing.sql import FindRows, KeyedStatement, UpsertRows

__all__ = [
    "CalendarNews",
    "RoutingCaches",
    "RoutingState",
    "find_pools",
    "find_work",
    "put_calendars",
    "put_team_calendars",
]

_T: Final = SCHEMA.routing
_find_pool: Final = FindRows(
    _T.routing_pool, key=["tenant", "rule_id"], columns=["rule_id", "balances"], locked=True
)
_find_pools: Final = FindRows(_T.routing_pool, key=["tenant"], columns=["rule_id", "balances"])
_put_pools: Final = UpsertRows(_T.routing_pool, key=["tenant", "rule_id"], replace=["balances"])
_find_work: Final = FindRows(_T.open_work, key=["tenant", "person"], columns=["person", "handoffs"])
_put_work: Final = UpsertRows(_T.open_work, key=["tenant", "person"], add=["handoffs"])
_find_calendar: Final = FindRows(
    _T.routing_calendar, key=["tenant", "calendar"], columns=["version", "calendar_version"]
)
_put_calendars: Final = UpsertRows(
    _T.routing_calendar, key=["tenant", "calendar"], replace=["version", "calendar_version"]
)
_find_team_calendar: Final = FindRows(_T.team_calendar, key=["tenant", "team"], columns=["calendar"])
_put_team_calendars: Final = UpsertRows(_T.team_calendar, key=["tenant", "team"], replace=["calendar"])
_leave: Final = SCHEMA.leads.leave.c
_find_away: Final = KeyedStatement(
    [_leave.tenant, _leave.end_time, _leave.start_time],
    'SELECT "leave".person FROM k CROSS JOIN "leave"'
    ' WHERE "leave".tenant = k.k0 AND "leave".end_time > k.k1 AND "leave".start_time <= k.k2',
)


@dataclass(frozen=True, slots=True)
class CalendarNews:
    """A version of a calendar that was made."""

    name: str
    """`tenants/{tenant}/calendars/{calendar}/versions/{version}`."""
    calendar_version: bytes


class RoutingCaches:
    """What stays the same from transaction to transaction: prepared plans, compiled calendars."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}
        self._openings: dict[tuple[str, int], Openings] = {}

    def plan(self, directory: Directory) -> Plan:
        """Return the plan of a directory, made anew only when the directory is another."""
        plan = self._plans.get(directory.tenant)
        if plan is None or plan.directory is not directory:
            plan = self._plans[directory.tenant] = Plan(directory)
        return plan

    def openings(self, calendar: str, version: int, kept: bytes) -> Openings:
        """Return the open time of a calendar's version."""
        openings = self._openings.get((calendar, version))
        if openings is None:
            openings = self._openings[calendar, version] = openings_of(kept)
        return openings


class RoutingState:
    """One transaction's part of routing."""

    def __init__(self, connection: Connection, *, now: datetime, caches: RoutingCaches) -> None:
        self._connection = connection
        self._now = now
        self._caches = caches
        self._desks: dict[str, Desk] = {}
        self._pools: dict[tuple[str, str], Pool] = {}
        self._work: dict[str, OpenWork] = {}
        self._open: dict[str, bool] = {}

    def desk(self, tenant: str, directory: Directory) -> Desk:
        """Return the desk where the tenant's handoffs are given out now."""
        desk = self._desks.get(tenant)
        if desk is None:
            desk = self._desks[tenant] = Desk(
                self._caches.plan(directory),
                pool_of=lambda rule_id: self._pool(tenant, rule_id),
                work=self.work(tenant),
                on_leave=find_away(self._connection, tenant, self._now),
                is_open=self._is_open,
            )
        return desk

    def work(self, tenant: str) -> OpenWork:
        """Return the open work of the tenant's people."""
        work = self._work.get(tenant)
        if work is None:
            work = self._work[tenant] = OpenWork(lambda people: find_work(self._connection, tenant, people))
        return work

    def flush(self) -> None:
        """Write what changed."""
        _put_pools.upsert(
            self._connection,
            [(*key, _balances_bytes(pool)) for key, pool in self._pools.items() if pool.changed],
        )
        moves = (
            (tenant, person, more)
            for tenant, work in self._work.items()
            for person, more in work.moves.items()
            if more
        )
        # In one order, so that writers beside this one do not wait for each other in a ring.
        _put_work.upsert(self._connection, sorted(moves))

    def _pool(self, tenant: str, rule_id: str) -> Pool:
        found = _find_pool.find(self._connection, [(tenant, rule_id)])
        pool = self._pools[tenant, rule_id] = _pool_of(found[0][1]) if found else Pool()
        return pool

    def openings_of_team(self, team: str) -> Openings | None:
        """Return the open time of the calendar in which the team's clocks count."""
        if not names.TEAM.matches(team):
            return None
        for (calendar,) in _find_team_calendar.find(self._connection, [names.TEAM.parse(team)]):
            return find_openings(self._connection, calendar, self._caches)
        return None

    def _is_open(self, calendar: str) -> bool:
        """Whether a calendar is open now; one that `sla` has not told of yet keeps nobody from work."""
        is_open = self._open.get(calendar)
        if is_open is None:
            openings = find_openings(self._connection, calendar, self._caches)
            is_open = self._open[calendar] = openings is None or openings.is_open(self._now)
        return is_open


def find_openings(connection: Connection, calendar: str, caches: RoutingCaches) -> Openings | None:
    """Return the open time of a calendar's newest version; None when there is none yet."""
    for version, kept in _find_calendar.find(connection, [names.CALENDAR.parse(calendar)]):
        return caches.openings(calendar, version, bytes(kept))
    return None


def find_away(connection: Connection, tenant: str, at: datetime) -> frozenset[str]:
    """Return who is on leave at an instant."""
    found, _ = _find_away.run(connection, [(tenant, at, at)])
    return frozenset(person for (person,) in found)


def find_pools(connection: Connection, tenant: str) -> Mapping[str, Pool]:
    """Return the pools of every rule that ever gave a turn."""
    return {rule_id: _pool_of(kept) for rule_id, kept in _find_pools.find(connection, [(tenant,)])}


def find_work(connection: Connection, tenant: str, people: Sequence[str]) -> Mapping[str, int]:
    """Return how many open handoffs these people have; who has none may be left out."""
    return dict(_find_work.find(connection, [(tenant, person) for person in people]))


def put_calendars(connection: Connection, made: Iterable[CalendarNews]) -> None:
    """Keep the newest version of each calendar."""
    newest: dict[tuple[str, str], tuple[int, bytes]] = {}
    for each in made:
        tenant, calendar, version = names.CALENDAR_VERSION.parse(each.name)
        newest[tenant, calendar] = (int(version), each.calendar_version)
    _put_calendars.upsert(connection, [(*key, *value) for key, value in newest.items()])


def put_team_calendars(connection: Connection, told: Mapping[str, str]) -> None:
    """Keep by team in which calendar its clocks count: the latest that started says so."""
    rows = [(*names.TEAM.parse(team), calendar) for team, calendar in told.items()]
    _put_team_calendars.upsert(connection, rows)


def _pool_of(kept: Any) -> Pool:
    return Pool({person: (turns, owed) for person, (turns, owed) in orjson.loads(bytes(kept)).items()})


def _balances_bytes(pool: Pool) -> bytes:
    return orjson.dumps({person: (each.turns, each.owed) for person, each in pool.balances().items()})
