"""Lists that the database counts by hours say what a reading one by one says, but for the hour."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.reports.domain.agreements import AgreementKnown, CalendarKnown, TenantSet
from services.reports.domain.clocks import ClockChange
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.domain.responses import Measure
from services.reports.domain.words import Accepted, Offered
from services.reports.store.backlog import BacklogQueries
from services.reports.store.late_clocks import LateClocks
from services.reports.store.queries import Queries, Question
from services.reports.store.responses import ResponseQueries
from smarketing.businesstime import Calendar
from smarketing.businesstime.calendar import Window
from tests.builders.reports import TENANT, Ledger, a_ledger, at, clock_event, handoff, submitted

_HOUR = 3_600_000_000
_NOW = at(days=40)
_VERSION = f"{TENANT}/agreements/main/versions/1"
_CALENDAR = Calendar(zone="Asia/Seoul", hours=((Window(9 * 3600, 18 * 3600),),) * 5 + ((),) * 2)

_clock = st.tuples(
    st.integers(0, 30 * 24 * 60),
    st.sampled_from(["running", "void", "breached", "late", "paused"]),
    st.integers(1, 60 * 24 * 8),
    st.sampled_from(["north", "south"]),
)


def _told(ledger: Ledger, clocks: list[tuple[Any, ...]]) -> None:
    ledger.sla(
        CalendarKnown("calendars/1", _CALENDAR),
        AgreementKnown(TENANT, _VERSION, "active", "calendars/1", at(), ()),
    )
    for number, (minute, became, later, team) in enumerate(clocks, 1):
        start = at(minutes=minute)
        told: dict[str, Any] = {"start_time": start, "due_time": start + 8 * _HOUR, "team": team}
        ends = {
            "running": [],
            "void": [(ClockChange.VOIDED, start + later * 60_000_000)],
            "paused": [(ClockChange.PAUSED, start + later * 60_000_000)],
            "breached": [(ClockChange.BREACHED, start + 8 * _HOUR)],
            "late": [
                (ClockChange.BREACHED, start + 8 * _HOUR),
                (ClockChange.STOPPED_LATE, start + 8 * _HOUR + later * 60_000_000),
            ],
        }
        ledger.sla(clock_event(ClockChange.STARTED, start, number, **told))
        for change, time in ends[became]:
            ledger.sla(clock_event(change, time, number, **told))


def _question(*group_by: Dimension) -> Question:
    return Question(tenant=TENANT, period=Period.month(2026, 3), group_by=group_by, now=_NOW)


@settings(max_examples=25, deadline=None)
@given(st.lists(_clock, max_size=14), st.sampled_from([(), (Dimension.TEAM,), (Dimension.MONTH,)]))
def test_owners_who_still_wait_are_off_by_an_hour_at_most(
    clocks: list[tuple[Any, ...]], group_by: tuple[Dimension, ...]
) -> None:
    with a_ledger() as ledger:
        _told(ledger, clocks)
        queries = Queries(ledger.tables)
        single, many = ResponseQueries(queries), ResponseQueries(queries, most_single_items=-1)
        with ledger.database.reading() as connection:
            exact = single.items(connection, _question(*group_by), Measure.OWNER_FIRST_FOLLOW_UP)
            hourly = many.items(connection, _question(*group_by), Measure.OWNER_FIRST_FOLLOW_UP)

    assert exact.keys() == hourly.keys()
    for group, items in exact.items():
        assert items.item_count == hourly[group].item_count
        assert items.curve().waiting_count == hourly[group].curve().waiting_count
        pairs = zip(_durations(items), _durations(hourly[group]), strict=True)
        assert all(abs(one - other) <= _HOUR for one, other in pairs)


def _durations(items: Any) -> list[int]:
    return sorted(duration for duration, number in items.durations() for _ in range(number))


@settings(max_examples=25, deadline=None)
@given(st.lists(_clock, max_size=14), st.sampled_from([(), (Dimension.TEAM,)]))
def test_how_late_many_were_is_off_by_an_hour_at_most(
    clocks: list[tuple[Any, ...]], group_by: tuple[Dimension, ...]
) -> None:
    with a_ledger() as ledger:
        _told(ledger, clocks)
        queries = Queries(ledger.tables)
        with ledger.database.reading() as connection:
            exact = dict(LateClocks(queries).late_by(connection, _question(*group_by)))
            hourly = dict(LateClocks(queries, most_single=-1).late_by(connection, _question(*group_by)))

    assert exact.keys() == hourly.keys()
    for group, figure in exact.items():
        other = hourly[group]
        assert (figure.denominator, figure.open_count) == (other.denominator, other.open_count)
        if figure.duration is not None and other.duration is not None:
            assert abs(figure.duration - other.duration) <= _HOUR


_sources = st.sampled_from(["expo", "web"])
_lead = st.tuples(
    st.integers(0, 70 * 24 * 60), st.booleans(), st.booleans(), st.sampled_from(["expo", "web"])
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(_lead, max_size=14),
    st.sampled_from([(), (Dimension.SOURCE,), (Dimension.STATE,), (Dimension.STATE, Dimension.SOURCE)]),
)
def test_the_median_age_of_a_backlog_is_exact(
    leads: list[tuple[Any, ...]], group_by: tuple[Dimension, ...]
) -> None:
    with a_ledger() as ledger:
        ledger.leads(TenantSet(TENANT, "America/New_York", "EUR"))
        for number, (minute, offered, accepted, source) in enumerate(leads, 1):
            began = at(minutes=minute)
            ledger.leads(submitted(number, began, source=source))
            if offered:
                ledger.leads(Offered(TENANT, handoff(number), began + _HOUR, f"o{number}", "kim", ""))
            if offered and accepted:
                ledger.leads(Accepted(TENANT, handoff(number), began + 30 * _HOUR, f"o{number}", "kim", ""))
        with ledger.database.reading() as connection:
            found = BacklogQueries(Queries(ledger.tables)).ages(connection, _question(*group_by))
            fact = ledger.tables.handoff_fact
            columns = [fact.c[dimension.value] for dimension in group_by]
            rows = connection.execute(select(*columns, fact.c.open_since)).all()

    ages: dict[Any, list[int]] = {} if group_by else {(): []}
    for *group, since in rows:
        ages.setdefault(tuple(group), []).append(_NOW - since)
    expected = {group: sorted(own)[(len(own) - 1) // 2] if own else None for group, own in ages.items()}
    assert {group: figure.duration for group, figure in found} == expected
    assert {group: figure.denominator for group, figure in found} == {g: len(own) for g, own in ages.items()}
