"""By what a lead is recognised: one spelling for each address and number."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from services.leads.domain.lead import Contact
from services.leads.usecases.identity import identify, spelled_email, spelled_phone
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
