"""Handoffs to look at once more, because a version took effect in the past; the place outlives restarts."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select, update

from services.sla.store import schema
from smarketing.sql import UpsertRows

_replay, _fact = schema.replay, schema.fact
_put_replay: Final = UpsertRows(_replay, key=["tenant"], replace=["after_handoff"])
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Replay:
    """A tenant whose handoffs are being looked at, in order of name."""

    tenant: str
    after_handoff: str


def begin_replay(connection: Connection, tenant: str) -> None:
    """Have every handoff of a tenant looked at once more, from the first on."""
    _put_replay.upsert(connection, [(tenant, "")])


def find_replay(connection: Connection) -> Replay | None:
    """Return a replay that is not done; None when there is none."""
    row = connection.execute(select(_replay).limit(1)).one_or_none()
    return None if row is None else Replay(row.tenant, row.after_handoff)


def next_handoffs(connection: Connection, replay: Replay, *, limit: int) -> list[str]:
    """Return the handoffs that follow."""
    prefix = f"tenants/{replay.tenant}/"
    query = (
        select(_fact.c.handoff)
        .where(_fact.c.handoff > max(replay.after_handoff, prefix), _fact.c.handoff < prefix + _LAST)
        .distinct()
        .order_by(_fact.c.handoff)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def advance_replay(connection: Connection, replay: Replay, *, done: list[str]) -> None:
    """Keep the place; a replay that found no more handoffs is over."""
    here = _replay.c.tenant == replay.tenant
    if not done:
        connection.execute(delete(_replay).where(here))
    else:
        connection.execute(update(_replay).where(here).values(after_handoff=done[-1]))
