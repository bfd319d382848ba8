"""Names: built and parsed by one grammar."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smarketing import names
from smarketing.names import NameInvalid, Pattern

PATTERNS = [value for value in vars(names).values() if isinstance(value, Pattern)]

ids = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.template)
@settings(max_examples=10)
@given(data=st.data())
def test_parsing_undoes_building(pattern, data):
    given_ids = tuple(data.draw(ids) for _ in pattern.variables)

    assert pattern.parse(pattern.build(*given_ids)) == given_ids


def test_an_offer_is_named_below_its_handoff_and_lead():
    assert names.OFFER.build("default", "l1", "h1", "o1") == "tenants/default/leads/l1/handoffs/h1/offers/o1"


def test_no_name_is_of_two_kinds():
    for pattern in PATTERNS:
        name = pattern.build(*["x1"] * len(pattern.variables))

        assert [other for other in PATTERNS if other.matches(name)] == [pattern]


@pytest.mark.parametrize(
    "bad", ["", "-", ".x", "X", "a b", "a/b", "é", "a\n", "a" * 64, "tenants/default", "{lead}"]
)
def test_an_id_of_other_characters_is_neither_built_nor_parsed(bad):
    assert not names.is_id(bad)
    with pytest.raises(NameInvalid):
        names.LEAD.build("default", bad)
    with pytest.raises(NameInvalid):
        names.LEAD.parse(f"tenants/default/leads/{bad}")


def test_a_parse_error_names_the_field_and_the_form_wanted():
    with pytest.raises(NameInvalid) as caught:
        names.PERSON.parse("tenants/default/teams/t1", field="owner")

    assert (caught.value.field, caught.value.expected) == ("owner", "tenants/{tenant}/people/{person}")


@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        ("tenants/default", "default"),
        ("tenants/acme/leads/l1", "acme"),
        ("tenants/-", "-"),
        ("tenants/-/leads/l1", "-"),
    ],
)
def test_the_tenant_is_read_from_any_name(name, tenant):
    assert names.tenant_of(name) == tenant


@pytest.mark.parametrize(
    "name", ["", "tenants", "tenants/", "tenants/A", "x/tenants/default", "tenants/--", "tenants/a b"]
)
def test_a_name_without_a_tenant_has_none(name):
    with pytest.raises(NameInvalid):
        names.tenant_of(name)


def test_all_tenants_is_no_tenant():
    with pytest.raises(NameInvalid):
        names.TENANT.parse("tenants/-")


def test_the_parent_of_an_offer_is_its_handoff_and_a_tenant_has_none():
    assert names.parent_of("tenants/d/leads/l/handoffs/h/offers/o") == "tenants/d/leads/l/handoffs/h"
    assert names.parent_of("tenants/d") == ""
