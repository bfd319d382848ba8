"""Samples that carry no lead by themselves: ids to be asked for, behaviour, follow-ups, the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.contract.intake.gate import Gate, StandIn, a_gate, proof, sample
from tests.contract.leads.office import ANNA, TENANT, a_submission

CONTACT = {"id": "1", "properties": {"email": "kim@example.com", "firstname": "Kim", "industry": "retail"}}
META_ANSWER = "facebook_lead_ads/lead_retrieval_response.json"


def _mautic(key: str) -> bytes:
    value = json.loads(sample(f"mautic/{key.removeprefix('mautic.')}.json"))
    return json.dumps({key: value, "timestamp": "2017-06-19T09:33:00+00:00"}).encode()


async def _known(gate: Gate, system: str, external_id: str, **changes: Any) -> leadspb.Handoff:
    """Submit the lead that an event is about."""
    request = leadspb.SubmitLeadRequest(
        parent=TENANT,
        request_id=wallclock.new_uuid(),
        submission=a_submission(1, source_system=system, external_id=external_id, **changes),
    )
    return (await gate.office.stub.SubmitLead(request, metadata=gate.manager)).handoff


async def _events(gate: Gate, name: str) -> list[Any]:
    response = await EventLogServiceStub(gate.office.channel).ReadEvents(
        eventlogpb.ReadEventsRequest(parent="tenants/-", limit=500), metadata=gate.operator
    )
    found = []
    for event in response.events:
        if event.payload.type_url.endswith(f".{name}"):
            message = getattr(leadeventspb, name)()
            event.payload.Unpack(message)
            found.append((message, event))
    return found


async def _sent(gate: Gate, vendor: str, body: bytes, **changes: Any) -> intakepb.Source:
    source = await gate.source(vendor, **changes)
    response = await gate.post(source, body, **proof(vendor, body))
    assert response.status_code == 200, response.text
    return source


@pytest.mark.parametrize(
    ("name", "external_id"),
    [
        ("contact_creation_v1_body", "123"),
        ("contact_creation_v3_body", "138017612137"),
        ("contact_creation_snowplow", "123"),
        ("batch_two_events", "1246978"),
    ],
)
async def test_a_hubspot_notification_is_completed_by_its_fetch_step(
    name: str, external_id: str, tmp_path: Path
) -> None:
    answers = {f"/crm/v3/objects/contacts/{external_id}": CONTACT}
    async with a_gate(tmp_path) as gate, StandIn(answers) as vendor:
        body = sample(f"hubspot/{name}.json")
        source = await _sent(gate, "hubspot", body, api_url=vendor.url, api_token="vendor-token")
        await gate.fetched()

        [(contact, handoff)] = await gate.leads()
        assert contact == leadspb.Contact(
            given_name="Kim", email="kim@example.com", attributes={"industry": "retail"}
        )
        assert handoff.external_id == external_id
        assert vendor.asked == [(f"/crm/v3/objects/contacts/{external_id}", "Bearer vendor-token")]
        # A property changed that makes nobody a lead.
        left = [each.type for each in await gate.set_aside(source)]
        assert left == (["contact.propertyChange"] if name == "batch_two_events" else [])


async def test_a_type_that_nobody_mapped_is_set_aside_once_and_counted(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        body = sample("hubspot/unknown_type.json")
        source = await _sent(gate, "hubspot", body)
        await gate.post(source, body, **proof("hubspot", body))

        [kept] = await gate.set_aside(source)
        assert (kept.type, kept.reason) == ("contact", "TYPE_UNKNOWN")
        assert await gate.leads() == []
        metrics = (await gate.http.get("/metrics")).text
        assert 'smarketing_leads_intake_items_total{outcome="set_aside"} 2.0' in metrics


async def test_a_delivery_that_the_vendor_counts_as_another_attempt_is_the_same(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        first = sample("hubspot/unknown_type.json")
        source = await _sent(gate, "hubspot", first)
        second = first.replace(b'"attemptNumber":0', b'"attemptNumber":1')
        assert second != first
        await gate.post(source, second, **proof("hubspot", second))

        assert len(await gate.set_aside(source)) == 1


async def test_one_id_twice_in_a_body_is_one_lead(tmp_path: Path) -> None:
    answer = json.loads(sample(META_ANSWER))
    async with a_gate(tmp_path) as gate, StandIn({"/v21.0/444444444444": answer}) as vendor:
        body = sample("facebook_lead_ads/leadgen_test_two_changes.json")
        source = await _sent(gate, "facebook_lead_ads", body, api_url=vendor.url)
        await gate.fetched()
        await gate.post(source, body, **proof("facebook_lead_ads", body))
        await gate.fetched()

        assert len(await gate.leads()) == 1
        assert await gate.set_aside(source) == []


async def test_a_meta_notification_becomes_the_lead_that_the_vendor_answers_with(tmp_path: Path) -> None:
    answer = json.loads(sample(META_ANSWER))
    async with a_gate(tmp_path) as gate, StandIn({"/v21.0/233370042045345": answer}) as vendor:
        body = sample("facebook_lead_ads/leadgen_notification.json")
        await _sent(gate, "facebook_lead_ads", body, api_url=vendor.url)
        await gate.fetched()

        [(contact, handoff)] = await gate.leads()
        assert contact == leadspb.Contact(
            given_name="Joe",
            family_name="Example",
            email="joe@example.com",
            attributes={
                "car_make": "Honda",
                "selected_dealer": "99213450",
                "form_id": "172036835026334",
                "page_id": "138124712925158",
            },
        )
        assert handoff.qualification == leadspb.Qualification(
            source="facebook_lead_ads",
            source_channel=termspb.SOURCE_CHANNEL_SOCIAL_PAID,
            campaign="<AD_ID>",
            inquire_time=Timestamp(seconds=1425113354),
        )


async def test_a_pipedrive_lead_is_completed_by_its_person(tmp_path: Path) -> None:
    person = {
        "data": {
            "first_name": "Ada",
            "last_name": "Kim",
            "emails": [{"label": "work", "value": "ada@example.com", "primary": True}],
            "phones": [{"label": "mobile", "value": "+4930123456", "primary": True}],
        }
    }
    async with a_gate(tmp_path) as gate, StandIn({"/api/v2/persons/2": person}) as vendor:
        data = json.loads(sample("pipedrive/lead_object.json"))
        body = json.dumps({"data": data, "previous": None, "meta": {"action": "create", "entity": "lead"}})
        await _sent(gate, "pipedrive", body.encode(), api_url=vendor.url)
        await gate.fetched()

        [(contact, handoff)] = await gate.leads()
        assert (contact.given_name, contact.family_name) == ("Ada", "Kim")
        assert (contact.email, contact.phone) == ("ada@example.com", "+4930123456")
        assert contact.attributes["organization_id"] == "1"
        assert handoff.external_id == "f3c23480-c9b1-11ef-bc83-2b8218e028ef"
        assert handoff.qualification.source == "Manually created"
        assert handoff.qualification.campaign == "Test lead"


@pytest.mark.parametrize(
    "case",
    [
        ("mautic.page_on_hit", "26", "KIND_PAGE_VISITED", "1", 1440552759),
        ("mautic.email_on_open", "26", "KIND_EMAIL_OPENED", "5", 1440552953),
        ("mautic.lead_points_change", "52", "KIND_SCORE_CHANGED", "", 1497864839),
        (
            "mautic.lead_channel_subscription_changed",
            "38186",
            "KIND_SUBSCRIPTION_CHANGED",
            "email-manual",
            1512108318,
        ),
    ],
)
async def test_what_a_mautic_contact_does_is_recorded_once_with_ids_alone(
    case: tuple[str, str, str, str, int], tmp_path: Path
) -> None:
    key, lead, kind, content, seconds = case
    async with a_gate(tmp_path) as gate:
        handoff = await _known(gate, "mautic", lead)
        body = _mautic(key)
        source = await _sent(gate, "mautic", body)
        await gate.post(source, body, **proof("mautic", body))

        [(told, event)] = await _events(gate, "BehaviourRecorded")
        assert told == leadeventspb.BehaviourRecorded(
            handoff=handoff.name,
            kind=intakepb.Behaviour.Kind.Value(kind),
            source_system="mautic",
            content=content,
            score=5 if kind == "KIND_SCORE_CHANGED" else None,
        )
        assert event.occur_time.seconds == seconds
        assert event.skippable
        assert await gate.set_aside(source) == []


async def test_what_an_unknown_lead_does_waits_until_the_lead_is_there(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await _sent(gate, "mautic", _mautic("mautic.page_on_hit"))
        [kept] = await gate.set_aside(source)
        assert kept.reason == "SUBMISSION_UNKNOWN"

        await _known(gate, "mautic", "26")
        replayed = await gate.stub.ReplaySetAside(
            intakepb.ReplaySetAsideRequest(
                parent=source.name, request_id=wallclock.new_uuid(), names=[kept.name]
            ),
            metadata=gate.manager,
        )

        assert (replayed.tried_count, replayed.taken_count) == (1, 1)
        assert len(await _events(gate, "BehaviourRecorded")) == 1
        assert await gate.set_aside(source) == []


async def test_a_deleted_mautic_contact_is_for_people_to_decide_about(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await _sent(gate, "mautic", _mautic("mautic.lead_post_delete"))

        [kept] = await gate.set_aside(source)
        assert (kept.type, kept.reason) == ("mautic.lead_post_delete", "TYPE_UNKNOWN")


async def test_an_intercom_conversation_is_behaviour_and_its_answer_a_follow_up(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        handoff = await _known(gate, "intercom", "5c9553cb27e377f24eed49f7")
        source = await gate.source("intercom", people={"1957471": ANNA})
        for name in ("conversation_user_created", "conversation_admin_assigned") * 2:
            body = sample(f"intercom/{name}.json")
            assert (await gate.post(source, body, **proof("intercom", body))).status_code == 200

        [(told, event)] = await _events(gate, "BehaviourRecorded")
        assert (told.handoff, told.content) == (handoff.name, "21321941764")
        assert told.kind == intakepb.Behaviour.KIND_MESSAGE_RECEIVED
        assert event.occur_time.seconds == 1553290198
        listed = await gate.office.stub.ListFollowUps(
            leadspb.ListFollowUpsRequest(parent=handoff.name), metadata=gate.manager
        )
        [follow_up] = listed.follow_ups
        assert (follow_up.person, follow_up.channel) == (ANNA, termspb.FOLLOW_UP_CHANNEL_CHAT)
        assert follow_up.occur_time.seconds == 1553291111
        assert not follow_up.contact
        assert follow_up.external_id == "2824382500"
        assert await gate.set_aside(source) == []


async def test_a_lead_that_salesforce_converted_is_converted_here_once(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        handoff = await _known(gate, "salesforce", "00Q5f000005bwLFEAY")
        body = sample("salesforce/cdc_lead_converted_update.json")
        source = await _sent(gate, "salesforce", body)
        await gate.post(source, body, **proof("salesforce", body))

        [(told, event)] = await _events(gate, "HandoffConverted")
        assert told.handoff == handoff.name
        assert event.occur_time.seconds == 1714153780
        assert await gate.set_aside(source) == []


@pytest.mark.parametrize("name", ["cdc_opportunity_create", "outbound_message_parsed"])
async def test_what_salesforce_says_of_no_lead_is_set_aside(name: str, tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await _sent(gate, "salesforce", sample(f"salesforce/{name}.json"))

        [kept] = await gate.set_aside(source)
        assert (kept.type, kept.reason) == (
            "Opportunity" if name.startswith("cdc") else "sf:Account",
            "TYPE_UNKNOWN",
        )


def _typeform(extra: list[dict[str, Any]]) -> bytes:
    response = json.loads(sample("typeform/form_response_object.json"))
    response["answers"] += extra
    return json.dumps({"event_id": "1", "event_type": "form_response", "form_response": response}).encode()


def _marketo(extra: dict[str, str], name: str = "webhook_empty_updated_at") -> bytes:
    body = json.loads(sample(f"marketo/{name}.json"))
    body["lead"].update(extra)
    return json.dumps(body).encode()


async def test_a_form_without_an_address_is_set_aside_and_says_what_it_lacks(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        unbounce = await gate.source("unbounce")
        form = {"content-type": "application/x-www-form-urlencoded"}
        bodies = {
            "typeform": _typeform([]),
            "marketo": sample("marketo/webhook_duplicate_key.json"),
        }
        sources = [await _sent(gate, vendor, body) for vendor, body in bodies.items()]
        await gate.post(unbounce, sample("unbounce/form_post.txt").strip(), form, **proof("unbounce", b""))

        for source in (*sources, unbounce):
            [kept] = await gate.set_aside(source)
            assert kept.reason == "SUBMISSION_INVALID"
            assert kept.description.startswith("contact.email: ")


async def test_the_same_forms_with_an_address_become_leads(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        question = {"type": "email", "email": "kim@example.com", "field": {"ref": "mail", "type": "email"}}
        await _sent(gate, "typeform", _typeform([question]))
        await _sent(gate, "marketo", _marketo({"email": "hulk@example.com"}))

        (typeform, first), (marketo, second) = await gate.leads()
        assert typeform.email == "kim@example.com"
        assert typeform.attributes["01GQZMFYAD53N13MC7G0AKFWC6"] == "Choice 1"
        assert first.external_id == "9q3v9bp5alonta6239q3q1rfly2c2ukh"
        assert first.qualification.inquire_time.seconds == 1675025557
        assert (marketo.given_name, marketo.company) == ("the hulk", "iron man")
        assert marketo.attributes["notes"] == "the something dog leapt over the lazy fox"
        assert second.qualification.campaign == "triggered event"
        assert second.qualification.inquire_time.seconds == 1529148238
        assert second.qualification.qualify_time.seconds == 1520432896


async def test_of_a_key_that_stands_twice_the_last_counts(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        raw = sample("marketo/webhook_duplicate_key.json").replace(
            b'"black_listed"', b'"email": "hulk@example.com", "black_listed"'
        )
        await _sent(gate, "marketo", raw)

        [(_, handoff)] = await gate.leads()
        assert handoff.qualification.campaign == "triggered event"


async def test_an_unbounce_form_with_an_address_becomes_a_lead(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        source = await gate.source("unbounce")
        raw = sample("unbounce/form_post.txt").strip()
        body = raw.replace(b"%22variant%22", b"%22email%22%3A%5B%22kim%40example.com%22%5D%2C%22variant%22")
        form = {"content-type": "application/x-www-form-urlencoded"}
        response = await gate.post(source, body, form, **proof("unbounce", body))

        assert response.status_code == 200
        [(contact, handoff)] = await gate.leads()
        assert contact == leadspb.Contact(
            email="kim@example.com",
            attributes={"userfield1": "asdfasdf"},
        )
        assert handoff.qualification == leadspb.Qualification(
            source_channel=termspb.SOURCE_CHANNEL_WEBSITE_FORM,
            campaign="Wayfaring",
            landing_page="http://unbouncepages.com/wayfaring-147/",
            inquire_time=Timestamp(seconds=1510746300),
        )
