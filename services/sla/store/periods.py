"""Marketing's periods, and what each handoff counts in its own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from services.sla.domain.period import NOTHING, Decision, Entry, Pace, Period, PeriodCounts, Verdict
from services.sla.store import schema
from services.sla.store.period_schema import COUNTED
from smarketing.sql import FindRows, KeyedStatement, UpsertRows, from_micros

__all__ = [
    "Kept",
    "Key",
    "PeriodRow",
    "add_counts",
    "drop_unbegun",
    "due_finals",
    "due_periods",
    "entries_of",
    "find_period",
    "next_period_time",
    "open_period",
    "page_of_periods",
    "put_entries",
    "save_looked_at",
]

_entry: Final = schema.period_tables.entry
_period: Final = schema.period_tables.period
_find_entries: Final = FindRows(_entry, key=["handoff"])
_put_entries: Final = UpsertRows(
    _entry, key=["handoff"], replace=[each.name for each in _entry.columns if each.name != "handoff"]
)
_ADDED: Final = ", ".join(f'"{name}" = "{name}" + k.k{number}' for number, name in enumerate(COUNTED, 4))
_add: Final = KeyedStatement(
    [
        _period.c.tenant,
        _period.c.agreement,
        _period.c.period,
        _period.c.next_time,
        *(_period.columns[name] for name in COUNTED),
    ],
    f"UPDATE marketing_period SET {_ADDED},"  # noqa: S608 - names of our own columns
    # Looked at at once: the pace is another now.
    " next_time = k.k3 FROM k"
    " WHERE tenant = k.k0 AND agreement = k.k1 AND period = k.k2",
)


class Key(NamedTuple):
    """Which period: ids, not names."""

    tenant: str
    agreement: str
    period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a handoff counts, and in which period."""

    handoff: str
    key: Key
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRow:
    """A period as it was last settled, with what is counted by now."""

    key: Key
    agreement_version: str
    period: Period
    counts: PeriodCounts = NOTHING
    verdict: Verdict = Verdict.RUNNING
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """What became of the promises besides the quota, by name."""
    pace: Pace | None = None
    """What people were told of the pace."""


def entries_of(connection: Connection, handoffs: Iterable[str]) -> dict[str, Kept]:
    """Return what these handoffs count; one that counts in no period is left out."""
    found = (_kept(row) for row in _find_entries.find(connection, [(handoff,) for handoff in handoffs]))
    return {each.handoff: each for each in found}


def put_entries(connection: Connection, entries: Iterable[Kept]) -> None:
    """Write what handoffs count now."""
    _put_entries.upsert(connection, [_row(each) for each in entries])


def find_period(connection: Connection, key: Key) -> PeriodRow | None:
    """Return a period; None when no agreement in force has opened it."""
    query = select(_period).where(*_is(key))
    row = connection.execute(query).one_or_none()
    return None if row is None else _period_of(row)


def open_period(connection: Connection, row: PeriodRow) -> None:
    """Write a new period, in which nothing counts yet."""
    connection.execute(
        insert(_period).values(
            **row.key._asdict(),
            agreement_version=row.agreement_version,
            start_time=row.period.start_time,
            end_time=row.period.end_time,
            verdict=row.verdict.value,
            next_time=row.period.start_time,
            **dict.fromkeys(COUNTED, 0),
        )
    )


def add_counts(connection: Connection, added: Mapping[Key, PeriodCounts], *, now: datetime) -> None:
    """Add to periods, and have those that are over settled again."""
    rows = [(*key, now, *(getattr(counts, name) for name in COUNTED)) for key, counts in added.items()]
    _add.run(connection, rows)


def due_finals(connection: Connection, *, now: datetime, limit: int) -> list[Kept]:
    """Return the handoffs whose rejection nobody can dispute any more, the longest ago first."""
    query = (
        select(_entry)
        .where(_entry.c.final_time.is_not(None), _entry.c.final_time < now)
        .order_by(_entry.c.final_time)
        .limit(limit)
    )
    return [_kept(tuple(row)) for row in connection.execute(query)]


def due_periods(connection: Connection, *, now: datetime, limit: int) -> list[PeriodRow]:
    """Return the periods to settle."""
    query = (
        select(_period)
        .where(_period.c.next_time.is_not(None), _period.c.next_time <= now)
        .order_by(_period.c.next_time)
        .limit(limit)
    )
    return [_period_of(row) for row in connection.execute(query)]


def next_period_time(connection: Connection) -> datetime | None:
    """Return when a rejection becomes final or a period is to be settled next; None when none is."""
    finals = select(_entry.c.final_time).where(_entry.c.final_time.is_not(None))
    periods = select(_period.c.next_time).where(_period.c.next_time.is_not(None))
    instants = [
        connection.execute(finals.order_by(_entry.c.final_time).limit(1)).scalar_one_or_none(),
        connection.execute(periods.order_by(_period.c.next_time).limit(1)).scalar_one_or_none(),
    ]
    return min((each for each in instants if each is not None), default=None)


def save_looked_at(connection: Connection, row: PeriodRow, next_time: datetime | None) -> None:
    """Write what is said of a period, and when time alone changes that; a fact has it looked at at once."""
    connection.execute(
        update(_period)
        .where(*_is(row.key))
        .values(
            verdict=row.verdict.value,
            verdicts=" ".join(f"{name}={each.value}" for name, each in sorted(row.verdicts.items())),
            pace=row.pace.value if row.pace else "",
            next_time=next_time,
        )
    )


def drop_unbegun(connection: Connection, tenant: str, agreement: str, *, since: datetime) -> None:
    """Forget the periods that begin then or later and in which nothing was handed over."""
    connection.execute(
        delete(_period).where(
            _period.c.tenant == tenant,
            _period.c.agreement == agreement,
            _period.c.start_time >= since,
            _period.c.submitted == 0,
            _period.c.verdict == Verdict.RUNNING.value,
        )
    )


def page_of_periods(
    connection: Connection, tenant: str, *, now: datetime, limit: int, after: Sequence[Any] | None
) -> list[PeriodRow]:
    """Return periods that have begun, the latest first.

    `after`: end in µs, agreement and id of the last one seen.
    """
    query = select(_period).where(_period.c.tenant == tenant, _period.c.start_time <= now)
    if after is not None:
        end, agreement, period = from_micros(after[0]), after[1], after[2]
        same_end = _period.c.end_time == end
        query = query.where(
            (_period.c.end_time < end)
            | and_(same_end, _period.c.agreement > agreement)
            | and_(same_end, _period.c.agreement == agreement, _period.c.period > period)
        )
    query = query.order_by(_period.c.end_time.desc(), _period.c.agreement, _period.c.period).limit(limit)
    return [_period_of(row) for row in connection.execute(query)]


def _is(key: Key) -> tuple[Any, ...]:
    return (
        _period.c.tenant == key.tenant,
        _period.c.agreement == key.agreement,
        _period.c.period == key.period,
    )


def _row(kept: Kept) -> tuple[Any, ...]:
    entry = kept.entry
    return (
        kept.handoff,
        *kept.key,
        entry.value,
        None if entry.conforms is None else int(entry.conforms),
        entry.required,
        entry.filled,
        entry.decision.value,
        int(entry.is_marketings),
        entry.final_time,
        int(entry.is_void),
    )


def _kept(row: Sequence[Any]) -> Kept:
    handoff, tenant, agreement, period, value, conforms, required, filled, decision, *rest = row
    is_marketings, final_time, is_void = rest
    entry = Entry(
        value=value,
        conforms=None if conforms is None else bool(conforms),
        required=required,
        filled=filled,
        decision=Decision(decision),
        is_marketings=bool(is_marketings),
        final_time=final_time,
        is_void=bool(is_void),
    )
    return Kept(handoff=handoff, key=Key(tenant, agreement, period), entry=entry)


def _verdicts_of(text: str) -> dict[str, Verdict]:
    pairs = (each.split("=") for each in text.split())
    return {name: Verdict(word) for name, word in pairs}


def _period_of(row: Row[Any]) -> PeriodRow:
    return PeriodRow(
        key=Key(row.tenant, row.agreement, row.period),
        agreement_version=row.agreement_version,
        period=Period(row.period, row.start_time, row.end_time),
        counts=PeriodCounts(**{name: getattr(row, name) for name in COUNTED}),
        verdict=Verdict(row.verdict),
        verdicts=_verdicts_of(row.verdicts),
        pace=Pace(row.pace) if row.pace else None,
    )
