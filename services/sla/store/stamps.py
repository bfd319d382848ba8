"""Whether anything changed about handoffs: numbers that only ever grow, read without what they count."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from services.sla.store import schema
from smarketing.sql import KeyedStatement

_COUNTS: Final = KeyedStatement(
    [schema.fact.c.handoff],
    "SELECT k.k0,"
    " (SELECT count(*) FROM fact f WHERE f.handoff = k.k0),"
    " (SELECT count(*) FROM clock c WHERE c.handoff = k.k0),"
    " (SELECT coalesce(sum(c.generation), 0) FROM clock c WHERE c.handoff = k.k0)"
    " FROM k WHERE k.k0 IS NOT NULL",
)


def counts_of(connection: Connection, handoffs: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Return how many facts were told of handoffs, how many clocks each has, and how often those changed.

    Facts are only ever added, clocks too, and every change of a clock raises its generation: with equal
    numbers everything is as it was.
    """
    found, _ = _COUNTS.run(connection, [(handoff,) for handoff in handoffs])
    return {handoff: (int(facts), int(clocks), int(changes)) for handoff, facts, clocks, changes in found}
