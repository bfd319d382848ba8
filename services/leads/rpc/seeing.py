"""What the caller may see of texts that may name a person: a sender's own id may be somebody's address."""

from collections.abc import Callable
from typing import TypeVar

from services.leads.rpc.policy import SEE_PERSONAL_DATA
from services.leads.store.external_ids import HandoffQuery, with_external_ids
from services.leads.store.people import LeadKey
from services.leads.store.sealed_texts import EVIDENCE, Query, with_texts
from services.leads.store.sealing import Sealer
from smarketing.server.calls import current_call

T = TypeVar("T")


def as_seen(sealer: Sealer, query: HandoffQuery) -> HandoffQuery:
    """Return the query with external ids and evidence filled in, where the caller may see personal data."""
    if current_call().caller.roles & SEE_PERSONAL_DATA:
        opened = with_external_ids(sealer, query)
        return with_texts(sealer, opened, EVIDENCE, lead_of=lambda each: each.id[:2])
    return query


def texts_as_seen(
    sealer: Sealer,
    query: Query[T],
    field: str,
    *,
    lead_of: Callable[[T], LeadKey],
) -> Query[T]:
    """Return the query with the texts of a field filled in, where the caller may see personal data."""
    if current_call().caller.roles & SEE_PERSONAL_DATA:
        return with_texts(sealer, query, field, lead_of=lead_of)
    return query
