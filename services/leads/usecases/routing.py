"""Find somebody for a handoff, and look after those who wait."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.leads.domain.events import OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.routing import route
from services.leads.store.transaction import By, LeadTx

SYSTEM: Final = By("tenants/-/systems/leads")
"""Who is named when nobody asked: the service itself."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many handoffs were moved, and whether there may be more."""

    moved: int
    more: bool


def place(tx: LeadTx, by: By, handoff: Handoff) -> Handoff:
    """Return the handoff offered to whom routing finds; it waits for routing when there is nobody."""
    tenant = handoff.id.tenant
    directory = tx.directory(tenant)
    placement = route(directory, tx.credits_of(tenant), on_leave=tx.on_leave(tenant), tried=handoff.tried)
    if placement is None:
        return handoff
    expire_time = tx.now + directory.routing.offer_duration
    offered, event = handoff.place(placement, expire_time=expire_time, now=tx.now)
    tx.tell(by, event)
    return offered


def pass_on(
    tx: LeadTx, by: By, handoff: Handoff, state: OfferState, *, at: datetime, reason_code: str = ""
) -> Handoff:
    """End the open offer and offer the handoff to the next; what became of it is saved."""
    ended, event = handoff.end_offer(state, at=at, now=tx.now, reason_code=reason_code)
    tx.tell(by, event)
    placed = place(tx, by, ended)
    if placed.open_offer is None:
        placed = placed.wait(now=tx.now)
    tx.save_handoff(placed)
    return placed


def expire_offers(tx: LeadTx, *, limit: int = 500) -> Swept:
    """Pass on every handoff whose lease ran out by now, at most `limit`.

    An offer ends at the instant at which its lease ran out, however late this is noticed.
    """
    lapsed = tx.lapsed(limit=limit)
    for handoff in lapsed:
        offer = handoff.open_offer
        if offer is not None:
            pass_on(tx, SYSTEM, handoff, OfferState.EXPIRED, at=offer.expire_time or tx.now)
    return Swept(len(lapsed), more=len(lapsed) == limit)


def route_waiting(tx: LeadTx, *, limit: int = 500) -> Swept:
    """Offer the handoffs that nobody could be offered before, at most `limit`."""
    moved = 0
    waiting = tx.unrouted(limit=limit)
    for handoff in waiting:
        placed = place(tx, SYSTEM, handoff)
        moved += placed is not handoff
        tx.save_handoff(placed)
    return Swept(moved, more=moved == limit)
