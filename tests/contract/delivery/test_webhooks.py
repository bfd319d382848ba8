"""Webhooks over a real database and a real receiver on loopback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, MetaData, select
from standardwebhooks.webhooks import WebhookVerificationError

from smarketing import wallclock
from smarketing.delivery import (
    AddressPolicy,
    DeliveryTables,
    NewEndpoint,
    NewMessage,
    Sealer,
    Sender,
    SenderSettings,
    create_endpoint,
    define_tables,
    delete_endpoint,
    enqueue,
    list_endpoints,
    new_secret,
    replay_dead_letters,
)
from smarketing.delivery.queue import RETRY_DELAYS
from smarketing.delivery.tables import MessageState
from smarketing.sql.engine import Database
from smarketing.sql.writer import Writer
from tests.builders.stores import Store, a_database
from tests.builders.webhooks import Receiver

TRIAL = SenderSettings(addresses=AddressPolicy(allow_loopback=True), timeout_seconds=5.0)


class Desk:
    """The queue of one service, its clock in the test's hand."""

    def __init__(self, database: Database, tables: DeliveryTables) -> None:
        # Receivers compare the signature's time with their own clock: start at the present.
        self.now = wallclock.utc_now()
        self.writer = Writer(database, now=lambda: self.now)
        self.tables = tables
        self.sealer = Sealer(b"k" * 32)

    def sender(self, settings: SenderSettings = TRIAL) -> Sender:
        return Sender(self.writer, self.tables, sealer=self.sealer, now=lambda: self.now, settings=settings)

    async def registered(self, endpoint_id: str, url: str) -> str:
        secret = new_secret()
        new = NewEndpoint(tenant="t", endpoint_id=endpoint_id, url=url, display_name="", secret=secret)

        def unit(connection: Connection, requests: Sequence[NewEndpoint], now: datetime) -> list[None]:
            create_endpoint(connection, self.tables, requests[0], sealer=self.sealer, now=now)
            return [None]

        await self.writer.run(unit, [new])
        return secret

    async def queued(self, *message_ids: str) -> int:
        messages = [
            NewMessage(tenant="t", message_id=each, event_type="alert.opened", payload_json=b'{"a":1}')
            for each in message_ids
        ]

        def unit(connection: Connection, requests: Sequence[NewMessage], now: datetime) -> list[int]:
            return [enqueue(connection, self.tables, requests, now=now)] * len(requests)

        return (await self.writer.run(unit, messages))[0]

    async def states(self) -> dict[tuple[str, str], tuple[str, int]]:
        message = self.tables.message
        rows = await self.writer.read(
            lambda connection: connection.execute(
                select(message.c.endpoint_id, message.c.message_id, message.c.state, message.c.attempts)
            ).all()
        )
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}


@pytest.fixture
async def desk(each_store: Store) -> AsyncIterator[Desk]:  # noqa: ARG001 -- the builder makes its kind
    metadata = MetaData()
    tables = define_tables(metadata)
    with a_database("deliveries", metadata.create_all) as database:
        desk = Desk(database, tables)
        async with desk.writer:
            yield desk


async def test_a_message_arrives_once_signed_with_the_endpoints_secret(desk: Desk) -> None:
    async with Receiver() as receiver:
        secret = await desk.registered("crm", receiver.url)
        await desk.queued("m1")
        await desk.sender().send_due()
        await desk.sender().send_due()

        assert [(each.message_id, each.verified_with(secret)) for each in receiver.received] == [
            ("m1", {"a": 1})
        ]
        assert await desk.states() == {("crm", "m1"): (MessageState.DELIVERED, 1)}


async def test_a_signature_does_not_open_with_another_secret(desk: Desk) -> None:
    async with Receiver() as receiver:
        await desk.registered("crm", receiver.url)
        await desk.queued("m1")
        await desk.sender().send_due()

        with pytest.raises(WebhookVerificationError):
            receiver.received[0].verified_with(new_secret())


async def test_a_message_enqueued_twice_is_one_message(desk: Desk) -> None:
    async with Receiver() as receiver:
        await desk.registered("crm", receiver.url)

        assert [await desk.queued("m1"), await desk.queued("m1", "m2")] == [1, 1]
        await desk.sender().send_due()
        assert sorted(each.message_id for each in receiver.received) == ["m1", "m2"]


async def test_a_failed_message_is_tried_again_under_the_same_id_with_the_same_body(desk: Desk) -> None:
    async with Receiver(answer=lambda number: "503 Busy" if number == 1 else "204 OK") as receiver:
        secret = await desk.registered("crm", receiver.url)
        await desk.queued("m1")
        await desk.sender().send_due()
        assert await desk.states() == {("crm", "m1"): (MessageState.PENDING, 1)}

        desk.now += RETRY_DELAYS[0] - timedelta(microseconds=1)
        await desk.sender().send_due()
        assert len(receiver.received) == 1

        desk.now += timedelta(microseconds=1)
        await desk.sender().send_due()
        assert [each.message_id for each in receiver.received] == ["m1", "m1"]
        assert receiver.received[0].body == receiver.received[1].body
        assert receiver.received[1].verified_with(secret) == {"a": 1}


async def test_after_the_last_retry_a_message_is_a_visible_dead_letter_and_can_be_replayed(
    desk: Desk,
) -> None:
    healthy = False
    async with Receiver(answer=lambda _number: "200 OK" if healthy else "500 No") as receiver:
        await desk.registered("crm", receiver.url)
        await desk.queued("m1")
        for _ in range(len(RETRY_DELAYS) + 1):
            await _make_due(desk)
            await desk.sender().send_due()
        await _make_due(desk)
        await desk.sender().send_due()

        assert len(receiver.received) == len(RETRY_DELAYS) + 1
        assert await desk.states() == {("crm", "m1"): (MessageState.DEAD, len(RETRY_DELAYS) + 1)}
        (endpoint,) = await desk.writer.read(lambda c: list_endpoints(c, desk.tables, tenant="t"))
        assert (endpoint.pending_count, endpoint.dead_letter_count) == (0, 1)

        healthy = True
        await desk.writer.run(
            lambda c, _r, _n: [
                replay_dead_letters(c, desk.tables, tenant="t", endpoint_id="crm", now=desk.now)
            ],
            [None],
        )
        await desk.sender().send_due()
        assert (await desk.states())["crm", "m1"][0] == MessageState.DELIVERED


def test_retries_span_at_least_seventy_five_hours() -> None:
    assert sum(RETRY_DELAYS, timedelta()) >= timedelta(hours=75)


async def test_a_redirect_is_not_followed(desk: Desk) -> None:
    async with Receiver(answer=lambda _number: "302 Found") as receiver:
        await desk.registered("crm", receiver.url)
        await desk.queued("m1")
        await desk.sender().send_due()

        assert await desk.states() == {("crm", "m1"): (MessageState.PENDING, 1)}


async def test_an_endpoint_that_answers_gone_gets_nothing_more(desk: Desk) -> None:
    async with Receiver(answer=lambda _number: "410 Gone") as receiver:
        await desk.registered("crm", receiver.url)
        await desk.queued("m1")
        await desk.sender().send_due()

        assert await desk.queued("m2") == 0
        assert await desk.states() == {("crm", "m1"): (MessageState.DEAD, 1)}


async def test_a_removed_endpoint_gets_nothing_that_was_waiting(desk: Desk) -> None:
    async with Receiver() as receiver:
        await desk.registered("crm", receiver.url)
        await desk.queued("m1")
        await desk.writer.run(
            lambda c, _r, now: [delete_endpoint(c, desk.tables, tenant="t", endpoint_id="crm", now=now)],
            [None],
        )
        await desk.sender().send_due()

        assert receiver.received == []
        assert await desk.states() == {("crm", "m1"): (MessageState.CANCELLED, 0)}


async def test_an_endpoint_that_never_answers_delays_no_other(desk: Desk) -> None:
    async with Receiver(stall=asyncio.Event()) as silent, Receiver() as prompt:
        await desk.registered("silent", silent.url)
        await desk.registered("prompt", prompt.url)
        sending = asyncio.create_task(desk.sender().run())
        try:
            await desk.queued("m1")
            await prompt.wait_for(1)
            assert silent.received == []
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def test_a_private_address_is_refused_at_connect_even_when_it_was_registered(desk: Desk) -> None:
    await desk.registered("inside", "https://10.0.0.1/hook")
    await desk.queued("m1")
    await desk.sender(SenderSettings()).send_due()

    assert await desk.states() == {("inside", "m1"): (MessageState.PENDING, 1)}


async def test_the_running_sender_delivers_what_a_commit_just_queued(desk: Desk) -> None:
    async with Receiver() as receiver:
        await desk.registered("crm", receiver.url)
        sending = asyncio.create_task(desk.sender().run())
        try:
            await desk.queued("m1", "m2", "m3")
            received = await receiver.wait_for(3)
            assert [each.message_id for each in received] == ["m1", "m2", "m3"]
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


class CountingSender(Sender):
    """Counts how often it is told to look at the queue."""

    wakes = 0

    def wake(self) -> None:
        self.wakes += 1
        super().wake()


async def test_a_commit_that_queued_nothing_has_nobody_look_at_the_queue(desk: Desk) -> None:
    async with Receiver() as receiver:
        await desk.registered("crm", receiver.url)
        sender = CountingSender(
            desk.writer, desk.tables, sealer=desk.sealer, now=lambda: desk.now, settings=TRIAL
        )
        sending = asyncio.create_task(sender.run())
        await asyncio.sleep(0)

        for _ in range(3):
            await desk.writer.run(lambda _connection, requests, _now: requests, [None])
        # Another process may have queued something in the same database.
        assert sender.wakes == (3 if desk.writer.database.is_remote else 0)

        sender.wakes = 0
        await desk.queued("m1")
        assert sender.wakes >= 1
        sending.cancel()


async def _make_due(desk: Desk) -> None:
    message = desk.tables.message

    def unit(connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
        connection.execute(
            message.update()
            .where(message.c.next_attempt_time.is_not(None))
            .values(next_attempt_time=desk.now)
        )
        return requests

    await desk.writer.run(unit, [None])
