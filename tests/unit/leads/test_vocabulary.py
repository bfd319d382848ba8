"""What senders mean: segments under one name each, codes in print, and what leads say of themselves."""

from datetime import timedelta
from typing import Any

import pytest

from services.leads.domain.lead import Qualification
from services.leads.domain.playbook import THE_DEFAULTS, Playbook, faults_of_playbook
from services.leads.domain.terms import SourceChannel
from services.leads.domain.vocabulary import OfflineSource, Segment, Vocabulary
from services.leads.wire.playbook import playbook_bytes, playbook_from_bytes, playbook_message, playbook_of
from tests.builders.desk import with_playbook
from tests.builders.leads import NOON, House, a_directory, a_submission

MID = Segment("mid-market", "Fifty to five hundred people", ("midmarket", "MM"))
RADIO = OfflineSource(
    code="TUNE24",
    start_time=NOON,
    end_time=NOON + timedelta(days=7),
    source_channel=SourceChannel.RADIO_RESPONSE,
    campaign="spring on air",
)
FRIEND = OfflineSource(self_report="a friend", source_channel=SourceChannel.WORD_OF_MOUTH)
WORDS = Vocabulary((MID,), (RADIO, FRIEND))


def told(**words: Any) -> Qualification:
    return Qualification(**words)


@pytest.mark.parametrize("name", ["mid-market", "MidMarket", " mm "])
def test_a_segment_has_one_name_whatever_its_sender_calls_it(name: str) -> None:
    assert WORDS.understood(told(segment=name), NOON).segment == "mid-market"


@pytest.mark.parametrize("name", ["", "enterprise"])
def test_a_segment_that_nobody_named_stays_as_it_was_told(name: str) -> None:
    assert WORDS.understood(told(segment=name), NOON).segment == name


def test_a_code_on_air_says_the_channel_and_what_the_campaign_is_called() -> None:
    meant = WORDS.understood(told(campaign="tune24 "), NOON)

    assert (meant.source_channel, meant.campaign) == (SourceChannel.RADIO_RESPONSE, "spring on air")


@pytest.mark.parametrize(
    ("after", "is_meant"),
    [
        (timedelta(microseconds=-1), False),
        (timedelta(0), True),
        (timedelta(days=7, microseconds=-1), True),
        (timedelta(days=7), False),
    ],
)
def test_a_code_counts_from_its_start_and_before_its_end(after: timedelta, *, is_meant: bool) -> None:
    meant = WORDS.understood(told(campaign="TUNE24"), NOON + after)

    assert (meant.source_channel is SourceChannel.RADIO_RESPONSE) is is_meant


def test_what_a_lead_says_of_itself_is_a_source() -> None:
    meant = WORDS.understood(told(source="A friend", campaign="none of ours"), NOON)

    assert (meant.source_channel, meant.campaign) == (SourceChannel.WORD_OF_MOUTH, "none of ours")


def test_of_several_sources_that_are_meant_the_first_that_counts_decides() -> None:
    later = OfflineSource(self_report="tv", source_channel=SourceChannel.PRESS)
    over = OfflineSource(code="TUNE24", end_time=NOON, source_channel=SourceChannel.DIRECT_MAIL_RESPONSE)

    meant = Vocabulary(offline_sources=(over, RADIO, later)).understood(
        told(campaign="TUNE24", source="TV"), NOON
    )

    assert meant.source_channel is SourceChannel.RADIO_RESPONSE


def test_a_channel_that_the_sender_knows_is_not_changed() -> None:
    known = told(source_channel=SourceChannel.DISPLAY, campaign="TUNE24")

    assert WORDS.understood(known, NOON) == known


async def test_a_submission_is_understood_by_when_the_lead_inquired() -> None:
    async with House() as house:
        await with_playbook(house, vocabulary=WORDS)
        early, late = (
            a_submission(
                external_id=str(number),
                qualification=told(campaign="TUNE24", segment="MM", inquire_time=NOON + after),
            )
            for number, after in enumerate((timedelta(days=-1), timedelta(0)))
        )
        before, within = await house.submit(early, late)

        assert before.handoff.qualification.source_channel is SourceChannel.UNMAPPED
        assert within.handoff.qualification.source_channel is SourceChannel.RADIO_RESPONSE
        assert {each.handoff.qualification.segment for each in (before, within)} == {"mid-market"}


def test_a_tenants_words_are_kept_as_they_were_said() -> None:
    kept = playbook_from_bytes(playbook_bytes(Playbook(vocabulary=WORDS)), version=0)

    assert kept.vocabulary == WORDS


def test_a_playbook_as_it_is_shown_can_be_applied_again() -> None:
    shown = playbook_of(playbook_message("default", Playbook(vocabulary=WORDS)), version=1)

    assert faults_of_playbook(shown, a_directory()) == ()
    assert set(shown.reason_codes) == set(THE_DEFAULTS.reason_codes)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (Vocabulary((MID, Segment("mm"))), "segments[1].segment"),
        (Vocabulary((Segment(" "),)), "segments[0].segment"),
        (Vocabulary((Segment("a", also_known_as=("b\n",)),)), "segments[0].also_known_as"),
        (
            Vocabulary(offline_sources=(OfflineSource(source_channel=SourceChannel.PRESS),)),
            "offline_sources[0].code",
        ),
        (
            Vocabulary(offline_sources=(OfflineSource(code="X", source_channel=SourceChannel.UNMAPPED),)),
            "offline_sources[0].source_channel",
        ),
        (
            Vocabulary(
                offline_sources=(
                    OfflineSource(
                        code="X", start_time=NOON, end_time=NOON, source_channel=SourceChannel.PRESS
                    ),
                )
            ),
            "offline_sources[0].end_time",
        ),
    ],
)
def test_words_that_could_mean_two_things_or_nothing_are_refused(words: Vocabulary, field: str) -> None:
    assert [fault.field for fault in words.faults()] == [field]
