"""Steps of the handoff for tests: somebody accepts, rejects, applies a playbook; what the log says of it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import text

from services.leads.consumers.sla_events import SlaLog
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import History
from services.leads.domain.playbook import Playbook
from services.leads.store.transaction import By
from services.leads.usecases.offers import AnswerOffer, accept_offers, reject_offers
from services.leads.usecases.playbook import ApplyPlaybook, apply_playbooks
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from tests.builders.leads import ANNA, MANAGER, House, a_submission, asked_by

OPERATOR = By("tenants/-/people/operator")


async def with_playbook(house: House, **changes: Any) -> Playbook:
    """Apply a playbook that differs from the defaults in this."""
    wanted = ApplyPlaybook(tenant="default", wanted=Playbook(**changes), etag="", by=OPERATOR)
    return await house.one(apply_playbooks, wanted)


async def accepted(house: House, number: int = 1, *, by: str = ANNA) -> Handoff:
    """Submit a lead; whoever is offered it accepts."""
    [submitted] = await house.submit(a_submission(number))
    return await house.one(accept_offers, an_answer(submitted.handoff, by))


async def rejected(house: House, number: int = 1, *, by: str = ANNA) -> Handoff:
    """Submit a lead; whoever is offered it rejects."""
    [submitted] = await house.submit(a_submission(number))
    answer = an_answer(submitted.handoff, by)
    return await house.one(reject_offers, replace(answer, reason_code="NO_BUYER", evidence="crm/1"))


async def queued(house: House, number: int, **changes: Any) -> Handoff:
    """Submit a lead that waits in the queue."""
    [submitted] = await house.submit(a_submission(number, history=History(still_open=True), **changes))
    assert submitted.handoff.queue
    return submitted.handoff


def an_answer(handoff: Handoff, principal: str) -> AnswerOffer:
    """An answer to the handoff's offer."""
    assert handoff.offer is not None
    number = handoff.offer.number
    return AnswerOffer(handoff=handoff.id, offer=number, fencing_token=number, asker=asked_by(principal))


async def told(house: House, handoff_id: HandoffId, kind: type[Message]) -> list[Any]:
    """Return what the log says of this kind of event about the handoff, in order."""

    def read(connection: Any) -> list[Any]:
        found = connection.execute(
            text(
                "SELECT payload FROM event_log WHERE subject = :name AND payload_type = :kind"
                " ORDER BY position"
            ),
            {"name": handoff_id.name, "kind": kind.DESCRIPTOR.full_name},
        )
        return [kind.FromString(payload) for (payload,) in found]

    return await house.rows(read)


async def kinds_told(house: House, handoff_id: HandoffId) -> list[str]:
    """Return the kinds of all events about the handoff, in order."""

    def read(connection: Any) -> list[str]:
        found = connection.execute(
            text("SELECT payload_type FROM event_log WHERE subject = :name ORDER BY position"),
            {"name": handoff_id.name},
        )
        return [name.rpartition(".")[2] for (name,) in found]

    return await house.rows(read)


async def sla_says(house: House, *payloads: Message) -> None:
    """Let the service `sla` say this, in one batch of its log."""
    log = SlaLog(house.store)
    events = []
    for payload in payloads:
        event = eventlogpb.Event(position=1)
        event.payload.Pack(payload)
        event.occur_time.FromDatetime(house.now)
        events.append(event)

    def unit(connection: Any, _requests: object, now: datetime) -> list[None]:
        log.apply(connection, events, now)
        return [None]

    await house.writer.run(unit, [None])


def due_at(handoff: Handoff, due: datetime, clock: str = "c") -> slaeventspb.ClockStarted:
    """A clock of the handoff that is due then."""
    started = slaeventspb.ClockStarted()
    started.clock.clock = f"tenants/default/clocks/{clock}-{handoff.id.lead}"
    started.clock.handoff = handoff.name
    started.clock.due_time.FromDatetime(due)
    return started


__all__ = [
    "MANAGER",
    "OPERATOR",
    "accepted",
    "an_answer",
    "due_at",
    "kinds_told",
    "leadeventspb",
    "queued",
    "rejected",
    "sla_says",
    "told",
    "with_playbook",
]
