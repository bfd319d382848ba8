"""The calendar and the offline evaluator against seconds counted by the tests, in hostile zones.

A run draws calendars from one seed, which it prints; `SEED=…` repeats it. Everyday runs ask 20,000 questions
of 40 calendars, `make prove` a million of 2,000.
"""

import json
import os
import sys
from array import array
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random, SystemRandom
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from services.sla.usecases.offline import Evaluator
from smarketing.businesstime import Calendar, CalendarNeverOpens, Openings
from tests.builders.second_by_second import EPOCH, SECOND, SlowCount, zone_of
from tests.builders.slow_clock import SlowClock

CALENDARS, QUESTIONS = (2_000, 500) if "PROVE" in os.environ else (40, 500)
HOUR = 3600 * SECOND

# A zone, and a date near which its clocks did something worth asking about.
MOMENTS = [
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Pacific/Apia", date(2012, 4, 1)),
    ("Pacific/Kwajalein", date(1993, 8, 21)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("Africa/Cairo", date(2026, 10, 29)),
    ("Africa/Cairo", date(2014, 7, 31)),
    ("Asia/Beirut", date(2026, 3, 29)),
    ("Asia/Beirut", date(2026, 10, 24)),
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("Africa/Casablanca", date(2026, 3, 22)),
    ("Asia/Kathmandu", date(1986, 1, 1)),
    ("Asia/Kathmandu", date(2026, 9, 21)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2019, 2, 17)),
    ("America/St_Johns", date(2006, 10, 29)),
    ("America/Juneau", date(1867, 10, 18)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("Europe/Berlin", date(2345, 3, 25)),
    ("Europe/Dublin", date(2026, 3, 29)),
    ("Pacific/Chatham", date(2026, 9, 27)),
    ("Asia/Seoul", date(2026, 12, 31)),
    ("Asia/Seoul", date(1988, 5, 8)),
    ("Etc/UTC", date(2024, 2, 29)),
]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SHAPES: list[dict[str, list[list[str]]]] = [
    {day: [["09:00", "18:00"]] for day in WEEKDAYS[:5]},
    {day: [["09:00", "12:30"], ["13:30", "17:00"]] for day in WEEKDAYS[:5]},
    {day: [["00:00", "24:00"]] for day in WEEKDAYS},
    {day: [["22:00", "06:00"]] for day in WEEKDAYS},
    {day: [["00:00", "00:30"], ["01:30", "10:00"], ["23:30", "24:00"]] for day in WEEKDAYS},
    {day: [["02:30", "10:00"]] for day in WEEKDAYS},
    {},
]

Times = list[list[str]]


def seed_of_run() -> int:
    return int(os.environ.get("SEED") or SystemRandom().randrange(2**32))


def time_of_day(random: Random) -> str:
    if random.random() < 0.15:
        second = random.randrange(86_400)
        return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{random.randrange(24):02}:{random.choice((0, 15, 30, 45)):02}"


def windows(random: Random) -> Times:
    drawn = []
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        opens = time_of_day(random)
        kind = random.randrange(5)
        if kind == 0:  # half an hour
            start = (int(opens[:2]) * 60 + int(opens[3:5]) + 30) % 1440
            closes = f"{start // 60:02}:{start % 60:02}"
        else:
            closes = ("24:00", opens, time_of_day(random), time_of_day(random))[kind - 1]
        drawn.append([opens, closes])
    return drawn


def a_definition(random: Random) -> tuple[dict[str, Any], date]:
    """A calendar of any shape, its dated entries around a moment of its zone."""
    zone, moment = random.choice(MOMENTS)
    hours = random.choice(SHAPES) if random.random() < 0.4 else {day: windows(random) for day in WEEKDAYS}

    def nearby(most: int) -> list[str]:
        days = (moment + timedelta(days=random.randint(-5, 5)) for _ in range(random.randint(0, most)))
        return sorted({day.isoformat() for day in days})

    definition = {
        "tz": zone,
        "hours": hours,
        "holidays": nearby(3),
        "overrides": {day: windows(random) for day in nearby(3)},
        "breaks": {day: windows(random) for day in nearby(4)},
    }
    return definition, moment


class Examiner:
    """Asks one calendar, and tells where an answer is not the slow one."""

    def __init__(
        self, random: Random, definition: dict[str, Any], moment: date, evaluator: Evaluator
    ) -> None:
        self.random = random
        self.definition = definition
        self.slow = SlowCount(definition, moment)
        self.counted = self.slow.counted
        # Leave and breaks are cut out alike: a part of the breaks is asked for as somebody's leave.
        breaks = dict(definition["breaks"])
        leave = {day: breaks.pop(day) for day in list(breaks) if random.random() < 0.5}
        self.openings = Openings(
            Calendar.of(
                definition["tz"],
                definition["hours"],
                holidays=definition["holidays"],
                overrides=definition["overrides"],
                breaks=breaks,
                leave=leave,
            )
        )
        self.evaluator = evaluator
        self.zone = zone_of(definition["tz"])
        bounds = np.flatnonzero(np.diff(self.slow.seconds)) + 1
        self.edges = [self.slow.first + int(edge) * SECOND for edge in bounds]
        self.asked: Counter[str] = Counter()
        self.ways = (
            [self.between] * 26
            + [self.add] * 26
            + [self.is_open] * 8
            + [self.far] * 11
            + [self.batch]
            + [self.offline] * 22
        ) + [self.clock] * 6

    def instant(self) -> int:
        random, low, high = self.random, self.slow.first + 30 * HOUR, self.slow.last - 30 * HOUR
        kind = random.randrange(4)
        if kind == 0 and self.edges:
            near = random.choice(self.edges) + random.choice((-SECOND, -1, 0, 1, SECOND))
            return min(max(near, low), high)
        if kind == 1:
            return random.randrange(low // (900 * SECOND), high // (900 * SECOND)) * 900 * SECOND
        return (
            random.randrange(low // SECOND, high // SECOND) * SECOND
            if kind == 2
            else random.randint(low, high)
        )

    def instants(self, count: int) -> list[int]:
        """Some instants, anywhere or within two days."""
        if self.random.random() < 0.4:
            return [self.instant() for _ in range(count)]
        first, most = self.instant(), self.slow.last - 30 * HOUR
        spread = self.random.choice((4 * HOUR, 12 * HOUR, 48 * HOUR))
        return [min(first + self.random.randint(0, spread), most) for _ in range(count)]

    def amount(self, most: int) -> int:
        """An amount of open time that there is: to the brim, or to an edge, more often than chance would."""
        kind = self.random.randrange(4)
        if kind == 0:
            return most
        whole = min(most, self.random.choice((1, 900 * SECOND, HOUR, 8 * HOUR, 90_000 * SECOND)))
        return whole if kind == 1 else self.random.randint(0, most)

    def examine(self, questions: int) -> Iterator[str]:
        for _ in range(questions):
            way = self.random.choice(self.ways)
            self.asked[way.__name__] += 1
            question, expected, got = way()
            if expected != got:
                asked = f"{way.__name__} {question} of {json.dumps(self.definition)}"
                yield f"{asked}: {expected} is right, not {got}"

    def between(self) -> tuple[object, object, object]:
        start, end = self.instant(), self.instant()
        return (start, end), self.counted.between(start, end), self.openings.between_us(start, end)

    def is_open(self) -> tuple[object, object, object]:
        at = self.instant()
        return at, self.counted.is_open(at), self.openings.is_open_us(at)

    def add(self) -> tuple[object, object, object]:
        start = self.instant()
        ahead, behind = self.counted.total - self.counted.upto(start), self.counted.upto(start)
        if ahead == 0 and not any(self.definition["hours"].values()):
            return (start, 1), "never", self._added(start, 1)
        amount = self.amount(ahead) if self.random.random() < 0.7 else -self.amount(behind)
        return (start, amount), self.counted.add(start, amount), self._added(start, amount)

    def _added(self, start: int, amount: int) -> object:
        try:
            return self.openings.add_us(start, amount)
        except CalendarNeverOpens:
            return "never"

    def far(self) -> tuple[object, object, object]:
        start, end = (self.random.randint(self.slow.begin, self.slow.end) for _ in range(2))
        if self.random.random() < 0.5:
            end = self.instant()
        return (start, end), self.slow.far_between(start, end), self.openings.between_us(start, end)

    def batch(self) -> tuple[object, object, object]:
        """Instants of all years in one array: those far off are answered one by one."""
        starts = [self.random.randint(self.slow.begin, self.slow.end), *self.instants(20)]
        ends = [self.random.randint(self.slow.begin, self.slow.end), *self.instants(20)]
        least = min(self.counted.total - self.counted.upto(start) for start in starts[1:])
        amount = max(self.amount(least), 1) if least else 0
        expected = [
            [self.slow.far_between(start, end) for start, end in zip(starts, ends, strict=True)],
            [self.counted.add(start, amount) for start in starts[1:]],
        ]
        got = [
            list(self.openings.between_many_us(starts, ends)),
            list(self.openings.add_many_us(array("q", starts[1:]), amount)),
        ]
        return (starts, ends, amount), expected, got

    def offline(self) -> tuple[object, object, object]:
        kind = self.random.choice(("add_business_time", "business_between", "is_open"))
        start, end = self.instant(), self.instant()
        if kind == "is_open":
            return start, {"open": self.counted.is_open(start)}, self._evaluated(kind, at=self._text(start))
        if kind == "business_between":
            got = self._evaluated(kind, start=self._text(start), end=self._text(end))
            return (start, end), self.counted.between(start, end), round(got["seconds"] * SECOND)
        amount = self.amount(self.counted.total - self.counted.upto(start)) // SECOND
        got = self._evaluated(kind, start=self._text(start), amount_seconds=amount)
        return (start, amount), self.counted.add(start, amount * SECOND), _us(got["due"])

    def clock(self) -> tuple[object, object, object]:
        random = self.random
        ats = sorted(self.instants(random.randint(3, 9)))
        start, as_of = ats[0], ats[-1]
        # Whatever was paused until then, so much open time is left for the clock to run out in.
        target = self.amount(self.counted.total - self.counted.upto(as_of)) // SECOND
        kinds = [random.choice(("hold", "go_on", "wait", "on", "stop", "undo")) for _ in ats[1:-1]]
        events = [(start, "start"), *zip(ats[1:-1], kinds, strict=True)]
        if random.random() < 0.2:
            events.insert(0, (start, "hold"))
        clock = {
            "name": "c",
            "target_seconds": target,
            "start": "start",
            "stop": ["stop"],
            "reopen": ["undo"],
            "pauses": [["hold", "go_on"], ["wait", "on"]],
        }
        asked = [{"at": self._text(at), "type": kind} for at, kind in events]
        got = self._evaluated("clock", clocks=[clock], events=asked, as_of=self._text(as_of))["clocks"]["c"]
        expected = SlowClock(self.counted, target * SECOND).shown(events, as_of)
        return (events, target, as_of), expected, comparable(got)

    def _text(self, at: int) -> str:
        return (EPOCH + timedelta(microseconds=at)).astimezone(self.zone).isoformat()

    def _evaluated(self, kind: str, **given: object) -> Any:
        case = {"id": 1, "kind": kind, "calendar": self.definition, "input": given}
        text, _ = self.evaluator.answer(json.dumps(case))
        return json.loads(text).get("result", text)


def _us(text: str) -> int:
    return (datetime.fromisoformat(text).astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def comparable(shown: Any) -> dict[str, object]:
    return {
        name: _us(value) if isinstance(value, str) and name != "state" else value
        for name, value in ((key, _amount(key, each)) for key, each in shown.items())
    }


def _amount(name: str, value: Any) -> Any:
    return round(value * SECOND) if name.endswith("_seconds") else value


@pytest.mark.timeout(3600)
def test_no_answer_differs_from_the_seconds_counted_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    seed, began = seed_of_run(), perf_counter()
    evaluator, asked, wrong = Evaluator(), Counter[str](), list[str]()
    zones: set[str] = set()
    for number in range(CALENDARS):
        random = Random(f"{seed}/{number}")
        definition, moment = a_definition(random)
        examiner = Examiner(random, definition, moment, evaluator)
        wrong += examiner.examine(QUESTIONS)
        asked += examiner.asked
        zones.add(definition["tz"])
    ways = ", ".join(f"{way} {count:,}" for way, count in sorted(asked.items()))
    with capsys.disabled():
        sys.stdout.write(
            f"\ncalendar: {asked.total():,} questions of {CALENDARS:,} calendars in {len(zones)} zones, "
            f"{len(wrong)} differences, seed {seed}, {perf_counter() - began:.0f} s ({ways})\n"
        )

    assert not wrong, f"seed {seed}: {len(wrong)} differences, the first: {wrong[0]}"
    assert asked.total() == CALENDARS * QUESTIONS
