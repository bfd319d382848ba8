"""SlaService over its own port, with people who may and people who may not."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.sla_engine import HANDOFF, MONDAY_NINE, REP, SALES, TENANT
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_engine")

OFFICE = f"{TENANT}/calendars/office"
MAIN = f"{TENANT}/agreements/main"


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path) as yard:
        yield yard


def a_calendar(**changed: Any) -> slapb.CalendarVersion:
    windows = [
        slapb.WeeklyWindow(iso_weekday=day, open_time="09:00", close_time="18:00") for day in range(1, 6)
    ]
    return slapb.CalendarVersion(
        **{"title": "Office", "time_zone": "Asia/Seoul", "weekly_windows": windows, **changed}
    )


def a_commitment(**changed: Any) -> slapb.Commitment:
    tier = slapb.Tier()
    tier.target_duration.FromTimedelta(timedelta(hours=4))
    return slapb.Commitment(
        **{
            "commitment_id": "first-follow-up",
            "title": "First follow-up",
            "parties": [termspb.PARTY_SALES],
            "kind": slapb.COMMITMENT_KIND_FIRST_FOLLOW_UP,
            "basis": slapb.TIME_BASIS_BUSINESS,
            "tiers": [tier],
            "objective_basis_points": 9000,
            **changed,
        }
    )


def an_agreement(**changed: Any) -> slapb.AgreementVersion:
    return slapb.AgreementVersion(
        **{
            "title": "Between us",
            "kind": slapb.AgreementVersion.KIND_INTERNAL,
            "mode": slapb.AgreementVersion.MODE_ENFORCE,
            "calendar_version": f"{OFFICE}/versions/1",
            "commitments": [a_commitment()],
            **changed,
        }
    )


async def make_calendar(yard: Yard, calendar: slapb.CalendarVersion | None = None) -> slapb.CalendarVersion:
    made: slapb.CalendarVersion = await yard.stub.CreateCalendarVersion(
        slapb.CreateCalendarVersionRequest(
            parent=OFFICE, request_id=yard.request_id(), calendar_version=calendar or a_calendar()
        ),
        metadata=yard.by("sales-manager"),
    )
    return made


async def propose(yard: Yard, agreement: slapb.AgreementVersion, **changed: Any) -> slapb.AgreementVersion:
    request = slapb.ProposeAgreementRequest(
        parent=MAIN, request_id=changed.get("request_id", yard.request_id()), agreement_version=agreement
    )
    proposed: slapb.AgreementVersion = await yard.stub.ProposeAgreement(
        request, metadata=yard.by(changed.get("by", "sales-manager"))
    )
    return proposed


async def agree(yard: Yard) -> slapb.AgreementVersion:
    await make_calendar(yard)
    proposed = await propose(yard, an_agreement())
    accept = slapb.AcceptAgreementRequest(name=proposed.name, request_id=yard.request_id())
    await yard.stub.AcceptAgreement(accept, metadata=yard.by("marketing-manager"))
    activate = slapb.ActivateAgreementRequest(name=proposed.name, request_id=yard.request_id())
    active: slapb.AgreementVersion = await yard.stub.ActivateAgreement(
        activate, metadata=yard.by("sales-manager")
    )
    return active


async def refused(call: Any) -> tuple[grpc.StatusCode, str, list[str]]:
    """Return code, reason and the fields at fault of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return caught.value.code(), info.reason, [violation.field for violation in bad.field_violations]


async def test_both_parties_must_accept_before_an_agreement_is_in_force(yard: Yard) -> None:
    await make_calendar(yard)
    proposed = await propose(yard, an_agreement())
    activate = slapb.ActivateAgreementRequest(name=proposed.name, request_id=yard.request_id())

    assert await refused(yard.stub.ActivateAgreement(activate, metadata=yard.by("sales-manager"))) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NOT_ACCEPTED_BY_BOTH",
        [],
    )
    assert proposed.state == slapb.AgreementVersion.STATE_PROPOSED
    assert [each.party for each in proposed.acceptances] == [termspb.PARTY_SALES]
    accept = slapb.AcceptAgreementRequest(name=proposed.name, request_id=yard.request_id())
    accepted = await yard.stub.AcceptAgreement(accept, metadata=yard.by("marketing-manager"))
    assert accepted.state == slapb.AgreementVersion.STATE_ACCEPTED
    active = await yard.stub.ActivateAgreement(activate, metadata=yard.by("sales-manager"))
    assert active.state == slapb.AgreementVersion.STATE_ACTIVE
    assert active.effective_time.ToDatetime() == MONDAY_NINE.replace(tzinfo=None)


async def test_every_fault_of_an_agreement_is_named_with_its_path(yard: Yard) -> None:
    await make_calendar(yard)
    early = slapb.Rung(rung_id="early")
    early.offset_from_due_duration.FromTimedelta(-timedelta(hours=5))
    nothing = slapb.Tier()
    nothing.target_duration.FromTimedelta(timedelta(0))
    faulty = an_agreement(
        calendar_version=f"{OFFICE}/versions/9",
        commitments=[
            a_commitment(objective_basis_points=10_000),
            a_commitment(tiers=[]),
            a_commitment(commitment_id="b", tiers=[nothing]),
            a_commitment(commitment_id="c", parties=[termspb.PARTY_MARKETING]),
            a_commitment(commitment_id="d", rungs=[early, slapb.Rung(rung_id="early", percent_of_target=50)]),
        ],
    )

    code, reason, fields = await refused(propose(yard, faulty))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "AGREEMENT_INVALID")
    assert set(fields) == {
        f"agreement_version.{path}"
        for path in (
            "calendar_version",
            "commitments[1].commitment_id",
            "commitments[0].objective_basis_points",
            "commitments[1].tiers",
            "commitments[2].tiers[0].target_duration",
            "commitments[3].parties",
            "commitments[4].rungs[0].offset_from_due_duration",
            "commitments[4].rungs[1].rung_id",
        )
    }


async def test_a_calendar_that_never_opens_is_refused(yard: Yard) -> None:
    closed = a_calendar(weekly_windows=[])

    _, reason, fields = await refused(make_calendar(yard, closed))
    assert (reason, fields) == ("CALENDAR_NEVER_OPENS", ["calendar_version.weekly_windows"])
    _, reason, fields = await refused(make_calendar(yard, a_calendar(time_zone="Moon/Base")))
    assert (reason, fields) == ("CALENDAR_INVALID", ["calendar_version.time_zone"])


async def test_a_calendar_comes_back_as_it_was_written_and_an_equal_one_makes_no_version(yard: Yard) -> None:
    wanted = a_calendar()
    wanted.holidays.add(year=2026, month=9, day=24)
    wanted.breaks.add(
        date={"year": 2026, "month": 9, "day": 23},
        windows=[slapb.WeeklyWindow(open_time="15:00", close_time="24:00")],
    )
    first = await make_calendar(yard, wanted)
    again = await make_calendar(yard, wanted)

    assert again == first
    assert first.tzdata_version
    for name in ("name", "create_time", "tzdata_version"):
        first.ClearField(name)
    assert first == wanted


async def test_a_rep_may_not_propose_and_a_repeated_proposal_changes_nothing(yard: Yard) -> None:
    await make_calendar(yard)
    code, _, _ = await refused(propose(yard, an_agreement(), by="rep"))
    assert code is grpc.StatusCode.PERMISSION_DENIED

    request_id = yard.request_id()
    first = await propose(yard, an_agreement(), request_id=request_id)
    assert await propose(yard, an_agreement(), request_id=request_id) == first
    other = an_agreement(title="Another")
    _, reason, _ = await refused(propose(yard, other, request_id=request_id))
    assert reason == "IDEMPOTENCY_KEY_REUSED"


async def test_from_assignment_to_alert_and_explanation(yard: Yard) -> None:
    await agree(yard)
    accepted = leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)
    await yard.tell((HANDOFF, leadeventspb.HandoffSubmitted(handoff=HANDOFF)), (HANDOFF, accepted))
    await yard.advance(hours=4, minutes=30)

    listed = await yard.stub.ListClocks(
        slapb.ListClocksRequest(parent=TENANT, overdue_only=True), metadata=yard.by("rep")
    )
    (clock,) = listed.clocks
    assert clock.state == slapb.Clock.STATE_BREACHED
    assert clock.remaining_duration.ToTimedelta() == -timedelta(minutes=30)
    alerts = await yard.stub.ListAlerts(slapb.ListAlertsRequest(parent=TENANT), metadata=yard.by("rep"))
    (alert,) = alerts.alerts
    assert (alert.rung_id, alert.missed, alert.owner) == ("breach", True, REP)
    seen = slapb.AcknowledgeAlertRequest(name=alert.name, request_id=yard.request_id())
    code, _, _ = await refused(yard.stub.AcknowledgeAlert(seen, metadata=yard.by("other-rep")))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    acknowledged = await yard.stub.AcknowledgeAlert(seen, metadata=yard.by("rep"))
    assert (acknowledged.state, acknowledged.acknowledged_by) == (slapb.Alert.STATE_ACKNOWLEDGED, REP)

    await yard.advance(hours=20)
    explained = await yard.stub.ExplainClock(
        slapb.ExplainClockRequest(name=clock.name), metadata=yard.by("marketing-manager")
    )
    spans = [(i.start_time.ToDatetime(), i.end_time.ToDatetime()) for i in explained.intervals]
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert [interval.accountable_party for interval in explained.intervals] == [
        termspb.PARTY_SALES,
        termspb.PARTY_NONE,
        termspb.PARTY_SALES,
    ]
    assert spans[-1][1] - spans[0][0] == timedelta(hours=24, minutes=30)


async def test_leave_is_recorded_by_oneself_and_by_managers_only(yard: Yard) -> None:
    leave = slapb.Leave()
    leave.start_time.FromDatetime(MONDAY_NINE + timedelta(days=1))
    leave.end_time.FromDatetime(MONDAY_NINE + timedelta(days=2))
    request = slapb.CreateLeaveRequest(parent=REP, request_id=yard.request_id(), leave=leave)
    code, _, _ = await refused(yard.stub.CreateLeave(request, metadata=yard.by("other-rep")))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    made = await yard.stub.CreateLeave(request, metadata=yard.by("rep"))
    listing = slapb.ListLeaveRequest(parent=f"{TENANT}/people/-")
    listed = await yard.stub.ListLeave(listing, metadata=yard.by("sales-manager"))
    assert list(listed.leave) == [made]
    cancel = slapb.CancelLeaveRequest(name=made.name, request_id=yard.request_id())
    assert (await yard.stub.CancelLeave(cancel, metadata=yard.by("sales-manager"))).HasField("cancel_time")


async def test_the_secret_of_an_address_is_shown_once(yard: Yard) -> None:
    endpoint = slapb.WebhookEndpoint(url="http://127.0.0.1:9/hook", display_name="Pager")
    request = slapb.CreateWebhookEndpointRequest(
        parent=TENANT, request_id=yard.request_id(), webhook_endpoint=endpoint
    )
    first = await yard.stub.CreateWebhookEndpoint(request, metadata=yard.by("sales-manager"))
    again = await yard.stub.CreateWebhookEndpoint(request, metadata=yard.by("sales-manager"))
    forbidden = slapb.CreateWebhookEndpointRequest(
        parent=TENANT,
        request_id=yard.request_id(),
        webhook_endpoint=slapb.WebhookEndpoint(url="https://10.0.0.1/hook"),
    )

    assert first.secret.startswith("whsec_")
    assert (again.secret, again.webhook_endpoint) == ("", first.webhook_endpoint)
    _, reason, _ = await refused(
        yard.stub.CreateWebhookEndpoint(forbidden, metadata=yard.by("sales-manager"))
    )
    assert reason == "WEBHOOK_ADDRESS_FORBIDDEN"


async def test_pages_of_clocks_hold_each_once_the_one_due_first_at_the_top(yard: Yard) -> None:
    await agree(yard)
    for number in range(5):
        name = f"{TENANT}/leads/l{number}/handoffs/h{number}"
        await yard.tell((name, leadeventspb.HandoffAccepted(handoff=name, owner=REP, team=SALES)))
        yard.now += timedelta(minutes=1)
    seen: list[Any] = []
    request = slapb.ListClocksRequest(parent=TENANT, page_size=2)
    while True:
        page = await yard.stub.ListClocks(request, metadata=yard.by("rep"))
        seen += page.clocks
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    due = [clock.due_time.ToDatetime() for clock in seen]
    assert (len(seen), due) == (5, sorted(due))


async def test_metrics_tell_the_database_as_it_is(yard: Yard) -> None:
    from prometheus_client import generate_latest

    await agree(yard)
    accepted = leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)
    await yard.tell((HANDOFF, accepted))
    await yard.advance(hours=5)
    await yard.process.metrics.refresh()
    shown = generate_latest(yard.process.metrics)

    for line in (
        'smarketing_sla_clocks_started_total{commitment="first-follow-up",tenant="default"} 1.0',
        'smarketing_sla_follow_ups_overdue{team="sales",tenant="default"} 1.0',
        "smarketing_sla_timers_overdue 0.0",
    ):
        assert line in shown.decode()
