"""Personal data is where it may be, and can be told apart again."""

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import text

from services.leads.domain.lead import Contact
from services.leads.store.external_ids import with_external_ids
from services.leads.store.lists import HandoffList, HandoffPage
from services.leads.store.sealing import Sealer
from services.leads.wire.leads import qualification_of
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from tests.builders.leads import House, a_submission


def test_a_sealed_contact_opens_for_its_own_lead_alone() -> None:
    sealer = Sealer(bytes(32))
    wrapped, sealed = sealer.seal(b"kim", bound_to="default/lead-1")

    assert sealer.unseal(wrapped, sealed, bound_to="default/lead-1") == b"kim"
    with pytest.raises(InvalidTag):
        sealer.unseal(wrapped, sealed, bound_to="default/lead-2")


def test_what_another_key_of_the_installation_wrapped_is_told_from_what_this_one_did() -> None:
    sealer = Sealer(bytes(32))
    wrapped, sealed = sealer.seal(b"kim", bound_to="default/lead-1")

    with pytest.raises(InvalidTag):
        sealer.unseal(b"\x02" + wrapped[1:], sealed, bound_to="default/lead-1")


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example.com/watches?email=kim@example.com",
        "https://shop.example.com/watches#kim@example.com",
        "https://shop.example.com/watches",
    ],
)
def test_a_landing_page_is_kept_without_what_a_form_put_behind_it(address: str) -> None:
    said = qualification_of(leadspb.Qualification(landing_page=address))

    assert said.landing_page == "https://shop.example.com/watches"


async def test_a_number_that_two_leads_share_is_known_of_both_and_finds_the_first() -> None:
    async with House() as house:
        for number in (1, 2):
            house.later(minutes=1)
            await house.submit(
                a_submission(number, contact=Contact(email=f"kim{number}@example.com", phone="030 1234567"))
            )
        [caller] = await house.submit(a_submission(3, contact=Contact(phone="+49 30 1234567")))

        known = await house.rows(
            lambda connection: (
                connection.execute(
                    text(
                        "SELECT lead FROM lead_match WHERE digest IN (SELECT digest FROM lead_match"
                        " GROUP BY digest HAVING count(*) > 1) ORDER BY record_time"
                    )
                )
                .scalars()
                .all()
            )
        )
        assert len(known) == 2
        assert caller.handoff.id.lead == known[0]


async def test_a_number_that_everybody_gives_is_kept_for_a_few_alone() -> None:
    async with House() as house:
        everybody = [
            a_submission(number, contact=Contact(email=f"kim{number}@example.com", phone="030 1234567"))
            for number in range(40)
        ]
        await house.submit(*everybody[:30])
        await house.submit(*everybody[30:])

        most = await house.rows(
            lambda connection: connection.execute(
                text("SELECT count(*) AS leads FROM lead_match GROUP BY digest ORDER BY leads DESC LIMIT 1")
            ).scalar_one()
        )
        assert most == 20


async def test_what_a_sender_called_a_submission_is_sealed_and_opens_for_who_may_see_it() -> None:
    async with House() as house:
        sealer = Sealer(bytes(32))
        named = [
            a_submission(1, external_id="kim@example.com"),
            a_submission(2, external_id="lee@example.com"),
        ]
        await house.submit(*named)
        query = HandoffPage(HandoffList(tenant="default"), after=None, limit=10)

        closed = await house.rows(query)
        opened = await house.rows(with_external_ids(sealer, query))
        stored = await house.rows(
            lambda connection: connection.execute(text("SELECT * FROM submission")).all()
        )

    assert [each.external_id for each in closed] == ["", ""]
    assert [each.external_id for each in opened] == ["lee@example.com", "kim@example.com"]
    assert b"example.com" not in b"".join(
        value for row in stored for value in row if isinstance(value, bytes)
    )


async def test_a_lead_keeps_its_key_when_its_contact_changes_so_that_its_external_ids_stay_readable() -> None:
    async with House() as house:
        known = Contact(email="kim@example.com")
        await house.submit(a_submission(1, contact=known, external_id="first"))
        await house.submit(
            a_submission(2, contact=Contact(email="kim@example.com", family_name="Lee"), external_id="second")
        )
        query = with_external_ids(
            Sealer(bytes(32)), HandoffPage(HandoffList(tenant="default"), after=None, limit=10)
        )

        [handoff] = await house.rows(query)

    assert handoff.external_id == "first"


async def test_the_same_submission_is_a_duplicate_though_its_id_is_kept_as_a_digest_alone() -> None:
    async with House() as house:
        once = a_submission(1, external_id="kim@example.com")
        elsewhere = a_submission(2, external_id="kim@example.com", source_system="crm")
        [first, again, other] = await house.submit(once, once, elsewhere)
        [later] = await house.submit(once)

    assert [each.outcome.name for each in (first, again, other, later)] == [
        "CREATED",
        "DUPLICATE",
        "CREATED",
        "DUPLICATE",
    ]
    assert later.handoff.id == first.handoff.id
