"""Take handoffs from those who missed what was promised, as the service `sla` asks: once for each asking."""

from collections.abc import Sequence

from services.leads.domain.desk import to_fallback
from services.leads.domain.routing import Ground
from services.leads.domain.takeovers import Takeover, is_still_theirs, take_over
from services.leads.store.transaction import LeadTx
from services.leads.usecases.routing import SYSTEM, place


def take_over_handoffs(tx: LeadTx, requests: Sequence[Takeover]) -> None:
    """Offer each handoff to the next; after too many takeovers it waits in the queue.

    Whoever has got it since, or has decided, keeps it: then what was asked is only noted.
    """
    tx.load_handoffs(request.handoff for request in requests)
    # Routing looks at who owned the lead before.
    tx.load_handoffs_of((request.handoff.tenant, request.handoff.lead) for request in requests)
    for request in requests:
        _take_over(tx, request)


def _take_over(tx: LeadTx, request: Takeover) -> None:
    handoff = tx.handoff(request.handoff)
    if handoff is None or tx.work.is_known_takeover(request):
        return
    if not is_still_theirs(handoff, request):
        tx.work.add_takeover(request, taken=False)
        return
    directory = tx.directory(request.handoff.tenant)
    before = tx.work.count_takeovers(request.handoff)
    exhausted = before >= tx.work.playbook(request.handoff.tenant).max_takeovers
    taken, events = take_over(
        handoff,
        request,
        number=before + 1,
        to_queue=to_fallback(directory, Ground.OFFERS_USED_UP) if exhausted else None,
        now=tx.now,
    )
    tx.work.add_takeover(request, taken=True)
    tx.tell(SYSTEM, *events)
    tx.save_handoff(taken if exhausted else place(tx, SYSTEM, taken))
