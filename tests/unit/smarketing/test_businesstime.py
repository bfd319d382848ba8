import threading
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from zoneinfo import _zoneinfo, available_timezones

import pytest

from smarketing.businesstime import (
    WHOLE_DAY,
    BadCalendar,
    BusinessTime,
    Calendar,
    CalendarNeverOpens,
    InstantOutOfRange,
    Openings,
    Window,
    tzdata_version,
)
from smarketing.businesstime.zones import FIRST_REGULAR_FUTURE, FIRST_REGULAR_PAST
from tests.builders.sla import AROUND_THE_CLOCK, OFFICE, a_calendar, at

HOUR = BusinessTime.of(hours=1)
NIGHTS = {day: [["22:00", "06:00"]] for day in ("sun", "mon", "tue", "wed", "thu")}
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def daily(*windows: list[str]) -> dict[str, list[list[str]]]:
    return {day: list(windows) for day in EVERY_DAY}


def hours_of(openings: Openings, local_day: str, days: int = 1) -> float:
    """Open hours of a local date (and the following ones), from its midnight."""
    from smarketing.businesstime import load_zone

    zone = load_zone(openings.calendar.zone).info
    first = datetime.fromisoformat(local_day).replace(tzinfo=zone)
    last = (datetime.fromisoformat(local_day) + timedelta(days=days)).replace(tzinfo=zone)
    return openings.between(first.astimezone(UTC), last.astimezone(UTC)).microseconds / 3_600_000_000


def test_the_closing_instant_is_closed_and_the_opening_instant_is_open():
    openings = a_calendar()

    assert openings.is_open(at("2026-09-21T09:00:00+09:00"))
    assert openings.is_open(at("2026-09-21T17:59:59.999999+09:00"))
    assert not openings.is_open(at("2026-09-21T18:00:00+09:00"))
    assert not openings.is_open(at("2026-09-20T12:00:00+09:00"))


def test_an_amount_that_ends_at_closing_time_is_due_at_closing_time():
    assert at("2026-09-21T18:00:00+09:00") == a_calendar().add(at("2026-09-21T17:00:00+09:00"), HOUR)


def test_an_amount_that_outlasts_the_day_goes_on_at_the_next_opening():
    due = a_calendar().add(at("2026-09-25T17:30:00+09:00"), HOUR)

    assert at("2026-09-28T09:30:00+09:00") == due


def test_a_start_in_closed_time_waits_for_the_opening():
    assert at("2026-09-21T10:00:00+09:00") == a_calendar().add(at("2026-09-19T03:00:00+09:00"), HOUR)


def test_counting_back_lands_on_the_opening_not_on_the_closing_before_it():
    openings = a_calendar()

    assert at("2026-09-21T09:00:00+09:00") == openings.add(at("2026-09-21T10:00:00+09:00"), -HOUR)
    assert at("2026-09-18T17:00:00+09:00") == openings.add(at("2026-09-21T10:00:00+09:00"), -(HOUR * 2))


def test_no_amount_is_the_start_even_in_closed_time():
    start = at("2026-09-20T03:00:00+09:00")

    assert start == a_calendar().add(start, BusinessTime())


def test_reversed_instants_count_negative():
    openings = a_calendar()
    start, end = at("2026-09-21T10:00:00+09:00"), at("2026-09-22T10:00:00+09:00")

    assert BusinessTime.of(hours=9) == openings.between(start, end)
    assert -BusinessTime.of(hours=9) == openings.between(end, start)


def test_overlapping_windows_count_once():
    openings = a_calendar(hours={"mon": [["09:00", "13:00"], ["12:00", "15:00"]]})

    assert hours_of(openings, "2026-09-21") == 6
    assert len(openings.intervals(at("2026-09-21T00:00:00Z"), at("2026-09-21T12:00:00Z"))) == 1


def test_a_holiday_removes_the_windows_that_open_on_its_date_and_no_others():
    nights = a_calendar("Europe/Berlin", NIGHTS, holidays=["2026-05-05"])

    assert nights.is_open(at("2026-05-05T05:00:00+02:00"))
    assert not nights.is_open(at("2026-05-05T23:00:00+02:00"))
    assert not nights.is_open(at("2026-05-06T05:00:00+02:00"))


def test_a_holiday_wins_over_an_override():
    openings = a_calendar(holidays=["2026-09-21"], overrides={"2026-09-21": [["10:00", "11:00"]]})

    assert hours_of(openings, "2026-09-21") == 0


def test_an_override_opens_a_closed_day_and_can_close_an_open_one():
    openings = a_calendar(overrides={"2026-09-20": [["10:00", "12:00"]], "2026-09-21": []})

    assert hours_of(openings, "2026-09-20") == 2
    assert hours_of(openings, "2026-09-21") == 0


def test_a_break_is_cut_out_of_the_shift_that_opened_the_evening_before():
    openings = a_calendar("Europe/Berlin", NIGHTS, breaks={"2026-05-05": [["02:00", "02:30"]]})

    assert openings.is_open(at("2026-05-05T01:59:59+02:00"))
    assert not openings.is_open(at("2026-05-05T02:00:00+02:00"))
    assert openings.is_open(at("2026-05-05T02:30:00+02:00"))


def test_leave_is_cut_out_at_the_midnights_of_its_date():
    nights = Calendar.of("Europe/Berlin", NIGHTS)
    openings = Openings(nights.less(((date(2026, 5, 5), (WHOLE_DAY,)),)))

    assert openings.is_open(at("2026-05-04T23:59:59+02:00"))
    assert not openings.is_open(at("2026-05-05T05:00:00+02:00"))
    assert not openings.is_open(at("2026-05-05T23:00:00+02:00"))
    assert openings.is_open(at("2026-05-06T00:00:00+02:00"))


@pytest.mark.parametrize(
    ("zone", "windows", "day", "hours"),
    [
        ("America/New_York", ["02:30", "10:00"], "2026-03-08", 6.5),
        ("America/New_York", ["01:30", "10:00"], "2026-11-01", 9.5),
        ("America/New_York", ["00:00", "24:00"], "2026-11-01", 25),
        ("America/New_York", ["00:00", "24:00"], "2026-03-08", 23),
        ("America/New_York", ["02:30", "03:15"], "2026-03-08", 0),
        ("Australia/Lord_Howe", ["00:00", "24:00"], "2026-10-04", 23.5),
        ("Australia/Lord_Howe", ["00:00", "24:00"], "2026-04-05", 24.5),
        ("Africa/Cairo", ["00:00", "24:00"], "2026-04-24", 23),
        ("Africa/Cairo", ["00:00", "08:00"], "2026-04-24", 7),
        ("Asia/Beirut", ["00:00", "08:00"], "2026-03-29", 7),
        ("Asia/Beirut", ["00:00", "24:00"], "2026-10-24", 25),
        ("America/Sao_Paulo", ["00:00", "24:00"], "2018-11-04", 23),
        ("Asia/Kathmandu", ["09:15", "17:45"], "2026-11-02", 8.5),
    ],
)
def test_a_window_on_a_change_day_is_as_long_as_it_really_lasts(zone, windows, day, hours):
    # Counted from instants well around the date, so that only the date's own windows are asked about.
    openings = a_calendar(zone, {}, overrides={day: [windows]})
    noon = datetime.fromisoformat(day + "T12:00:00+00:00")

    assert BusinessTime.of(seconds=int(hours * 3600)) == openings.between(
        noon - timedelta(days=2), noon + timedelta(days=3)
    )


def test_a_date_that_the_zone_skips_has_no_windows():
    openings = a_calendar("Pacific/Apia", AROUND_THE_CLOCK)
    office = a_calendar("Pacific/Apia", {}, overrides={"2011-12-30": [["09:00", "18:00"]]})

    assert BusinessTime.of(hours=48) == openings.between(
        at("2011-12-29T00:00:00-10:00"), at("2012-01-01T00:00:00+14:00")
    )
    assert not office.between(at("2011-12-28T00:00:00Z"), at("2012-01-03T00:00:00Z"))


def test_an_overnight_shift_into_the_skipped_date_keeps_the_offset_before_the_gap():
    nights = a_calendar("Pacific/Apia", {}, overrides={"2011-12-29": [["22:00", "06:00"]]})

    assert BusinessTime.of(hours=8) == nights.between(at("2011-12-28T00:00:00Z"), at("2012-01-03T00:00:00Z"))


def test_a_calendar_without_hours_answers_nothing_and_refuses_to_add():
    openings = a_calendar(hours={})
    start = at("2026-09-21T10:00:00+09:00")

    assert not openings.is_open(start)
    assert not openings.between(start, start + timedelta(days=900))
    with pytest.raises(CalendarNeverOpens) as refusal:
        openings.add(start, HOUR)
    assert start == refusal.value.reached
    with pytest.raises(CalendarNeverOpens):
        openings.add(start, -HOUR)


@pytest.mark.parametrize("days", [365, 366, 367, 800])
@pytest.mark.parametrize("warmed", [False, True])
def test_a_search_is_given_up_when_the_366_days_after_the_last_open_instant_are_closed(days, warmed):
    first, later = date(2026, 3, 2), date(2026, 3, 2) + timedelta(days=days)
    openings = a_calendar(
        "Etc/UTC",
        {},
        overrides={first.isoformat(): [["00:00", "01:00"]], later.isoformat(): [["01:00", "02:00"]]},
    )
    start = at("2026-03-02T00:30:00Z")
    if warmed:
        openings.between(at("2026-01-01T00:00:00Z"), at("2029-12-01T00:00:00Z"))

    # From 01:00 on the first day to 01:00 on the later one there are exactly `days` days.
    if days < 366:
        assert datetime(later.year, later.month, later.day, 1, 30, tzinfo=UTC) == openings.add(start, HOUR)
    else:
        with pytest.raises(CalendarNeverOpens) as refusal:
            openings.add(start, HOUR)
        assert at("2026-03-02T01:00:00Z") == refusal.value.reached


@pytest.mark.parametrize(
    ("zone", "instant"),
    [
        ("Asia/Seoul", "9999-12-31T15:00:00+00:00"),
        ("America/New_York", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_an_instant_without_a_date_in_the_zone_is_out_of_range(zone, instant):
    openings = a_calendar(zone)

    with pytest.raises(InstantOutOfRange):
        openings.is_open(at(instant))
    with pytest.raises(InstantOutOfRange):
        openings.between(at("2026-01-01T00:00:00Z"), at(instant))
    with pytest.raises(InstantOutOfRange):
        openings.add(at(instant), HOUR)
    with pytest.raises(InstantOutOfRange):
        openings.intervals(at("0001-01-01T00:00:00Z"), at("9999-12-31T23:59:59Z"))


def test_the_last_and_the_first_hours_of_the_years_can_be_asked_about():
    openings = a_calendar("Etc/UTC", AROUND_THE_CLOCK)
    last = at("9999-12-31T23:59:59.999999+00:00")

    assert openings.is_open(last)
    assert openings.is_open(at("0001-01-01T00:00:00+00:00"))
    assert at("9999-12-31T23:00:00+00:00") == openings.add(at("9999-12-31T22:00:00+00:00"), HOUR)
    assert at("0001-01-01T00:00:00+00:00") == openings.add(at("0001-01-01T01:00:00+00:00"), -HOUR)
    with pytest.raises(InstantOutOfRange):
        openings.add(last, HOUR)
    with pytest.raises(InstantOutOfRange):
        openings.add(last, BusinessTime.of(hours=10**20))


def test_the_whole_range_of_time_is_counted_without_walking_its_days():
    openings = a_calendar("Etc/UTC", AROUND_THE_CLOCK)
    first, last = at("0001-01-01T00:00:00Z"), at("9999-12-31T23:59:59.999999Z")

    elapsed = last - first
    assert (
        openings.between(first, last).microseconds
        == (elapsed.days * 86400 + elapsed.seconds) * 10**6 + 999_999
    )
    assert last == openings.add(first, openings.between(first, last))
    assert first == openings.add(last, -openings.between(first, last))


def test_years_of_one_kind_differ_by_nothing_but_their_dates():
    holidays = a_calendar("America/New_York", OFFICE, holidays=["2400-01-03"])

    # 2000, 2400 and 2800 have the same weekdays; 2400-01-03 is a Monday.
    assert hours_of(holidays, "2800-01-01", 366) == hours_of(holidays, "2400-01-01", 366) + 9
    assert not holidays.is_open(at("2400-01-03T15:00:00+00:00"))
    assert holidays.is_open(at("2800-01-03T15:00:00+00:00"))


def test_every_zone_is_regular_outside_the_years_that_are_worked_out_one_by_one():
    root = resources.files("tzdata") / "zoneinfo"
    before, after = (
        datetime(FIRST_REGULAR_PAST, 1, 10, tzinfo=UTC).timestamp(),
        datetime(FIRST_REGULAR_FUTURE - 1, 12, 20, tzinfo=UTC).timestamp(),
    )
    names = (root / ".." / "zones").read_text().split()

    for name in names:
        with root.joinpath(*name.split("/")).open("rb") as data:
            moments = _zoneinfo.ZoneInfo.from_file(data)._trans_utc
        assert all(before < moment < after for moment in moments), name
    assert len(names) > 400
    assert available_timezones()


def test_far_years_follow_the_daylight_rule_of_their_own_dates():
    openings = a_calendar("America/New_York", daily(["00:00", "24:00"]))

    # The second Sunday of March and the first of November, for ever.
    assert hours_of(openings, "2345-03-11") == 23
    assert hours_of(openings, "2345-11-04") == 25


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"zone": "Asia/Soul"}, "tz"),
        ({"zone": "../tzdata"}, "tz"),
        ({"zone": "Asia"}, "tz"),
        ({"zone": ""}, "tz"),
        ({"hours": {"monday": []}}, "hours.monday"),
        ({"hours": {"mon": [["9:00", "18:00"]]}}, "hours.mon[0].open"),
        ({"hours": {"mon": [["09:00", "12:00"], ["13:00", "24:01"]]}}, "hours.mon[1].close"),
        ({"hours": {"mon": [["24:00", "06:00"]]}}, "hours.mon[0].open"),
        ({"hours": {"mon": [["09:00"]]}}, "hours.mon[0]"),
        ({"hours": {"mon": "09:00"}}, "hours.mon"),
        ({"holidays": ["2026-02-30"]}, "holidays[0]"),
        ({"holidays": ["20260924"]}, "holidays[0]"),
        ({"overrides": {"tomorrow": []}}, "overrides.tomorrow"),
        ({"breaks": {"2026-09-21": [["12:00", "25:00"]]}}, "breaks.2026-09-21[0].close"),
    ],
)
def test_a_bad_definition_names_the_field_at_fault(change, field):
    definition = {"zone": "Asia/Seoul", "hours": OFFICE, **change}

    with pytest.raises(BadCalendar) as refusal:
        Calendar.of(**definition)
    assert field == refusal.value.field


@pytest.mark.parametrize(
    ("opens", "closes", "window"),
    [
        ("09:00", "18:00", Window(32_400, 64_800)),
        ("22:00", "06:00", Window(79_200, 108_000)),
        ("22:00", "24:00", Window(79_200, 86_400)),
        ("22:00", "00:00", Window(79_200, 86_400)),
        ("08:00", "08:00", Window(28_800, 115_200)),
        ("00:00", "24:00", WHOLE_DAY),
        ("23:59:59", "24:00:00", Window(86_399, 86_400)),
    ],
)
def test_a_close_that_is_not_after_its_open_runs_overnight(opens, closes, window):
    assert window == Window.parse(opens, closes)


def test_a_business_day_is_as_long_as_the_longest_weekday_unless_it_is_stated():
    calendar = Calendar.of(
        "Asia/Seoul", {"mon": [["09:00", "12:00"], ["11:00", "14:00"]], "tue": [["09:00", "12:00"]]}
    )
    stated = Calendar(zone="Asia/Seoul", hours=calendar.hours, stated_day=BusinessTime.of(hours=8))

    assert BusinessTime.of(hours=10) == calendar.business_days(2)
    assert BusinessTime.of(hours=16) == stated.business_days(2)


def test_working_time_does_not_mix_with_wall_time():
    with pytest.raises(TypeError):
        HOUR + timedelta(hours=1)
    with pytest.raises(TypeError):
        _ = timedelta(hours=1) > HOUR
    assert timedelta(hours=1) != HOUR
    assert str(BusinessTime(-1)) == "-0.000001s"
    assert str(BusinessTime(1_500_000)) == "1.5s"


def test_a_naive_instant_is_refused():
    with pytest.raises(TypeError):
        a_calendar().is_open(datetime(2026, 9, 21, 10))  # noqa: DTZ001 - that is the point


def test_threads_that_grow_the_table_together_get_the_same_answers():
    openings = a_calendar("Europe/Berlin")
    starts = [datetime(1980 + 7 * n % 100, 5, 4, 10, tzinfo=UTC) for n in range(60)]
    alone = a_calendar("Europe/Berlin")
    expected = [alone.add(start, HOUR * 30) for start in starts]
    answers: list[list[datetime]] = []

    def ask() -> None:
        answers.append([openings.add(start, HOUR * 30) for start in starts])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 4


def test_the_edition_of_the_zone_rules_is_known():
    assert tzdata_version()[:4].isdigit()
