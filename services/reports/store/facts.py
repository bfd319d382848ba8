"""Facts of one table as objects: read once, changed by events, written back when somebody says so.

How often a fact is written is the caller's choice: after every batch, or only when it was not touched for
long. What it was counted as in the sums is remembered until then, so that they change by the difference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Connection, Table

from smarketing.sql.rows import FindRows, UpsertRows

__all__ = ["Change", "FactStatements", "Facts", "Row"]

F = TypeVar("F")

Row: TypeAlias = Sequence[Any]
"""The columns of a fact, in their order; the first is its name."""


class Change(NamedTuple, Generic[F]):
    """A fact that is written now."""

    before: Row | None
    """As it was when it was last written; None where it never was."""
    row: Row
    fact: F


class FactStatements(Generic[F]):
    """How the facts of a table are read and written. Holds compiled statements, no data."""

    def __init__(self, table: Table, fact: type[F], *, settle: Callable[[F], None] | None = None) -> None:
        # The columns were made of the fields, in their order.
        names = [column.name for column in table.columns]
        self.make: Callable[..., F] = fact
        self.row_of: Callable[[F], Row] = attrgetter(*names)
        self.settle = settle
        """What a fact notes of itself before it is written."""
        self.found = FindRows(table, key=names[:1])
        self.put = UpsertRows(table, key=names[:1], replace=names[1:])


class Facts(Mapping[str, F]):
    """The facts that are at hand, by name; asking for one is taken as the wish to change it."""

    def __init__(self, statements: FactStatements[F]) -> None:
        self._statements = statements
        self._facts: dict[str, F] = {}
        self._before: dict[str, Row | None] = {}

    def __getitem__(self, name: str) -> F:
        # What was touched last stands last: the others leave first.
        fact = self._facts.pop(name)
        self._facts[name] = fact
        if name not in self._before:
            self._before[name] = self._statements.row_of(fact)
        return fact

    def __contains__(self, name: object) -> bool:
        return name in self._facts

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def changed_count(self) -> int:
        """How many are to be written."""
        return len(self._before)

    def peek(self, name: str) -> F:
        """Return a fact that is not going to be changed."""
        return self._facts[name]

    def add(self, name: str, fact: F) -> F:
        """Take in a fact that was never written, and return it."""
        self._facts[name] = fact
        self._before[name] = None
        return fact

    def read(self, connection: Connection, names: Iterable[str]) -> list[F]:
        """Get those that are written and not at hand yet, and return them."""
        facts, make = self._facts, self._statements.make
        asked = [(name,) for name in names if name not in facts]
        found = [make(*row) for row in self._statements.found.find(connection, asked)] if asked else []
        for fact in found:
            facts[self._statements.row_of(fact)[0]] = fact
        return found

    def changes(self, *, but_newest: int = 0) -> list[Change[F]]:
        """Return what is to be written, but for so many facts that were touched last."""
        facts, before = self._facts, self._before
        if but_newest:
            old = islice(facts, max(0, len(facts) - but_newest))
            leaving = {name: before.pop(name) for name in list(old) if name in before}
        else:
            leaving, self._before = before, {}
        settle, row_of = self._statements.settle, self._statements.row_of
        if settle is not None:
            for name in leaving:
                settle(facts[name])
        return [Change(was, row_of(facts[name]), facts[name]) for name, was in leaving.items()]

    def write(self, connection: Connection, changes: Iterable[Change[F]]) -> None:
        """Write changes as they were returned."""
        rows = sorted((change.row for change in changes), key=_name_of)
        self._statements.put.upsert(connection, rows)

    def let_go(self, most: int) -> None:
        """Keep at most so many of those that are written: the ones touched last."""
        surplus = len(self._facts) - most
        if surplus > 0:
            for name in [name for name in islice(self._facts, surplus) if name not in self._before]:
                del self._facts[name]

    def clear(self) -> None:
        """Forget all of them, written or not."""
        self._facts.clear()
        self._before.clear()


def _name_of(row: Row) -> str:
    return str(row[0])
