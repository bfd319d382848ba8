"""Leads come in: each counts once, for whom it is about, and is somebody's at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from services.leads.domain.errors import SubmissionInvalid, TenantUnknown
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Contact, History, Qualification, Submission
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import Money, SourceChannel
from services.leads.store.schema import SCHEMA
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.offers import AnswerOffer, reject_offers
from services.leads.usecases.submit import Outcome, SubmitLead, Submitted, submit
from tests.builders.leads import ANNA, BEN, FORM, NOON, QUEUE, House, a_directory, a_submission, asked_by


def kim(number: int, **changes: Any) -> Submission:
    return a_submission(number, contact=Contact(email="kim@example.com"), **changes)


async def reject(house: House, handoff: Handoff) -> None:
    offer = handoff.offer
    assert offer is not None
    await house.one(
        reject_offers,
        AnswerOffer(
            handoff=handoff.id,
            offer=offer.number,
            fencing_token=offer.number,
            asker=asked_by(offer.assignee),
            reason_code="NO_CAPACITY",
        ),
    )


async def test_a_new_lead_is_offered_to_a_rep_in_the_same_transaction() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())

        stored = await house.handoff(submitted.handoff.id)
        assert submitted.outcome is Outcome.CREATED
        assert stored == submitted.handoff
        assert (stored.state, stored.offer and stored.offer.assignee) == (HandoffState.OFFERED, ANNA)


async def test_the_same_submission_again_changes_nothing_whatever_became_of_it() -> None:
    async with House() as house:
        [first] = await house.submit(a_submission())
        await reject(house, first.handoff)
        house.later(days=400)

        [again] = await house.submit(a_submission())

        assert (again.outcome, again.handoff.state) == (Outcome.DUPLICATE, HandoffState.REJECTED)
        assert again.handoff.id == first.handoff.id


async def test_the_same_submission_twice_in_one_batch_is_one_lead() -> None:
    async with House() as house:
        first, second = await house.submit(a_submission(), a_submission())

        assert [first.outcome, second.outcome] == [Outcome.CREATED, Outcome.DUPLICATE]
        assert first.handoff.id == second.handoff.id


async def test_another_submission_of_a_lead_whose_handoff_is_open_joins_it() -> None:
    async with House() as house:
        [first] = await house.submit(kim(1))
        [second] = await house.submit(
            a_submission(2, contact=Contact(email="KIM@example.com", company="Kim & Co"))
        )
        [again] = await house.submit(kim(2))

        assert (second.outcome, second.handoff.id) == (Outcome.MATCHED, first.handoff.id)
        assert again.outcome is Outcome.DUPLICATE


async def test_two_submissions_of_one_person_in_one_batch_are_one_handoff() -> None:
    async with House() as house:
        first, second = await house.submit(kim(1), kim(2))

        assert [first.outcome, second.outcome] == [Outcome.CREATED, Outcome.MATCHED]
        assert first.handoff.id == second.handoff.id


async def test_a_lead_who_comes_again_after_the_end_starts_the_next_handoff() -> None:
    async with House() as house:
        [first] = await house.submit(kim(1))
        await reject(house, first.handoff)

        [second] = await house.submit(kim(2))

        assert (second.outcome, second.handoff.id.number) == (Outcome.CREATED, 2)
        assert second.handoff.id.lead == first.handoff.id.lead


async def test_a_telephone_alone_recognises_a_lead_only_where_there_is_no_address() -> None:
    async with House() as house:
        [first] = await house.submit(
            a_submission(1, contact=Contact(email="kim@example.com", phone="030 1234567"))
        )
        [colleague] = await house.submit(
            a_submission(2, contact=Contact(email="lee@example.com", phone="030 1234567"))
        )
        [caller] = await house.submit(a_submission(3, contact=Contact(phone="+49 30 1234567")))

        assert colleague.handoff.id.lead != first.handoff.id.lead
        assert (caller.outcome, caller.handoff.id) == (Outcome.MATCHED, first.handoff.id)


async def test_a_higher_revision_corrects_an_open_handoff_and_a_lower_one_nothing() -> None:
    async with House() as house:
        [first] = await house.submit(a_submission(revision=5))
        better = Qualification(source="website_form", segment="watches")

        [revised] = await house.submit(a_submission(revision=7, qualification=better))
        [lower] = await house.submit(a_submission(revision=6))
        [lower_again] = await house.submit(a_submission(revision=6))

        assert (revised.outcome, revised.handoff.revision) == (Outcome.REVISED, 7)
        assert (revised.handoff.qualification.segment, revised.handoff.qualification.score) == ("watches", 70)
        assert [lower.outcome, lower_again.outcome] == [Outcome.SUPERSEDED, Outcome.DUPLICATE]
        assert (await house.handoff(first.handoff.id)).revision == 7


async def test_a_higher_revision_after_the_end_starts_the_next_handoff() -> None:
    async with House() as house:
        [first] = await house.submit(a_submission())
        await reject(house, first.handoff)

        [second] = await house.submit(a_submission(revision=1))

        assert (second.outcome, second.handoff.id) == (Outcome.CREATED, first.handoff.id._replace(number=2))


async def test_history_is_archived_and_offered_to_nobody() -> None:
    async with House() as house:
        asked = NOON - timedelta(days=300)
        told = Qualification(inquire_time=asked)

        [imported] = await house.submit(a_submission(history=History(), qualification=told))

        handoff = imported.handoff
        assert (handoff.archived, handoff.historical, handoff.offer) == (True, True, None)
        assert (handoff.state, handoff.submit_time) == (HandoffState.SUBMITTED, asked)


async def test_history_that_is_still_open_waits_in_the_queue_and_wakes_no_rep() -> None:
    async with House() as house:
        [imported] = await house.submit(a_submission(history=History(still_open=True)))

        assert (imported.handoff.queue, imported.handoff.archived) == (QUEUE, False)


async def test_a_live_submission_does_not_join_what_is_archived() -> None:
    async with House() as house:
        [old] = await house.submit(kim(1, history=History()))

        [new] = await house.submit(kim(2))

        assert (new.outcome, new.handoff.id) == (Outcome.CREATED, old.handoff.id._replace(number=2))
        assert new.handoff.offer is not None


async def test_a_correction_of_archived_history_joins_what_the_lead_is_worked_by_today() -> None:
    async with House() as house:
        [old] = await house.submit(kim(1, history=History()))
        [live] = await house.submit(kim(2))

        [corrected] = await house.submit(kim(1, revision=1, qualification=Qualification(region="north")))

        assert (corrected.outcome, corrected.handoff.id) == (Outcome.MATCHED, live.handoff.id)
        assert corrected.handoff.qualification.region == "north"
        count = text("SELECT count(*) FROM handoff WHERE lead = :lead")
        handoffs = await house.rows(
            lambda connection: connection.execute(count, {"lead": old.handoff.id.lead}).scalar_one()
        )
        assert handoffs == 2


async def test_history_may_have_lost_whom_it_was_about() -> None:
    async with House() as house:
        [imported] = await house.submit(a_submission(contact=Contact(), history=History()))

        assert imported.outcome is Outcome.CREATED


async def test_a_bad_submission_is_refused_alone_and_every_fault_is_named() -> None:
    async with House() as house:
        bad = a_submission(
            2,
            source_system="Web Site",
            external_id="",
            revision=-1,
            contact=Contact(email="nobody", attributes={"k" * 65: "v"}),
            qualification=Qualification(
                value=Money("eur", -1),
                inquire_time=NOON + timedelta(minutes=2),
            ),
        )
        by = By(FORM)

        good, refused = await house.all(submit, SubmitLead(a_submission(1), by), SubmitLead(bad, by))

        assert not isinstance(good, Exception)
        assert isinstance(refused, SubmissionInvalid)
        assert {fault.field for fault in refused.faults} == {
            "source_system",
            "external_id",
            "revision",
            "contact.email",
            "contact.attributes",
            "qualification.value",
            "qualification.value.minor_units",
            "qualification.inquire_time",
        }


async def test_a_tenant_without_directory_takes_no_leads() -> None:
    async with House() as house:
        stranger = replace(a_submission(), tenant="stranger")

        [refused] = await house.all(submit, SubmitLead(stranger, By(FORM)))

        assert isinstance(refused, TenantUnknown)


async def test_the_same_key_and_address_in_two_tenants_are_two_leads() -> None:
    other = a_directory(tenant="tenants/other")
    async with House(a_directory(), other) as house:
        [here] = await house.submit(a_submission())
        [there] = await house.submit(replace(a_submission(), tenant="other"))

        assert there.outcome is Outcome.CREATED
        assert there.handoff.offer is not None
        assert there.handoff.offer.assignee == ANNA.replace("default", "other")
        assert here.handoff.id.tenant != there.handoff.id.tenant


async def test_no_personal_datum_is_stored_in_the_open() -> None:
    async with House() as house:
        contact = Contact(
            given_name="Gertrud", email="gertrud@example.com", phone="+49301234567", attributes={"a": "Zebra"}
        )
        await house.submit(a_submission(contact=contact, external_id="waltraud@example.com"))

        def everything(connection: Connection) -> bytes:
            values = (
                value
                for table in SCHEMA.metadata.sorted_tables
                for row in connection.execute(table.select())
                for value in row
            )
            return b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in values)

        dump = await house.rows(everything)
        assert b"retail" in dump
        for word in (b"Gertrud", b"gertrud", b"1234567", b"Zebra", b"waltraud"):
            assert word not in dump


async def test_turns_are_taken_across_transactions() -> None:
    async with House() as house:
        assignees = []
        for number in range(4):
            [submitted] = await house.submit(a_submission(number))
            assert submitted.handoff.offer is not None
            assignees.append(submitted.handoff.offer.assignee)

        assert assignees[:2] == [ANNA, BEN]
        assert assignees[3] == ANNA


async def test_the_senders_word_is_kept_and_its_channel_found() -> None:
    async with House() as house:
        told = Qualification(source="organic_search", source_channel=SourceChannel.ORGANIC_SEARCH)

        [submitted] = await house.submit(a_submission(qualification=told))

        stored = await house.handoff(submitted.handoff.id)
        assert stored.qualification == told


async def test_every_submission_is_one_event_and_the_log_has_no_hole() -> None:
    async with House() as house:
        await house.submit(*(a_submission(number) for number in range(3)))
        await house.submit(a_submission(0))

        query = text("SELECT position, payload_type FROM event_log ORDER BY position")
        events = await house.rows(lambda connection: connection.execute(query).all())
        assert [row.position for row in events] == list(range(1, len(events) + 1))
        kinds = [row.payload_type.rpartition(".")[2] for row in events]
        assert kinds.count("HandoffSubmitted") == kinds.count("HandoffOffered") == 3


@pytest.mark.parametrize("rolled_back", [True, False])
async def test_the_totals_count_what_is_in_the_database(rolled_back: bool) -> None:
    async with House() as house:
        if rolled_back:

            def fail(tx: LeadTx, requests: Sequence[SubmitLead]) -> list[Submitted | Exception]:
                submit(tx, requests)
                raise RuntimeError

            with pytest.raises(RuntimeError):
                await house.all(fail, SubmitLead(a_submission(), By(FORM)))
        else:
            await house.submit(a_submission())

        query = text("SELECT coalesce(sum(amount), 0) FROM business_total WHERE total = 'submitted'")
        count = text("SELECT count(*) FROM handoff")
        total = await house.rows(lambda connection: connection.execute(query).scalar_one())
        assert total == await house.rows(lambda connection: connection.execute(count).scalar_one())
