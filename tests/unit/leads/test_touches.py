"""What every submission said of a lead is told, also when its handoff is open already."""

from sqlalchemy import Connection

from services.leads.domain.lead import Contact, Qualification
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.eventlog.reading import read
from tests.builders.leads import House, a_submission


def joined(connection: Connection) -> list[leadeventspb.SubmissionJoined]:
    events = read(connection, "tenants/default", after=0, limit=1000).events
    kind = leadeventspb.SubmissionJoined
    return [kind.FromString(each.payload.value) for each in events if each.payload.Is(kind.DESCRIPTOR)]


async def test_the_next_touch_of_a_lead_is_told_in_its_own_words_though_the_first_ones_count() -> None:
    async with House() as house:
        kim = Contact(email="kim@example.com")
        [first] = await house.submit(
            a_submission(1, contact=kim, qualification=Qualification(source="ads", campaign="spring"))
        )
        await house.submit(
            a_submission(2, contact=kim, qualification=Qualification(source="fair", campaign="autumn"))
        )

        [touch] = await house.rows(joined)
        assert touch.handoff == first.handoff.id.name
        assert (touch.qualification.source, touch.qualification.campaign) == ("fair", "autumn")
        assert not touch.correction
        assert (await house.handoff(first.handoff.id)).qualification.campaign == "spring"


async def test_a_correction_is_told_as_one_and_a_repetition_not_at_all() -> None:
    async with House() as house:
        await house.submit(a_submission(revision=1))
        await house.submit(a_submission(revision=2, qualification=Qualification(region="north")))
        await house.submit(a_submission(revision=2))

        [touch] = await house.rows(joined)
        assert (touch.correction, touch.revision, touch.qualification.region) == (True, 2, "north")
