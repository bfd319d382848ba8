"""Holidays come into a calendar by a person's word alone."""

from datetime import date

import pytest

from services.sla.domain.holidays import HolidayReview, Published
from services.sla.domain.refused import CalendarClosed, CalendarUnknown, NotYours
from services.sla.store.planning import last_reviewed_year
from services.sla.usecases.planning import (
    ActivateHolidays,
    ProposeHolidays,
    activate_holidays,
    propose_holidays,
    published_holidays,
)
from smarketing.businesstime import Calendar
from tests.builders.sla_engine import SALES_MANAGER, Engine

CHRISTMAS = (date(2026, 12, 25), "Christmas")
REVIEW = "tenants/default/calendars/office/holidayReviews/2026"


def propose(engine: Engine, *titles: tuple[date, str], calendar: str = "office") -> HolidayReview | Exception:
    published = Published(year=2026, country="KR", subdivision="", titles=titles, lists_version="lists 1")
    request = ProposeHolidays(tenant="default", calendar=calendar, published=published, actor=SALES_MANAGER)
    (answer,) = engine._act(propose_holidays, [request])
    return answer


def activate(engine: Engine, etag: str = "1", actor: str = SALES_MANAGER) -> HolidayReview | Exception:
    request = ActivateHolidays(name=REVIEW, etag=etag, declined=(), added=(), actor=actor)
    (answer,) = engine._act(activate_holidays, [request])
    return answer


def last_year(engine: Engine) -> int | None:
    with engine.database.reading() as connection:
        return last_reviewed_year(connection, "default", "office")


def test_a_system_may_draw_a_list_up_and_not_put_it_in_force() -> None:
    engine = Engine()
    propose(engine, CHRISTMAS)

    assert isinstance(activate(engine, actor="tenants/default/systems/robot"), NotYours)
    assert isinstance(activate(engine), HolidayReview)


def test_a_year_counts_as_reviewed_only_once_its_list_is_in_force() -> None:
    engine = Engine()
    propose(engine, CHRISTMAS)
    before = last_year(engine)
    activate(engine)

    assert (before, last_year(engine)) == (None, 2026)


def test_the_days_of_other_years_stay_as_they_are() -> None:
    engine = Engine()
    hours = {"mon": [["09:00", "18:00"]]}
    engine.make_calendar(
        Calendar.of("Asia/Seoul", hours, holidays=["2025-05-05", "2026-05-05", "2027-05-05"])
    )
    review = propose(engine, CHRISTMAS)
    assert isinstance(review, HolidayReview)

    kept = review.looked_through(etag="1", declined=[date(2026, 5, 5)], added=[])
    calendar = kept.kept_by(Calendar.of("Asia/Seoul", hours, holidays=["2025-05-05", "2026-05-05"]))
    assert calendar.holidays == {date(2025, 5, 5), date(2026, 12, 25)}


def test_a_calendar_that_would_never_open_again_is_not_made() -> None:
    engine = Engine()
    one_day = Calendar.of("Asia/Seoul", {}, overrides={"2026-12-25": [["09:00", "18:00"]]})
    engine.make_calendar(one_day)
    propose(engine, CHRISTMAS)

    assert isinstance(activate(engine), CalendarClosed)
    assert last_year(engine) is None


def test_a_calendar_that_is_not_there_has_no_holidays() -> None:
    assert isinstance(propose(Engine(), CHRISTMAS, calendar="nowhere"), CalendarUnknown)


@pytest.mark.parametrize(
    ("country", "subdivision", "day"),
    [
        ("KR", "", date(2026, 9, 25)),  # Chuseok, by the moon
        ("DE", "BY", date(2026, 1, 6)),  # Epiphany, in some states
        ("US", "", date(2026, 11, 26)),  # the fourth Thursday
        ("GB", "SCT", date(2026, 11, 30)),  # St Andrew, in Scotland
    ],
)
def test_lists_know_what_a_country_and_its_parts_keep(country: str, subdivision: str, day: date) -> None:
    published = published_holidays(country, subdivision, 2026)

    assert day in dict(published.titles)
    assert {each.year for each, _ in published.titles} == {2026}


def test_what_only_a_part_keeps_is_not_in_the_whole_countrys_list() -> None:
    assert date(2026, 1, 6) not in dict(published_holidays("DE", "", 2026).titles)
