"""References and words that may name a person: sealed with the lead's key, opened for those who may see.

A value has a text in a field and, in the field `sealed_…` of the same name, what is kept of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection

from services.leads.store.people import EXTERNAL_ID, LeadKey, People, purpose_of
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.sql import FindRows

__all__ = ["EVIDENCE", "EXTERNAL_ID", "Query", "purpose_of", "seal", "with_texts"]

T = TypeVar("T")
Query: TypeAlias = Callable[[Connection], Sequence[T]]
"""What a reader's connection answers with values."""

EVIDENCE: Final = "evidence"

_FIND_KEYS: Final = FindRows(
    SCHEMA.leads.lead_person, key=["tenant", "lead"], columns=["tenant", "lead", "wrapped_key"]
)


def seal(people: People, lead: LeadKey, value: T, field: str) -> T:
    """Return the value with its text sealed and no longer plain: so it is kept, and so it is answered."""
    text = getattr(value, field)
    if not text:
        return value
    sealed = people.sealed(lead, text, purpose=purpose_of(field)) or b""
    changed: dict[str, Any] = {field: "", f"sealed_{field}": sealed}
    return replace(value, **changed)  # type: ignore[type-var]  # all of them are dataclasses


def with_texts(
    sealer: Sealer,
    query: Query[T],
    field: str,
    *,
    lead_of: Callable[[T], LeadKey],
) -> Callable[[Connection], list[T]]:
    """Return the query whose values say their texts, except of erased leads."""

    def opened(connection: Connection) -> list[T]:
        found = query(connection)
        leads = list(dict.fromkeys(lead_of(each) for each in found if getattr(each, f"sealed_{field}")))
        if not leads:
            return list(found)
        keys = {
            (tenant, lead): bytes(wrapped_key)
            for tenant, lead, wrapped_key in _FIND_KEYS.find(connection, leads)
            if wrapped_key is not None
        }
        return [_opened(sealer, each, field, lead_of(each), keys) for each in found]

    return opened


def _opened(sealer: Sealer, value: T, field: str, lead: LeadKey, keys: dict[LeadKey, bytes]) -> T:
    sealed, wrapped_key = getattr(value, f"sealed_{field}"), keys.get(lead)
    if not sealed or wrapped_key is None:
        return value
    plain = sealer.open_key(wrapped_key, "/".join(lead)).unseal(sealed, purpose=purpose_of(field))
    changed: dict[str, Any] = {field: plain.decode()}
    return replace(value, **changed)  # type: ignore[type-var]  # as above
