"""Calendars of teams and people in different zones: whose counts from when, and when somebody works."""

from datetime import UTC, date, datetime, timedelta

from services.sla.domain.almanac import Leave, MadeCalendar
from services.sla.domain.rota import Assignment, Rota, working_hours
from smarketing.businesstime import Calendar
from tests.builders.sla import OFFICE, at

TEAM = "tenants/default/teams/sales"
REP = "tenants/default/people/rep"
NOW = datetime(2026, 9, 1, tzinfo=UTC)


def made(zone: str, **dated: object) -> MadeCalendar:
    return MadeCalendar(
        tenant="default",
        id=zone.rpartition("/")[2].lower(),
        number=1,
        title=zone,
        calendar=Calendar.of(zone, OFFICE, **dated),  # type: ignore[arg-type] # forwarded as written
        create_time=NOW,
        tzdata_version="",
    )


SEOUL, BERLIN, NEW_YORK = made("Asia/Seoul"), made("Europe/Berlin"), made("America/New_York")
BY_NAME = {each.name: each for each in (SEOUL, BERLIN, NEW_YORK)}


def given(holder: str, calendar: MadeCalendar | None, since: str) -> Assignment:
    return Assignment(
        tenant="default",
        holder=holder,
        calendar_version=calendar.name if calendar else "",
        effective_time=at(since),
        principal=REP,
        create_time=NOW,
    )


def day_of(*assignments: Assignment, leave: tuple[Leave, ...] = (), day: date) -> list[tuple[str, str]]:
    """When the rep works on a UTC date, as `HH:MM` in UTC."""
    parts = Rota.of(assignments).calendars_of(REP, TEAM, SEOUL, BY_NAME.__getitem__)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hours = working_hours(parts, leave, start=start, end=start + timedelta(days=1))
    return [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in hours]


TUESDAY, WEDNESDAY = date(2026, 9, 22), date(2026, 9, 23)


def test_a_persons_calendar_is_their_own_else_the_teams_else_the_agreements():
    team, own = given(TEAM, BERLIN, "2026-09-01T00:00Z"), given(REP, NEW_YORK, "2026-09-01T00:00Z")

    assert day_of(day=TUESDAY) == [("00:00", "09:00")]
    assert day_of(team, day=TUESDAY) == [("07:00", "16:00")]
    assert day_of(team, own, day=TUESDAY) == [("13:00", "22:00")]


def test_a_calendar_counts_from_its_instant_on_and_not_before():
    team = given(TEAM, BERLIN, "2026-09-01T00:00Z")
    moved = given(REP, NEW_YORK, "2026-09-22T15:00Z")

    assert day_of(team, moved, day=TUESDAY) == [("07:00", "15:00"), ("15:00", "22:00")]
    assert day_of(team, moved, day=WEDNESDAY) == [("13:00", "22:00")]


def test_who_has_their_own_calendar_taken_away_has_the_teams_again():
    team, own = given(TEAM, BERLIN, "2026-09-01T00:00Z"), given(REP, NEW_YORK, "2026-09-01T00:00Z")
    back = given(REP, None, "2026-09-23T00:00Z")

    assert day_of(back, own, team, day=TUESDAY) == [("13:00", "22:00")]
    assert day_of(back, own, team, day=WEDNESDAY) == [("07:00", "16:00")]


def test_leave_is_cut_out_unless_it_was_taken_back():
    away = Leave(
        tenant="default",
        person=REP,
        id="x",
        start_time=at("2026-09-22T03:00Z"),
        end_time=at("2026-09-22T05:00Z"),
    )

    assert day_of(leave=(away,), day=TUESDAY) == [("00:00", "03:00"), ("05:00", "09:00")]
    assert day_of(leave=(away.cancel(now=NOW),), day=TUESDAY) == [("00:00", "09:00")]


def test_a_clock_counts_in_its_teams_calendar_of_the_instant_it_starts():
    calendars = Rota.of([given(TEAM, BERLIN, "2026-09-22T00:00Z")]).with_teams(SEOUL, BY_NAME.__getitem__)

    names = [calendars.in_force(TEAM, at(f"2026-09-{day}T23:59:59.999999Z")).name for day in (21, 22)]
    assert names == [SEOUL.name, BERLIN.name]
    assert calendars.in_force("tenants/default/teams/other", at("2026-09-23T00:00Z")).name == SEOUL.name
