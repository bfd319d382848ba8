"""Whose company a lead is of."""

from services.leads.domain.handoff import Handoff
from services.leads.store.transaction import LeadTx


def account_owner_of(tx: LeadTx, handoff: Handoff) -> str:
    """Return the person who has the company of the handoff's lead already; empty when nobody does.

    That is who owns an open handoff of the same company domain, the latest to get one first; else who
    won there last. Who left the directory is passed over. A private address is of no company. The
    archive of imported history owns nothing while it is open, and counts where it was won.
    """
    if not handoff.account:
        return ""
    directory = tx.directory(handoff.id.tenant)
    owners = tx.accounts.owners(handoff.id.tenant, handoff.account)
    return next((owner for owner in owners if directory.active_person(owner) is not None), "")
