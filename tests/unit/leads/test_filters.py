"""A filter says exactly what it says, or is refused where it stops being understood."""

from datetime import UTC, datetime

import pytest

from services.leads.domain.errors import FilterInvalid
from services.leads.domain.states import HandoffState
from services.leads.wire.filters import (
    FOLLOW_UP_FIELDS,
    HANDOFF_FIELDS,
    LONGEST,
    MOST,
    Operator,
    Restriction,
    parse_filter,
)


def read(text: str) -> tuple[Restriction, ...]:
    return parse_filter(text, HANDOFF_FIELDS)


def refused(text: str) -> FilterInvalid:
    with pytest.raises(FilterInvalid) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_filters_nothing(text: str) -> None:
    assert read(text) == ()


def test_comparisons_are_joined_by_and() -> None:
    found = read('state = WORKING AND qualification.score>=50\n AND owner != "tenants/acme/people/kim"')

    assert found == (
        Restriction("state", Operator.EQUAL, HandoffState.WORKING.value),
        Restriction("qualification.score", Operator.GREATER_OR_EQUAL, 50),
        Restriction("owner", Operator.NOT_EQUAL, "tenants/acme/people/kim"),
    )


def test_values_have_the_type_of_their_field() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)

    assert read("archived = false")[0].value is False
    assert read("state = STATE_WON")[0].value == read("state = WON")[0].value == HandoffState.WON.value
    assert read("submit_time < 2026-03-02T21:00:00+09:00")[0].value == noon
    assert read('submit_time < "2026-03-02T12:00:00Z"')[0].value == noon
    assert read("qualification.score > -5")[0].value == -5


def test_quoted_texts_may_hold_anything() -> None:
    assert read(r'reason_code = "a \"b\" \\ AND (c)"')[0].value == r'a "b" \ AND (c)'
    assert read('qualification.campaign = "봄 캠페인"')[0].value == "봄 캠페인"


def test_has_asks_whether_a_field_is_set_or_is_the_value() -> None:
    assert read("next_due_time:*") == (Restriction("next_due_time", Operator.SET),)
    assert read("owner: * AND state:WON")[1] == Restriction("state", Operator.EQUAL, HandoffState.WON.value)


@pytest.mark.parametrize(
    ("text", "position", "expects"),
    [
        ("state = WORKING OR state = WON", 17, "`AND`"),
        ("state = WORKING state = WON", 17, "`AND`"),
        ("state = WORKING and archived = true", 17, "`AND`"),
        ("NOT state = WORKING", 1, "`NOT`"),
        ("-state = WORKING", 1, "`NOT`"),
        ("archived = true AND (state = WON)", 21, "groups"),
        ('"kim"', 1, "a text alone"),
        ("kim", 1, "one of the fields state, owner"),
        ("contact.email = x", 1, "one of the fields"),
        ("state", 6, "one of `=`"),
        ("state ~ WORKING", 7, "one of `=`"),
        ("state = ", 9, "a value"),
        ("owner = 'kim'", 9, "a value"),
        ('owner = "kim', 9, "closed"),
        ("state = BUSY", 9, "WORKING"),
        ("state > WORKING", 7, "no order"),
        ("owner < a", 7, "no order"),
        ("archived = yes", 12, "`true` or `false`"),
        ("qualification.score = many", 23, "a whole number"),
        ("qualification.score = 12345678901234567890", 23, "a whole number"),
        ("submit_time < 2026-03-02T12:00:00", 15, "an offset"),
        ("submit_time < yesterday", 15, "an offset"),
        ("archived = true AND", 20, "one of the fields"),
        ("archived = true AND AND", 21, "one of the fields"),
        ('owner = "a\x00b"', 9, "a text"),
    ],
)
def test_whatever_else_is_refused_at_its_position_with_what_would_do(
    text: str, position: int, expects: str
) -> None:
    error = refused(text)

    assert (error.position, error.field) == (position, "filter")
    assert expects in error.description


def test_a_refusal_does_not_repeat_what_was_written() -> None:
    error = refused("owner = kim@example.com AND kim@example.com")

    assert "example.com" not in str(error)


def test_a_filter_has_bounds() -> None:
    one = "archived = true"

    assert len(read(" AND ".join([one] * MOST))) == MOST
    assert "at most 20 comparisons" in refused(" AND ".join([one] * (MOST + 1))).description
    assert refused("x" * (LONGEST + 1)).position == LONGEST + 1


def test_each_list_has_fields_of_its_own() -> None:
    assert parse_filter("contact = true", FOLLOW_UP_FIELDS) == (Restriction("contact", Operator.EQUAL, True),)
    with pytest.raises(FilterInvalid):
        parse_filter("state = WORKING", FOLLOW_UP_FIELDS)
