"""PrivacyService as its callers see it: people forgotten, shown what is kept, and what they agreed to."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.leads.store.schema import SCHEMA
from services.leads.store.subjects import TREATMENTS
from services.leads.usecases.bootstrap import token_file
from smarketing import wallclock
from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.api.audit.v1.audit_pb2_grpc import AuditServiceStub
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1.privacy_pb2_grpc import PrivacyServiceStub
from tests.contract.leads.office import (
    ANNA,
    MAX,
    MIA,
    TENANT,
    Office,
    a_submit,
    an_accept,
    an_office,
    reason_of,
)

# What it stores, it stores alike on both: the rest of the suite runs on PostgreSQL with STORE=postgresql.
pytestmark = pytest.mark.usefixtures("each_store_if_thorough")

FORBIDDEN = grpc.StatusCode.FAILED_PRECONDITION
DAYS = timedelta(days=1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened:
        yield opened


class Desk:
    """Who sees to people's rights in an office: its marketing manager, and the operator."""

    def __init__(self, office: Office, data_dir: Path) -> None:
        self.office = office
        self.stub = PrivacyServiceStub(office.channel)
        self.operator = (("authorization", f"Bearer {token_file(data_dir, 'operator').read_text().strip()}"),)

    async def erase(self, *, request_id: str = "", **subject: Any) -> list[privacypb.Erasure]:
        request = privacypb.EraseSubjectRequest(
            parent=TENANT, request_id=request_id or wallclock.new_uuid(), **subject
        )
        return list((await self.stub.EraseSubject(request, metadata=self.office.of(MAX))).erasures)

    async def export(self, **subject: Any) -> Any:
        request = privacypb.ExportSubjectRequest(parent=TENANT, **subject)
        return json.loads((await self.stub.ExportSubject(request, metadata=self.office.of(MAX))).json)

    async def set(self, *, validate_only: bool = False, **settings: Any) -> int:
        request = privacypb.UpdatePrivacySettingsRequest(
            parent=TENANT,
            request_id=wallclock.new_uuid(),
            settings=privacypb.PrivacySettings(**settings),
            validate_only=validate_only,
        )
        return (await self.stub.UpdatePrivacySettings(request, metadata=self.operator)).erasable_count

    async def consent(self, lead: str, **fields: Any) -> privacypb.Consent:
        told: dict[str, Any] = {
            "purpose": "marketing_email",
            "state": privacypb.Consent.STATE_GRANTED,
            "lawful_basis": privacypb.LAWFUL_BASIS_CONSENT,
            "source": "webinar-form",
        }
        request = privacypb.RecordConsentRequest(
            parent=lead, request_id=wallclock.new_uuid(), consent=privacypb.Consent(**{**told, **fields})
        )
        return await self.stub.RecordConsent(request, metadata=self.office.of(MAX))

    async def lead(self, name: str) -> leadspb.Lead:
        return await self.office.stub.GetLead(leadspb.GetLeadRequest(name=name), metadata=self.office.of(MIA))

    async def handoff(self, name: str) -> leadspb.Handoff:
        request = leadspb.GetHandoffRequest(name=name)
        return await self.office.stub.GetHandoff(request, metadata=self.office.of(MIA))

    async def events(self) -> list[eventlogpb.Event]:
        log = EventLogServiceStub(self.office.channel)
        request = eventlogpb.ReadEventsRequest(parent=TENANT, limit=500)
        return list((await log.ReadEvents(request, metadata=self.operator)).events)


@pytest.fixture
def desk(office: Office, tmp_path: Path) -> Desk:
    return Desk(office, tmp_path)


async def refused(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


def lead_of(handoff: leadspb.Handoff) -> str:
    return handoff.name.partition("/handoffs/")[0]


def a_contact(number: int = 1, **fields: str) -> leadspb.Contact:
    return leadspb.Contact(**{"given_name": "Kim", "email": f"kim{number}@example.com", **fields})


async def test_an_erased_person_is_read_by_nobody_and_their_open_handoff_ends(desk: Desk) -> None:
    handoff = await desk.office.submit(1)
    [erasure] = await desk.erase(lead=lead_of(handoff))

    lead = await desk.lead(lead_of(handoff))
    ended = await desk.handoff(handoff.name)
    assert not lead.HasField("contact")
    assert lead.erase_time == erasure.erase_time
    assert (ended.state, ended.reason_code) == (leadspb.Handoff.STATE_VOID, "ERASED")
    assert ended.external_id == ""
    assert ended.offer.state == leadspb.Offer.STATE_WITHDRAWN
    assert erasure.cause == privacypb.Erasure.CAUSE_REQUEST
    assert erasure.backup_expire_time.seconds - erasure.erase_time.seconds == 30 * 86_400


async def test_what_was_decided_about_a_closed_handoff_stays_decided(desk: Desk) -> None:
    handoff = await desk.office.submit(1)
    await desk.office.stub.RejectOffer(
        leadspb.RejectOfferRequest(
            name=handoff.offer.name,
            request_id=wallclock.new_uuid(),
            fencing_token=handoff.offer.fencing_token,
            reason_code="NO_BUYER",
            evidence="kim1@example.com wrote that she is a student",
        ),
        metadata=desk.office.of(_assignee(handoff)),
    )
    await desk.erase(lead=lead_of(handoff))

    rejected = await desk.handoff(handoff.name)
    assert (rejected.state, rejected.reason_code) == (leadspb.Handoff.STATE_REJECTED, "NO_BUYER")
    assert rejected.evidence == ""


async def test_an_erasure_told_twice_is_one(desk: Desk) -> None:
    handoff = await desk.office.submit(1)
    [first] = await desk.erase(lead=lead_of(handoff))
    [again] = await desk.erase(lead=lead_of(handoff))

    told = [each for each in await desk.events() if each.payload.TypeName().endswith(".SubjectErased")]
    assert again.erase_time == first.erase_time
    assert [(each.subject, each.skippable) for each in told] == [(lead_of(handoff), True)]


async def test_a_person_is_found_by_address_and_by_number_however_they_are_spelled(desk: Desk) -> None:
    handoff = await desk.office.submit(1, contact=a_contact(phone="030 1234567"))

    by_address = await desk.export(email="KIM1@Example.com")
    by_number = await desk.export(phone="+49 30 1234567")
    assert [each["name"] for each in by_address["leads"]] == [lead_of(handoff)]
    assert [each["name"] for each in by_number["leads"]] == [lead_of(handoff)]


async def test_a_number_that_several_share_erases_nobody_unless_all_are_meant(desk: Desk) -> None:
    for number in (1, 2):
        await desk.office.submit(number, contact=a_contact(number, phone="030 1234567"))

    assert (await refused(desk.erase(phone="030 1234567")))[:2] == (FORBIDDEN, "SUBJECT_AMBIGUOUS")
    assert len(await desk.erase(phone="030 1234567", all_matches=True)) == 2


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ({"lead": f"{TENANT}/leads/nobody"}, "LEAD_UNKNOWN"),
        ({"email": "nobody@example.com"}, "LEAD_UNKNOWN"),
        ({"email": "not an address"}, "FIELD_INVALID"),
        ({"phone": "12"}, "FIELD_INVALID"),
        ({}, "FIELD_INVALID"),
        ({"lead": "tenants/other/leads/x"}, "PERMISSION_DENIED"),
    ],
)
async def test_who_is_meant_must_be_somebody_of_the_tenant(
    desk: Desk, subject: dict[str, str], reason: str
) -> None:
    assert (await refused(desk.erase(**subject)))[1] == reason


async def test_an_erased_person_who_comes_back_is_refused_in_any_spelling(desk: Desk) -> None:
    await desk.office.submit(1)
    await desk.erase(email="kim1@example.com")

    back = desk.office.submit(7, contact=a_contact(email="Kim1@EXAMPLE.com"))
    assert (await refused(back))[:2] == (FORBIDDEN, "LEAD_SUPPRESSED")


async def test_a_repeated_delivery_about_an_erased_person_is_harmless(desk: Desk) -> None:
    handoff = await desk.office.submit(1)
    await desk.erase(lead=lead_of(handoff))
    await desk.office.leads.store.writer.run(_finish_everything(), [None])

    again = await desk.office.stub.SubmitLead(a_submit(1), metadata=desk.office.of(f"{TENANT}/systems/form"))
    assert again.outcome == leadspb.SubmitLeadResponse.OUTCOME_DUPLICATE
    assert not (await desk.lead(lead_of(handoff))).HasField("contact")


async def test_a_correction_of_an_erased_persons_submission_does_not_bring_them_back(desk: Desk) -> None:
    handoff = await desk.office.submit(1)
    await desk.erase(lead=lead_of(handoff))

    corrected = desk.office.submit(1, revision=2, contact=a_contact(email="kim.new@example.com"))
    assert (await refused(corrected))[1] == "LEAD_SUPPRESSED"


async def test_a_tenant_may_take_erased_people_in_anew_as_somebody_new(desk: Desk) -> None:
    handoff = await desk.office.submit(1)
    await desk.erase(lead=lead_of(handoff))
    await desk.set(on_return=privacypb.PrivacySettings.ON_RETURN_TAKE_IN)

    back = await desk.office.submit(7, contact=a_contact())
    assert lead_of(back) != lead_of(handoff)
    await desk.set(on_return=privacypb.PrivacySettings.ON_RETURN_REFUSE)
    once_more = await desk.office.submit(8, contact=a_contact())
    assert lead_of(once_more) == lead_of(back)


async def test_a_colleague_at_the_same_number_is_no_erased_person(desk: Desk) -> None:
    handoff = await desk.office.submit(1, contact=a_contact(phone="030 1234567"))
    await desk.erase(lead=lead_of(handoff))

    colleague = await desk.office.submit(2, contact=a_contact(2, phone="030 1234567"))
    assert colleague.state == leadspb.Handoff.STATE_OFFERED


async def test_the_audit_trail_says_who_was_erased_and_exported_by_name_of_the_lead_alone(desk: Desk) -> None:
    handoff = await desk.office.submit(1)
    await desk.export(email="kim1@example.com")
    await desk.erase(email="kim1@example.com")

    audit = AuditServiceStub(desk.office.channel)
    request = auditpb.ListAuditEntriesRequest(parent=TENANT, page_size=100)
    entries = (await audit.ListAuditEntries(request, metadata=desk.operator)).audit_entries
    methods = {each.method.rpartition("/")[2]: each.resource for each in entries}
    assert methods["ExportSubject"] == lead_of(handoff)
    assert methods["EraseSubject"] == TENANT
    assert "kim1@example.com" not in str(list(entries))


async def test_an_export_holds_all_of_a_person_with_times_and_sources(desk: Desk) -> None:
    contact = a_contact()
    contact.attributes["shoe size"] = "41"
    handoff = await desk.office.submit(1, contact=contact)
    rep = _assignee(handoff)
    await desk.office.stub.AcceptOffer(an_accept(handoff), metadata=desk.office.of(rep))
    await desk.consent(lead_of(handoff), note="yes, mail me")

    [lead] = (await desk.export(lead=lead_of(handoff)))["leads"]
    assert lead["contact"]["email"] == "kim1@example.com"
    assert lead["contact"]["attributes"] == {"shoe size": "41"}
    assert [(each["sourceSystem"], each["externalId"]) for each in lead["submissions"]] == [
        ("website", "form-1")
    ]
    assert [each["state"] for each in lead["handoffs"]] == ["STATE_ACCEPTED"]
    assert [(each["source"], each["note"]) for each in lead["consents"]] == [("webinar-form", "yes, mail me")]
    assert [each["type"] for each in lead["events"]] == [
        "HandoffSubmitted",
        "HandoffOffered",
        "HandoffAccepted",
        "ConsentRecorded",
    ]
    assert all(each["occurTime"] and each["recordTime"] for each in lead["events"])


async def test_an_export_of_an_erased_person_has_nothing_personal_left(desk: Desk) -> None:
    handoff = await desk.office.submit(1, external_id="kim1@example.com")
    await desk.consent(lead_of(handoff), note="kim1@example.com said yes")
    await desk.erase(lead=lead_of(handoff))

    document = await desk.export(lead=lead_of(handoff))
    assert document["leads"][0]["contact"] is None
    assert [each["purpose"] for each in document["leads"][0]["consents"]] == ["marketing_email"]
    assert "kim1@example.com" not in json.dumps(document)


async def test_of_a_purpose_the_newest_word_comes_first_whenever_it_was_recorded(desk: Desk) -> None:
    lead = lead_of(await desk.office.submit(1))
    said = Timestamp(seconds=int(wallclock.utc_now().timestamp()) - 3600)
    await desk.consent(lead)
    await desk.consent(lead, state=privacypb.Consent.STATE_WITHDRAWN, occur_time=said)

    first = privacypb.ListConsentsRequest(parent=lead, page_size=1)
    page = await desk.stub.ListConsents(first, metadata=desk.office.of(MAX))
    rest = await desk.stub.ListConsents(
        privacypb.ListConsentsRequest(parent=lead, page_size=1, page_token=page.next_page_token),
        metadata=desk.office.of(MAX),
    )
    assert [each.state for each in page.consents] == [privacypb.Consent.STATE_GRANTED]
    assert [each.state for each in rest.consents] == [privacypb.Consent.STATE_WITHDRAWN]
    assert rest.next_page_token == ""


async def test_nothing_is_agreed_to_by_an_erased_person(desk: Desk) -> None:
    lead = lead_of(await desk.office.submit(1))
    await desk.erase(lead=lead)

    assert (await refused(desk.consent(lead)))[:2] == (FORBIDDEN, "LEAD_ERASED")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"purpose": "Marketing by e-mail"}, "FIELD_INVALID"),
        ({"source": ""}, "FIELD_INVALID"),
        ({"state": 0}, "FIELD_INVALID"),
        ({"lawful_basis": 0}, "FIELD_INVALID"),
        ({"occur_time": Timestamp(seconds=4_000_000_000)}, "TIME_IN_FUTURE"),
    ],
)
async def test_a_consent_says_what_for_on_what_ground_from_where_and_when(
    desk: Desk, fields: dict[str, Any], reason: str
) -> None:
    lead = lead_of(await desk.office.submit(1))

    assert (await refused(desk.consent(lead, **fields)))[1] == reason


async def test_a_rep_erases_and_exports_nobody(desk: Desk) -> None:
    lead = lead_of(await desk.office.submit(1))
    erase = privacypb.EraseSubjectRequest(parent=TENANT, request_id=wallclock.new_uuid(), lead=lead)
    export = privacypb.ExportSubjectRequest(parent=TENANT, lead=lead)

    assert (await refused(desk.stub.EraseSubject(erase, metadata=desk.office.of(ANNA))))[
        1
    ] == "PERMISSION_DENIED"
    assert (await refused(desk.stub.ExportSubject(export, metadata=desk.office.of(MIA))))[
        1
    ] == "PERMISSION_DENIED"


@pytest.mark.parametrize("seconds", [1, 86_399, 11 * 366 * 86_400])
async def test_a_retention_is_of_days_to_ten_years(desk: Desk, seconds: int) -> None:
    call = desk.set(retention_duration=Duration(seconds=seconds))

    assert (await refused(call))[1] == "FIELD_INVALID"


def test_of_every_table_with_a_lead_it_is_said_what_erasing_does_to_it() -> None:
    with_lead = {name for name, table in SCHEMA.metadata.tables.items() if "lead" in table.c}

    assert with_lead - TREATMENTS.keys() == set()


def _assignee(handoff: leadspb.Handoff) -> str:
    return handoff.offer.assignee


def _finish_everything() -> Any:
    """Return a unit that drops every kept answer, as time does."""

    def unit(connection: Any, requests: Any, now: Any) -> list[None]:
        del now
        connection.execute(SCHEMA.commands.idempotency.delete())
        return [None for _ in requests]

    return unit
