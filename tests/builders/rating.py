"""What became of the ratings in a house: what leads did is told, and what was told of them is read."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Connection, select

from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Rating
from services.leads.store.schema import SCHEMA
from services.leads.usecases.behaviour import RecordBehaviour, RecordedBehaviour, record_behaviours
from services.leads.usecases.rescoring import Rescorer
from tests.builders.leads import House

WARM = Rating(60, "WARM", 1)
HOT = Rating(90, "HOT", 1)


async def told(house: House, kind: type[Message]) -> list[Any]:
    """Return the events of a kind, in order."""

    def query(connection: Connection) -> Sequence[bytes]:
        log = SCHEMA.event_log.event_log.c
        wanted = select(log.payload).where(log.payload_type == kind.DESCRIPTOR.full_name)
        return connection.execute(wanted.order_by(log.position)).scalars().all()

    return [kind.FromString(bytes(payload)) for payload in await house.rows(query)]


async def behave(house: House, *requests: RecordBehaviour) -> list[RecordedBehaviour]:
    results = await house.all(record_behaviours, *requests)
    assert all(isinstance(result, RecordedBehaviour) for result in results), results
    return [result for result in results if isinstance(result, RecordedBehaviour)]


async def rating_of(house: House, handoff: Handoff) -> Rating | None:
    return (await house.handoff(handoff.id)).qualification.rating


def a_rescorer(house: House) -> Rescorer:
    return Rescorer(house.store, now=lambda: house.now)
