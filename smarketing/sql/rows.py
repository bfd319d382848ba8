"""Statements over many rows at once, rendered once and kept: the fast path of every store.

A multi-row statement costs the interpreter's lock once, where `executemany` gives it up and asks
for it back at every row; beside a busy event loop that is an order of magnitude. It is also one
round trip on PostgreSQL. Few widths are used, so that the driver's statement cache holds them all.

    _insert = InsertRows(offers)
    _insert.insert(connection, [(offer.name, offer.rep, offer.expire_time), …])

Values are ordered as the columns are and pass through the columns' types, as in SQLAlchemy itself.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import Column, Connection, Dialect, Table
from sqlalchemy.exc import DBAPIError

from smarketing.sql.types import bind_converter, result_converter

Row: TypeAlias = Sequence[Any]
_Converter: TypeAlias = Callable[[Any], Any]

_UNSEEN: Final = object()
_WIDEST: Final = 256
_MOST_PARAMETERS: Final = 30_000
_NULL: Final = math.nan
"""SQLite keeps NULL for it; for a None its driver looks for an adapter, a microsecond each time."""


class InsertRows:
    """Inserts whole rows into a table; all columns unless some are named."""

    def __init__(self, table: Table, columns: Sequence[str] | None = None) -> None:
        self._table = table
        self._columns = _columns_of(table, columns)
        self._statements = _Statements(self._columns, self._render, widths=_widths(len(self._columns)))

    def insert(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Insert the rows; a violated constraint raises `sqlalchemy.exc.IntegrityError`."""
        for sql, part in self._statements.of(connection.dialect).exactly(rows):
            _execute(connection, sql, part).close()

    def _render(self, dialect: Dialect, width: int) -> str:
        names = ", ".join(_quoted(dialect, column) for column in self._columns)
        values = _values(dialect, self._columns, width)
        table = _quoted_table(dialect, self._table)
        return f"INSERT INTO {table} ({names}) VALUES {values}"  # noqa: S608 -- names of our own columns, values are parameters


class UpsertRows:
    """Inserts rows, or where the key exists replaces some columns and adds to others.

    A row's values are those of `key`, then `replace`, then `add`. Keys within one call must differ.
    """

    def __init__(
        self, table: Table, *, key: Sequence[str], replace: Sequence[str] = (), add: Sequence[str] = ()
    ) -> None:
        self._table = table
        self._key = _columns_of(table, key)
        self._replace = _columns_of(table, replace)
        self._add = _columns_of(table, add)
        columns = [*self._key, *self._replace, *self._add]
        self._insert = InsertRows(table, [column.name for column in columns])
        self._statements = _Statements(columns, self._render, widths=_widths(len(columns)))

    def upsert(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Insert the rows, or merge them into those that exist; a new row starts from the added value."""
        for sql, part in self._statements.of(connection.dialect).exactly(rows):
            _execute(connection, sql, part).close()

    def _render(self, dialect: Dialect, width: int) -> str:
        target = _quoted_table(dialect, self._table)
        replaced = [f"{name} = excluded.{name}" for name in (_quoted(dialect, c) for c in self._replace)]
        added = [
            f"{name} = {target}.{name} + excluded.{name}" for name in (_quoted(dialect, c) for c in self._add)
        ]
        key = ", ".join(_quoted(dialect, column) for column in self._key)
        action = f"UPDATE SET {', '.join([*replaced, *added])}" if replaced or added else "NOTHING"
        return f"{self._insert._render(dialect, width)} ON CONFLICT ({key}) DO {action}"  # noqa: SLF001 -- same module


class KeyedStatement:
    """A statement over a list of keys, which it sees as a table `k` with columns `k0`, `k1`, … .

    `columns` give the keys' types; `sql` follows the definition of `k`. The list may be lengthened
    with rows of NULL, which an equality never matches: join by `=`. Rows of the table `locked` stay locked.
    """

    def __init__(self, columns: Sequence[Column[Any]], sql: str, *, locked: str = "") -> None:
        self._columns = columns
        self._sql = sql
        self._locked = locked
        self._statements = _Statements(columns, self._render, widths=_widths(len(columns)))

    def run(self, connection: Connection, keys: Sequence[Row]) -> tuple[list[Any], int]:
        """Return the rows found and the number of rows changed, over all keys."""
        found: list[Any] = []
        changed = 0
        for sql, part in self._statements.of(connection.dialect).padded(keys):
            cursor = _execute(connection, sql, part)
            if cursor.description is not None:
                found += cursor.fetchall()
            else:
                changed += cursor.rowcount
            cursor.close()
        return found, changed

    def _render(self, dialect: Dialect, width: int) -> str:
        names = ", ".join(f"k{number}" for number in range(len(self._columns)))
        typed = dialect.name == "postgresql"  # it cannot tell the types of parameters in a bare list
        # SQLite has one writer, and neither needs nor knows the lock on a row.
        lock = f" FOR UPDATE OF {self._locked}" if self._locked and dialect.name != "sqlite" else ""
        values = _values(dialect, self._columns, width, typed=typed)
        return f"WITH k({names}) AS (VALUES {values}) {self._sql}{lock}"


class FindRows:
    """Finds rows by key, many keys at once; `locked` until the transaction ends, where writers overlap."""

    def __init__(
        self, table: Table, *, key: Sequence[str], columns: Sequence[str] | None = None, locked: bool = False
    ) -> None:
        self._key = _columns_of(table, key)
        self._columns = _columns_of(table, columns)
        selected = ", ".join(f'"{table.name}"."{column.name}"' for column in self._columns)
        # CROSS JOIN keeps SQLite from scanning the table and probing the list.
        matches = _matches(table, self._key)
        sql = f'SELECT {selected} FROM k CROSS JOIN "{table.name}" WHERE {matches}'  # noqa: S608 -- names of our own columns, values are parameters
        self._statement = KeyedStatement(self._key, sql, locked=f'"{table.name}"' if locked else "")
        self._converters: dict[str, list[tuple[int, _Converter]]] = {}

    def find(self, connection: Connection, keys: Iterable[Row]) -> list[tuple[Any, ...]]:
        """Return the rows of these keys, in no order; a key given twice counts once."""
        found, _ = self._statement.run(connection, list(dict.fromkeys(map(tuple, keys))))
        dialect = connection.dialect
        converters = self._converters.get(dialect.name)
        if converters is None:
            made = [result_converter(column.type, dialect) for column in self._columns]
            converters = [(number, convert) for number, convert in enumerate(made) if convert is not None]
            self._converters[dialect.name] = converters
        if not converters:
            return list(map(tuple, found))
        width = len(self._columns)
        values = _converted(found, width, converters)
        return [tuple(values[first : first + width]) for first in range(0, len(values), width)]


class UpdateRows:
    """Sets columns of rows found by key, many rows at once, each to values of its own.

    A row's values are those of `key`, then `columns`. Keys within one call must differ. Put a version
    or state into the key to compare and set: a row that has moved on is not matched.
    """

    def __init__(self, table: Table, *, key: Sequence[str], columns: Sequence[str]) -> None:
        keys = _columns_of(table, key)
        sets = _columns_of(table, columns)
        assigned = ", ".join(
            f'"{column.name}" = k.k{number}' for number, column in enumerate(sets, start=len(keys))
        )
        matches = _matches(table, keys)
        sql = f'UPDATE "{table.name}" SET {assigned} FROM k WHERE {matches}'  # noqa: S608 -- names of our own columns, values are parameters
        self._statement = KeyedStatement([*keys, *sets], sql)

    def update(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Update the rows and return how many were matched."""
        _, changed = self._statement.run(connection, rows)
        return changed


class _Statements:
    """The renderings of one statement, by dialect."""

    def __init__(
        self, columns: Sequence[Column[Any]], render: Callable[[Dialect, int], str], *, widths: Sequence[int]
    ) -> None:
        self._columns = columns
        self._render = render
        self._widths = widths
        self._of: dict[str, _DialectStatements] = {}

    def of(self, dialect: Dialect) -> "_DialectStatements":
        known = self._of.get(dialect.name)
        if known is None:
            by_width = [(width, self._render(dialect, width)) for width in self._widths]
            known = self._of[dialect.name] = _DialectStatements(by_width, self._columns, dialect)
        return known


class _DialectStatements:
    """The renderings of one statement for one dialect, by width, and how its values are prepared."""

    def __init__(
        self, by_width: Sequence[tuple[int, str]], columns: Sequence[Column[Any]], dialect: Dialect
    ) -> None:
        self._by_width = by_width  # widest first
        self._nothing = (None,) * len(columns)
        made = [bind_converter(column.type, dialect) for column in columns]
        self._converters = [(number, convert) for number, convert in enumerate(made) if convert is not None]

    def exactly(self, rows: Sequence[Row]) -> Iterable[tuple[str, tuple[Any, ...]]]:
        """Cut the rows into parts that have a rendering."""
        done = 0
        for width, sql in self._by_width:
            while len(rows) - done >= width:
                yield sql, self._flat(rows[done : done + width])
                done += width

    def padded(self, rows: Sequence[Row]) -> Iterable[tuple[str, tuple[Any, ...]]]:
        """Cut the rows into few parts, the last one lengthened with rows of nothing."""
        widest = self._by_width[0][0]
        for first in range(0, len(rows), widest):
            part = rows[first : first + widest]
            width, sql = next((w, s) for w, s in reversed(self._by_width) if w >= len(part))
            yield sql, self._flat(part) + self._nothing * (width - len(part))

    def _flat(self, rows: Sequence[Row]) -> tuple[Any, ...]:
        if not self._converters:
            return tuple(chain.from_iterable(rows))
        return tuple(_converted(rows, len(self._nothing), self._converters))


def _converted(rows: Sequence[Row], width: int, converters: Sequence[tuple[int, _Converter]]) -> list[Any]:
    """Return the rows' values one after another, each column in one go through its converter."""
    values = list(chain.from_iterable(rows))
    for number, convert in converters:
        values[number::width] = _column(values[number::width], convert)
    return values


def _column(values: list[Any], convert: _Converter) -> list[Any]:
    """Convert a column; what is the very object of the row before is not converted again.

    The rows of one transaction mostly bear its one instant, or none.
    """
    if values and values[0] is None and values.count(None) == len(values):
        return [convert(None)] * len(values)
    before: Any = _UNSEEN
    after: Any = None
    converted: list[Any] = []
    for value in values:
        if value is not before:
            before, after = value, convert(value)
        converted.append(after)
    return converted


def _execute(connection: Connection, sql: str, values: tuple[Any, ...]) -> Any:
    """Run a statement on the driver's own cursor and return the cursor.

    SQLAlchemy's result objects cost more than most of these statements; its errors are kept.
    """
    if not connection.in_transaction():
        connection.begin()
    driver = connection.dialect.loaded_dbapi
    is_sqlite = connection.dialect.name == "sqlite"
    cursor: Any = connection.connection.cursor() if is_sqlite else _raw_cursor(connection)
    if is_sqlite:
        values = tuple([_NULL if value is None else value for value in values])
    try:
        cursor.execute(sql, values)
    except driver.Error as error:
        cursor.close()
        raise DBAPIError.instance(
            sql, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
    return cursor


def _raw_cursor(connection: Connection) -> Any:
    """Return a cursor of PostgreSQL's driver that takes statements as they are.

    Its usual ones look for placeholders in the text, at every execution of a statement as wide as ours.
    """
    from psycopg import RawCursor

    return RawCursor(cast("Any", connection.connection.driver_connection))


def _widths(columns: int) -> list[int]:
    """Return the widths to render, widest first: powers of two, one and a half of each, all small ones."""
    widest = max(1, min(_WIDEST, _MOST_PARAMETERS // columns))
    powers = [1 << power for power in range(widest.bit_length())]
    widths = {*range(1, 9), *powers, *(power + power // 2 for power in powers)}
    return sorted((width for width in widths if width <= widest), reverse=True)


def _columns_of(table: Table, names: Sequence[str] | None) -> list[Column[Any]]:
    return list(table.columns) if names is None else [table.columns[name] for name in names]


def _matches(table: Table, key: Sequence[Column[Any]]) -> str:
    return " AND ".join(f'"{table.name}"."{column.name}" = k.k{number}' for number, column in enumerate(key))


def _values(dialect: Dialect, columns: Sequence[Column[Any]], width: int, *, typed: bool = False) -> str:
    if dialect.name == "sqlite":
        row = f"({', '.join('?' * len(columns))})"
        return ", ".join([row] * width)
    marks = [f"${number}" for number in range(1, width * len(columns) + 1)]
    if typed:
        compiler = dialect.type_compiler_instance
        for number, column in enumerate(columns):
            marks[number] = f"CAST({marks[number]} AS {compiler.process(column.type)})"
    rows = (marks[first : first + len(columns)] for first in range(0, len(marks), len(columns)))
    return ", ".join(f"({', '.join(row)})" for row in rows)


def _quoted(dialect: Dialect, column: Column[Any]) -> str:
    return dialect.identifier_preparer.quote(column.name)


def _quoted_table(dialect: Dialect, table: Table) -> str:
    return dialect.identifier_preparer.format_table(table)
