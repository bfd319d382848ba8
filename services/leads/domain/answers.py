"""Who may answer an offer or decide about a handoff, and until when."""

from datetime import datetime

from services.leads.domain.directory import Directory
from services.leads.domain.errors import (
    FencingTokenStale,
    NotYourHandoff,
    NotYourOffer,
    OfferEnded,
    OfferExpired,
    OfferTaken,
    OfferUnknown,
)
from services.leads.domain.events import OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.states import Offer


def answerable_offer(handoff: Handoff, number: int, fencing_token: int, *, now: datetime) -> Offer:
    """Return the handoff's offer if it can still be answered.

    Raises:
        OfferUnknown: there never was one of this number.
        OfferTaken, OfferExpired, OfferEnded: it is over.
        FencingTokenStale: the token is another's.
    """
    offer = handoff.offer
    if offer is None or not 1 <= number <= offer.number:
        raise OfferUnknown(handoff.id.offer_name(number))
    if number < offer.number or offer.state is not OfferState.OPEN:
        raise _why_over(handoff, offer if number == offer.number else None)
    if offer.has_lapsed(now):
        raise OfferExpired(handoff.name, handoff.etag)
    if fencing_token != offer.number:
        raise FencingTokenStale(handoff.name, handoff.etag)
    return offer


def _why_over(handoff: Handoff, offer: Offer | None) -> Exception:
    state = None if offer is None else offer.state
    if state is OfferState.ACCEPTED or (state is None and handoff.owner):
        return OfferTaken(handoff.name, handoff.etag)
    if state is OfferState.EXPIRED:
        return OfferExpired(handoff.name, handoff.etag)
    return OfferEnded(handoff.name, handoff.etag)


def check_may_answer(handoff: Handoff, offer: Offer, person: str, directory: Directory) -> None:
    """Refuse whoever the offer is not to: a person's is theirs, a queue's its team's.

    Raises:
        NotYourOffer: it is to somebody else.
    """
    if offer.assignee != person and not directory.may_take_from(offer.assignee, person):
        raise NotYourOffer(handoff.id.offer_name(offer.number))


def check_may_decide(handoff: Handoff, person: str, directory: Directory, *, manages: bool) -> None:
    """Refuse whoever is neither the owner, nor a sales manager, nor, while nobody owns it, offered it.

    Raises:
        NotYourHandoff: it is somebody else's.
    """
    if manages or person == handoff.owner:
        return
    offer = handoff.offer
    if handoff.owner or offer is None or offer.state is not OfferState.OPEN:
        raise NotYourHandoff(handoff.name)
    if offer.assignee != person and not directory.may_take_from(offer.assignee, person):
        raise NotYourHandoff(handoff.name)
