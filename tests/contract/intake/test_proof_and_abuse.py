"""Who is not the vendor is not believed, and nobody can do harm before that is known."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from smarketing import wallclock
from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.api.audit.v1.audit_pb2_grpc import AuditServiceStub
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.api.leads.v1.privacy_pb2_grpc import PrivacyServiceStub
from smarketing.api.leads.v1.tenancy_pb2_grpc import TenantServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.delivery import AddressPolicy, FetchFailed, fetch
from smarketing.mapping.signatures import SignatureWrong, Signed, verify
from smarketing.mapping.webhooks import read_webhook_mapping
from tests.contract.intake.gate import SECRET, Gate, StandIn, a_gate, in_base64, mac, proof, sample
from tests.contract.leads.office import TENANT, reason_of

MAPPINGS = Path(__file__).parents[3] / "services" / "leads" / "web" / "mappings"
LEAD = b'{"type": "lead.submitted", "data": {"external_id": "1", "contact": {"email": "kim@example.com"}}}'


def _standard(secret: str, body: bytes, *, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.fromtimestamp(int(wallclock.utc_now().timestamp()), tz=UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }


async def _generic(gate: Gate) -> tuple[intakepb.Source, str]:
    source = await gate.source("generic", secret="")
    return source, gate.secrets[source.name]


def test_every_published_hubspot_vector_verifies_and_none_with_another_byte() -> None:
    schemes = read_webhook_mapping(MAPPINGS / "hubspot.yaml").schemes
    vectors = json.loads(sample("hubspot/signature_vectors.json"))
    assert len(vectors) == 5
    for vector in vectors:
        if vector["version"] == "v3":
            headers = {
                "x-hubspot-signature-v3": vector["signature"],
                "x-hubspot-request-timestamp": vector["timestamp_ms"],
            }
            now = datetime.fromtimestamp(int(vector["timestamp_ms"]) / 1000, tz=UTC)
        else:
            headers = {
                "x-hubspot-signature": vector["signature"],
                "x-hubspot-signature-version": vector["version"],
            }
            now = datetime(2026, 1, 1, tzinfo=UTC)
        request = Signed(
            method=vector["method"] or "POST",
            url=vector["uri"] or "",
            headers=headers,
            query={},
            body=vector["body"].encode(),
        )
        secret = vector["client_secret"]

        verify(schemes, request, ["another", secret], now=now)
        changed = Signed(
            method=request.method,
            url=request.url,
            headers=headers,
            query={},
            body=request.body + b" ",
        )
        with pytest.raises(SignatureWrong, match="SIGNATURE_WRONG"):
            verify(schemes, changed, [secret], now=now)
        if vector["version"] == "v3":
            with pytest.raises(SignatureWrong, match="SIGNATURE_OUTDATED"):
                verify(schemes, request, [secret], now=now + timedelta(minutes=6))


@pytest.mark.parametrize(
    "vendor",
    [
        "mautic",
        "intercom",
        "typeform",
        "facebook_lead_ads",
        "hubspot",
        "pipedrive",
        "marketo",
        "dynamics_365",
    ],
)
async def test_a_wrong_signature_is_refused_and_on_the_audit_trail(vendor: str, tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source(vendor, "dynamics" if vendor == "dynamics_365" else "")
        body = b"{}"
        right = proof(vendor, body)
        wrong = proof(vendor, body + b" ")
        if right == wrong:
            wrong = json.loads(json.dumps(right).replace(SECRET, "a-guessed-secret"))
            if "authorization" in right.get("headers", {}):
                wrong = {"headers": {"authorization": f"Basic {in_base64(b'hook:a-guessed-secret')}"}}

        assert (await gate.post(source, body, **right)).status_code == 200
        refused = await gate.post(source, body, **wrong)
        unsigned = await gate.post(source, body)

        assert (refused.status_code, unsigned.status_code) == (401, 401)
        denials = next(each for each in gate.office.leads.background if each.name == "denials")
        await denials.run.__self__.flush()  # type: ignore[attr-defined]  # its object is the recorder
        listed = await AuditServiceStub(gate.office.channel).ListAuditEntries(
            auditpb.ListAuditEntriesRequest(parent=TENANT), metadata=gate.operator
        )
        reasons = {entry.reason for entry in listed.audit_entries if entry.resource == source.name}
        assert {"SIGNATURE_WRONG", "SIGNATURE_MISSING"} <= reasons


async def test_googles_key_stands_in_the_body_and_is_kept_nowhere(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("google_ads_lead_form", "google", secret="example-google-key")
        body = sample("google_ads_lead_form/test_lead_b2b.json")

        assert (await gate.post(source, body.replace(b"example-", b"guessed-"))).status_code == 401
        assert (await gate.post(source, body)).status_code == 200
        [(contact, _)] = await gate.leads()
        assert "google_key" not in contact.attributes


async def test_a_generic_sender_signs_as_standard_webhooks_says(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source, secret = await _generic(gate)
        now = datetime.fromtimestamp(int(wallclock.utc_now().timestamp()), tz=UTC)
        late = _standard(secret, LEAD, at=now - timedelta(minutes=6))

        assert (await gate.post(source, LEAD, late)).status_code == 401
        assert (await gate.post(source, LEAD + b" ", _standard(secret, LEAD))).status_code == 401
        assert (await gate.post(source, LEAD, _standard(secret, LEAD))).status_code == 200
        [(contact, _)] = await gate.leads()
        assert contact.email == "kim@example.com"


async def test_a_rotated_secret_and_the_one_before_both_count_and_older_ones_do_not(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source, first = await _generic(gate)
        secrets = [first]
        for _ in range(2):
            rotated = await gate.stub.RotateSourceSecret(
                intakepb.RotateSourceSecretRequest(name=source.name, request_id=wallclock.new_uuid()),
                metadata=gate.manager,
            )
            secrets.append(rotated.secret)

        statuses = [
            (await gate.post(source, LEAD, _standard(secret, LEAD))).status_code for secret in secrets
        ]
        assert statuses == [401, 200, 200]


async def test_the_address_is_confirmed_only_to_who_knows_the_token(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("facebook_lead_ads", verify_token="chosen")
        asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}

        right = await gate.http.get(source.path, params={**asked, "hub.verify_token": "chosen"})
        wrong = await gate.http.get(source.path, params={**asked, "hub.verify_token": "guessed"})
        markup = await gate.http.get(
            source.path, params={"hub.challenge": "<script>", "hub.verify_token": "chosen"}
        )

        assert (right.status_code, right.text) == (200, "1158201444")
        assert right.headers["content-type"].startswith("text/plain")
        assert (wrong.status_code, markup.status_code) == (401, 400)


async def test_a_removed_source_and_one_that_never_was_are_the_same(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("mautic")
        await gate.stub.DeleteSource(
            intakepb.DeleteSourceRequest(name=source.name, request_id=wallclock.new_uuid()),
            metadata=gate.manager,
        )
        removed = await gate.post(source, b"{}", **proof("mautic", b"{}"))
        never = await gate.http.post("/intake/never", content=b"{}")

        assert (removed.status_code, removed.text) == (never.status_code, never.text) == (404, removed.text)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"[" * 100_000, {}, 400),
        (b'{"a":' * 50 + b"1" + b"}" * 50, {}, 400),
        (b'{"a": NaN}', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"{}" + b" " * 300_000, {}, 413),
        (gzip.compress(b"0" * 10_000_000), {"content-encoding": "gzip"}, 415),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"content-type": "multipart/form-data; boundary=x"}, 415),
        (b"[1, 2]", {}, 200),
        (b"null", {}, 200),
        (b'"text"', {}, 200),
        (b'{"mautic.x": [null, 1, "a", []]}', {}, 200),
    ],
)
async def test_no_body_does_more_harm_than_a_refusal(
    body: bytes, headers: dict[str, str], status: int, tmp_path: Path
) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("mautic")
        signature = {"webhook-signature": in_base64(mac(body))}

        response = await gate.post(source, body, {**signature, **headers})

        assert response.status_code == status, response.text
        assert await gate.leads() == []


async def test_xml_with_a_document_type_is_refused(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'
    async with a_gate(tmp_path) as gate:
        source = await gate.source("salesforce_outbound", "salesforce")
        response = await gate.post(source, bomb, {"content-type": "text/xml"}, token=SECRET)

        assert response.status_code == 400


async def test_an_outbound_message_is_a_lead_and_acknowledged_as_salesforce_wants(tmp_path: Path) -> None:
    body = b"""<?xml version="1.0" encoding="UTF-8"?>
    <soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
      xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
      <notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D</OrganizationId>
      <Notification><Id>04l</Id><sObject xsi:type="sf:Lead" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
      <sf:Id>00Q1</sf:Id><sf:Email>kim@example.com</sf:Email><sf:Company>Kim &amp; Co</sf:Company>
      </sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>"""
    async with a_gate(tmp_path) as gate:
        source = await gate.source("salesforce_outbound", "salesforce")
        response = await gate.post(source, body, {"content-type": "text/xml; charset=utf-8"}, token=SECRET)

        assert response.status_code == 200
        assert "<Ack>true</Ack>" in response.text
        [(contact, handoff)] = await gate.leads()
        assert (contact.email, contact.company) == ("kim@example.com", "Kim & Co")
        assert handoff.external_id == "00Q1"


async def test_webhooks_use_up_what_their_tenant_may_ask_once_proved_and_nothing_of_another_tenants(
    tmp_path: Path,
) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("mautic")
        tenants = TenantServiceStub(gate.office.channel)
        quota = tenancypb.UpdateTenantQuotaRequest(
            name=TENANT, request_id=wallclock.new_uuid(), quota=tenancypb.TenantQuota(calls_per_second=1)
        )
        await tenants.UpdateTenantQuota(quota, metadata=gate.operator)
        began = wallclock.monotonic()

        unproved = [await gate.post(source, b"{}") for _ in range(5)]
        flood = [await gate.post(source, b"{}", **proof("mautic", b"{}")) for _ in range(40)]
        own = [await _answered(gate, gate.manager) for _ in range(3)]
        others = [await _answered(gate, gate.operator) for _ in range(5)]

        # Two calls are saved up at most, and one comes back each second: whatever the machine's speed.
        may = 2 + wallclock.monotonic() - began
        taken = [each for each in flood if each.status_code == 200]
        assert {each.status_code for each in unproved} == {401}
        assert 1 <= len(taken) <= may
        assert {each.status_code for each in flood} == {200, 429}
        assert "TENANT_QUOTA_EXCEEDED" in own
        assert set(others) == {""}


async def _answered(gate: Gate, who: Any) -> str:
    """Ask for a list; return why it was refused, empty when it was not."""
    request = leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-")
    try:
        await gate.office.stub.ListHandoffs(request, metadata=who)
    except grpc.aio.AioRpcError as refused:
        return reason_of(refused)[1]
    return ""


async def test_a_source_that_sends_too_much_is_asked_to_come_again_and_no_other_is(tmp_path: Path) -> None:
    async with a_gate(tmp_path, intake_calls_per_second=1.0, intake_burst=5) as gate:
        flooding, calm = await gate.source("mautic"), await gate.source("intercom")
        flood = [await gate.post(flooding, b"{}", **proof("mautic", b"{}")) for _ in range(12)]
        other = await gate.post(calm, b"{}", **proof("intercom", b"{}"))

        limited = [each for each in flood if each.status_code == 429]
        assert len(limited) >= 6
        assert all(int(each.headers["retry-after"]) >= 1 for each in limited)
        assert other.status_code == 200


async def test_who_comes_while_the_server_stops_is_asked_to_come_again(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("mautic")
        await gate.office.leads.running.drain()
        response = await gate.post(source, b"{}", **proof("mautic", b"{}"))

        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1


async def test_a_system_may_only_say_what_its_roles_allow(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("salesforce", "marketing-only")
        body = sample("salesforce/cdc_lead_converted_update.json")
        await gate.post(source, body, **proof("salesforce", body))

        [kept] = await gate.set_aside(source)
        assert kept.reason == "RIGHT_MISSING"


async def test_a_fetch_step_that_fails_is_tried_again_and_given_up_for_good_when_it_is_idle(
    tmp_path: Path,
) -> None:
    async with a_gate(tmp_path) as gate, StandIn({}) as vendor:
        vendor.failures = [503]
        body = sample("hubspot/contact_creation_v1_body.json")
        source = await gate.source("hubspot", api_url=vendor.url)
        await gate.post(source, body, **proof("hubspot", body))
        await gate.fetched()
        [waiting] = await gate.set_aside(source)

        assert (waiting.reason, waiting.description) == ("FETCH_DUE", "answered 503")
        assert waiting.HasField("next_attempt_time")

        await gate.stub.ReplaySetAside(
            intakepb.ReplaySetAsideRequest(parent=source.name, request_id=wallclock.new_uuid()),
            metadata=gate.manager,
        )
        await gate.fetched()
        [given_up] = await gate.set_aside(source)
        assert (given_up.reason, given_up.description) == ("FETCH_FAILED", "answered 404")
        assert not given_up.HasField("next_attempt_time")


async def test_a_fetch_step_reaches_no_private_address() -> None:
    async with StandIn({"/secret": b"{}"}) as inside, httpx.AsyncClient() as client:
        with pytest.raises(FetchFailed, match="not on the public internet") as refused:
            await fetch(client, f"{inside.url}/secret", token="t", policy=AddressPolicy())

        assert refused.value.final
        assert inside.asked == []


async def test_no_source_is_registered_whose_vendor_is_a_private_address(tmp_path: Path) -> None:
    async with a_gate(tmp_path, webhook_loopback=False) as gate:
        for url in ("http://127.0.0.1:1", "https://169.254.169.254", "https://10.0.0.1/api"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await gate.source("hubspot", api_url=url)
            assert reason_of(refused.value)[1] == "WEBHOOK_ADDRESS_FORBIDDEN"


async def test_an_answer_that_never_ends_or_unpacks_is_cut() -> None:
    answers = {"/large": b"x" * 1_100_000}
    async with StandIn(answers) as vendor, httpx.AsyncClient() as client:
        with pytest.raises(FetchFailed, match="more than 1 MiB"):
            await fetch(client, f"{vendor.url}/large", token="", policy=AddressPolicy(allow_loopback=True))


async def test_purchased_lists_need_a_lawful_basis(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source, secret = await _generic(gate)
        rules = intakepb.IntakeRules(
            utm_rules=[
                intakepb.UtmRule(
                    source="list-*",
                    medium="*",
                    source_channel=termspb.SOURCE_CHANNEL_PURCHASED_ATTENDEE_LIST,
                )
            ]
        )
        await gate.stub.ApplyIntakeRules(
            intakepb.ApplyIntakeRulesRequest(
                parent=TENANT, request_id=wallclock.new_uuid(), intake_rules=rules
            ),
            metadata=gate.manager,
        )
        told = json.loads(LEAD)
        told["data"]["utm_source"] = "List-2026"
        without = json.dumps(told).encode()
        told["data"]["lawful_basis"] = "legitimate_interest"
        with_basis = json.dumps(told).encode()

        await gate.post(source, without, _standard(secret, without))
        [kept] = await gate.set_aside(source)
        assert kept.reason == "SUBMISSION_INVALID"
        assert kept.description.startswith("lawful_basis: ")

        await gate.post(source, with_basis, _standard(secret, with_basis))
        [(_, handoff)] = await gate.leads()
        assert handoff.qualification.source_channel == termspb.SOURCE_CHANNEL_PURCHASED_ATTENDEE_LIST


async def test_two_deliveries_at_once_are_one_lead(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source, secret = await _generic(gate)
        answers = await asyncio.gather(*(gate.post(source, LEAD, _standard(secret, LEAD)) for _ in range(10)))

        assert {each.status_code for each in answers} == {200}
        assert len(await gate.leads()) == 1


async def test_signs_that_no_name_has_do_not_cost_the_lead(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source, secret = await _generic(gate)
        told = json.loads(LEAD)
        told["data"]["contact"] |= {"given_name": "K\x00im\n", "family_name": "SURROGATE"}
        body = json.dumps(told).replace("SURROGATE", "Le\\ud800e").encode()

        assert (await gate.post(source, body, _standard(secret, body))).status_code == 200
        [(contact, _)] = await gate.leads()
        assert (contact.given_name, contact.family_name) == ("K im", "Le?e")


async def test_what_no_call_could_bring_a_webhook_does_not_either(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source, secret = await _generic(gate)
        told = json.loads(LEAD)
        told["data"]["campaign"] = "c" * 100_000
        body = json.dumps(told).encode()

        assert (await gate.post(source, body, _standard(secret, body))).status_code == 200
        [kept] = await gate.set_aside(source)
        assert (kept.reason, "qualification.campaign" in kept.description) == ("FIELD_INVALID", True)
        assert "ccc" not in kept.description


async def test_hubspot_signs_the_address_that_it_was_given(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        public = "https://hooks.example.com/hubspot"
        source = await gate.source("hubspot", public_url=public)
        body = b"[]"
        stamp = str(int(wallclock.utc_now().timestamp() * 1000))

        def headers(url: str) -> dict[str, str]:
            signed = f"POST{url}".encode() + body + stamp.encode()
            return {
                "x-hubspot-signature-v3": in_base64(mac(signed)),
                "x-hubspot-request-timestamp": stamp,
            }

        assert (await gate.post(source, body, headers(public))).status_code == 200
        assert (await gate.post(source, body, headers("https://elsewhere.example"))).status_code == 401


async def test_who_is_erased_is_erased_from_what_was_set_aside(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source, secret = await _generic(gate)
        about = json.dumps({"type": "other", "data": {"mail": "Kim@Example.com", "tel": "+4930123456"}})
        await gate.post(source, LEAD, _standard(secret, LEAD))
        await gate.post(source, about.encode(), _standard(secret, about.encode()))
        other = about.replace("Kim@", "lee@")
        await gate.post(source, other.encode(), _standard(secret, other.encode()))
        assert len(await gate.set_aside(source)) == 2

        await PrivacyServiceStub(gate.office.channel).EraseSubject(
            privacypb.EraseSubjectRequest(
                parent=TENANT, request_id=wallclock.new_uuid(), email="kim@example.com"
            ),
            metadata=gate.manager,
        )

        assert len(await gate.set_aside(source)) == 1
