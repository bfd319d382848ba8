"""By what a lead is recognised: one spelling for each address and number."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from services.leads.domain.lead import Contact
from services.leads.domain.mailboxes import mailbox_of
from services.leads.usecases.identity import identify, registered_domain, spelled_email, spelled_phone
from tests.builders.leads import a_submission


@pytest.mark.parametrize("number", ["+49 30 1234567", "030 1234567", "0049 30 1234567", "(030) 123-45-67"])
def test_the_same_german_number_is_the_same_however_it_is_spelled(number: str) -> None:
    assert spelled_phone(number, "DE") == "+49301234567"


def test_a_number_without_country_code_is_read_in_the_tenants_region() -> None:
    assert spelled_phone("02-312-3456", "KR") == "+8223123456"


@pytest.mark.parametrize("number", ["12", "no phone", "", "+", "+1"])
def test_what_is_no_number_is_none(number: str) -> None:
    assert spelled_phone(number, "DE") == ""


def test_addresses_are_compared_without_regard_to_case() -> None:
    assert spelled_email("Kim.Lee@Example.COM") == "kim.lee@example.com"


_LABEL = st.text("abc0-", min_size=1, max_size=5)
_LOCAL = st.text("abz09._+-@'\" é", min_size=0, max_size=8)


@given(local=_LOCAL, labels=st.lists(_LABEL, max_size=3), top=st.sampled_from(["com", "de", "test", "x", ""]))
@example(local="a" * 64, labels=["x"], top="com")
@example(local="a" * 65, labels=["x"], top="com")
@example(local="a", labels=["xn--a"], top="de")
def test_the_quick_way_says_the_same_as_the_library(local: str, labels: list[str], top: str) -> None:
    address = f"{local}@{'.'.join([*labels, top])}"
    try:
        expected = validate_email(address, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        expected = ""

    assert spelled_email(address) == expected


def test_a_mistyped_phone_number_does_not_lose_a_lead_who_has_an_address() -> None:
    reachable = identify(a_submission(contact=Contact(email="kim@example.com", phone="12")), "DE")
    unreachable = identify(a_submission(contact=Contact(phone="12")), "DE")

    assert (reachable.identity.phone, reachable.faults) == ("", ())
    assert [fault.field for fault in unreachable.faults] == ["contact.phone"]


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("kim.lee@gmail.com", "kimlee@gmail.com"),
        ("kimlee+news@googlemail.com", "kimlee@gmail.com"),
        ("kim.lee+news@outlook.com", "kim.lee@outlook.com"),
        ("kim_lee@pm.me", "kimlee@proton.me"),
        ("kim.lee+news@example.com", "kim.lee+news@example.com"),
        ("kim.lee@naver.com", "kim.lee@naver.com"),
        ("+@gmail.com", "+@gmail.com"),
    ],
)
def test_dots_and_tags_count_for_nothing_only_where_the_provider_says_so(address: str, mailbox: str) -> None:
    assert mailbox_of(address) == mailbox


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("mail.shop.example.co.uk", "example.co.uk"),
        ("samsung.co.kr", "samsung.co.kr"),
        ("https://www.example.com:8443/about?x=1", "example.com"),
        ("kim.github.io", "kim.github.io"),
        ("example.com.", "example.com"),
        ("co.uk", ""),
        ("gmail.com", ""),
        ("mail.naver.com", ""),
        ("localhost", ""),
        ("..", ""),
        ("", ""),
    ],
)
def test_a_company_is_known_by_what_it_registered_and_never_by_free_mail(host: str, domain: str) -> None:
    assert registered_domain(host) == domain


@given(host=st.text(max_size=40))
def test_whatever_is_told_for_a_domain_is_one_or_none(host: str) -> None:
    domain = registered_domain(host)

    assert domain == "" or "." in domain
