"""The calendar arithmetic against a slow count written for the tests: every boundary resolved alone by the
two rules of RFC 5545, then integers intersected. It shares nothing with the code but the zone files.
"""

import itertools
import os
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from smarketing.businesstime import BusinessTime, Calendar, CalendarNeverOpens, Openings, Window

# `make prove` raises this: the number of times more examples than in everyday runs.
MORE = int(os.environ.get("PROVE", "1"))
checked = settings(max_examples=60 * MORE, deadline=None)

# A zone, and a date near which its clocks did something worth testing.
MOMENTS = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("Africa/Cairo", date(2026, 10, 29)),
    ("Asia/Beirut", date(2026, 3, 29)),
    ("Asia/Beirut", date(2026, 10, 24)),
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("Africa/Casablanca", date(2026, 3, 22)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Asia/Kathmandu", date(1986, 1, 1)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2019, 2, 17)),
    ("America/Juneau", date(1867, 10, 18)),
    ("Europe/Berlin", date(2345, 3, 25)),
    ("America/New_York", date(1700, 1, 1)),
    ("Asia/Seoul", date(2026, 12, 31)),
]
DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def zone_of(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def us(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


@cache
def resolved(zone: str, local: datetime) -> int:
    """The first instant whose wall clock shows `local`, else the one read with the offset before the gap."""
    info = zone_of(zone)
    around = [local.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in (-30, 30)]
    offsets = [instant.astimezone(info).utcoffset() for instant in around]
    shown = [
        instant
        for instant in (local.replace(tzinfo=UTC) - offset for offset in offsets)
        if instant.astimezone(info).replace(tzinfo=None) == local
    ]
    return us(min(shown)) if shown else us(local.replace(tzinfo=UTC) - offsets[0])


def is_a_date(zone: str, day: date) -> bool:
    """Whether any quarter of an hour around bears that date on the wall."""
    info = zone_of(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=30)
    return any((start + timedelta(minutes=15 * n)).astimezone(info).date() == day for n in range(4 * 84))


def span(zone: str, day: date, window: Window) -> tuple[int, int]:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a local time
    return tuple(
        resolved(zone, midnight + timedelta(seconds=second)) for second in (window.opens, window.closes)
    )


def slow_openings(calendar: Calendar, first: date, days: int) -> list[tuple[int, int]]:
    """Open spans as a sorted list of disjoint pieces, from elementary cuts at every boundary."""
    opened, closed = [], []
    for day in (first + timedelta(days=n) for n in range(days)):
        if not is_a_date(calendar.zone, day):
            continue
        windows = dict(calendar.overrides).get(day, calendar.hours[day.weekday()])
        if day not in calendar.holidays:
            opened += [span(calendar.zone, day, window) for window in windows]
        for dated in (*calendar.breaks, *calendar.leave):
            if dated[0] == day:
                closed += [span(calendar.zone, day, window) for window in dated[1]]
    edges = sorted({edge for piece in (*opened, *closed) for edge in piece})
    return [
        (start, end)
        for start, end in itertools.pairwise(edges)
        if any(a <= start and end <= b for a, b in opened)
        and not any(a <= start and end <= b for a, b in closed)
    ]


def slow_between(pieces: list[tuple[int, int]], start: int, end: int) -> int:
    return sum(max(0, min(end, b) - max(start, a)) for a, b in pieces)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, ...]:
    drawn = []
    for _ in range(draw(st.integers(0, 3))):
        opens = draw(st.integers(0, 95)) * 900
        drawn.append(Window(opens, opens + draw(st.sampled_from([900, 3600, 8 * 3600, 45_000, 86_400]))))
    return tuple(drawn)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Calendar, date]:
    """A calendar of any shape, and the date that its dated entries and questions lie around."""
    zone, day = draw(st.sampled_from(MOMENTS))
    nearby = st.integers(-4, 4).map(lambda n: day + timedelta(days=n))
    dated = st.dictionaries(nearby, windows(), max_size=3).map(lambda entries: tuple(entries.items()))
    week = st.one_of(
        st.tuples(*[windows()] * 7),
        st.sampled_from(
            [
                ((Window(0, 86_400),),) * 7,
                ((Window(79_200, 108_000),),) * 7,
                ((Window(32_400, 64_800),),) * 5 + ((),) * 2,
                ((),) * 7,
            ]
        ),
    )
    calendar = Calendar(
        zone=zone,
        hours=draw(week),
        holidays=frozenset(draw(st.sets(nearby, max_size=2))),
        overrides=draw(dated),
        breaks=draw(dated),
        leave=draw(dated),
    )
    return calendar, day


@st.composite
def questions(draw: st.DrawFn) -> tuple[Openings, list[tuple[int, int]], int, int]:
    """Openings, the slow pieces around, and two instants among them: round ones, boundaries, or neither."""
    calendar, day = draw(worlds())
    pieces = slow_openings(calendar, day - timedelta(days=12), 24)
    middle = us(datetime(day.year, day.month, day.day, tzinfo=UTC))
    instants = st.one_of(
        st.integers(-7 * 96, 7 * 96).map(lambda n: middle + n * 900_000_000),
        st.integers(middle - 7 * DAY, middle + 7 * DAY),
        st.sampled_from(
            [edge for piece in pieces for edge in piece if abs(edge - middle) < 7 * DAY] or [middle]
        ),
    )
    return Openings(calendar), pieces, draw(instants), draw(instants)


@checked
@given(questions())
def test_open_time_between_two_instants_is_the_slow_count(question):
    openings, pieces, start, end = question

    expected = slow_between(pieces, start, end) if start <= end else -slow_between(pieces, end, start)
    assert expected == openings.between_us(start, end)


@checked
@given(questions())
def test_an_instant_is_open_when_a_slow_piece_holds_it(question):
    openings, pieces, instant, _ = question

    assert any(a <= instant < b for a, b in pieces) == openings.is_open_us(instant)


@checked
@given(questions())
def test_the_openings_listed_are_the_slow_pieces_joined(question):
    openings, pieces, one, other = question
    start, end = min(one, other), max(one, other)

    listed = openings.intervals_us(start, end)
    assert sum(b - a for a, b in listed) == slow_between(pieces, start, end)
    assert all(slow_between(pieces, a, b) == b - a > 0 for a, b in listed)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(listed))


@checked
@given(questions(), st.integers(0, 10**6))
def test_open_time_is_additive_over_any_split(question, permille):
    openings, _, start, end = question
    split = start + (end - start) * permille // 10**6

    whole = openings.between_us(start, end)
    assert whole == openings.between_us(start, split) + openings.between_us(split, end)


@checked
@given(questions(), st.integers(1, 20 * 3600 * 1_000_000))
def test_add_gives_the_first_instant_with_that_much_open_time(question, amount):
    openings, pieces, start, _ = question
    assume(slow_between(pieces, start, pieces[-1][1] if pieces else start) >= amount)

    due = openings.add_us(start, amount)
    assert slow_between(pieces, start, due) == amount
    assert slow_between(pieces, start, due - 1) == amount - 1


@checked
@given(questions(), st.integers(1, 20 * 3600 * 1_000_000))
def test_counting_back_gives_the_last_instant_with_that_much_open_time(question, amount):
    openings, pieces, start, _ = question
    assume(slow_between(pieces, pieces[0][0] if pieces else start, start) >= amount)

    begin = openings.add_us(start, -amount)
    assert slow_between(pieces, begin, start) == amount
    assert slow_between(pieces, begin + 1, start) == amount - 1


@checked
@given(questions(), st.integers(0, 20 * 3600 * 1_000_000), st.integers(0, 20 * 3600 * 1_000_000))
def test_a_later_start_or_a_greater_amount_is_never_due_earlier(question, amount, more):
    openings, _, one, other = question
    try:
        dues = [openings.add_us(start, amount) for start in sorted((one, other))]
        later = openings.add_us(min(one, other), amount + more)
    except CalendarNeverOpens:
        return

    assert dues[0] <= dues[1]
    assert dues[0] <= later


@checked
@given(questions(), st.integers(1, 3000 * 3600))
def test_the_answer_does_not_depend_on_what_was_asked_before(question, seconds):
    openings, _, start, end = question
    amount = BusinessTime.of(seconds=seconds).microseconds

    def answers(asked: Openings) -> list[object]:
        try:
            return [asked.between_us(start, end), asked.add_us(start, amount), asked.add_us(end, -amount)]
        except CalendarNeverOpens as refusal:
            return [str(refusal)]

    warm = Openings(openings.calendar)
    warm.between_us(us(datetime(2025, 6, 1, tzinfo=UTC)), us(datetime(2028, 6, 1, tzinfo=UTC)))
    assert answers(warm) == answers(openings) == answers(openings)
