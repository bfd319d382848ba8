"""People who were erased and come back: refused, or taken in anew, as their tenant wants it."""

from collections.abc import Sequence

from services.leads.domain.privacy import LeadSuppressed, OnReturn
from services.leads.store.transaction import LeadTx


def refused_return(tx: LeadTx, tenant: str, recognised_by: Sequence[bytes]) -> LeadSuppressed | None:
    """Return the refusal of somebody new who is known by one of these loaded digests as erased.

    Costs nothing for anybody else.
    """
    known = any(tx.is_suppressed(tenant, digest) for digest in recognised_by)
    return refused_again(tx, tenant) if known else None


def refused_again(tx: LeadTx, tenant: str) -> LeadSuppressed | None:
    """Return the refusal of somebody who was erased, unless the tenant takes them in."""
    return LeadSuppressed() if tx.subjects.settings(tenant).on_return is OnReturn.REFUSE else None
