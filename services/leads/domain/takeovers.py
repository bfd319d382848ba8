"""Takeovers: whoever missed what was promised has the handoff no longer."""

from dataclasses import dataclass
from datetime import datetime

from services.leads.domain.errors import StateForbids
from services.leads.domain.events import HandoffEvent
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.routing import Placement
from services.leads.domain.states import HandoffState
from services.leads.domain.work_events import HandoffTakenOver


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """What `sla` asked for: once for each rung of a clock's cycle."""

    handoff: HandoffId
    clock: str
    cycle: int
    rung_id: str
    previous_owner: str
    """Who had it when it was missed."""
    occur_time: datetime


def is_still_theirs(handoff: Handoff, takeover: Takeover) -> bool:
    """Whether whoever missed the clock has it still, and it is not yet decided."""
    if handoff.archived or handoff.state not in {HandoffState.ACCEPTED, HandoffState.WORKING}:
        return False
    return handoff.owner == takeover.previous_owner


def take_over(
    handoff: Handoff, takeover: Takeover, *, number: int, to_queue: Placement | None, now: datetime
) -> tuple[Handoff, tuple[HandoffEvent, ...]]:
    """Return the handoff without its owner: in the queue, or, without one, waiting for routing.

    Its owner counts as tried, so that routing passes them over.

    Raises:
        StateForbids: nobody works it.
    """
    if handoff.state not in {HandoffState.ACCEPTED, HandoffState.WORKING}:
        raise StateForbids(handoff.name, handoff.state.name, handoff.etag)
    tried = handoff.tried if handoff.owner in handoff.tried else (*handoff.tried, handoff.owner)
    taken = handoff.step(now, tried=tried, owner="", accept_time=None, state=HandoffState.SUBMITTED)
    happened = HandoffTakenOver(
        handoff=handoff.id,
        occur_time=now,
        previous_owner=handoff.owner,
        clock=takeover.clock,
        rung_id=takeover.rung_id,
        takeover=number,
        exhausted=to_queue is not None,
    )
    if to_queue is None:
        return taken, (happened,)
    offered, placed = taken.place(to_queue, expire_time=None, now=now)
    return offered, (happened, placed)
