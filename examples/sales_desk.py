"""A sales tool: wait for offers, accept them for a person, and log the first call.

    python examples/sales_desk.py PERSON

The token (SMARKETING_TOKEN or SMARKETING_TOKEN_FILE) is the person's, or a system's that acts for them.
The watch connects again by itself; kill the tool, start it again, and nothing that is open is missed.
"""

import asyncio
import os
import sys
from contextlib import aclosing

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import CallError, DeniedError, LeadsClient, RefusedError, read_settings


async def take(leads: LeadsClient, handoff: leadspb.Handoff, person: str) -> None:
    """Accept one offer and log a call; whoever was faster keeps the lead."""
    try:
        accepted = await leads.accept_offer(
            leadspb.AcceptOfferRequest(
                name=handoff.offer.name, fencing_token=handoff.offer.fencing_token, person=person
            )
        )
    except RefusedError as refused:
        print(f"{handoff.name}: not ours, {refused.reason}")
        return
    lead_name = accepted.name.partition("/handoffs/")[0]
    lead = await leads.get_lead(leadspb.GetLeadRequest(name=lead_name))
    contact = lead.contact
    print(f"{accepted.name}: accepted; call {contact.given_name} at {contact.phone or contact.email}")
    await leads.log_follow_up(
        leadspb.LogFollowUpRequest(
            parent=accepted.name,
            # No occur_time: the call happens now.
            follow_up=leadspb.FollowUp(person=person, channel=termspb.FOLLOW_UP_CHANNEL_CALL),
        )
    )
    print(f"{accepted.name}: call logged")


async def main(person_id: str) -> None:
    """Work offers until interrupted."""
    settings = read_settings(os.environ)
    person = f"{settings.parent}/people/{person_id}"
    watched = leadspb.WatchOffersRequest(parent=settings.parent, assignees=[person])
    async with LeadsClient(settings) as leads, aclosing(leads.watch_offers(watched)) as responses:
        async for response in responses:
            for handoff in response.handoffs:
                if handoff.offer.state == leadspb.Offer.STATE_OPEN:
                    await take(leads, handoff, person)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1]))
    except DeniedError as denied:
        sys.exit(f"Give the token of {sys.argv[1]}: {denied}")
    except CallError as error:
        sys.exit(f"Stopped: {error}")
    except KeyboardInterrupt:
        sys.exit(0)
