"""E-mail, people's own webhooks and chat: real servers on loopback behind the one queue."""

import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, MetaData

from smarketing.config import Secret
from smarketing.delivery import (
    AddressForbidden,
    AddressPolicy,
    Carrier,
    ChatCarrier,
    MailCarrier,
    MailSecurity,
    MailSettings,
    NewEndpoint,
    NewMessage,
    Sender,
    SenderSettings,
    Way,
    check_chat_address,
    create_endpoint,
    define_tables,
    enqueue,
    list_endpoints,
    mail_payload,
    new_secret,
    personal_webhook,
)
from smarketing.delivery.queue import RETRY_DELAYS
from smarketing.delivery.tables import MessageState
from tests.builders.mail import MailServer
from tests.builders.stores import a_database
from tests.builders.webhooks import Receiver
from tests.contract.delivery.test_webhooks import Desk
from tests.contract.server.certificates import Authority

# What the chat library itself still does the old way.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LOOPBACK = AddressPolicy(allow_loopback=True)
MINJI = "minji@example.com"


class Post(Desk):
    """A desk that also knows people's own addresses."""

    carriers: dict[str, Carrier]

    def sender(self, settings: SenderSettings | None = None) -> Sender:
        return Sender(
            self.writer,
            self.tables,
            sealer=self.sealer,
            now=lambda: self.now,
            settings=settings or SenderSettings(addresses=LOOPBACK, timeout_seconds=5.0),
            carriers=self.carriers,
        )

    async def reachable(self, way: Way, address: str, *, endpoint_id: str = "minji") -> None:
        new = NewEndpoint(tenant="t", endpoint_id=endpoint_id, url=way, display_name="", secret=address)

        def unit(connection: Connection, requests: Sequence[NewEndpoint], now: datetime) -> list[None]:
            create_endpoint(connection, self.tables, requests[0], sealer=self.sealer, now=now)
            return [None]

        await self.writer.run(unit, [new])

    async def written(self, message_id: str, *, subject: str = "Missed", text: str = "Call now.") -> int:
        payload = mail_payload(subject, text, language="en", now=self.now)
        message = NewMessage(
            tenant="t",
            message_id=message_id,
            event_type="alert.notice",
            payload_json=payload,
            endpoints=frozenset({"minji"}),
        )

        def unit(connection: Connection, requests: Sequence[NewMessage], now: datetime) -> list[int]:
            return [enqueue(connection, self.tables, requests, now=now)]

        return (await self.writer.run(unit, [message]))[0]


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    metadata = MetaData()
    tables = define_tables(metadata)
    with a_database("deliveries", metadata.create_all) as database:
        post = Post(database, tables)
        post.carriers = {Way.CHAT: ChatCarrier(LOOPBACK, timeout_seconds=5.0)}
        async with post.writer:
            yield post


def mail_by(server: MailServer, **changed: object) -> MailCarrier:
    settings: dict[str, Any] = {
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_security": MailSecurity.NONE,
        "smtp_sender": "alerts@smarketing.example",
        **changed,
    }
    return MailCarrier(MailSettings(**settings), timeout_seconds=5.0)


async def test_a_mail_arrives_once_under_its_messages_id(post: Post) -> None:
    async with MailServer() as server:
        post.carriers[Way.EMAIL] = mail_by(server)
        await post.reachable(Way.EMAIL, MINJI)
        assert [await post.written("m1", text="지금 연락하세요."), await post.written("m1")] == [1, 0]
        await post.sender().send_due()
        await post.sender().send_due()

        (mail,) = server.received
        assert mail.recipients == (MINJI,)
        assert mail.message_id == "<m1@smarketing.example>"
        assert (str(mail.message["Subject"]), mail.text.strip()) == ("Missed", "지금 연락하세요.")
        assert mail.message["Auto-Submitted"] == "auto-generated"
        assert await post.states() == {("minji", "m1"): (MessageState.DELIVERED, 1)}


async def test_a_mail_server_that_was_away_gets_the_same_mail_when_it_is_back(post: Post) -> None:
    async with MailServer() as server:
        post.carriers[Way.EMAIL] = mail_by(server)
        await post.reachable(Way.EMAIL, MINJI)
        await post.written("m1")
        await server.stop()
        await post.sender().send_due()
        assert await post.states() == {("minji", "m1"): (MessageState.PENDING, 1)}

        await server.start()
        await post.sender().send_due()
        assert server.received == []
        post.now += RETRY_DELAYS[0]
        await post.sender().send_due()
        assert [mail.message_id for mail in server.received] == ["<m1@smarketing.example>"]


async def test_a_mail_that_is_refused_to_the_last_is_a_dead_letter(post: Post) -> None:
    async with MailServer(answer=lambda _: "550 no such person") as server:
        post.carriers[Way.EMAIL] = mail_by(server)
        await post.reachable(Way.EMAIL, MINJI)
        await post.written("m1")
        for delay in (timedelta(), *RETRY_DELAYS):
            post.now += delay
            await post.sender().send_due()

        assert server.seen == len(RETRY_DELAYS) + 1
        assert await post.states() == {("minji", "m1"): (MessageState.DEAD, len(RETRY_DELAYS) + 1)}


async def test_who_asks_for_starttls_sends_nothing_in_the_open(post: Post, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    pair = authority.sign("mail")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    async with MailServer() as open_server, MailServer(tls=tls, login=("us", "open sesame")) as server:
        await post.reachable(Way.EMAIL, MINJI)
        await post.written("m1")
        secure = {
            "smtp_security": MailSecurity.STARTTLS,
            "smtp_username": "us",
            "smtp_password": Secret("open sesame"),
            "smtp_ca": authority.certificate,
        }
        post.carriers[Way.EMAIL] = mail_by(open_server, **secure)
        await post.sender().send_due()
        assert open_server.seen == 0

        post.now += RETRY_DELAYS[0]
        post.carriers[Way.EMAIL] = mail_by(server, **secure)
        await post.sender().send_due()
        assert [(mail.was_encrypted, mail.recipients) for mail in server.received] == [(True, (MINJI,))]


def test_plain_text_goes_to_this_machine_only() -> None:
    with pytest.raises(ValueError, match="SMARKETING_SMTP_SECURITY"):
        MailSettings(smtp_host="mail.example.com", smtp_sender="a@b.example", smtp_security=MailSecurity.NONE)


async def test_without_a_mail_server_mail_waits_and_says_why(post: Post) -> None:
    await post.reachable(Way.EMAIL, MINJI)
    await post.written("m1")
    await post.sender().send_due()
    assert await post.states() == {("minji", "m1"): (MessageState.PENDING, 1)}


async def test_a_persons_webhook_is_signed_and_its_address_stands_nowhere(post: Post) -> None:
    async with Receiver() as receiver:
        secret = new_secret()
        await post.reachable(Way.WEBHOOK, personal_webhook(receiver.url, secret))
        await post.written("m1")
        await post.sender().send_due()

        assert [each.message_id for each in receiver.received] == ["m1"]
        receiver.received[0].verified_with(secret)
        with post.writer.database.reading() as connection:
            assert list_endpoints(connection, post.tables, tenant="t") == []
            rows = [tuple(row) for row in connection.execute(post.tables.endpoint.select())]
        assert receiver.url not in str(rows)


async def test_what_is_for_the_whole_tenant_goes_to_nobodys_own_address(post: Post) -> None:
    async with MailServer() as server, Receiver() as receiver:
        post.carriers[Way.EMAIL] = mail_by(server)
        await post.reachable(Way.EMAIL, MINJI)
        await post.registered("crm", receiver.url)
        assert await post.queued("m1") == 1
        await post.sender().send_due()
        assert (len(receiver.received), server.received) == (1, [])


async def test_a_chat_message_goes_through_the_queue_with_its_id_at_the_end(post: Post) -> None:
    async with Receiver() as receiver:
        await post.reachable(Way.CHAT, f"mmost://127.0.0.1:{receiver.port}/abcdefghijklmnopqrstuvwxyz")
        await post.written("m1")
        await post.sender().send_due()

        (request,) = receiver.received
        said = orjson.loads(request.body)["text"]
        assert "Call now." in said
        assert said.rstrip().endswith("[m1]")
        assert await post.states() == {("minji", "m1"): (MessageState.DELIVERED, 1)}


@pytest.mark.parametrize(
    "address",
    [
        "json://203.0.113.1/",
        "syslog://",
        "file:///etc/passwd",
        "mmost://127.0.0.1/abcdefghijklmnopqrstuvwxyz",
        "mmosts://10.0.0.1/abcdefghijklmnopqrstuvwxyz",
        "mmosts://[::1]/abcdefghijklmnopqrstuvwxyz",
        "workflows://169.254.169.254/workflow/signature",
        "slack://",
        "http://[",
    ],
)
async def test_a_chat_address_reaches_chat_systems_on_the_public_internet_only(address: str) -> None:
    with pytest.raises(AddressForbidden) as caught:
        await check_chat_address(address, AddressPolicy())
    assert address not in str(caught.value)


async def test_addresses_are_in_no_log(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="smarketing")
    async with MailServer(answer=lambda _: f"550 {MINJI} is unknown") as server:
        post.carriers[Way.EMAIL] = mail_by(server)
        await post.reachable(Way.EMAIL, MINJI)
        await post.written("m1")
        await post.sender().send_due()
        assert server.seen == 1
    rows = await post.writer.read(
        lambda connection: connection.execute(post.tables.message.select()).mappings().all()
    )
    assert [row["last_problem"] for row in rows] == ["answered 550"]
    assert MINJI not in caplog.text
