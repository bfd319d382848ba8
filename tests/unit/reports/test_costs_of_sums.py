"""A question costs what its sums cost, never what handoffs or clocks would: the database counts its steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from services.reports.domain.agreements import AgreementKnown, CalendarKnown
from services.reports.domain.clocks import ClockChange
from services.reports.domain.delays import PARTS
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.domain.responses import Measure
from services.reports.domain.words import Accepted, Offered, Voided
from services.reports.store.cycles import CycleQueries
from services.reports.store.delays import DelayQueries
from services.reports.store.figures import Figures
from services.reports.store.late_clocks import LateClocks
from services.reports.store.queries import Queries, Question
from services.reports.store.responses import ResponseQueries
from smarketing.businesstime import Calendar
from smarketing.businesstime.calendar import Window
from tests.builders.reports import TENANT, Ledger, a_ledger, at, clock_event, handoff, submitted
from tests.builders.stores import skip_unless_sqlite

_VERSION = f"{TENANT}/agreements/main/versions/1"
_HOUR = 3_600_000_000
_MINUTE = 60_000_000
_NOW = at(days=20)
_OFFICE = CalendarKnown("calendars/1", Calendar(zone="Etc/UTC", hours=((Window(36_000, 64_800),),) * 7))
_AGREED = AgreementKnown(TENANT, _VERSION, "active", "calendars/1", at(), ())

Asked = Callable[[Connection, Queries, Question], Any]


def _question(*group_by: Dimension) -> Question:
    return Question(tenant=TENANT, period=Period.month(2026, 3), now=_NOW, group_by=group_by)


@contextmanager
def _many(count: int, *, calendar_first: bool = True) -> Iterator[Ledger]:
    """Give so many missed handoffs of three hours, one of three done late, one accepted, one not offered."""
    with a_ledger() as ledger:
        if calendar_first:
            ledger.sla(_OFFICE, _AGREED)
        words: list[Any] = []
        told: list[Any] = []
        for number in range(1, count + 1):
            start = at(minutes=number % 3 * 60)
            words.append(submitted(number, start, inquire_time=start - _HOUR))
            if number % 3:
                words.append(Offered(TENANT, handoff(number), start + 30 * _MINUTE, f"o{number}", "kim", ""))
                words.append(Accepted(TENANT, handoff(number), start + _HOUR, f"o{number}", "kim", ""))
            told.append(clock_event(ClockChange.STARTED, start, number, start_time=start))
            told.append(clock_event(ClockChange.BREACHED, start + 8 * _HOUR, number, start_time=start))
            if number % 3 == 1:
                late = clock_event(
                    *(ClockChange.STOPPED_LATE, start + 20 * _HOUR, number),
                    start_time=start,
                    elapsed=9 * _HOUR,
                )
                told.append(late)
        ledger.leads(*words)
        ledger.sla(*told)
        if not calendar_first:
            ledger.sla(_OFFICE, _AGREED)
        yield ledger


def _owner(connection: Connection, queries: Queries, question: Question) -> Any:
    many = ResponseQueries(queries, most_single_items=-1)
    return many.items(connection, question, Measure.OWNER_FIRST_FOLLOW_UP)


def _parts(connection: Connection, queries: Queries, question: Question) -> Any:
    return DelayQueries(queries, most_single=-1).parts(connection, question)


def _late(connection: Connection, queries: Queries, question: Question) -> Any:
    return LateClocks(queries, most_single=-1).late_by(connection, question)


def _never(connection: Connection, queries: Queries, question: Question) -> Any:
    return LateClocks(queries, most_single=-1).never_served(connection, question)


def _cycle(connection: Connection, queries: Queries, question: Question) -> Any:
    return CycleQueries(queries, most_single=-1).rows(connection, question)


def _figure(kpi_id: str, basis: Basis | None = None) -> Asked:
    def asked(connection: Connection, queries: Queries, question: Question) -> Any:
        many = ResponseQueries(queries, most_single_items=-1)
        return Figures(queries, many).query(connection, kpi_id, question, basis)

    return asked


def _steps(ledger: Ledger, asked: Asked, question: Question) -> int:
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    with ledger.database.reading() as connection:
        queries = Queries(ledger.tables)
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(count, 1)
        try:
            asked(connection, queries, question)
        finally:
            driver.set_progress_handler(None, 0)
    return counted[0]


@pytest.mark.parametrize(
    ("asked", "group_by"),
    [
        (_owner, ()),
        (_owner, (Dimension.SOURCE,)),
        (_parts, ()),
        (_parts, (Dimension.TEAM,)),
        (_late, ()),
        (_late, (Dimension.COMMITMENT,)),
        (_never, ()),
        (_cycle, ()),
        (_cycle, (Dimension.SOURCE,)),
        (_figure("F8"), ()),
        (_figure("H7"), ()),
        (_figure("S11"), (Dimension.SOURCE,)),
    ],
)
def test_ten_times_as_many_of_the_same_hours_cost_no_more(
    asked: Asked, group_by: tuple[Dimension, ...]
) -> None:
    skip_unless_sqlite("SQLite's machine counts its steps")
    question = _question(*group_by)
    with _many(30) as few, _many(300) as many:
        steps = _steps(few, asked, question), _steps(many, asked, question)

    assert steps[1] <= 1.2 * steps[0]


@pytest.mark.parametrize("asked", [_parts, _late, _never, _owner])
def test_sums_say_of_few_clocks_what_the_clocks_say(asked: Asked) -> None:
    """Clocks of an hour begin at one instant here, so that their mean is exact."""
    one_by_one: dict[Any, Asked] = {
        _parts: lambda connection, queries, question: DelayQueries(queries).parts(connection, question),
        _late: lambda connection, queries, question: LateClocks(queries).late_by(connection, question),
        _never: lambda connection, queries, question: LateClocks(queries).never_served(connection, question),
        _owner: lambda connection, queries, question: ResponseQueries(queries).items(
            connection, question, Measure.OWNER_FIRST_FOLLOW_UP
        ),
    }
    with _many(30) as ledger, ledger.database.reading() as connection:
        queries = Queries(ledger.tables)
        summed, single = (
            _plain(read(connection, queries, _question())) for read in (asked, one_by_one[asked])
        )

    assert summed == single


def test_who_had_it_before_it_was_ever_offered_counts_its_time_once() -> None:
    with a_ledger() as ledger:
        ledger.sla(_OFFICE, _AGREED)
        ledger.leads(
            submitted(1, at()),
            Accepted(TENANT, handoff(1), at() + _HOUR, "", "kim", ""),
            Offered(TENANT, handoff(1), at() + 5 * _HOUR, "o1", "ann", ""),
        )
        ledger.sla(
            clock_event(ClockChange.STARTED, at(), 1, start_time=at()),
            clock_event(ClockChange.BREACHED, at() + 8 * _HOUR, 1, start_time=at()),
        )
        with ledger.database.reading() as connection:
            queries = Queries(ledger.tables)
            summed = dict(_parts(connection, queries, _question()))
            single = dict(DelayQueries(queries).parts(connection, _question()))

    for part in ("routing", "offered", "source"):
        assert summed[part,].numerator == single[part,].numerator
    assert summed["routing",].denominator == single["routing",].denominator


def _plain(found: Any) -> Any:
    """Return figures as they are, and waits by how many there are of each."""
    if not isinstance(found, dict):
        return sorted(found, key=lambda each: each[0])
    return {group: [items.curve().quantile(share) for share in (0.1, 0.3)] for group, items in found.items()}


def test_the_parts_of_a_delay_are_those_of_its_hours() -> None:
    with _many(9) as ledger, ledger.database.reading() as connection:
        found = dict(_parts(connection, Queries(ledger.tables), _question()))

    seconds = {part: found[part,].numerator for part in PARTS}
    assert seconds["source"] == 9 * 3600
    # Three wait for an offer since 9:00, until now: twenty days. The others waited half an hour for each.
    assert seconds["routing"] == 6 * 1800 + 3 * 20 * 86_400
    assert seconds["offered"] == 6 * 1800
    # Three were with the owner from 11:00 to 6:00, of which seven hours are open; three are since 12:00, for
    # six hours, nineteen days of eight, and as far as 9:00, when nothing is open yet.
    assert seconds["owner"] == 3 * 7 * 3600 + 3 * (6 + 19 * 8) * 3600
    assert seconds["closed"] == 3 * 12 * 3600 + 3 * (12 + 19 * 16 + 3) * 3600
    assert seconds["paused"] == 0


def test_a_calendar_that_is_told_of_late_counts_the_clocks_before_it_anew() -> None:
    with _many(9) as first, _many(9, calendar_first=False) as last:
        assert first.content() == last.content()


def test_a_handoff_with_two_missed_clocks_is_missed_once() -> None:
    with a_ledger() as ledger:
        ledger.leads(submitted())
        for number in (1, 2):
            ledger.sla(clock_event(ClockChange.BREACHED, at(hours=9), number, handoff=handoff(1)))
        rows = [row for row in ledger.content()["tally_rollup"] if row[1] == "missed"]
        assert [row[-2] for row in rows] == [1, 1]

        ledger.sla(clock_event(ClockChange.RETRACTED, at(hours=10), 1, handoff=handoff(1)))
        rows = [row for row in ledger.content()["tally_rollup"] if row[1] == "missed"]
        assert [row[-2] for row in rows] == [1, 1]

        ledger.sla(clock_event(ClockChange.EXCUSED, at(hours=11), 2, handoff=handoff(1)))
        assert [row for row in ledger.content()["tally_rollup"] if row[1] == "missed"] == []


def test_a_void_handoff_takes_its_wait_for_a_win_with_it() -> None:
    with a_ledger() as ledger:
        ledger.leads(submitted(), Voided(TENANT, handoff(), at(hours=1), "test"))
        anchors = {row[1] for row in ledger.content()["waiting_rollup"]}

    assert Measure.INQUIRY_TO_WIN.value not in anchors
