"""Statements rendered once and run by the driver: asking costs what the database does, and little more."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Select

__all__ = ["Prepared", "PreparedStatements"]


class Prepared:
    """A statement whose named parameters alone differ from one run to the next."""

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement
        self._of: dict[str, tuple[str, Sequence[str] | None, dict[str, Any]]] = {}

    def run(self, connection: Connection, **values: Any) -> Sequence[Any]:
        """Return all rows; values are plain numbers and texts, for no type converts them."""
        rendered, order, constants = self._of.get(connection.dialect.name) or self._render(connection.dialect)
        told = constants | values
        parameters: Any = told if order is None else tuple([told[name] for name in order])
        return connection.exec_driver_sql(rendered, parameters).all()

    def _render(self, dialect: Dialect) -> tuple[str, Sequence[str] | None, dict[str, Any]]:
        compiled = self._statement.compile(dialect=dialect)
        found = (str(compiled), compiled.positiontup, dict(compiled.params))
        self._of[dialect.name] = found
        return found


class PreparedStatements:
    """Statements by what tells them apart; there are as many as ways to ask."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Prepared] = {}

    def get(self, key: Hashable, make: Callable[[], Select[Any]]) -> Prepared:
        """Return the statement of a key, made when it is first asked for."""
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Prepared(make())
        return found
