"""The smallest log on which the right reading of a figure of clocks and the plausible wrong one differ."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.reports.domain.agreements import AgreementKnown, CalendarKnown, Commitment
from services.reports.domain.clocks import ClockChange, ClockTally
from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Period
from services.reports.store.calendars import OpenTimes
from services.reports.store.clock_sums import ClockSums
from services.reports.store.figures import Figures, Scores
from services.reports.store.queries import Queries, Question
from services.reports.store.reconcile import Mismatches, reconcile
from services.reports.store.sheet import Sheet
from smarketing.businesstime import Calendar, load_zone
from tests.builders.reports import TENANT, Ledger, a_ledger, at, clock_event, submitted

_HOUR = 3_600_000_000
_LATER = at(days=30)
_MARCH = Period.month(2026, 3)
_VERSION = f"{TENANT}/agreements/main/versions/1"
_CALENDAR = f"{TENANT}/calendars/office/versions/1"
_OFFICE = CalendarKnown(
    _CALENDAR,
    Calendar.of("Etc/UTC", {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}),
)
_AGREEMENT = AgreementKnown(
    TENANT,
    _VERSION,
    "active",
    _CALENDAR,
    at(),
    (
        Commitment("first-follow-up", "First follow-up", ",sales,", "first_follow_up", 9000),
        Commitment("fresh", "Handed over fresh", ",marketing,", "freshness", 8000),
    ),
)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with a_ledger() as empty:
        yield empty


def _question(*group_by: Dimension, now: int, period: Period | None = None, party: str = "") -> Question:
    return Question(tenant=TENANT, period=period, group_by=group_by, now=now, party=party)


def _tally(ledger: Ledger, now: int = _LATER, period: Period | None = None) -> ClockTally:
    return _tallies(ledger, now=now, period=period).get((), ClockTally())


def _tallies(ledger: Ledger, *group_by: Dimension, now: int = _LATER, **how: Any) -> dict[Any, ClockTally]:
    with ledger.database.reading() as connection:
        return Queries(ledger.tables).clocks(connection, _question(*group_by, now=now, **how))


def _ask(ledger: Ledger, kpi_id: str, now: int = _LATER) -> Figure:
    with ledger.database.reading() as connection:
        figures = Figures(Queries(ledger.tables))
        return figures.query(connection, kpi_id, _question(now=now), None)[0].figure


def _scores(ledger: Ledger, now: int = _LATER) -> Scores:
    with ledger.database.reading() as connection:
        return Figures(Queries(ledger.tables)).scores(connection, _question(now=now))


def _started(number: int = 1, **changes: Any) -> Any:
    return clock_event(ClockChange.STARTED, at(), number, **changes)


def test_a_clock_met_early_is_counted_at_its_deadline_and_not_before(ledger: Ledger) -> None:
    ledger.sla(_started(), clock_event(ClockChange.MET, at(hours=1), elapsed=_HOUR))

    assert _ask(ledger, "S1", now=at(hours=2)).undefined is Undefined.NO_DENOMINATOR
    assert _ask(ledger, "S1", now=at(hours=8)).ratio == 1.0
    assert _ask(ledger, "S1").ratio == 1.0


def test_open_clocks_are_in_neither_part_and_shown_beside(ledger: Ledger) -> None:
    ledger.sla(
        _started(1),
        _started(2, due_time=at(days=60)),
        clock_event(ClockChange.MET, at(hours=1), 1, elapsed=_HOUR),
    )

    figure = _ask(ledger, "S1")

    assert (figure.numerator, figure.denominator, figure.open_count) == (1, 1, 1)


def test_excused_breaches_help_s1_and_not_s2(ledger: Ledger) -> None:
    ledger.sla(
        _started(1),
        clock_event(ClockChange.MET, at(hours=1), 1, elapsed=_HOUR),
        _started(2),
        clock_event(ClockChange.BREACHED, at(hours=8), 2),
        clock_event(ClockChange.EXCUSED, at(days=1), 2),
    )

    assert (_ask(ledger, "S1").ratio, _ask(ledger, "S2").ratio) == (1.0, 0.5)


def test_a_pause_that_moved_the_deadline_shows_in_s3(ledger: Ledger) -> None:
    moved = {"original_due_time": at(hours=8), "due_time": at(hours=10)}
    ledger.sla(_started(**moved), clock_event(ClockChange.MET, at(hours=9), elapsed=7 * _HOUR, **moved))

    assert (_ask(ledger, "S1").ratio, _ask(ledger, "S3").ratio) == (1.0, 0.0)


def test_done_late_is_no_longer_overdue_but_was_ever_overdue(ledger: Ledger) -> None:
    ledger.sla(
        _started(1),
        clock_event(ClockChange.BREACHED, at(hours=8), 1),
        clock_event(ClockChange.STOPPED_LATE, at(hours=9), 1, elapsed=9 * _HOUR),
        _started(2),
        clock_event(ClockChange.BREACHED, at(hours=8), 2),
    )

    assert (_ask(ledger, "S4").count, _ask(ledger, "S5").count) == (1, 2)
    assert _tally(ledger).breached == 2


@pytest.mark.parametrize("now", [at(hours=9), _LATER])
def test_a_clock_past_due_that_sla_has_not_settled_yet_is_overdue_and_no_breach(
    ledger: Ledger, now: int
) -> None:
    ledger.sla(_started())

    tally = _tally(ledger, now=now)

    assert (tally.overdue, tally.ever_overdue, tally.breached, tally.open) == (1, 1, 0, 1)


def test_a_paused_clock_is_not_overdue(ledger: Ledger) -> None:
    ledger.sla(_started(), clock_event(ClockChange.PAUSED, at(hours=1)))

    assert (_ask(ledger, "S4").count, _tally(ledger).open) == (0, 1)


def test_late_proof_of_a_timely_follow_up_takes_the_breach_back(ledger: Ledger) -> None:
    ledger.sla(
        _started(),
        clock_event(ClockChange.BREACHED, at(hours=8)),
        clock_event(ClockChange.RETRACTED, at(hours=7), elapsed=7 * _HOUR),
    )

    tally = _tally(ledger)

    assert (tally.met, tally.breached, tally.retracted, tally.overdue) == (1, 0, 1, 0)


def test_a_void_clock_is_in_no_ratio(ledger: Ledger) -> None:
    ledger.sla(_started(), clock_event(ClockChange.VOIDED, at(hours=1)))

    assert _ask(ledger, "S1").undefined is Undefined.NO_DENOMINATOR
    assert _tally(ledger).void == 1


def test_a_joint_promise_counts_for_both_parties_and_once_for_all(ledger: Ledger) -> None:
    ledger.sla(
        _started(parties=",marketing,sales,"),
        clock_event(ClockChange.BREACHED, at(hours=8), parties=",marketing,sales,"),
    )

    by_party = _tallies(ledger, Dimension.PARTY)

    assert {group: tally.breached for group, tally in by_party.items()} == {("marketing",): 1, ("sales",): 1}
    assert _tally(ledger).breached == 1


def test_a_clock_is_grouped_by_its_handoff_even_if_it_was_heard_of_first(ledger: Ledger) -> None:
    ledger.sla(_started(), clock_event(ClockChange.BREACHED, at(hours=8)))
    assert list(_tallies(ledger, Dimension.SOURCE)) == [(None,)]

    ledger.leads(submitted(1, source="expo"))

    assert list(_tallies(ledger, Dimension.SOURCE)) == [("expo",)]
    assert list(_tallies(ledger, Dimension.SOURCE, now=at(hours=9))) == [("expo",)]


def test_a_period_takes_clocks_by_their_due_day(ledger: Ledger) -> None:
    ledger.sla(_started(1, due_time=at(days=29)), _started(2, due_time=at(days=31)))

    assert _tally(ledger, now=at(days=100), period=_MARCH).items == 1
    assert _tally(ledger, now=at(hours=1), period=_MARCH).items == 1


def test_one_partys_promises_can_be_asked_for_alone(ledger: Ledger) -> None:
    ledger.sla(_started(1), _started(2, parties=",marketing,", commitment_id="fresh"))

    assert list(_tallies(ledger, Dimension.COMMITMENT, party="marketing")) == [("fresh",)]
    assert list(_tallies(ledger, Dimension.COMMITMENT, party="marketing", now=at(hours=1))) == [("fresh",)]


def test_owner_time_counts_open_hours_and_those_who_still_wait(ledger: Ledger) -> None:
    ledger.sla(_OFFICE, _AGREEMENT)
    ledger.leads(submitted(1), submitted(2), submitted(3))
    ledger.sla(
        _started(1),
        clock_event(ClockChange.MET, at(hours=1), 1, elapsed=_HOUR),
        _started(2),
        clock_event(ClockChange.BREACHED, at(hours=8), 2),
        _started(3),
        clock_event(ClockChange.VOIDED, at(hours=2), 3),
    )

    with ledger.database.reading() as connection:
        question = _question(now=at(days=1, hours=2))
        rows = Figures(Queries(ledger.tables)).response_times(connection, question)
    owner = rows[1].items

    # Monday's eight open hours and two of Tuesday's, not twenty-six of the wall.
    assert [(duration, outcome.name, number) for duration, outcome, number in owner.counted] == [
        (_HOUR, "ANSWERED", 1)
    ]
    assert sorted((duration, outcome.name) for duration, outcome, _ in owner.items) == [
        (2 * _HOUR, "EXITED"),
        (10 * _HOUR, "WAITING"),
    ]


def test_the_scorecard_shows_a_promise_of_each_party_also_before_its_first_clock(ledger: Ledger) -> None:
    ledger.sla(_OFFICE, _AGREEMENT, _started(), clock_event(ClockChange.BREACHED, at(hours=8)))

    marketing, sales = _scores(ledger).parties

    assert [score.terms.title for score in marketing.commitments] == ["Handed over fresh"]
    assert marketing.commitments[0].compliance.undefined is Undefined.NO_DENOMINATOR
    assert [(score.terms.objective_basis_points, score.tally.breached) for score in sales.commitments] == [
        (9000, 1)
    ]


def test_a_promise_that_was_retired_stays_on_the_scorecard_while_it_has_clocks(ledger: Ledger) -> None:
    ledger.sla(_AGREEMENT, _started(), clock_event(ClockChange.BREACHED, at(hours=8)))
    ledger.sla(_AGREEMENT._replace(state="retired"))

    parties = {scores.party: scores.commitments for scores in _scores(ledger).parties}

    assert [score.terms.commitment_id for score in parties["sales"]] == ["first-follow-up"]
    assert parties["marketing"] == ()


def test_sums_that_differ_from_the_facts_are_told(ledger: Ledger) -> None:
    ledger.leads(submitted(1))
    ledger.sla(_started())
    with ledger.database.reading() as connection:
        assert reconcile(connection, ledger.tables) == Mismatches(0, 0, 0)

    with ledger.database.writer_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE handoff_rollup SET items = 3 WHERE grain = 0")
        connection.exec_driver_sql("UPDATE clock_fact SET state = 'met'")
        found = reconcile(connection, ledger.tables)

    assert (found.conservation, found.clock_pairs, found.totals) == (2, 2, 2)


@pytest.mark.parametrize(("tenant", "is_counted"), [(TENANT, True), ("tenants/another", False)])
def test_open_times_that_became_known_beside_are_counted_for_those_who_were_told_of_alone(
    ledger: Ledger, tenant: str, is_counted: bool
) -> None:
    ledger.leads(submitted())
    ledger.sla(clock_event(ClockChange.STARTED, at()), clock_event(ClockChange.BREACHED, at(hours=9)))
    sheet, days = Sheet(), LocalDays(load_zone("Etc/UTC").info)
    with ledger.database.writer_engine.begin() as connection:
        once = OpenTimes(connection, ledger.tables).read()
        # As by another replica, which counts what it has told itself.
        ledger.model._keep_agreements(connection, [_OFFICE, _AGREEMENT])
        ClockSums(ledger.tables).retime(connection, once, {tenant}, lambda _tenant: days, sheet)

    assert bool(len(sheet)) is is_counted
