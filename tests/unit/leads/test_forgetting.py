"""People are forgotten when their last handoff closed long enough ago, and not before."""

from dataclasses import replace
from datetime import timedelta

from prometheus_client import CollectorRegistry

from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import History
from services.leads.domain.privacy import PrivacySettings
from services.leads.store.old_copies import OldCopies
from services.leads.store.retention import aged_leads
from services.leads.store.sealed_texts import EVIDENCE, seal
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import Asker
from services.leads.usecases.consenting import ChangeSettings, change_settings
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects
from services.leads.usecases.forgetting import Forgetter, erase_aged
from services.leads.usecases.merging import MergeLeads, merge_leads
from services.leads.usecases.offers import AnswerOffer, reject_offers
from smarketing.sql import StorageFull
from tests.builders.leads import FORM, House, a_submission

YEAR = timedelta(days=365)
BY = By(FORM)


def a_forgetter(house: House, registry: CollectorRegistry | None = None) -> Forgetter:
    return Forgetter(house.store, registry or CollectorRegistry(), now=lambda: house.now, copies=None)


async def keep_for(house: House, retention: timedelta) -> None:
    wanted = ChangeSettings(settings=PrivacySettings(tenant="default", retention=retention), by=BY)
    await house.one(change_settings, wanted)


async def a_closed_lead(house: House, number: int) -> str:
    [submitted] = await house.submit(a_submission(number))
    handoff = submitted.handoff
    assert handoff.offer is not None
    await house.one(
        reject_offers,
        AnswerOffer(
            handoff=handoff.id,
            offer=handoff.offer.number,
            fencing_token=handoff.offer.number,
            asker=Asker(principal=handoff.offer.assignee),
            reason_code="NO_CAPACITY",
        ),
    )
    return handoff.id.lead


async def erased(house: House, *leads: str) -> set[str]:
    def look(tx: LeadTx) -> set[str]:
        return {lead for lead in leads if tx.subjects.erasure(("default", lead)) is not None}

    return await house.store.sweep(look)


async def test_a_person_is_forgotten_when_the_retention_ran_out_since_the_last_closing() -> None:
    async with House() as house:
        await keep_for(house, YEAR)
        lead = await a_closed_lead(house, 1)
        house.later(days=364)
        assert await a_forgetter(house).retain_once() == 0
        house.later(days=1)

        assert await a_forgetter(house).retain_once() == 1
        assert await erased(house, lead) == {lead}
        assert await a_forgetter(house).retain_once() == 0


async def test_who_is_still_worked_or_came_back_is_kept() -> None:
    async with House() as house:
        await keep_for(house, YEAR)
        [still_open] = await house.submit(a_submission(1))
        came_back = await a_closed_lead(house, 2)
        house.later(days=300)
        again = a_submission(3, contact=a_submission(2).contact)
        [second] = await house.submit(again)
        assert second.handoff.id.lead == came_back
        house.later(days=300)

        assert await a_forgetter(house).retain_once() == 0
        assert await erased(house, still_open.handoff.id.lead, came_back) == set()


async def test_archived_history_grows_old_from_its_last_change() -> None:
    async with House() as house:
        await keep_for(house, YEAR)
        past = History(submit_time=house.now - 5 * YEAR)
        [imported] = await house.submit(a_submission(1, history=past))
        assert imported.handoff.archived
        assert await a_forgetter(house).retain_once() == 0
        house.later(days=365)

        assert await a_forgetter(house).retain_once() == 1


async def test_without_a_retention_nobody_is_forgotten_by_age() -> None:
    async with House() as house:
        await a_closed_lead(house, 1)
        house.later(days=3650)

        assert await a_forgetter(house).retain_once() == 0


async def test_a_retention_can_be_counted_before_it_is_set() -> None:
    async with House() as house:
        old = [await a_closed_lead(house, number) for number in range(3)]
        house.later(days=100)
        await a_closed_lead(house, 9)

        assert await a_forgetter(house).count_aged("default", timedelta(days=100)) == 3
        assert await a_forgetter(house).count_aged("default", timedelta(days=101)) == 0
        assert await erased(house, *old) == set()


async def test_leads_are_looked_through_part_by_part_and_none_is_left_out() -> None:
    async with House() as house:
        leads = [await a_closed_lead(house, number) for number in range(7)]
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            part = await house.rows(aged_leads("default", house.now, after=after, limit=3))
            found += part.leads
            after = part.after

        assert sorted(found) == sorted(leads)


async def test_who_came_back_between_the_look_and_the_erasure_is_kept() -> None:
    async with House() as house:
        lead = await a_closed_lead(house, 1)
        until = house.now
        house.later(days=1)
        await house.submit(a_submission(2, contact=a_submission(1).contact))

        gone = await house.store.sweep(lambda tx: erase_aged(tx, "default", [lead], until))
        assert (gone, await erased(house, lead)) == (0, set())


async def test_an_erasure_is_pending_until_its_traces_are_gone() -> None:
    async with House() as house:
        registry = CollectorRegistry()
        forgetter = a_forgetter(house, registry)
        lead = await a_closed_lead(house, 1)
        await house.one(erase_subjects, EraseSubject(subject=Subject(tenant="default", lead=lead), by=BY))
        asked = house.now
        house.later(seconds=5)

        assert await forgetter.finish_once() == 1
        erasure = await house.store.sweep(lambda tx: tx.subjects.erasure(("default", lead)))
        assert erasure is not None
        assert (erasure.erase_time, erasure.finish_time) == (asked, house.now)
        assert registry.get_sample_value("smarketing_leads_erasures_pending") == 0


async def test_where_there_is_no_room_to_write_anew_it_is_not_tried_again_at_once() -> None:
    tries, has_room = 0, False

    def rewrite() -> bool:
        nonlocal tries
        tries += 1
        if not has_room:
            raise StorageFull("no room")
        return True

    async with House() as house:
        copies = OldCopies(size_bytes=lambda: 0, rewrite=rewrite)
        forgetter = Forgetter(house.store, CollectorRegistry(), now=lambda: house.now, copies=copies)
        lead = await a_closed_lead(house, 1)
        await house.one(erase_subjects, EraseSubject(subject=Subject(tenant="default", lead=lead), by=BY))
        assert [await forgetter.finish_once() for _ in range(3)] == [0, 0, 0]
        assert tries == 1
        has_room = True
        house.later(minutes=15)

        assert await forgetter.finish_once() == 1
        assert tries == 2


async def test_evidence_of_an_open_handoff_goes_with_the_rest() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission(1))
        lead = submitted.handoff.id[:2]

        def say(tx: LeadTx) -> Handoff:
            tx.load_handoffs([submitted.handoff.id])
            said = replace(submitted.handoff, evidence="kim1@example.com wrote that she is a student")
            disputed = seal(tx.people, lead, said, EVIDENCE)
            tx.save_handoff(disputed)
            return disputed

        disputed = await house.store.sweep(say)
        assert (await house.handoff(disputed.id)).sealed_evidence == disputed.sealed_evidence != b""
        subject = Subject(tenant="default", lead=disputed.id.lead)
        await house.one(erase_subjects, EraseSubject(subject=subject, by=BY))

        assert (await house.handoff(disputed.id)).sealed_evidence == b""


async def test_everybody_merged_with_a_person_is_that_person() -> None:
    async with House() as house:
        [kept, merged, stranger] = [await a_closed_lead(house, number) for number in range(3)]
        await house.one(merge_leads, MergeLeads(tenant="default", lead=kept, merged_lead=merged, by=BY))

        await house.one(erase_subjects, EraseSubject(subject=Subject(tenant="default", lead=kept), by=BY))
        assert await erased(house, kept, merged, stranger) == {kept, merged}


async def test_a_merged_person_is_kept_while_one_of_their_handoffs_is_young() -> None:
    async with House() as house:
        await keep_for(house, YEAR)
        old = await a_closed_lead(house, 1)
        house.later(days=364)
        young = await a_closed_lead(house, 2)
        await house.one(merge_leads, MergeLeads(tenant="default", lead=young, merged_lead=old, by=BY))
        house.later(days=10)

        assert await a_forgetter(house).retain_once() == 0
        house.later(days=365)
        assert await a_forgetter(house).retain_once() == 2
        assert await erased(house, old, young) == {old, young}
