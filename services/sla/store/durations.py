"""How long settled clocks took."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Integer, Row, case, func, select

from services.sla.domain.course import Outcome
from services.sla.domain.targets import Durations, rank
from services.sla.store import schema
from smarketing.businesstime import BusinessTime

_clock: Final = schema.clock
_PERCENTS: Final = (50, 80)


def durations_of(connection: Connection, version: str, *, start: datetime, end: datetime) -> list[Durations]:
    """Return how long the clocks took that were due in a span under a version, by commitment and target."""
    tenant = version.split("/", 2)[1]
    is_done = case((_clock.c.stop_time.is_not(None), 1), else_=0)
    # Never done sorts behind all that were.
    by_length = (is_done.desc(), _clock.c.elapsed)
    group = (_clock.c.commitment_id, _clock.c.target)
    ranked = (
        select(
            *group,
            _clock.c.elapsed,
            is_done.label("is_done"),
            func.row_number().over(partition_by=group, order_by=by_length).label("place"),
            func.count().over(partition_by=group).label("settled"),
            func.sum(is_done).over(partition_by=group).cast(Integer).label("done"),
        )
        .where(
            _clock.c.tenant == tenant,
            _clock.c.agreement_version == version,
            _clock.c.due_time >= start,
            _clock.c.due_time < end,
            _clock.c.outcome.in_((Outcome.MET.value, Outcome.BREACHED.value)),
        )
        .subquery()
    )
    at = [(percent * ranked.c.settled + 99) // 100 for percent in _PERCENTS]
    query = (
        select(ranked)
        .where(ranked.c.place.in_(at))
        .order_by(ranked.c.commitment_id, ranked.c.target, ranked.c.place)
    )
    found: dict[tuple[str, int], list[Row[Any]]] = {}
    for row in connection.execute(query):
        found.setdefault((row.commitment_id, row.target), []).append(row)
    return [_durations(rows) for rows in found.values()]


def _durations(rows: Sequence[Row[Any]]) -> Durations:
    """Return what the rows at the two places of one group say; with few clocks both are one row."""
    p50, p80 = (next(row for row in rows if row.place == rank(percent, row.settled)) for percent in _PERCENTS)
    return Durations(
        commitment_id=p50.commitment_id,
        target=BusinessTime(p50.target),
        settled=p50.settled,
        done=p50.done,
        p50=BusinessTime(p50.elapsed) if p50.is_done else None,
        p80=BusinessTime(p80.elapsed) if p80.is_done else None,
    )
