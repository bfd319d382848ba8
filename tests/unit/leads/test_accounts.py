"""Whose company a lead is of: found by the domain that the company registered."""

import pytest

from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Contact
from services.leads.domain.opportunity import OpportunityState
from services.leads.domain.reasons import REASON_CODES, ReasonUse
from services.leads.domain.terms import Money
from services.leads.store.transaction import LeadTx
from services.leads.usecases.accounts import account_owner_of
from services.leads.usecases.offers import ReassignHandoff, reassign_handoffs
from services.leads.usecases.outcomes import RecordOutcome, record_outcomes
from services.leads.usecases.work import Decide, disqualify_handoffs
from tests.builders.leads import ANNA, BEN, FORM, MANAGER, House, a_directory, a_submission, asked_by

CODE = next(
    each.code for each in REASON_CODES if each.use is ReasonUse.DISQUALIFY and not each.evidence_required
)


async def submitted(house: House, number: int, **contact: str) -> Handoff:
    [result] = await house.submit(a_submission(number, contact=Contact(**contact)))
    return result.handoff


async def owned(house: House, number: int, owner: str, **contact: str) -> Handoff:
    handoff = await submitted(house, number, **contact)
    house.later(minutes=1)
    return await house.one(
        reassign_handoffs,
        ReassignHandoff(handoff=handoff.id, etag="", assignee=owner, asker=asked_by(MANAGER)),
    )


async def account_owner(house: House, handoff: Handoff) -> str:
    def ask(tx: LeadTx) -> str:
        return account_owner_of(tx, handoff)

    return await house.store.sweep(ask)


@pytest.mark.parametrize(
    "contact",
    [
        {"email": "zoe@acme.co.uk"},
        {"email": "zoe@eu.mail.acme.co.uk"},
        {"email": "zoe@gmail.com", "company_domain": "https://www.acme.co.uk/contact"},
    ],
)
async def test_who_owns_an_open_handoff_of_the_company_is_the_accounts_owner(contact: dict[str, str]) -> None:
    async with House() as house:
        await owned(house, 1, BEN, email="kim@acme.co.uk")
        new = await submitted(house, 2, **contact)

        assert await account_owner(house, new) == BEN


@pytest.mark.parametrize(
    "contact",
    [
        {"email": "zoe@other.co.uk"},
        {"email": "zoe@gmail.com"},
        {"phone": "+49301234567"},
        {"email": "zoe@naver.com", "company_domain": "gmail.com"},
    ],
)
async def test_another_company_or_a_private_address_is_nobodys_account(contact: dict[str, str]) -> None:
    async with House() as house:
        await owned(house, 1, BEN, email="kim@acme.co.uk")
        await owned(house, 2, BEN, email="lee@gmail.com")
        new = await submitted(house, 3, **contact)

        assert await account_owner(house, new) == ""


async def test_of_several_owners_the_latest_to_get_something_there_is_asked() -> None:
    async with House() as house:
        await owned(house, 1, BEN, email="kim@acme.com")
        await owned(house, 2, ANNA, email="lee@acme.com")
        new = await submitted(house, 3, email="zoe@acme.com")

        assert await account_owner(house, new) == ANNA


async def test_who_won_there_last_owns_the_account_until_somebody_works_there_again() -> None:
    async with House() as house:
        won = await owned(house, 1, BEN, email="kim@acme.com")
        await house.one(
            record_outcomes,
            RecordOutcome(
                tenant="default",
                source_system="website",
                external_id="form-1",
                state=OpportunityState.WON,
                occur_time=house.now,
                amount=Money("EUR", 100),
                by=asked_by(FORM).by(),
            ),
        )
        new = await submitted(house, 2, email="zoe@acme.com")
        assert won.owner == BEN
        assert await account_owner(house, new) == BEN

        await owned(house, 3, ANNA, email="lee@acme.com")
        assert await account_owner(house, new) == ANNA


async def test_what_ended_otherwise_and_who_left_own_no_account() -> None:
    async with House() as house:
        gone = await owned(house, 1, BEN, email="kim@acme.com")
        await house.one(
            disqualify_handoffs,
            Decide(handoff=gone.id, asker=asked_by(MANAGER), reason_code=CODE),
        )
        new = await submitted(house, 2, email="zoe@acme.com")
        assert await account_owner(house, new) == ""

        await owned(house, 3, ANNA, email="lee@acme.com")
        await house.apply(a_directory(inactive=[ANNA]))
        assert await account_owner(house, new) == ""
