"""From a submitted lead to what both parties read: one handoff that goes well, and one that is forgotten."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import LeadsClient, RefusedError, ReportsClient, SlaClient
from tests.builders.processes import Installation, until
from tests.builders.webhooks import Received, Receiver
from tests.e2e.company import Company, settled_in

TARGET = timedelta(seconds=5)


@dataclass
class Desk:
    """The clients with which the company's people and systems call."""

    company: Company
    website: LeadsClient
    rosa: LeadsClient
    sla: SlaClient
    reports: ReportsClient

    async def submit(self, external_id: str, segment: str) -> leadspb.Handoff:
        submission = leadspb.Submission(
            source_system="website",
            external_id=external_id,
            contact=leadspb.Contact(given_name="Ada", email=f"{external_id}@example.com"),
            qualification=leadspb.Qualification(source="newsletter", segment=segment),
        )
        request = leadspb.SubmitLeadRequest(parent=self.company.name, submission=submission)
        return (await self.website.submit_lead(request)).handoff

    async def accept(self, handoff: leadspb.Handoff) -> leadspb.Handoff:
        offer = handoff.offer
        return await self.rosa.accept_offer(
            leadspb.AcceptOfferRequest(name=offer.name, fencing_token=offer.fencing_token)
        )

    async def follow_up(self, handoff: leadspb.Handoff) -> leadspb.FollowUp:
        call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL, contact=True)
        return await self.rosa.log_follow_up(leadspb.LogFollowUpRequest(parent=handoff.name, follow_up=call))

    async def clocks(self, handoff: leadspb.Handoff) -> dict[str, slapb.Clock]:
        request = slapb.ListClocksRequest(parent=self.company.name, handoff=handoff.name)
        return {clock.commitment_id: clock async for clock in self.sla.clocks(request)}

    async def scores(self) -> dict[str, reportspb.CommitmentScore]:
        card = await self.reports.get_scorecard(reportspb.GetScorecardRequest(parent=self.company.name))
        return {score.commitment_id: score for party in card.parties for score in party.commitments}

    async def close(self) -> None:
        for client in (self.website, self.rosa, self.sla, self.reports):
            await client.close()


async def a_desk(installation: Installation, tenant: str, folder: Path) -> Desk:
    company = await settled_in(installation, tenant, folder)
    return Desk(
        company,
        website=LeadsClient(company.of("website")),
        rosa=LeadsClient(company.of("rosa")),
        sla=SlaClient(company.of("sven")),
        reports=ReportsClient(company.of("mara")),
    )


def instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


async def test_a_lead_is_offered_accepted_worked_and_won_and_both_parties_read_it(
    installation: Installation, tmp_path: Path
) -> None:
    desk = await a_desk(installation, "loop", tmp_path)
    name = desk.company.name
    async with AsyncExitStack() as stack:
        stack.push_async_callback(desk.close)
        watched = desk.rosa.watch_offers(leadspb.WatchOffersRequest(parent=name))
        offers = await stack.enter_async_context(aclosing(watched))

        submitted = await desk.submit("web-1", "hasty")
        seen = await asyncio.wait_for(_first_offer(offers), 10)
        assert seen == submitted.offer
        accepted = await desk.accept(submitted)
        follow_up = await desk.follow_up(accepted)
        qualified = await desk.rosa.qualify_handoff(leadspb.QualifyHandoffRequest(name=accepted.name))
        opportunity = await desk.rosa.convert_handoff(
            leadspb.ConvertHandoffRequest(
                name=accepted.name,
                etag=qualified.etag,
                amount=termspb.Money(currency_code="EUR", minor_units=120_000),
            )
        )
        won = await desk.rosa.close_opportunity(
            leadspb.CloseOpportunityRequest(name=opportunity.name, state=leadspb.Opportunity.STATE_WON)
        )
        handoff = await desk.rosa.get_handoff(leadspb.GetHandoffRequest(name=accepted.name))

        assert (accepted.state, accepted.owner) == (leadspb.Handoff.STATE_ACCEPTED, f"{name}/people/rosa")
        assert follow_up.grade == termspb.EVIDENCE_GRADE_SELF_REPORTED
        assert (won.state, won.amount.minor_units) == (leadspb.Opportunity.STATE_WON, 120_000)
        assert handoff.state == leadspb.Handoff.STATE_WON
        assert handoff.first_follow_up_time == follow_up.occur_time
        clocks = await until(lambda: desk.clocks(handoff), lambda found: _states(found) == {"MET"})
        assert set(clocks) == {"route", "accept", "first-follow-up"}
        assert clocks["first-follow-up"].stop_time == follow_up.occur_time
        # A clock is counted at its due instant, so the five-second ones are on the scorecard in five seconds.
        scores = await until(desk.scores, lambda found: found["first-follow-up"].met_count == 1)
        assert (scores["accept"].met_count, scores["accept"].compliance.ratio) == (1, 1.0)
        assert scores["first-follow-up"].breached_count == 0
        assert await _funnel(desk, installation) == {
            "submitted_count": 1,
            "accepted_count": 1,
            "worked_count": 1,
            "qualified_count": 1,
            "converted_count": 1,
            "won_count": 1,
            "won_amounts": [{"currency_code": "EUR", "minor_units": 120_000}],
        }


async def _first_offer(offers: Any) -> leadspb.Offer:
    async for response in offers:
        for handoff in response.handoffs:
            return leadspb.Offer.FromString(handoff.offer.SerializeToString())
    raise AssertionError("the watch ended")


def _states(clocks: dict[str, slapb.Clock]) -> set[str]:
    return {slapb.Clock.State.Name(clock.state).removeprefix("STATE_") for clock in clocks.values()}


async def _funnel(desk: Desk, installation: Installation) -> dict[str, Any]:
    token = desk.company.tokens["mara"]
    found = await installation.json("reports", "funnel", token=token, tenant=desk.company.tenant)
    (row,) = found["rows"]
    return {name: value for name, value in row.items() if name not in {"group", "won_ratio"} and value}


async def test_a_forgotten_lead_is_breached_told_and_counted_at_its_due_instant(
    installation: Installation, tmp_path: Path
) -> None:
    desk = await a_desk(installation, "forgotten", tmp_path)
    name = desk.company.name
    async with AsyncExitStack() as stack:
        stack.push_async_callback(desk.close)
        receiver = await stack.enter_async_context(Receiver())
        endpoint = await desk.sla.create_webhook_endpoint(
            slapb.CreateWebhookEndpointRequest(
                parent=name, webhook_endpoint=slapb.WebhookEndpoint(url=receiver.url)
            )
        )

        forgotten = await desk.accept(await desk.submit("web-2", "hasty"))
        unanswered = await desk.submit("web-3", "hasty")

        # Loaded machines are slow to look: what is exact is in the records, the patience is in the deadlines.
        scores = await until(desk.scores, lambda found: found["first-follow-up"].breached_count == 1)
        assert wallclock.utc_now() - instant(forgotten.accept_time) - TARGET < timedelta(seconds=5)
        assert scores["first-follow-up"].overdue_count == 1
        missed = (await desk.clocks(forgotten))["first-follow-up"]
        assert instant(missed.due_time) == instant(forgotten.accept_time) + TARGET
        _breached_at_due(missed)
        slow = (await until(lambda: desk.clocks(unanswered), lambda found: _states(found) > {"MET"}))[
            "accept"
        ]
        assert instant(slow.due_time) == instant(unanswered.offer.offer_time) + TARGET
        _breached_at_due(slow)

        told = await receiver.wait_for(2)
        _told_once(told, endpoint.secret, missed)
        _told_once(told, endpoint.secret, slow)
        await until(
            lambda: _metric(
                installation, "smarketing_sla_clocks_settled_total", "first-follow-up", "breached"
            ),
            lambda shown: shown == 1,
            seconds=15,
        )

        alert = await _alert_of(installation, desk.company, missed)
        assert (alert["state"], alert["missed"]) == ("STATE_OPEN", True)
        assert alert["recipients"] == [f"{name}/people/rosa", f"{name}/people/sven"]
        alert_id = alert["name"].rpartition("/")[2]
        token = desk.company.tokens["sven"]
        acknowledged = await installation.json(
            "sla", "alerts", "acknowledge", alert_id, token=token, tenant=desk.company.tenant
        )
        assert acknowledged["state"] == "STATE_ACKNOWLEDGED"
        assert acknowledged["acknowledged_by"] == f"{name}/people/sven"

        late = await desk.follow_up(forgotten)
        resolved = await until(
            lambda: _alert_of(installation, desk.company, missed),
            lambda found: bool(found["state"] == "STATE_RESOLVED"),
        )
        assert resolved["resolve_reason"] == "STOPPED"
        after = (await desk.clocks(forgotten))["first-follow-up"]
        assert after.state == slapb.Clock.STATE_BREACHED
        assert (after.breach_time, after.stop_time) == (missed.breach_time, late.occur_time)
        scores = await until(desk.scores, lambda found: found["first-follow-up"].overdue_count == 0)
        assert (scores["first-follow-up"].met_count, scores["first-follow-up"].breached_count) == (0, 1)
        with pytest.raises(RefusedError, match="STATE_FORBIDS"):
            await desk.sla.resolve_alert(slapb.ResolveAlertRequest(name=resolved["name"]))
        # Nothing is told twice: the miss once, its end once.
        await receiver.wait_for(3)
        _told_once(receiver.received, endpoint.secret, missed)


def _breached_at_due(clock: slapb.Clock) -> None:
    assert clock.state == slapb.Clock.STATE_BREACHED
    assert clock.breach_time == clock.due_time
    assert timedelta(0) <= instant(clock.detect_time) - instant(clock.due_time) < timedelta(seconds=1)


def _told_once(received: Sequence[Received], secret: str, clock: slapb.Clock) -> None:
    bodies: list[Any] = [each.verified_with(secret) for each in received]
    opened = [
        (body, each)
        for body, each in zip(bodies, received, strict=True)
        if body["clock"] == clock.name and body["type"] == "alert.opened"
    ]

    ((body, message),) = opened
    assert body["missed"] is True
    assert datetime.fromisoformat(body["due_time"]) == instant(clock.due_time)
    assert body["handoff"] == clock.handoff
    # The stamp of the attempt that arrived has whole seconds.
    sent = datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), UTC)
    assert sent - instant(clock.due_time) < timedelta(seconds=2)


async def _alert_of(installation: Installation, company: Company, clock: slapb.Clock) -> Any:
    token = company.tokens["sven"]
    listed = await installation.json("sla", "alerts", token=token, tenant=company.tenant)
    (alert,) = [alert for alert in listed["alerts"] if alert["clock"] == clock.name]
    return alert


async def _metric(installation: Installation, name: str, commitment: str, outcome: str) -> float | None:
    async with httpx.AsyncClient() as http:
        page = (await http.get(f"http://{installation.addresses['sla']['http']}/metrics")).text
    for line in page.splitlines():
        wanted = ('tenant="forgotten"', f'commitment="{commitment}"', f'outcome="{outcome}"')
        if line.startswith(f"{name}{{") and all(label in line for label in wanted):
            return float(line.rpartition(" ")[2])
    return None
