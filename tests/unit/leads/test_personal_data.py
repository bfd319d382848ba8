"""Personal data is where it may be, and can be told apart again."""

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import text

from services.leads.domain.lead import Contact
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
