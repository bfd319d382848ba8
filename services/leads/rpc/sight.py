"""Whose personal data a caller sees, everybody's or that of their own teams' leads, and how it is shown."""

from collections.abc import Sequence

from services.leads.rpc.assignees import Assignees
from services.leads.rpc.policy import SEE_EVERY_LEAD
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.store.lookups import leads_held_by
from services.leads.store.queries import Lead
from services.leads.wire.leads import contact_message
from services.leads.wire.values import put_instant
from smarketing import names
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.server.calls import current_call


class Sight:
    """Knows what a caller's role and teams let them see."""

    def __init__(self, store: LeadStore, directories: DirectoryStore) -> None:
        self._store = store
        self._assignees = Assignees(directories)

    async def seen(self, tenant: str, leads: Sequence[str]) -> list[str]:
        """Return those of the leads that the caller may see, in the order given.

        Who sees their own teams' alone sees a lead of which one of them holds, or was offered, a handoff.
        """
        caller = current_call().caller
        if caller.roles & SEE_EVERY_LEAD or not leads:
            return list(leads)
        own = await self._assignees.around(caller)
        held = await self._store.read(leads_held_by(tenant, leads, own))
        return [lead for lead in leads if lead in held]


def lead_message(lead: Lead) -> leadspb.Lead:
    """Return a lead as its resource, for a caller who may see it."""
    message = leadspb.Lead(
        name=names.LEAD.build(lead.tenant, lead.lead),
        etag=str(lead.version),
        handoff_count=lead.handoff_count,
    )
    put_instant(message.create_time, lead.create_time)
    if lead.contact is not None:
        message.contact.CopyFrom(contact_message(lead.contact))
    if lead.erase_time is not None:
        put_instant(message.erase_time, lead.erase_time)
    return message
