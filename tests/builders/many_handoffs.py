"""Handoffs by the thousand, in every state and of many owners, written straight into the tables."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Final

from sqlalchemy import Connection, text

from services.leads.domain.claims import NOT_WAITING
from services.leads.domain.events import OfferState
from services.leads.domain.follow_up import FollowUp
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Qualification
from services.leads.domain.states import OPEN_STATES, OWNED_STATES, HandoffState, Offer
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel, SourceChannel
from services.leads.store import rows, statements
from services.leads.store.schema import SCHEMA
from smarketing.sql import UtcMicros
from tests.builders.leads import NOON, TENANT, a_handoff

REPS: Final = tuple(f"{TENANT}/people/rep{number:03}" for number in range(200))
QUEUES: Final = tuple(f"{TENANT}/queues/queue{number}" for number in range(5))
SEGMENTS: Final = ("retail", "smb", "enterprise")
CAMPAIGNS: Final = ("spring", "summer", "autumn", "winter")
_STATES: Final = tuple(HandoffState)
_BATCH: Final = 2_000


def many_handoffs(
    count: int, *, seed: int = 1, spacing: timedelta = timedelta(seconds=7)
) -> Iterator[Handoff]:
    """Yield handoffs, one a lead but for every tenth, from the oldest to the newest."""
    chance = Random(seed)
    lead, number = 0, 1
    for nth in range(count):
        again = lead and chance.random() < 0.1
        lead, number = (lead, number + 1) if again else (lead + 1, 1)
        yield _handoff(chance, HandoffId("default", f"lead-{lead:08}", number), NOON + nth * spacing)


def _handoff(chance: Random, handoff_id: HandoffId, submitted: datetime) -> Handoff:
    state = chance.choice(_STATES)
    owner = chance.choice(REPS) if state in OWNED_STATES or chance.random() < 0.5 else ""
    owner = "" if state in {HandoffState.SUBMITTED, HandoffState.OFFERED} else owner
    offer = _offer(chance, state, submitted)
    told = Qualification(
        source=chance.choice((None, "website", "seo")),
        source_channel=chance.choice((SourceChannel.UNMAPPED, SourceChannel.WEBSITE_FORM)),
        segment=chance.choice(SEGMENTS),
        campaign=chance.choice(CAMPAIGNS) if chance.random() < 0.999 else "once in a while",
        score=chance.choice((None, *range(0, 100, 10))),
    )
    template = a_handoff(id=handoff_id, submit_time=submitted, update_time=submitted)
    return replace(
        template,
        state=state,
        owner=owner,
        offer=offer,
        queue=offer.assignee if state is HandoffState.OFFERED and "/queues/" in offer.assignee else "",
        archived=state is HandoffState.SUBMITTED and chance.random() < 0.9,
        historical=chance.random() < 0.2,
        follow_up_count=chance.randrange(4),
        accept_time=template.submit_time + timedelta(minutes=chance.randrange(90)) if owner else None,
        next_due_time=template.submit_time + timedelta(minutes=chance.randrange(999))
        if state in OPEN_STATES and chance.random() < 0.9
        else None,
        reason_code="NO_BUDGET" if state is HandoffState.LOST else "",
        qualification=told,
    )


def _offer(chance: Random, state: HandoffState, at: datetime) -> Offer:
    to_queue = chance.random() < 0.3
    offer = Offer(
        number=1,
        assignee=chance.choice(QUEUES if to_queue else REPS),
        state=OfferState.OPEN if state is HandoffState.OFFERED else OfferState.ACCEPTED,
        offer_time=at,
    )
    return replace(
        offer, expire_time=None if to_queue else offer.offer_time + timedelta(minutes=chance.randrange(60))
    )


def many_follow_ups(handoff: HandoffId, count: int, *, seed: int = 1) -> Iterator[FollowUp]:
    """Yield follow-ups of one handoff."""
    chance = Random(seed)
    for nth in range(count):
        at = NOON + timedelta(minutes=chance.randrange(count))
        yield FollowUp(
            handoff=handoff,
            follow_up_id=f"follow-up-{nth:06}",
            person=chance.choice(REPS[:5]),
            channel=chance.choice(tuple(FollowUpChannel)),
            occur_time=at,
            record_time=at + timedelta(minutes=chance.randrange(90)),
            grade=chance.choice(tuple(EvidenceGrade)),
            contact=chance.random() < 0.3,
            external_id="",
        )


def put_handoffs(connection: Connection, handoffs: Iterator[Handoff]) -> None:
    """Write handoffs with multi-row inserts, without whatever else belongs to them."""
    while part := [rows.handoff_row(each, NOT_WAITING) for each in islice(handoffs, _BATCH)]:
        statements.INSERT_HANDOFFS.insert(connection, part)


def put_copies(connection: Connection, copies: int) -> None:
    """Write all handoffs that are there so many times more, each time of other leads and later."""
    handoff = SCHEMA.leads.handoff
    instants = [column.name for column in handoff.columns if isinstance(column.type, UtcMicros)]
    instants.remove("claim_time")  # at the end of time, for who waits in no queue
    later = {name: f'"{name}" + (CAST(:nth AS INTEGER) * :span)' for name in instants}
    number = "CAST(CAST(substr(lead, 6) AS INTEGER) + CAST(:nth AS INTEGER) * :leads AS TEXT)"
    later["lead"] = f"'lead-' || substr('0000000' || {number}, length({number}))"
    values = ", ".join(later.get(column.name, f'"{column.name}"') for column in handoff.columns)
    # Instants are numbers on SQLite.
    least = "INTERVAL '1 microsecond'" if connection.dialect.name == "postgresql" else "1"
    leads, span, end = connection.execute(
        text(
            "SELECT max(CAST(substr(lead, 6) AS INTEGER)),"
            f" max(submit_time) - min(submit_time) + {least}, max(submit_time) + {least} FROM handoff"
        )
    ).one()
    copy = text(f"INSERT INTO handoff SELECT {values} FROM handoff WHERE submit_time < :end")
    for nth in range(1, copies + 1):
        connection.execute(copy, {"nth": nth, "span": span, "leads": leads, "end": end})


def put_follow_ups(connection: Connection, follow_ups: Iterator[FollowUp]) -> None:
    """Write follow-ups with multi-row inserts."""
    while part := [rows.follow_up_row(each) for each in islice(follow_ups, _BATCH)]:
        statements.INSERT_FOLLOW_UPS.insert(connection, part)
