"""Alerts over real SMTP and HTTP, through restarts of both sides; and who sees which of them."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.delivery import MailSecurity, MailSettings
from smarketing.delivery.queue import RETRY_DELAYS
from tests.builders.mail import MailServer
from tests.builders.sla_engine import HANDOFF, OTHER_REP, REP, SALES, SALES_MANAGER, TENANT
from tests.builders.webhooks import Receiver
from tests.contract.sla.test_sla_service import (
    MAIN,
    a_commitment,
    an_agreement,
    make_calendar,
    propose,
    refused,
)
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_store_if_thorough")

WINDOW = timedelta(minutes=1)
ADDRESS = "minji.kim@example.com"


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


@pytest.fixture
async def yard(tmp_path: Path, mail: MailServer) -> AsyncIterator[Yard]:
    settings = MailSettings(
        smtp_host="127.0.0.1",
        smtp_port=mail.port,
        smtp_security=MailSecurity.NONE,
        smtp_sender="alerts@smarketing.example",
    )
    async with a_yard(
        tmp_path, mail=settings, alert_window=WINDOW, link_base="https://smarketing.example"
    ) as yard:
        yield yard


async def agree(yard: Yard) -> None:
    await make_calendar(yard)
    half = slapb.Rung(rung_id="half", percent_of_target=50, recipients=[slapb.RECIPIENT_ROLE_OWNER])
    due = slapb.Rung(
        rung_id="due",
        percent_of_target=100,
        recipients=[slapb.RECIPIENT_ROLE_OWNER, slapb.RECIPIENT_ROLE_MANAGER],
    )
    proposed = await propose(yard, an_agreement(commitments=[a_commitment(rungs=[half, due])]))
    accept = slapb.AcceptAgreementRequest(name=proposed.name, request_id=yard.request_id())
    await yard.stub.AcceptAgreement(accept, metadata=yard.by("marketing-manager"))
    activate = slapb.ActivateAgreementRequest(name=proposed.name, request_id=yard.request_id())
    active = await yard.stub.ActivateAgreement(activate, metadata=yard.by("sales-manager"))
    assert active.name.startswith(MAIN)


async def set_channel(yard: Yard, person: str, *, by: str, **channel: Any) -> slapb.SetAlertChannelResponse:
    request = slapb.SetAlertChannelRequest(
        parent=person, request_id=yard.request_id(), alert_channel=slapb.AlertChannel(**channel)
    )
    response: slapb.SetAlertChannelResponse = await yard.stub.SetAlertChannel(request, metadata=yard.by(by))
    return response


async def assign(yard: Yard, handoff: str = HANDOFF, *, to: str = REP, team: str = SALES) -> None:
    accepted = leadeventspb.HandoffAccepted(handoff=handoff, owner=to, team=team)
    await yard.tell((handoff, leadeventspb.HandoffSubmitted(handoff=handoff)), (handoff, accepted))


async def pass_on(yard: Yard) -> None:
    """Make messages of what may be told, and try to send what is due."""
    await yard.task("notices").tell_due()
    await yard.task("webhooks").send_due()


async def test_alerts_reach_people_once_for_each_rung_through_restarts_of_both_sides(
    yard: Yard, mail: MailServer
) -> None:
    async with Receiver() as receiver:
        await agree(yard)
        korean = slapb.AlertChannel.LANGUAGE_KOREAN
        await set_channel(
            yard, REP, by="rep", way=slapb.AlertChannel.WAY_EMAIL, address=ADDRESS, language=korean
        )
        hook = await set_channel(
            yard, SALES_MANAGER, by="sales-manager", way=slapb.AlertChannel.WAY_WEBHOOK, address=receiver.url
        )
        await assign(yard)

        # The mail server is away when the warning is to be told, and our side restarts before it is back.
        await yard.advance(hours=2)
        yard.now += WINDOW
        await mail.stop()
        await pass_on(yard)
        await yard.stop()
        await mail.start()
        await yard.start()
        yard.now += RETRY_DELAYS[0]
        await pass_on(yard)
        assert [each.recipients for each in mail.received] == [(ADDRESS,)]

        # Our side ends before the miss is told; the mail server after it took the mail, before it said so.
        await yard.advance(hours=2)
        await yard.stop()
        await yard.start()
        yard.now += WINDOW
        mail.dies_after_taking = True
        await pass_on(yard)
        mail.dies_after_taking = False
        await yard.stop()
        await yard.start()
        yard.now += RETRY_DELAYS[0]
        await pass_on(yard)
        await pass_on(yard)

        counted = Counter(each.message_id for each in mail.received)
        assert sorted(counted.values()) == [1, 2]
        by_id = {each.message_id: each for each in mail.received}
        texts = [each.text for each in by_id.values()]
        for text, word in zip(texts, ("기한 임박", "기한 초과"), strict=True):
            assert word in text
            assert f"핸드오프: {HANDOFF}" in text
            assert "약속: first-follow-up" in text
            assert "2026-09-21 13:00 Asia/Seoul" in text
            assert "할 일: 리드에게 연락하고 후속 연락을 기록하세요." in text
            assert ADDRESS not in text

        (request,) = receiver.received
        signed_at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), tz=UTC)
        signature = Webhook(hook.secret).sign(request.message_id, signed_at, request.body.decode())
        assert request.headers["webhook-signature"] == signature
        body: Any = orjson.loads(request.body)
        assert (body["recipient"], body["language"]) == (SALES_MANAGER, "en")
        (told,) = body["alerts"]
        assert (told["handoff"], told["rung"], told["missed"]) == (HANDOFF, "due", True)
        assert told["to_do"] == "See that it is done now, or reassign the handoff."
        assert told["due_text"] == "2026-09-21 13:00 Asia/Seoul"


async def test_a_person_sets_their_own_way_and_managers_anybodys_and_nobody_reads_the_address(
    yard: Yard,
) -> None:
    email = slapb.AlertChannel.WAY_EMAIL
    request = slapb.SetAlertChannelRequest(
        parent=REP,
        request_id=yard.request_id(),
        alert_channel=slapb.AlertChannel(way=email, address=ADDRESS),
    )
    code, _, _ = await refused(yard.stub.SetAlertChannel(request, metadata=yard.by("other-rep")))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    await set_channel(yard, OTHER_REP, by="sales-manager", way=email, address=ADDRESS)
    set_ = await yard.stub.SetAlertChannel(request, metadata=yard.by("rep"))
    assert (set_.alert_channel.name, set_.alert_channel.address) == (f"{REP}/alertChannels/email", "")

    everybody = slapb.ListAlertChannelsRequest(parent=f"{TENANT}/people/-")
    seen_by = {
        name: [
            channel.name
            for channel in (
                await yard.stub.ListAlertChannels(everybody, metadata=yard.by(name))
            ).alert_channels
        ]
        for name in ("rep", "sales-manager")
    }
    assert seen_by == {
        "rep": [f"{REP}/alertChannels/email"],
        "sales-manager": [f"{OTHER_REP}/alertChannels/email", f"{REP}/alertChannels/email"],
    }
    remove = slapb.DeleteAlertChannelRequest(name=f"{REP}/alertChannels/email", request_id=yard.request_id())
    await yard.stub.DeleteAlertChannel(remove, metadata=yard.by("rep"))
    again = slapb.DeleteAlertChannelRequest(name=f"{REP}/alertChannels/email", request_id=yard.request_id())
    _, reason, _ = await refused(yard.stub.DeleteAlertChannel(again, metadata=yard.by("rep")))
    assert reason == "ALERT_CHANNEL_UNKNOWN"


@pytest.mark.parametrize(
    ("way", "address"),
    [
        (slapb.AlertChannel.WAY_EMAIL, "minji"),
        (slapb.AlertChannel.WAY_EMAIL, "minji@example.com\nBcc: all@example.com"),
        (slapb.AlertChannel.WAY_WEBHOOK, "https://10.0.0.1/hook"),
        (slapb.AlertChannel.WAY_CHAT, "file:///etc/passwd"),
        (slapb.AlertChannel.WAY_CHAT, ""),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_an_address_that_cannot_be_reached_is_refused_and_not_repeated(
    yard: Yard, way: Any, address: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await set_channel(yard, REP, by="rep", way=way, address=address)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not address or address not in str(caught.value)


async def test_reps_see_their_own_managers_their_teams_and_leadership_all(yard: Yard) -> None:
    await agree(yard)
    others = f"{TENANT}/leads/l2/handoffs/h2"
    elsewhere = f"{TENANT}/leads/l3/handoffs/h3"
    far = f"{TENANT}/teams/far"
    await yard.tell(
        (
            far,
            leadeventspb.TeamChanged(
                team=far, party=termspb.PARTY_SALES, manager=f"{TENANT}/people/far-manager"
            ),
        )
    )
    await assign(yard)
    await assign(yard, others, to=OTHER_REP)
    await assign(yard, elsewhere, to=f"{TENANT}/people/far-rep", team=far)
    await yard.advance(hours=4, minutes=1)

    clocks, alerts = {}, {}
    for name in ("rep", "other-rep", "sales-manager", "leader"):
        by = yard.by(name)
        clocks[name] = {
            each.handoff
            for each in (
                await yard.stub.ListClocks(slapb.ListClocksRequest(parent=TENANT), metadata=by)
            ).clocks
        }
        alerts[name] = {
            each.handoff: each.name
            for each in (
                await yard.stub.ListAlerts(slapb.ListAlertsRequest(parent=TENANT), metadata=by)
            ).alerts
        }
    expected = {
        "rep": {HANDOFF},
        "other-rep": {others},
        "sales-manager": {HANDOFF, others},
        "leader": {HANDOFF, others, elsewhere},
    }
    assert clocks == expected
    assert {name: set(seen) for name, seen in alerts.items()} == expected

    hidden = slapb.GetAlertRequest(name=alerts["leader"][others])
    code, _, _ = await refused(yard.stub.GetAlert(hidden, metadata=yard.by("rep")))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert (await yard.stub.GetAlert(hidden, metadata=yard.by("other-rep"))).handoff == others


async def test_an_alert_is_put_off_by_those_whom_it_concerns_and_not_for_ever(yard: Yard) -> None:
    await agree(yard)
    await assign(yard)
    await yard.advance(hours=4, minutes=1)
    listed = await yard.stub.ListAlerts(slapb.ListAlertsRequest(parent=TENANT), metadata=yard.by("rep"))
    (alert,) = listed.alerts

    def snooze(**after: float) -> slapb.SnoozeAlertRequest:
        request = slapb.SnoozeAlertRequest(name=alert.name, request_id=yard.request_id())
        request.until_time.FromDatetime(yard.now + timedelta(**after))
        return request

    for request in (snooze(seconds=0), snooze(days=30, microseconds=1)):
        _, _, fields = await refused(yard.stub.SnoozeAlert(request, metadata=yard.by("rep")))
        assert fields == ["until_time"]
    code, _, _ = await refused(yard.stub.SnoozeAlert(snooze(hours=1), metadata=yard.by("other-rep")))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    put_off = await yard.stub.SnoozeAlert(snooze(hours=1), metadata=yard.by("rep"))
    assert (put_off.snoozed_by, put_off.state) == (REP, slapb.Alert.STATE_OPEN)
