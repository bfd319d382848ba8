"""Whose a submission is, by the tenant's rules: decided where they are sure enough, listed where not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.leads.domain.directory_faults import faults_of
from services.leads.domain.lead import Contact, Identity
from services.leads.domain.matching import (
    IdentityRules,
    PossibleDuplicate,
    Profile,
    Signal,
    profile_of,
    signals_between,
    word_of_name,
)
from services.leads.store.duplicates import list_possible_duplicates
from services.leads.store.transaction import By
from services.leads.usecases.merging import MergeLeads, merge_leads
from tests.builders.crowds import RULES
from tests.builders.leads import MANAGER, House, a_directory, a_submission

KIM = Contact(given_name="Kim", family_name="Lindqvist", email="kim@acme.com", phone="+4915112345678")


def house(rules: IdentityRules = RULES) -> House:
    return House(replace(a_directory(), identity=rules))


async def listed(house: House, lead: str = "") -> list[PossibleDuplicate]:
    return await house.rows(list_possible_duplicates("default", lead, after=None, limit=100))


async def leads_of(house: House, *contacts: Contact) -> list[str]:
    submitted = [
        await house.submit(a_submission(number, contact=contact)) for number, contact in enumerate(contacts)
    ]
    return [result.handoff.id.lead for [result] in submitted]


@pytest.mark.parametrize(
    "again",
    [
        Contact(email="KIM@acme.com"),
        Contact(given_name="K.", email="kim@acme.com"),
        Contact(given_name="Kim", family_name="Lindqvist", email="kim@other.com", phone="0151 12345678"),
        Contact(given_name="KIM", family_name="Lindquist", phone="0151 12345678"),
    ],
)
async def test_what_is_as_sure_as_the_tenant_wants_it_is_the_same_lead(again: Contact) -> None:
    async with house() as town:
        first, second = await leads_of(town, KIM, again)

        assert first == second
        assert await listed(town) == []


@pytest.mark.parametrize(
    ("again", "rule_id"),
    [
        (Contact(given_name="Robin", family_name="Lindqvist", email="kim@acme.com"), "shared-mailbox"),
        (
            Contact(given_name="Kim", family_name="Lindqvist", email="k.l@acme.com"),
            "name-and-company",
        ),
    ],
)
async def test_what_is_less_sure_is_a_new_lead_that_a_person_decides_about(
    again: Contact, rule_id: str
) -> None:
    async with house() as town:
        first, second = await leads_of(town, KIM, again)
        [possible] = await listed(town)

        assert first != second
        assert (possible.lead, possible.other_lead, possible.match.rule_id) == (second, first, rule_id)
        assert [await listed(town, lead) for lead in (first, second)] == [[possible], [possible]]


@pytest.mark.parametrize(
    "other",
    [
        Contact(given_name="Robin", family_name="Lindqvist", email="robin@acme.com", phone=KIM.phone),
        Contact(given_name="Kim", family_name="Moreau", email="kim.m@acme.com"),
        Contact(given_name="Kim", family_name="Lindqvist", email="kim@gmail.com"),
    ],
)
async def test_twins_colleagues_and_namesakes_are_somebody_else(other: Contact) -> None:
    async with house() as town:
        first, second = await leads_of(town, KIM, other)

        assert first != second
        assert await listed(town) == []


async def test_nothing_below_the_tenants_precision_is_merged_whatever_the_rules_say() -> None:
    async with house(replace(RULES, automatic_from=10_000)) as town:
        first, second = await leads_of(town, KIM, KIM)
        [possible] = await listed(town)

        assert first != second
        assert possible.match.confidence == 9_990


async def test_a_pair_that_was_merged_waits_for_nobody() -> None:
    async with house() as town:
        robin = replace(KIM, given_name="Robin")
        first, second = await leads_of(town, KIM, robin)
        merge = MergeLeads(tenant="default", lead=first, merged_lead=second, by=By(MANAGER))
        await town.one(merge_leads, merge)

        assert await listed(town) == []
        [again] = await town.submit(a_submission(9, contact=robin))
        assert again.handoff.id.lead == first


async def test_what_comes_in_for_a_merged_lead_is_the_kept_ones() -> None:
    async with House() as town:
        kim, robin = Contact(email="kim@acme.com"), Contact(email="robin@acme.com")
        [first] = await town.submit(a_submission(1, contact=kim))
        [second] = await town.submit(a_submission(2, contact=robin))
        merge = MergeLeads(
            tenant="default", lead=first.handoff.id.lead, merged_lead=second.handoff.id.lead, by=By(MANAGER)
        )
        await town.one(merge_leads, merge)
        [third] = await town.submit(a_submission(3, contact=robin))
        [revised] = await town.submit(a_submission(2, contact=robin, revision=1))

        assert [third.handoff.id, revised.handoff.id] == [first.handoff.id] * 2


WORDS = st.text("abcde", min_size=0, max_size=8)


def a_profile(email: str, phone: str, given: str, family: str) -> Profile:
    return Profile(Identity(email and f"{email}@x.com", phone, "x.com" if email else ""), given, family)


PROFILES = st.builds(a_profile, WORDS, st.sampled_from(["", "+491", "+492"]), WORDS, WORDS)


@given(one=PROFILES, other=PROFILES)
def test_it_does_not_matter_who_of_two_is_named_first(one: Profile, other: Profile) -> None:
    assert signals_between(one, other) == signals_between(other, one)


@given(one=PROFILES)
def test_nothing_speaks_against_somebody_being_themselves(one: Profile) -> None:
    against = {Signal.OTHER_COMPANY, Signal.OTHER_FAMILY_NAME, Signal.OTHER_GIVEN_NAME}

    assert signals_between(one, one).isdisjoint(against)


def test_names_are_compared_without_case_accents_and_signs() -> None:
    assert word_of_name(" Zoë-Marie O'Hara ") == "zoemarieohara"
    assert word_of_name("김민준") == "김민준"
    assert word_of_name("김민준") != word_of_name("길민준")


@pytest.mark.parametrize(
    ("one", "other", "similar"),
    [
        ("lindqvist", "lindquist", True),
        ("lindqvist", "lindqist", True),
        ("lindqvist", "lindvqist", True),
        ("lindqvist", "lindst", False),
        ("lee", "lea", False),
        ("kim.lee12", "kim.lee13", False),
    ],
)
def test_one_slip_makes_no_other_address_but_two_do_and_so_does_a_number(
    one: str, other: str, similar: bool
) -> None:
    seen = signals_between(*(profile_of(Contact(), Identity(f"{each}@x.com")) for each in (one, other)))

    assert (Signal.SIMILAR_EMAIL in seen) is similar


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"automatic_from": 4_999}, "identity.automatic_from"),
        ({"possible_from": 9_901}, "identity.possible_from"),
        ({"rules": (replace(RULES.rules[0], confidence=0),)}, "identity.rules[0].confidence"),
        ({"rules": (replace(RULES.rules[0], signals=(Signal.NAME,)),)}, "identity.rules[0].signals"),
        ({"rules": (replace(RULES.rules[0], unless=(Signal.EMAIL,)),)}, "identity.rules[0].unless"),
        ({"rules": (replace(RULES.rules[0], rule_id="Same"),)}, "identity.rules[0].rule_id"),
        ({"rules": (RULES.rules[0], RULES.rules[0])}, "identity.rules[0].rule_id"),
    ],
)
def test_rules_that_find_nobody_or_contradict_themselves_are_refused(
    changes: dict[str, object], path: str
) -> None:
    wanted = replace(a_directory(), identity=replace(RULES, **changes))

    assert path in [fault.path for fault in faults_of(wanted)]
