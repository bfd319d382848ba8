"""Values as people write them mean exactly one thing, or are refused."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.mapping.texts import (
    amount_of,
    duration_of,
    enum_value,
    enum_word,
    first_instant_of,
    instant_of,
    local_instant,
    money_of,
    money_text,
)

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
BERLIN = ZoneInfo("Europe/Berlin")


def test_a_day_whose_midnight_does_not_exist_begins_when_the_clocks_sprang() -> None:
    # On 15 October 2017 the clocks of São Paulo sprang from 00:00 to 01:00, which was 03:00 UTC.
    assert first_instant_of(date(2017, 10, 15), SAO_PAULO) == datetime(2017, 10, 15, 3, tzinfo=UTC)


def test_a_day_that_begins_within_a_gap_begins_at_its_end() -> None:
    # In Toronto in 1919 the clocks sprang from 23:30 to 00:30: the day's first instant was 04:30 UTC.
    assert first_instant_of(date(1919, 3, 31), ZoneInfo("America/Toronto")) == datetime(
        1919, 3, 31, 4, 30, tzinfo=UTC
    )


def test_a_day_that_a_country_left_out_is_refused() -> None:
    with pytest.raises(ValueError, match="did not exist"):
        first_instant_of(date(2011, 12, 30), ZoneInfo("Pacific/Apia"))


def test_an_ordinary_day_begins_at_its_midnight() -> None:
    assert first_instant_of(date(2018, 1, 10), SAO_PAULO) == datetime(2018, 1, 10, 2, tzinfo=UTC)


def test_a_local_time_in_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="sprang over"):
        local_instant(datetime.fromisoformat("2024-03-31T02:30"), BERLIN)


def test_of_a_local_time_that_came_twice_the_first_is_meant() -> None:
    twice = datetime.fromisoformat("2024-10-27T02:30")

    assert local_instant(twice, BERLIN) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks an offset"):
        instant_of("2026-12-24T09:00:00")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(hours=48)),
    ],
)
def test_durations_have_units(text: str, duration: timedelta) -> None:
    assert duration_of(text) == duration


@pytest.mark.parametrize("text", ["", "5", "h", "1h 30m", "-5m", "1w", "٣s"])
def test_a_duration_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration_of(text)


@pytest.mark.parametrize(
    ("text", "currency_code", "minor_units"),
    [
        ("1234.5", "EUR", 123_450),
        ("0.01", "USD", 1),
        ("1000000", "KRW", 1_000_000),
        ("100000.0", "BRL", 10_000_000),
        ("1.234", "KWD", 1_234),
        ("-3", "EUR", -300),
    ],
)
def test_amounts_are_exact_in_the_minor_unit_of_their_currency(
    text: str, currency_code: str, minor_units: int
) -> None:
    assert amount_of(text, currency_code) == termspb.Money(
        currency_code=currency_code, minor_units=minor_units
    )


@pytest.mark.parametrize(
    ("text", "currency_code"),
    [
        ("0.005", "USD"),
        ("0.5", "KRW"),
        ("1e3", "USD"),
        ("1,000", "USD"),
        ("NaN", "USD"),
        ("", "USD"),
        ("1", "usd"),
    ],
)
def test_an_amount_that_is_not_exact_is_refused(text: str, currency_code: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|needs)"):
        amount_of(text, currency_code)


def test_an_amount_that_json_readers_would_round_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        amount_of("90071992547409.92", "EUR")


def test_money_is_written_with_its_currency() -> None:
    assert money_text(money_of("1234.5 EUR")) == "1,234.50 EUR"


@pytest.mark.parametrize("word", ["won", "WON", "STATE_WON"])
def test_a_word_of_an_enum_may_carry_its_prefix(word: str) -> None:
    assert enum_value(leadspb.Opportunity.State.DESCRIPTOR, word) == leadspb.Opportunity.STATE_WON


def test_the_unspecified_value_has_no_word() -> None:
    with pytest.raises(ValueError, match="none of open, won, lost"):
        enum_value(leadspb.Opportunity.State.DESCRIPTOR, "unspecified")
    assert enum_word(leadspb.Opportunity.State.DESCRIPTOR, 0) == ""
