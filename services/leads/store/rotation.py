"""Another key that wraps the keys of leads: everything is wrapped anew, and the former key is gone.

What is sealed stays as it is, and so do digests. Whatever kills a rotation, the next one goes on with it:
until everything is wrapped with the new key, `master.key` holds both, and the service works with both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Table, select, tuple_

from services.leads.store.key_ring import load_keys, save_keys
from services.leads.store.old_copies import OldCopies
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.sql import UpdateRows
from smarketing.sql.engine import Database

__all__ = ["RotationUnfinished", "rotate"]

_AT_ONCE: Final = 1_000
"""Keys read in one transaction."""
_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """A table with wrapped keys, and by what its rows are known, to which each key is bound."""

    table: Table
    key: _Key


_TABLES: Final = (
    _Wrapped(SCHEMA.leads.lead_person, ("tenant", "lead")),
    _Wrapped(SCHEMA.intake.set_aside, ("tenant", "source", "item")),
)


class RotationUnfinished(Exception):
    """Everything is wrapped anew, but the database's file could not be cleared of what it held before."""


def rotate(
    database: Database,
    keys: Path,
    copies: OldCopies | None,
    *,
    at_once: int = _AT_ONCE,
    progressed: Callable[[int], None] = lambda _: None,
) -> int:
    """Wrap every key with a new one and keep no other; or finish what a rotation before began.

    For the process that alone has the database open. `progressed` is told after each transaction how many
    were wrapped anew so far, and so is who calls.

    Raises:
        RotationUnfinished: somebody else reads the file; the former key is kept until this is called again.
    """
    ring = load_keys(keys)
    if not ring.is_rotating:
        ring = ring.with_next()
        # On the disk before anything is wrapped with it.
        save_keys(keys, ring)
    sealer = Sealer(ring)
    done = 0
    for wrapped in _TABLES:
        after: _Key | None = tuple("" for _ in wrapped.key)
        while after is not None:
            with database.writer_engine.begin() as connection:
                after, changed = _wrap_anew(connection, sealer, wrapped, after=after, limit=at_once)
            done += changed
            progressed(done)
    # Old bytes of rows are of use to whoever has the former key.
    if copies is not None and not copies.rewrite():
        raise RotationUnfinished
    save_keys(keys, ring.without_former())
    return done


def _wrap_anew(
    connection: Connection, sealer: Sealer, wrapped: _Wrapped, *, after: _Key, limit: int
) -> tuple[_Key | None, int]:
    """Wrap the next keys of a table anew; return the last one's row, or None at the end, and how many."""
    columns = [wrapped.table.c[name] for name in wrapped.key]
    following = (
        select(*columns, wrapped.table.c.wrapped_key)
        .where(tuple_(*columns) > tuple_(*after))
        .order_by(*columns)
        .limit(limit)
    )
    found = [(tuple(row[:-1]), row[-1]) for row in connection.execute(following)]
    changed = [
        (*row, anew)
        for row, former in found
        if former is not None and (anew := sealer.wrapped_anew(bytes(former), "/".join(row)))
    ]
    UpdateRows(wrapped.table, key=wrapped.key, columns=["wrapped_key"]).update(connection, changed)
    return (found[-1][0] if len(found) == limit else None), len(changed)
