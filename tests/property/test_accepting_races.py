"""Thirty-two clients accept one offer while it expires: exactly one of them gets the handoff.

Two hundred races in `make test`, ten thousand in `make prove`.
Each run prints its seed; RACE_SEED repeats one.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import text

from services.leads.domain.errors import LeadError
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.states import HandoffState
from services.leads.usecases.offers import AnswerOffer, ClaimOffer, accept_offers, claim_offers
from services.leads.usecases.routing import expire_offers
from services.leads.wire.leads import handoff_message
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.server.commands import Call, Command, Done
from tests.builders.leads import OFFER_DURATION, QUEUE, REPS, House, a_submission, asked_by

RACES: Final = 10_000 if "PROVE" in os.environ else 200
CLIENTS: Final = 32
SEED: Final = int(os.environ.get("RACE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
A_TICK: Final = timedelta(microseconds=1)


@dataclass
class Race:
    """One handoff, and everybody who wants it."""

    house: House
    number: int
    handoff: HandoffId
    random: random.Random
    is_over: bool = False
    won: list[tuple[str, int]] = field(default_factory=list)
    """Who was told that they own it, and by which offer."""
    refused: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._want(number, REPS[number % len(REPS)]))
            clients.create_task(self._let_it_expire())

    async def _want(self, client: int, person: str) -> None:
        """Ask for whatever offer stands, until somebody has it; the last word may be an old offer's."""
        seen = await self.house.handoff(self.handoff)
        for attempt in range(40):
            await self._yield(6)
            if self.is_over and attempt:
                return
            if attempt % 3 == 2:
                seen = await self.house.handoff(self.handoff)
            await self._yield(4)
            request_id = f"00000000-{client:04d}-4000-8000-{self.number * 100 + attempt:012d}"
            outcome = await self._ask(seen, person, request_id)
            if isinstance(outcome, Done):
                got = leadspb.Handoff.FromString(outcome.response)
                assert in_time(got), got
                self.won.append((person, got.offer.fencing_token))
                self.is_over = True
                return
            assert isinstance(outcome, LeadError), outcome
            self.refused[type(outcome).__name__] += 1

    async def _ask(self, seen: Handoff, person: str, request_id: str) -> Done | Exception:
        assert seen.offer is not None
        offer = seen.offer.number
        if seen.queue and self.random.random() < 0.5:
            claim = ClaimOffer(tenant="default", queue=QUEUE, asker=asked_by(person))
            return await self.house.store.command(
                claim_offers, Command(claim, a_call(person, "ClaimOffer", request_id)), render=handoff_message
            )
        accept = AnswerOffer(handoff=self.handoff, offer=offer, fencing_token=offer, asker=asked_by(person))
        return await self.house.store.command(
            accept_offers, Command(accept, a_call(person, "AcceptOffer", request_id)), render=handoff_message
        )

    async def _let_it_expire(self) -> None:
        """Move the clock to the lease's last instant and past it, and let the sweeper find out at leisure."""
        while not self.is_over:
            await self._yield(12)
            if self.random.random() < 0.7:
                self.house.now += self.random.choice([A_TICK, OFFER_DURATION - A_TICK, OFFER_DURATION / 2])
            await self._yield(8)
            if self.random.random() < 0.6:
                await self.house.store.sweep(expire_offers)

    async def _yield(self, most: int) -> None:
        for _ in range(self.random.randrange(most)):
            await asyncio.sleep(0)


def in_time(got: leadspb.Handoff) -> bool:
    """Whether it was accepted before the first instant at which it is no longer theirs."""
    offer = got.offer
    return (
        not offer.HasField("expire_time")
        or got.accept_time.ToNanoseconds() < offer.expire_time.ToNanoseconds()
    )


def a_call(person: str, method: str, request_id: str) -> Call:
    return Call(
        tenant="default",
        principal=person,
        on_behalf_of="",
        method=f"/smarketing.api.leads.v1.LeadService/{method}",
        request_id=request_id,
        fingerprint=request_id.encode(),
        resource="tenants/default",
        traceparent="",
    )


async def owners_told(house: House, handoff: HandoffId) -> list[tuple[str, str]]:
    """Return the owner and offer of every acceptance in the log."""

    def read(connection: Any) -> list[tuple[str, str]]:
        found = connection.execute(
            text("SELECT payload FROM event_log WHERE subject = :subject AND payload_type = :type"),
            {"subject": handoff.name, "type": leadeventspb.HandoffAccepted.DESCRIPTOR.full_name},
        )
        payloads = [leadeventspb.HandoffAccepted.FromString(payload) for (payload,) in found]
        return [(payload.owner, payload.offer) for payload in payloads]

    return await house.rows(read)


@pytest.mark.timeout(3_600 if "PROVE" in os.environ else 120)
async def test_of_thirty_two_clients_who_accept_an_offer_while_it_expires_exactly_one_wins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused: Counter[str] = Counter()
    winning_offers: Counter[int] = Counter()
    async with House() as house:
        for number in range(RACES):
            [submitted] = await house.submit(a_submission(number))
            race = Race(house, number, submitted.handoff.id, random.Random(f"{SEED}/{number}"))
            await race.run()

            final = await house.handoff(race.handoff)
            assert len(race.won) == 1, f"RACE_SEED={SEED}, race {number}: {race.won}"
            [(winner, offer)] = race.won
            told = await owners_told(house, race.handoff)
            assert told == [(winner, race.handoff.offer_name(offer))], f"RACE_SEED={SEED}, race {number}"
            assert (final.state, final.owner) == (HandoffState.ACCEPTED, winner)
            refused += race.refused
            winning_offers[offer] += 1
    with capsys.disabled():
        sys.stdout.write(
            f"\nseed {SEED}: {RACES} races of {CLIENTS} clients, one winner each;"
            f" by offer {dict(sorted(winning_offers.items()))}; refused {dict(sorted(refused.items()))}\n"
        )
    # A race in which nobody came too late would prove nothing.
    assert {"OfferTaken", "OfferExpired", "OfferEnded"} <= refused.keys()
    assert len(winning_offers) > 1
