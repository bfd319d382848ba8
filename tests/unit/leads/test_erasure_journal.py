"""Whom the journal names is forgotten again by a database that lacks the erasure."""

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.leads.domain.privacy import Cause, Erasure
from services.leads.store.journal import ErasureJournal
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects
from services.leads.usecases.forgetting import Forgetter
from tests.builders.leads import FORM, House, a_submission

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def an_erasure(lead: str, cause: Cause = Cause.REQUEST) -> Erasure:
    return Erasure(tenant="default", lead=lead, cause=cause, erase_time=NOON)


def test_the_journal_names_everybody_once_with_the_cause(tmp_path: Path) -> None:
    journal = ErasureJournal(tmp_path / "erasures.log")
    journal.append([an_erasure("a"), an_erasure("b", Cause.RETENTION)])
    journal.append([an_erasure("a")])

    assert journal.read() == {("default", "a"): Cause.REQUEST, ("default", "b"): Cause.RETENTION}
    assert (tmp_path / "erasures.log").read_text().count("default a") == 1


def test_a_line_that_a_crash_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "erasures.log"
    ErasureJournal(path).append([an_erasure("a")])
    with path.open("a") as file:
        file.write("default b REQ")
    again = ErasureJournal(path)
    assert again.read() == {("default", "a"): Cause.REQUEST}
    again.append([an_erasure("c")])

    assert ErasureJournal(path).read() == {("default", "a"): Cause.REQUEST, ("default", "c"): Cause.REQUEST}


async def test_only_who_is_there_and_not_forgotten_is_forgotten_again(tmp_path: Path) -> None:
    async with House() as house:
        [known] = await house.submit(a_submission(1))
        [stranger] = await house.submit(a_submission(2))
        lead, other = known.handoff.id.lead, stranger.handoff.id.lead
        journal = ErasureJournal(tmp_path / "erasures.log")
        journal.append([an_erasure(lead, Cause.RETENTION), an_erasure("gone")])
        forgetter = Forgetter(
            house.store, CollectorRegistry(), now=lambda: house.now, copies=None, journal=journal
        )

        assert (await forgetter.repeat_once(), await forgetter.repeat_once()) == (1, 0)

        def look(tx: LeadTx) -> tuple[Erasure | None, Erasure | None]:
            return tx.subjects.erasure(("default", lead)), tx.subjects.erasure(("default", other))

        erased, kept = await house.store.sweep(look)
        assert erased is not None
        assert (erased.cause, kept) == (Cause.RETENTION, None)


async def test_an_erasure_is_not_over_before_the_journal_names_it_and_is_once_that_can_be_written(
    tmp_path: Path,
) -> None:
    folder, registry = tmp_path / "not mounted", CollectorRegistry()
    journal = ErasureJournal(folder / "erasures.log")
    async with House() as house:
        [known] = await house.submit(a_submission(1))
        lead = known.handoff.id.lead
        subject = Subject(tenant="default", lead=lead)
        await house.one(erase_subjects, EraseSubject(subject=subject, by=By(FORM)))
        forgetter = Forgetter(house.store, registry, now=lambda: house.now, copies=None, journal=journal)

        assert await forgetter.finish_once() == 0
        assert registry.get_sample_value("smarketing_leads_erasures_pending") == 1
        folder.mkdir()
        assert await forgetter.finish_once() == 1
        assert registry.get_sample_value("smarketing_leads_erasures_pending") == 0
    assert ErasureJournal(folder / "erasures.log").read() == {("default", lead): Cause.REQUEST}
