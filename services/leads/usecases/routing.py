"""Find somebody for a handoff, and look after those who wait."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.leads.domain.desk import Case
from services.leads.domain.events import OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Contact
from services.leads.domain.routing_rules import traits_of
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.accounts import account_owner_of

SYSTEM: Final = By("tenants/-/systems/leads")
"""Who is named when nobody asked: the service itself."""

_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many handoffs were moved, and whether there may be more."""

    moved: int
    more: bool


def place(tx: LeadTx, by: By, handoff: Handoff) -> Handoff:
    """Return the handoff offered to whom routing finds; it waits for routing when there is nobody.

    Of a lead that was here before, the handoffs must be loaded where the routing has a cool-off.
    """
    tenant = handoff.id.tenant
    routing = tx.directory(tenant).routing
    placement = tx.desk(tenant).decide(case_of(tx, handoff))
    if placement is None:
        return handoff
    expire_time = tx.now + routing.offer_duration
    offered, event = handoff.place(placement, expire_time=expire_time, now=tx.now)
    tx.tell(by, event)
    return offered


def case_of(tx: LeadTx, handoff: Handoff) -> Case:
    """Return what routing looks at to place the handoff."""
    lead = (handoff.id.tenant, handoff.id.lead)
    cool_off = tx.directory(handoff.id.tenant).routing.previous_owner_cool_off
    return Case(
        traits=traits_of(handoff.qualification, handoff.source_system),
        tried=handoff.tried,
        cooling_off=() if cool_off == _NO_TIME else previous_owners(tx, handoff, since=tx.now - cool_off),
        company_domain=lambda: company_host_of(tx.people.contact(lead)),
        account_owner=lambda: account_owner_of(tx, handoff),
    )


def previous_owners(tx: LeadTx, handoff: Handoff, *, since: datetime) -> frozenset[str]:
    """Return who owned the lead and gave it up after `since`, or gives it up just now."""
    return owners_since(handoff, tx.handoffs_of((handoff.id.tenant, handoff.id.lead)), since)


def owners_since(handoff: Handoff, others: Iterable[Handoff], since: datetime) -> frozenset[str]:
    """Return who owned one of these handoffs of a lead until after `since`, or owns this one still."""
    owners = {each.owner for each in others if each.close_time is not None and each.close_time > since}
    return frozenset((owners | {handoff.owner}) - {""})


def company_host_of(contact: Contact | None) -> str:
    """Return where the lead's company is on the net, as told or by their address; empty once it is erased.

    Not what it registered: a rule may be about a part of a company, such as `eu.acme.com`.
    """
    if contact is None:
        return ""
    return contact.company_domain or contact.email.rpartition("@")[2].lower()


def pass_on(
    tx: LeadTx, by: By, handoff: Handoff, state: OfferState, *, at: datetime, reason_code: str = ""
) -> Handoff:
    """End the open offer and offer the handoff to the next; what became of it is saved."""
    load_for_routing(tx, [handoff])
    ended, event = handoff.end_offer(state, at=at, now=tx.now, reason_code=reason_code)
    tx.tell(by, event)
    placed = place(tx, by, ended)
    if placed.open_offer is None:
        placed = placed.wait(now=tx.now)
    tx.save_handoff(placed)
    return placed


def load_for_routing(tx: LeadTx, handoffs: Iterable[Handoff]) -> None:
    """Load what `place` looks at of these handoffs' leads: with one statement, and only where it does."""
    tx.load_handoffs_of(
        {
            (each.id.tenant, each.id.lead)
            for each in handoffs
            if tx.directory(each.id.tenant).routing.previous_owner_cool_off
        }
    )


def expire_offers(tx: LeadTx, *, limit: int = 500) -> Swept:
    """Pass on every handoff whose lease ran out by now, at most `limit`.

    An offer ends at the instant at which its lease ran out, however late this is noticed.
    """
    lapsed = tx.lapsed(limit=limit)
    load_for_routing(tx, lapsed)
    for handoff in lapsed:
        offer = handoff.open_offer
        if offer is not None:
            pass_on(tx, SYSTEM, handoff, OfferState.EXPIRED, at=offer.expire_time or tx.now)
    return Swept(len(lapsed), more=len(lapsed) == limit)


def route_waiting(tx: LeadTx, *, limit: int = 500) -> Swept:
    """Offer the handoffs that nobody could be offered before, at most `limit`."""
    moved = 0
    waiting = tx.unrouted(limit=limit)
    load_for_routing(tx, waiting)
    for handoff in waiting:
        placed = place(tx, SYSTEM, handoff)
        moved += placed is not handoff
        tx.save_handoff(placed)
    return Swept(moved, more=moved == limit)
