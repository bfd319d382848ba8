"""What stands in events in plain holds no addresses of people, wherever senders put them."""

import pytest
from sqlalchemy import Connection, select

from services.leads.domain.intake import BehaviourKind, ToldBehaviour
from services.leads.domain.opportunity import OpportunityState
from services.leads.domain.plain_words import content_words, page_address, without_addresses
from services.leads.store.schema import SCHEMA
from services.leads.store.transaction import By
from services.leads.usecases.behaviour import RecordBehaviour, record_behaviours
from services.leads.usecases.outcomes import RecordOutcome, record_outcomes
from services.leads.wire.leads import qualification_of
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from tests.builders.leads import FORM, House, a_submission

ADDRESS = "Kim.Lee+news@mail.example.com"


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.replace("@", "%40"), "김@회사.한국"])
@pytest.mark.parametrize(
    "around", ["{}", "from {}", "<{}>", "a={}&b=c", "/unsubscribe/{}/now", "to:{};cc:{}"]
)
def test_an_address_is_hidden_and_the_words_around_it_stay(address: str, around: str) -> None:
    assert without_addresses(around.format(address, address)) == around.format("***", "***")


@pytest.mark.parametrize(
    "words", ["", "spring sale", "50 % @ home", "@handle", "https://x.example/@team", "%40"]
)
def test_other_words_stay_as_they_are(words: str) -> None:
    assert without_addresses(words) == words


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (f"https://x.example/shop?email={ADDRESS}", "https://x.example/shop"),
        (f"/shop#{ADDRESS}", "/shop"),
        (f"https://x.example/u/{ADDRESS}", "https://x.example/u/***"),
        ("What is new? Part #2", "What is new? Part #2"),
    ],
)
def test_of_a_page_its_path_is_kept_and_of_a_mailing_its_title(content: str, kept: str) -> None:
    assert content_words(content) == kept


def test_what_marketing_says_of_a_lead_holds_no_address() -> None:
    fields = leadspb.Qualification.DESCRIPTOR.fields
    texts = [field.name for field in fields if field.type == field.TYPE_STRING]
    assert {"source", "campaign", "landing_page", "region", "definition"} <= set(texts)
    said = qualification_of(leadspb.Qualification(**dict.fromkeys(texts, f"about {ADDRESS}")))

    assert {getattr(said, text) for text in texts} == {"about ***"}
    assert page_address("https://x.example/a?b#c") == "https://x.example/a"


async def test_what_another_system_says_of_an_outcome_holds_no_address() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission(1))
        said = f"about {ADDRESS}"
        wanted = RecordOutcome(
            tenant="default",
            source_system=a_submission(1).source_system,
            external_id=a_submission(1).external_id,
            state=OpportunityState.WON,
            by=By(FORM),
            occur_time=house.now,
            reason_code=said,
            segment=said,
            lead_type=said,
        )
        await house.one(record_outcomes, wanted)

        won = await house.handoff(submitted.handoff.id)
        told = won.qualification
        assert {won.reason_code, told.segment, told.lead_type} == {"about ***"}
        log = await house.rows(lambda connection: connection.execute(select(_LOG.c.payload)).scalars().all())
        assert not any(ADDRESS.encode() in bytes(each) for each in log)


async def test_behaviour_is_told_without_what_stands_behind_the_pages_address() -> None:
    async with House() as house:
        await house.submit(a_submission(1))
        told = ToldBehaviour(
            external_id=a_submission(1).external_id,
            kind=BehaviourKind.PAGE_VISITED,
            occur_time=house.now,
            behaviour_external_id="v1",
            content=f"https://x.example/shop?email={ADDRESS}",
            campaign=f"reminder {ADDRESS}",
        )
        wanted = RecordBehaviour(
            tenant="default", source_system=a_submission(1).source_system, told=told, by=By(FORM)
        )
        await house.one(record_behaviours, wanted)

        def payloads(connection: Connection) -> list[bytes]:
            return [bytes(each) for each in connection.execute(select(_LOG.c.payload)).scalars()]

        log = await house.rows(payloads)
        assert any(b"https://x.example/shop" in each for each in log)
        assert not any(b"example.com" in each for each in log if b"x.example/shop" in each)


_LOG = SCHEMA.event_log.event_log
