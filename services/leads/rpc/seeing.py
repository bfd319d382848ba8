"""What of a handoff the caller may see: its sender's own id may be somebody's address."""

from services.leads.rpc.policy import SEE_PERSONAL_DATA
from services.leads.store.external_ids import HandoffQuery, with_external_ids
from services.leads.store.sealing import Sealer
from smarketing.server.calls import current_call


def as_seen(sealer: Sealer, query: HandoffQuery) -> HandoffQuery:
    """Return the query with external ids filled in, where the caller may see personal data."""
    if current_call().caller.roles & SEE_PERSONAL_DATA:
        return with_external_ids(sealer, query)
    return query
