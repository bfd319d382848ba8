"""A leads log of any length, event by event, in the memory of the handoffs that are open alone.

Handoffs come every twenty seconds and live for weeks, so that events of many lie between two of one.
They come from eight sources, in three segments, of four regions with two teams each: 96 groups until
somebody is asked and 192 from then on, which is what the sums of a day are kept by.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from random import Random
from typing import Any, Final

from google.protobuf.message import Message

from services.reports.domain.periods import Micros, micros_of
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.reports import MONDAY, TENANT

__all__ = ["LOG_ID", "batches_of", "life", "log_from_elsewhere", "long_log"]

LOG_ID: Final = "00000000-0000-4000-8000-000000000001"
_SECOND: Final = 1_000_000
_HOUR: Final = 3600 * _SECOND
_SPACING: Final = 20 * _SECOND
_SOURCES: Final = (
    ("webform", termspb.SOURCE_CHANNEL_WEBSITE_FORM),
    ("brochure", termspb.SOURCE_CHANNEL_WEBSITE_FORM),
    ("search", termspb.SOURCE_CHANNEL_PAID_SEARCH),
    ("shopping", termspb.SOURCE_CHANNEL_PAID_SEARCH),
    ("expo", termspb.SOURCE_CHANNEL_INBOUND_EVENT),
    ("roadshow", termspb.SOURCE_CHANNEL_CONFERENCE),
    ("webinar", termspb.SOURCE_CHANNEL_CONTENT),
    (None, termspb.SOURCE_CHANNEL_UNSPECIFIED),
)
_SEGMENTS: Final = ("retail", "smb", "enterprise")
_REGIONS: Final = ("north", "south", "east", "west")
_REASONS: Final = ("bad_data", "no_budget", "not_reached", "duplicate")
_PEOPLE: Final = tuple(f"{TENANT}/people/rep{number:03}" for number in range(200))

_Told = tuple[Micros, int, Message]


def long_log(count: int, *, seed: int = 1) -> Iterator[eventlogpb.Event]:
    """Yield the first `count` events of the log; equal seeds give equal logs."""
    for position, (time, _, said) in enumerate(islice(_merged(Random(seed)), count), start=1):
        yield _event(position, time, said)


def life(chance: Random, number: int, start: Micros, *, few: bool = False) -> list[eventlogpb.Event]:
    """Return all events of one handoff; of `few` groups, 24, or of as many as the log's."""
    told = _history(chance, number, start, few=few)
    return [_event(16 * number + nth, time, said) for nth, (time, _, said) in enumerate(told, start=1)]


def _event(position: int, time: Micros, said: Message) -> eventlogpb.Event:
    event = eventlogpb.Event(log_id=LOG_ID, position=position, tenant=TENANT, tenant_position=position)
    event.occur_time.FromMicroseconds(time)
    event.record_time.FromMicroseconds(time)
    event.payload.Pack(said)
    return event


def batches_of(events: Iterator[eventlogpb.Event], size: int) -> Iterator[list[eventlogpb.Event]]:
    """Cut the log into batches."""
    while batch := list(islice(events, size)):
        yield batch


@contextmanager
def log_from_elsewhere(count: int, size: int) -> Iterator[Iterator[Sequence[eventlogpb.Event]]]:
    """Give the first `count` events in batches, made up by another process and read as a reader gets them."""
    processes = get_context("spawn")
    ours, theirs = processes.Pipe(duplex=False)
    maker = processes.Process(target=_send_log, args=(theirs, count, size), daemon=True)
    maker.start()
    theirs.close()
    try:
        yield _received(ours)
    finally:
        ours.close()
        maker.terminate()
        maker.join()


def _send_log(pipe: "Pipe[bytes, bytes]", count: int, size: int) -> None:
    for batch in batches_of(long_log(count), size):
        pipe.send_bytes(eventlogpb.ReadEventsResponse(events=batch).SerializeToString())
    pipe.send_bytes(b"")


def _received(pipe: "Pipe[bytes, bytes]") -> Iterator[Sequence[eventlogpb.Event]]:
    while response := pipe.recv_bytes():
        yield eventlogpb.ReadEventsResponse.FromString(response).events


def _merged(chance: Random) -> Iterator[_Told]:
    """Yield what is told of all handoffs, in the order of time; the number makes it one order."""
    waiting: list[_Told] = []
    number, now = 0, micros_of(MONDAY)
    while True:
        number += 1
        for told in _history(chance, number, now):
            heapq.heappush(waiting, told)
        now += _SPACING
        while waiting and waiting[0][0] < now:
            yield heapq.heappop(waiting)


def _history(chance: Random, number: int, start: Micros, *, few: bool = False) -> list[_Told]:
    """Return the life of one handoff: about six events."""
    name = f"{TENANT}/leads/l{number:08}/handoffs/1"
    region = chance.choice(_REGIONS[:2] if few else _REGIONS)
    team, person = f"{TENANT}/teams/{region}{0 if few else chance.randrange(2)}", chance.choice(_PEOPLE)
    offer = f"{name}/offers/1"
    told: list[_Told] = []
    time = start

    def tell(kind: Callable[..., Message], mean_hours: float, **said: Any) -> None:
        nonlocal time
        time += int(chance.expovariate(1 / (mean_hours * _HOUR))) + _SECOND
        told.append((time, 16 * number + len(told), kind(handoff=name, **said)))

    told.append(
        (start, 16 * number, _submitted(chance, name, region, start, _SOURCES[::2] if few else _SOURCES))
    )
    tell(leadeventspb.HandoffOffered, 0.05, offer=offer, assignee=person, team=team)
    if chance.random() < 0.08:
        _end(tell, leadeventspb.HandoffRejected, chance, offer=offer, team=team)
        return told
    tell(leadeventspb.HandoffAccepted, 2, offer=offer, owner=person, team=team)
    for _ in range(chance.randrange(1, 4)):
        _follow_up(tell, chance)
    if chance.random() < 0.35:
        ended = chance.choice((leadeventspb.HandoffDisqualified, leadeventspb.HandoffRecycled))
        _end(tell, ended, chance)
    else:
        _sold(tell, chance, name, person)
    return told


def _submitted(
    chance: Random, name: str, region: str, time: Micros, sources: Sequence[tuple[str | None, Any]]
) -> Message:
    source, channel = chance.choice(sources)
    said = leadeventspb.HandoffSubmitted(handoff=name, lead=name.rpartition("/handoffs/")[0])
    told = said.qualification
    told.source_channel, told.segment, told.region = channel, chance.choice(_SEGMENTS), region
    told.lead_type = "new_business"
    if source is not None:
        told.source = source
    told.inquire_time.FromMicroseconds(time - int(chance.expovariate(1 / _HOUR)))
    if chance.random() < 0.3:
        told.value.currency_code, told.value.minor_units = "EUR", 100 * chance.randrange(10_000)
    return said


def _follow_up(tell: Callable[..., None], chance: Random) -> None:
    tell(
        leadeventspb.FollowUpLogged,
        20,
        channel=chance.choice((termspb.FOLLOW_UP_CHANNEL_CALL, termspb.FOLLOW_UP_CHANNEL_EMAIL)),
        grade=termspb.EVIDENCE_GRADE_CONFIRMED
        if chance.random() < 0.6
        else termspb.EVIDENCE_GRADE_SELF_REPORTED,
        contact=chance.random() < 0.4,
    )


def _end(tell: Callable[..., None], kind: Callable[..., Message], chance: Random, **said: Any) -> None:
    party = chance.choice((termspb.PARTY_MARKETING, termspb.PARTY_SALES))
    tell(kind, 48, reason_code=chance.choice(_REASONS), accountable_party=party, **said)


def _sold(tell: Callable[..., None], chance: Random, name: str, person: str) -> None:
    tell(leadeventspb.HandoffQualified, 72)
    if chance.random() < 0.4:
        return
    opportunity = f"{name}/opportunity"
    tell(leadeventspb.HandoffConverted, 72, opportunity=opportunity, owner=person)
    if chance.random() < 0.2:
        return
    won = chance.random() < 0.3
    closed: dict[str, Any] = {"reason_code": "" if won else chance.choice(_REASONS)}
    if won:
        closed["amount"] = termspb.Money(currency_code="EUR", minor_units=100 * chance.randrange(100_000))
    state = leadspb.Opportunity.STATE_WON if won else leadspb.Opportunity.STATE_LOST
    tell(leadeventspb.OpportunityClosed, 240, opportunity=opportunity, owner=person, state=state, **closed)
