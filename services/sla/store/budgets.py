"""What budgets count, in slots of time, and when a budget must be looked at again.

A clock that is settled costs one row for each size of slot, and a window is the sum of a few dozen rows:
neither grows with the clocks there ever were.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select, update

from services.sla.domain.budget import BudgetState, Count
from services.sla.domain.budget_windows import Window
from services.sla.domain.slots import SIZES, Settlement, instant_at, slots_between
from services.sla.store import schema
from smarketing.sql import KeyedStatement, UpsertRows

__all__ = [
    "BudgetCounts",
    "BudgetRow",
    "Of",
    "counts_in",
    "due_budgets",
    "first_minutes",
    "next_budget",
    "save_budget",
    "state_of",
]

_budget: Final = schema.promise_tables.budget
_count: Final = schema.promise_tables.budget_count
_OF: Final = (_count.c.tenant, _count.c.agreement, _count.c.commitment_id)


class Of(NamedTuple):
    """Whose budget: ids, not names."""

    tenant: str
    agreement: str
    commitment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """A budget that is due to be judged."""

    of: Of
    state: BudgetState


_add: Final = UpsertRows(
    _count, key=["tenant", "agreement", "commitment_id", "size", "slot"], add=["met", "breached"]
)
_wake: Final = KeyedStatement(
    [_budget.c.tenant, _budget.c.agreement, _budget.c.commitment_id, _budget.c.next_time],
    "INSERT INTO budget (tenant, agreement, commitment_id, state, next_time)"
    " SELECT k.k0, k.k1, k.k2, 'OK', k.k3 FROM k WHERE k.k0 IS NOT NULL"
    " ON CONFLICT (tenant, agreement, commitment_id) DO UPDATE SET next_time = CASE"
    " WHEN budget.next_time IS NULL OR budget.next_time > excluded.next_time THEN excluded.next_time"
    " ELSE budget.next_time END",
)
_sums: Final = KeyedStatement(
    [_count.c.size, *_OF, _count.c.size, _count.c.slot, _count.c.slot],
    "SELECT k.k0, sum(b.met), sum(b.breached) FROM k CROSS JOIN budget_count b"
    " WHERE b.tenant = k.k1 AND b.agreement = k.k2 AND b.commitment_id = k.k3 AND b.size = k.k4"
    " AND b.slot BETWEEN k.k5 AND k.k6 GROUP BY k.k0",
)
_firsts: Final = KeyedStatement(
    [_count.c.size, *_OF, _count.c.slot],
    "SELECT k.k0, (SELECT min(b.slot) FROM budget_count b"
    " WHERE b.tenant = k.k1 AND b.agreement = k.k2 AND b.commitment_id = k.k3 AND b.size = 1"
    " AND b.slot > k.k4) FROM k WHERE k.k0 IS NOT NULL",
)


class BudgetCounts:
    """Collects what settled clocks change in their budgets, for one transaction."""

    def __init__(self) -> None:
        self._met: Counter[tuple[Of, int]] = Counter()
        self._breached: Counter[tuple[Of, int]] = Counter()

    def count(self, settlements: Iterable[Settlement]) -> None:
        """Count what became of clocks."""
        for each in settlements:
            key = (Of(each.tenant, each.agreement, each.commitment_id), each.minute)
            self._met[key] += each.met
            self._breached[key] += each.breached

    def flush(self, connection: Connection, *, now: datetime) -> None:
        """Add the counts, and have the budgets judged once each minute that changed is over."""
        changed = [key for key in self._met if self._met[key] or self._breached[key]]
        if not changed:
            return
        slots: dict[tuple[object, ...], list[int]] = {}
        first: dict[Of, int] = {}
        for key in changed:
            of, minute = key
            first[of] = min(minute, first.get(of, minute))
            for size in SIZES:
                counts = slots.setdefault((*of, size, -(-minute // size)), [0, 0])
                counts[0] += self._met[key]
                counts[1] += self._breached[key]
        _add.upsert(connection, [(*slot, *counts) for slot, counts in slots.items()])
        _wake.run(connection, [(*of, max(now, instant_at(minute))) for of, minute in first.items()])


def counts_in(connection: Connection, of: Of, windows: Sequence[Window]) -> list[Count]:
    """Return what fell due in each window."""
    keys = [
        (number, *of, *slots)
        for number, window in enumerate(windows)
        for slots in slots_between(window.after, window.until)
    ]
    found = [Count()] * len(windows)
    for number, met, breached in _sums.run(connection, keys)[0]:
        found[number] = Count(settled=int(met + breached), breached=int(breached))
    return found


def first_minutes(connection: Connection, of: Of, after: Sequence[int]) -> list[int | None]:
    """Return, for each minute, the first one after it in which a clock counts; None when there is none."""
    keys = [(number, *of, minute) for number, minute in enumerate(after)]
    found: list[int | None] = [None] * len(after)
    for number, minute in _firsts.run(connection, keys)[0]:
        found[number] = minute
    return found


def due_budgets(connection: Connection, *, now: datetime, limit: int) -> list[BudgetRow]:
    """Return budgets to judge, the one due first at the head."""
    query = (
        select(_budget.c.tenant, _budget.c.agreement, _budget.c.commitment_id, _budget.c.state)
        .where(_budget.c.next_time.is_not(None), _budget.c.next_time <= now)
        .order_by(_budget.c.next_time)
        .limit(limit)
    )
    return [
        BudgetRow(of=Of(*of), state=BudgetState(state))
        for *of, state in map(tuple, connection.execute(query))
    ]


def next_budget(connection: Connection) -> datetime | None:
    """Return when the next budget must be judged; None when none has to."""
    query = (
        select(_budget.c.next_time)
        .where(_budget.c.next_time.is_not(None))
        .order_by(_budget.c.next_time)
        .limit(1)
    )
    found: datetime | None = connection.execute(query).scalar_one_or_none()
    return found


def state_of(connection: Connection, of: Of) -> BudgetState:
    """Return where a budget stood when it was last judged."""
    query = select(_budget.c.state).where(*_is(of))
    found = connection.execute(query).scalar_one_or_none()
    return BudgetState.OK if found is None else BudgetState(found)


def save_budget(connection: Connection, of: Of, state: BudgetState, next_time: datetime | None) -> None:
    """Write where a budget stands, and when it must be judged again."""
    connection.execute(update(_budget).where(*_is(of)).values(state=state.value, next_time=next_time))


def _is(of: Of) -> tuple[Any, ...]:
    return (
        _budget.c.tenant == of.tenant,
        _budget.c.agreement == of.agreement,
        _budget.c.commitment_id == of.commitment_id,
    )
