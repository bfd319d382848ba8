"""Hand over what somebody has who leaves, a bounded part in each transaction; or only say what would move."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from services.leads.domain.directory import Directory
from services.leads.domain.errors import AssigneeUnknown
from services.leads.domain.events import Manner, OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.offboarding import Move, departed
from services.leads.domain.routing import A_PERSONS_CHOICE, Placement
from services.leads.domain.states import RELEASABLE_STATES
from services.leads.domain.tenancy import SuccessorMissing
from services.leads.store.leads import LeadStore
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.routing import load_for_routing, pass_on, place

_AT_ONCE: Final = 200
"""Handoffs moved in one transaction: callers wait behind it for milliseconds."""
_MOST_PREVIEWED: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """What is handed over, and to whom."""

    tenant: str
    person: str
    assignee: str = ""
    """A person or queue; empty to have it routed."""
    by: By


class _OnlyLooked(Exception):
    def __init__(self, moves: list[Move]) -> None:
        super().__init__()
        self.moves = moves


async def hand_over(store: LeadStore, wanted: HandOver) -> list[Move]:
    """Move everything, and return it in order; what a failure interrupts goes on with the next call."""
    moves: list[Move] = []
    while True:
        part = await store.sweep(partial(_move, wanted=wanted, limit=_AT_ONCE))
        moves += part
        if len(part) < _AT_ONCE:
            return moves


async def would_move(store: LeadStore, wanted: HandOver) -> list[Move]:
    """Return what would move if they left now; nothing is written."""
    try:
        await store.sweep(partial(_look, wanted=wanted))
    except _OnlyLooked as looked:
        return looked.moves
    return []


def _look(tx: LeadTx, wanted: HandOver) -> None:
    tx.assume(departed(tx.directory(wanted.tenant), wanted.person))
    raise _OnlyLooked(_move(tx, wanted, limit=_MOST_PREVIEWED))


def _move(tx: LeadTx, wanted: HandOver, limit: int) -> list[Move]:
    directory = tx.directory(wanted.tenant)
    _check_assignee(directory, wanted)
    held = tx.held_by(wanted.tenant, wanted.person, limit=limit)
    load_for_routing(tx, held)
    return [_moved(tx, directory, wanted, handoff) for handoff in held]


def _check_assignee(directory: Directory, wanted: HandOver) -> None:
    name = wanted.assignee
    if not name:
        return
    queue = directory.queue(name)
    is_queue = queue is not None and not queue.inactive
    if name == wanted.person or not (is_queue or directory.may_own(name)):
        raise AssigneeUnknown(
            "assignee", "a queue, or an active person who may own handoffs, and not who leaves"
        )


def _moved(tx: LeadTx, directory: Directory, wanted: HandOver, handoff: Handoff) -> Move:
    queue = directory.queue(wanted.assignee)
    if handoff.state not in RELEASABLE_STATES:
        return _assigned(tx, wanted, handoff, _successor(directory, wanted, handoff))
    if queue is not None:
        placement = Placement(queue.name, queue.team, A_PERSONS_CHOICE, is_queue=True)
        given, events = handoff.release(placement, now=tx.now)
        tx.tell(wanted.by, *events)
        tx.save_handoff(given)
        return Move(handoff.name, queue.name)
    if wanted.assignee:
        return _assigned(tx, wanted, handoff, wanted.assignee)
    return _routed(tx, wanted, handoff)


def _routed(tx: LeadTx, wanted: HandOver, handoff: Handoff) -> Move:
    if handoff.open_offer is not None:
        placed = pass_on(tx, wanted.by, handoff, OfferState.WITHDRAWN, at=tx.now)
    else:
        placed = place(tx, wanted.by, handoff)
        if placed.open_offer is None:
            placed = placed.wait(now=tx.now)
        tx.save_handoff(placed)
    offer = placed.open_offer
    return Move(handoff.name, offer.assignee if offer is not None else "")


def _assigned(tx: LeadTx, wanted: HandOver, handoff: Handoff, person: str) -> Move:
    team = tx.directory(wanted.tenant).team_of(person)
    given, events = handoff.assign(
        person, team.name if team is not None else "", Manner.ASSIGNED, at=tx.now, now=tx.now
    )
    tx.tell(wanted.by, *events)
    tx.save_handoff(given)
    return Move(handoff.name, person)


def _successor(directory: Directory, wanted: HandOver, handoff: Handoff) -> str:
    if directory.active_person(wanted.assignee) is not None:
        return wanted.assignee
    leaving = directory.person(wanted.person)
    manager = directory.manager_of(wanted.assignee or (leaving.team if leaving is not None else ""))
    if not manager:
        raise SuccessorMissing(handoff.name)
    return manager
