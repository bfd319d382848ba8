"""People who were erased and come back: refused, or taken in anew, as their tenant wants it."""

from collections.abc import Sequence

from services.leads.domain.privacy import LeadSuppressed, OnReturn
from services.leads.store.transaction import LeadTx


def refused_return(tx: LeadTx, tenant: str, recognised_by: Sequence[bytes]) -> LeadSuppressed | None:
    """Return the refusal of somebody new who is known by one of these loaded digests as erased.

    Where the tenant takes such people in, they are suppressed no longer. Costs nothing for anybody else.
    """
    known = [digest for digest in recognised_by if tx.is_suppressed(tenant, digest)]
    return refused_again(tx, tenant, known) if known else None


def refused_again(tx: LeadTx, tenant: str, known: Sequence[bytes]) -> LeadSuppressed | None:
    """Return the refusal of somebody who was erased, unless the tenant takes them in."""
    if tx.subjects.settings(tenant).on_return is OnReturn.REFUSE:
        return LeadSuppressed()
    tx.subjects.lift_suppression(tenant, known)
    return None
