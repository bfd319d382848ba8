"""Versions of the MQL definition, as far as the leads log told of them."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from services.sla.store import schema
from smarketing.sql import UpsertRows

__all__ = ["names_of_definitions", "put_definitions"]

_definition: Final = schema.mql_definition
_put: Final = UpsertRows(_definition, key=["tenant", "definition"], replace=["title"])


def put_definitions(connection: Connection, definitions: Sequence[tuple[str, str, str]]) -> None:
    """Keep versions as `(tenant, name, title)`; the last word about one counts."""
    _put.upsert(connection, list({each[:2]: each for each in definitions}.values()))


def names_of_definitions(connection: Connection, tenant: str) -> frozenset[str]:
    """Return every word by which an agreement can name a version that was ever in force.

    That is its name, the end of it, its number, and what people call it. Empty when none is known.
    """
    query = select(_definition.c.definition, _definition.c.title).where(_definition.c.tenant == tenant)
    found: set[str] = set()
    for name, title in connection.execute(query):
        number = name.rsplit("/", 1)[1]
        found |= {name, f"mqlDefinitions/{number}", number, title}
    return frozenset(found - {""})
