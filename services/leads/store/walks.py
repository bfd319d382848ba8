"""Pages of a list at a cost that does not grow with what is stored: walks along an index.

A walk goes through one or more ranges of an index, merged in its order, from behind the last row of the
page before; nothing is counted, skipped or sorted. What no index answers is tested row by row, and of
such rows a page looks at `MOST_VISITED`: a page may then be short, or empty, before the list ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Column, ColumnElement, Connection, literal, select, tuple_, union_all

MOST_VISITED: Final = 5_000
"""Rows that a page tests; few enough for its time, many enough that a list of rare ones is not endless."""

Key: TypeAlias = tuple[Any, ...]
"""Values of a walk's columns: where a row stands in it."""


@dataclass(frozen=True, slots=True)
class Visited:
    """The keys of a page, in order, and behind which key the next begins; None after the last page."""

    keys: Sequence[Key]
    after: Key | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Rows in the order of `columns`, which an index has behind the columns that each range holds fast."""

    columns: Sequence[Column[Any]]
    ranges: Sequence[Sequence[ColumnElement[bool]]]
    conditions: Sequence[ColumnElement[bool]] = ()
    """What no index answers."""
    descending: bool = False
    above: Key | None = None
    """Only keys greater than this one."""
    below: Key | None = None
    """Only keys less than this one."""

    def page(self, connection: Connection, *, after: Key | None, limit: int) -> Visited:
        """Return the next keys, at most `limit`, behind `after`."""
        if not self.ranges:
            return Visited([], None)
        bounds = self._bounds(after)
        until = self._end_of_visit(connection, bounds) if self.conditions else None
        if until is not None:
            last = _key(self.columns, until)
            bounds = [*bounds, self._tuple() >= last if self.descending else self._tuple() <= last]
        query = self._select([*bounds, *self.conditions], limit + 1)
        keys: list[Key] = [tuple(row) for row in connection.execute(query)]
        if len(keys) > limit:
            return Visited(keys[:limit], keys[limit - 1])
        return Visited(keys, until)

    def _end_of_visit(self, connection: Connection, bounds: Sequence[ColumnElement[bool]]) -> Key | None:
        # The one OFFSET there is: it passes over so many entries of an index, whatever is stored behind.
        query = self._select(bounds, 1).offset(MOST_VISITED - 1)
        found = connection.execute(query).one_or_none()
        return None if found is None else tuple(found)

    def _select(self, conditions: Sequence[ColumnElement[bool]], limit: int) -> Any:
        ranges = [select(*self.columns).where(*fixed, *conditions) for fixed in self.ranges]
        if len(ranges) == 1:
            return self._ordered(ranges[0], self.columns).limit(limit)
        merged = union_all(*ranges)
        names = [merged.selected_columns[column.name] for column in self.columns]
        return self._ordered(merged, names).limit(limit)

    def _ordered(self, query: Any, columns: Sequence[ColumnElement[Any]]) -> Any:
        return query.order_by(*(column.desc() if self.descending else column for column in columns))

    def _bounds(self, after: Key | None) -> list[ColumnElement[bool]]:
        """Say from where to where, each side once: of two bounds a database would start at either."""
        above, below = self.above, self.below
        if after is not None and self.descending:
            below = after if below is None else min(after, below)
        elif after is not None:
            above = after if above is None else max(after, above)
        bounds = []
        if above is not None:
            bounds.append(self._tuple() > _key(self.columns, above))
        if below is not None:
            bounds.append(self._tuple() < _key(self.columns, below))
        return bounds

    def _tuple(self) -> Any:
        return tuple_(*self.columns)


def _key(columns: Sequence[Column[Any]], key: Key) -> Any:
    return tuple_(*(literal(value, column.type) for column, value in zip(columns, key, strict=True)))
