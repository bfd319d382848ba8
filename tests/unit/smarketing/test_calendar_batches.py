"""Many questions at once have the answers of one at a time, with numpy and without it."""

from array import array
from datetime import UTC, datetime, timedelta

import pytest

from smarketing.businesstime import CalendarNeverOpens, InstantOutOfRange, to_us
from smarketing.businesstime import openings as compiled
from tests.builders.sla import a_calendar

DAY = 86_400_000_000
NOON = to_us(datetime(2026, 9, 21, 12, tzinfo=UTC))
FAR_APART = [NOON, NOON - 200 * 365 * DAY, NOON + 300 * 365 * DAY, NOON + 1, NOON - DAY]


@pytest.fixture(params=["with numpy", "without numpy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "without numpy":
        monkeypatch.setattr(compiled, "_has_numpy", lambda: False)
    return request.param


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("amount", [-DAY, -1, 0, 1, DAY, 3 * 365 * DAY])
def test_a_batch_is_answered_like_its_questions_one_by_one(amount):
    batch, single = a_calendar("Europe/Berlin"), a_calendar("Europe/Berlin")

    assert list(batch.add_many_us(FAR_APART, amount)) == [single.add_us(at, amount) for at in FAR_APART]
    ends = [at + amount for at in FAR_APART]
    assert list(batch.between_many_us(array("q", FAR_APART), ends)) == [
        single.between_us(start, end) for start, end in zip(FAR_APART, ends, strict=True)
    ]


@pytest.mark.usefixtures("way")
def test_windows_of_a_minute_beside_long_ones_are_found_in_a_batch():
    hours = {"mon": [["09:00", "09:01"], ["09:01:01", "09:02"]], "thu": [["22:00", "21:59:59"]]}
    batch, single = a_calendar(hours=hours), a_calendar(hours=hours)
    starts = [NOON - 4 * DAY + 7_777_777 * n for n in range(100_000)]

    assert list(batch.add_many_us(starts, 60_000_000)) == [single.add_us(at, 60_000_000) for at in starts]
    later = [start + 5 * DAY for start in starts]
    assert list(batch.between_many_us(starts, later)) == [
        single.between_us(start, end) for start, end in zip(starts, later, strict=True)
    ]


@pytest.mark.usefixtures("way")
def test_a_batch_with_a_question_that_has_no_answer_has_none():
    closed = a_calendar(hours={})

    with pytest.raises(CalendarNeverOpens):
        closed.add_many_us([NOON, NOON], 1)
    assert list(closed.between_many_us([NOON], [NOON + DAY])) == [0]
    with pytest.raises(InstantOutOfRange):
        a_calendar().add_many_us([NOON, 2**80], 1)
    with pytest.raises(InstantOutOfRange):
        a_calendar().add_many_us([NOON, 2**62], 1)
    with pytest.raises(InstantOutOfRange):
        a_calendar().add_many_us([NOON], 2**62)


@pytest.mark.usefixtures("way")
def test_a_batch_of_nothing_has_no_answers_and_every_start_needs_its_end():
    openings = a_calendar()

    assert list(openings.add_many_us([], 1)) == []
    assert list(openings.between_many_us([], [])) == []
    with pytest.raises(ValueError, match="as many ends as starts"):
        openings.between_many_us([NOON], [])


def test_holidays_after_the_first_batch_of_another_calendar_change_nothing_in_it():
    plain = a_calendar()
    with_holiday = a_calendar(holidays=["2026-09-22"])
    eight_hours = to_us(datetime(1970, 1, 1, 8, tzinfo=UTC))

    dues = [each.add_many_us([NOON], eight_hours)[0] for each in (plain, with_holiday)]
    assert timedelta(microseconds=dues[1] - dues[0]) == timedelta(days=1)
