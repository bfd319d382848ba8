"""What would have been: the record lived through once more, as it was agreed and as is supposed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.sla.domain.agreement import CommitmentKind, Party, Role
from services.sla.domain.backtest import (
    Count,
    Difference,
    DoubtReason,
    Presence,
    Staffing,
    Totals,
    is_seen,
)
from services.sla.domain.course import Outcome
from services.sla.domain.recorded import ClockReassigned
from services.sla.domain.refused import AgreementInvalid, AgreementUnknown, CalendarUnknown
from services.sla.domain.relive import is_same_course
from services.sla.domain.sight import Sight
from services.sla.domain.terms import AgreementKind, Step, Target, Terms
from services.sla.store import schema
from services.sla.store.tx import SlaTx
from services.sla.usecases.agreements import Propose, propose
from services.sla.usecases.backtest import Place, Question, Walk
from services.sla.usecases.settle import settle
from services.sla.wire.clocks import happening_message
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.businesstime import BusinessTime, Calendar
from smarketing.sql import from_micros
from tests.builders.sla_engine import (
    AT_DUE,
    HANDOFF,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    SALES,
    TENANT,
    WARN_AT_HALF,
    Engine,
    a_promise,
    some_terms,
)
from tests.builders.sla_month import a_month, relived, terms_of_the_month

HANDOFFS = 40
TAKE_AT_DUE = Step(id="take", percent=100, recipients=(Role.MANAGER,), reassigns=True)
OPEN = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
FAR = datetime.fromisoformat("2100-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def month() -> Engine:
    return a_month(HANDOFFS)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def walk_through(engine: Engine, *, page: int = 1_000, **asked: Any) -> tuple[Walk, list[Difference]]:
    """Walk to the end; return the walk and the differences it gave."""
    places = {name: asked.pop(name) for name in ("place", "sight") if name in asked}
    question = Question(**{"tenant": "default", "start": OPEN, "end": FAR, **asked})
    walk = Walk(
        database=engine.database,
        archive=engine.archive,
        question=question,
        now=engine.now,
        page=page,
        sight=places.get("sight"),
        place=places.get("place"),
    )
    walk.open()
    try:
        return walk, list(_steps(walk))
    finally:
        walk.close()


def _steps(walk: Walk) -> Iterator[Difference]:
    while True:
        stretch = walk.step()
        yield from stretch.differences
        if stretch.is_over:
            return


def would(engine: Engine, **asked: Any) -> Count:
    return walk_through(engine, **asked)[0].totals.all.would


# The same agreement.


def test_replaying_a_month_under_the_same_agreement_gives_back_every_clock(month: Engine) -> None:
    lives = relived(month.database, now=month.now)
    recorded = {clock.id: clock for clock in month.clocks()}
    again = {clock.id: clock for life in lives.values() for clock in life.clocks}

    assert {"MET", "BREACHED", "VOID"} <= {clock.outcome.value for clock in recorded.values()}
    assert recorded.keys() == again.keys()
    assert [name for name, clock in recorded.items() if not is_same_course(clock, again[name])] == []


def test_replaying_a_month_says_again_what_the_log_says_of_every_breach_and_rung(month: Engine) -> None:
    """Each with its instant and whose it is; that somebody else has it now is said as often as the log is
    read, and left out."""
    said: list[tuple[Any, ...]] = []
    for life in relived(month.database, now=month.now).values():
        clocks = {clock.id: clock for clock in life.clocks}
        for each in life.said:
            if not isinstance(each.happening, ClockReassigned):
                held = replace(clocks[each.clock], owner=each.holder.owner, team=each.holder.team)
                message: Any = happening_message(held, each.happening)
                said.append(_mark(message, each.happening.occur_time))
        said += [
            ("TakeoverRequested", clocks[each.clock].name, each.cycle, each.rung, "", "", each.occur_time)
            for each in life.takeovers
        ]
    logged = _logged(month)

    kinds = {kind for kind, *_ in logged}
    assert {"ClockBreached", "BreachRetracted", "ClockStoppedLate", "RungFired", "TakeoverRequested"} <= kinds
    assert Counter(said) == Counter(logged)


def _logged(engine: Engine) -> list[tuple[Any, ...]]:
    table = schema.eventlog_tables.event_log
    query = select(table.c.payload_type, table.c.payload, table.c.occur_time)
    found = []
    with engine.database.reading() as connection:
        for payload_type, payload, at in connection.execute(query):
            kind = payload_type.rsplit(".", 1)[1]
            if kind.startswith("Clock") or kind in {"BreachRetracted", "RungFired", "TakeoverRequested"}:
                message = getattr(slaeventspb, kind).FromString(payload)
                found.append(_mark(message, at if isinstance(at, datetime) else from_micros(at)))
    return [each for each in found if each[0] != "ClockReassigned"]


def _mark(message: Any, at: datetime) -> tuple[Any, ...]:
    kind, clock = message.DESCRIPTOR.name, message.clock
    # Whom a takeover is asked from is whoever has it when it is asked for.
    whose = ("", "") if kind == "TakeoverRequested" else (clock.owner, clock.team)
    return kind, clock.clock, clock.cycle, getattr(message, "rung_id", ""), *whose, at


def test_a_backtest_that_supposes_nothing_finds_no_difference_and_says_that_it_reproduced_all(
    month: Engine,
) -> None:
    walk, differences = walk_through(month)
    totals = walk.totals

    assert totals.handoffs == walk.total == HANDOFFS
    assert (totals.unreproduced, totals.undecided, totals.differing, differences) == (0, 0, 0, [])
    assert totals.all.happened.outcomes == totals.all.would.outcomes
    assert totals.all.happened.outcomes == Counter(clock.outcome for clock in month.clocks())


def test_the_version_that_was_in_force_supposed_throughout_changes_nothing(month: Engine) -> None:
    walk, differences = walk_through(month, version=f"{TENANT}/agreements/main/versions/1")

    assert (walk.totals.unreproduced, differences) == (0, [])
    assert walk_through(month, terms=terms_of_the_month())[1] == []


def test_a_clock_that_is_not_on_record_is_counted_as_not_reproduced(engine: Engine) -> None:
    engine.agree()
    engine.submit()
    engine.assign()
    with engine.database.writer_engine.begin() as connection:
        connection.execute(schema.clock.delete())

    assert walk_through(engine)[0].totals.unreproduced == 1


def test_a_record_that_the_same_function_does_not_give_is_counted_and_shown(engine: Engine) -> None:
    engine.agree()
    engine.submit()
    engine.assign()
    assert walk_through(engine)[0].totals.unreproduced == 0
    with engine.database.writer_engine.begin() as connection:
        # As an older build might have left it.
        connection.execute(schema.clock.update().values(outcome=Outcome.VOID.value, void_reason="OLD"))

    assert walk_through(engine)[0].totals.unreproduced == 1


def test_a_version_that_took_effect_in_the_past_is_lived_through_from_when_it_was_activated(
    engine: Engine,
) -> None:
    started = engine.now
    engine.submit()
    engine.assign()
    engine.advance(hours=6)
    engine.agree(effective_time=started)
    with engine.database.writer_engine.begin() as connection:
        tx = SlaTx(connection, engine.archive, now=engine.now)
        settle(tx, [HANDOFF])
        tx.flush()
    engine.sweep()

    assert [clock.outcome for clock in engine.clocks()] == [Outcome.BREACHED]
    walk, differences = walk_through(engine)
    assert (walk.totals.unreproduced, differences) == (0, [])


# Other terms.


def missed_by_an_hour(engine: Engine, *steps: Step) -> None:
    """Have a first follow-up at five hours where four were promised."""
    engine.agree(some_terms(a_promise(steps=steps)))
    engine.submit()
    engine.assign()
    for _ in range(4):
        engine.advance(hours=1)
        engine.sweep()
    engine.advance(seconds=1)
    engine.sweep()
    engine.advance(minutes=59, seconds=59)
    engine.follow_up()


def other_terms(target: float, *steps: Step) -> Terms:
    return some_terms(a_promise(target=target, steps=steps))


def test_a_follow_up_stays_at_its_instant_and_meets_the_longer_target(engine: Engine) -> None:
    missed_by_an_hour(engine)
    walk, (difference,) = walk_through(engine, terms=other_terms(5))

    assert difference.happened is not None
    assert difference.would is not None
    assert difference.happened.clock.outcome is Outcome.BREACHED
    assert difference.would.clock.outcome is Outcome.MET
    assert difference.would.clock.stop_time == difference.happened.clock.stop_time == engine.now
    assert difference.would.doubts == ()
    assert (walk.totals.all.would.met, walk.totals.all.happened.met) == ((1, 1), (0, 0))


def test_days_of_supposed_terms_are_as_long_as_their_calendar_says(engine: Engine) -> None:
    missed_by_an_hour(engine)
    # The office's day has nine hours, of which the follow-up took five.
    a_day = replace(a_promise(), targets=(Target(amount=None, business_days=1),))
    _, (difference,) = walk_through(engine, terms=some_terms(a_day))

    assert difference.would is not None
    assert difference.would.clock.target == BusinessTime.of(hours=9)
    assert difference.would.clock.outcome is Outcome.MET


def test_a_warning_that_would_have_fired_is_told(engine: Engine) -> None:
    missed_by_an_hour(engine)

    assert would(engine, terms=other_terms(4, WARN_AT_HALF)).warned == 1
    # Half of twelve hours is later than the follow-up.
    assert would(engine, terms=other_terms(12, WARN_AT_HALF)).warned == 0


def test_nobody_knows_how_soon_the_first_owner_would_have_called_had_it_not_been_taken(
    engine: Engine,
) -> None:
    missed_by_an_hour(engine, TAKE_AT_DUE)
    walk, (difference,) = walk_through(engine, terms=other_terms(8))

    assert difference.would is not None
    assert difference.would.doubts == (DoubtReason.TAKEOVER_LEFT_OUT,)
    count = walk.totals.all.would
    # By real follow-ups it is met; it may as well not have been.
    assert (count.outcomes[Outcome.MET], count.met, count.breached) == (1, (0, 1), (0, 1))
    assert (walk.totals.all.happened.taken_over, count.taken_over) == (1, 0)


def test_a_takeover_that_would_have_happened_leaves_the_miss_and_puts_the_rest_in_doubt(
    engine: Engine,
) -> None:
    engine.agree(some_terms(a_promise(), a_promise(CommitmentKind.FIRST_FOLLOW_UP, target=8, id="second")))
    engine.submit()
    engine.assign()
    engine.advance(hours=5)
    engine.sweep()
    engine.follow_up()
    supposed = some_terms(a_promise(steps=[TAKE_AT_DUE]), a_promise(target=8, id="second"))

    _, differences = walk_through(engine, terms=supposed)

    by_id = {each.would.clock.commitment_id: each.would for each in differences if each.would}
    assert by_id["first-follow-up"].clock.outcome is Outcome.BREACHED
    assert by_id["first-follow-up"].doubts == ()
    assert by_id["second"].doubts == (DoubtReason.TAKEOVER_ADDED,)


def test_what_was_done_before_the_takeover_stays_done(engine: Engine) -> None:
    engine.agree(
        some_terms(a_promise(CommitmentKind.ACCEPT, target=2), a_promise(target=4, steps=[TAKE_AT_DUE]))
    )
    engine.submit()
    engine.offer()
    engine.advance(hours=1)
    engine.assign()
    engine.advance(hours=5)
    engine.sweep()
    engine.follow_up()
    supposed = some_terms(a_promise(CommitmentKind.ACCEPT, target=2), a_promise(target=8))

    _, (difference,) = walk_through(engine, terms=supposed)

    assert difference.would is not None
    assert difference.would.clock.commitment_id == "first-follow-up"


def test_a_commitment_that_only_one_side_has_is_a_difference(engine: Engine) -> None:
    missed_by_an_hour(engine)
    supposed = some_terms(a_promise(id="another"))

    _, differences = walk_through(engine, terms=supposed)

    assert {(each.happened is None, each.would is None) for each in differences} == {
        (True, False),
        (False, True),
    }


def test_terms_of_another_agreement_stand_before_those_in_force(engine: Engine) -> None:
    missed_by_an_hour(engine)

    count = would(engine, terms=other_terms(5), agreement="quite-another")

    assert (count.clocks, count.outcomes[Outcome.MET]) == (1, 1)


def test_an_agreement_with_a_customer_is_compared_with_itself_alone(engine: Engine) -> None:
    both = (Party.MARKETING, Party.SALES)
    with_customer = replace(other_terms(4), kind=AgreementKind.CUSTOMER, customer_reference="C-1")
    for agreement, terms in (("customer", with_customer), ("main", other_terms(4))):
        wanted = Propose(tenant="default", agreement=agreement, terms=terms, principal=REP, parties=both)
        (proposed,) = engine._act(propose, [wanted])
        engine.activate(proposed.name)
    engine.submit()
    engine.assign()
    engine.advance(hours=5)
    engine.sweep()
    engine.follow_up()

    walk, (difference,) = walk_through(engine, terms=other_terms(5))

    assert len(engine.clocks()) == 2
    assert difference.would is not None
    assert difference.would.clock.agreement == "main"
    (supposed,) = walk_through(engine, terms=replace(with_customer, promises=other_terms(5).promises))[1]
    assert supposed.would is not None
    assert supposed.would.clock.agreement == "customer"
    count = walk.totals.all.would
    assert (walk.totals.unreproduced, count.outcomes) == (0, {Outcome.MET: 1, Outcome.BREACHED: 1})


# Another calendar, other people.


def test_another_calendar_moves_the_due_instant_and_so_the_outcome(engine: Engine) -> None:
    missed_by_an_hour(engine)
    # Closed over lunch for two hours: four hours of it last six on the wall.
    mornings = Calendar.of(
        "Asia/Seoul", {day: [["09:00", "12:00"], ["14:00", "18:00"]] for day in ("mon", "tue", "wed")}
    )

    count = would(engine, calendar=mornings)

    assert count.outcomes[Outcome.MET] == 1
    assert count.met == (1, 1)


def test_a_teams_own_calendar_counts_instead_of_the_agreements(engine: Engine) -> None:
    missed_by_an_hour(engine)
    slow = engine.make_calendar(
        Calendar.of("Asia/Seoul", {"mon": [["09:00", "11:00"]], "tue": [["09:00", "18:00"]]})
    )

    assert would(engine, team_calendars=((SALES, slow),)).outcomes[Outcome.MET] == 1
    assert would(engine, team_calendars=((f"{TENANT}/teams/other", slow),)).outcomes[Outcome.MET] == 0


def day_of(presence: Presence, holder: str, start: float, end: float) -> Staffing:
    return Staffing(
        presence=presence,
        holder=holder,
        start_time=MONDAY_NINE + timedelta(hours=start),
        end_time=MONDAY_NINE + timedelta(hours=end),
    )


def test_had_the_owner_been_away_the_outcome_is_anybodys_guess(engine: Engine) -> None:
    missed_by_an_hour(engine)
    away = day_of(Presence.ABSENT, REP, 1, 2)

    count = would(engine, terms=other_terms(8), staffing=(away,))

    assert (count.met, count.doubts) == ((0, 1), Counter({DoubtReason.OWNER_ABSENT: 1}))
    # From the instant of the miss on nobody's absence makes it one, or none.
    late = day_of(Presence.ABSENT, REP, 4, 9)
    assert would(engine, staffing=(late,)).breached == (1, 1)
    assert would(engine, staffing=(replace(away, holder=OTHER_REP),)).breached == (1, 1)


def test_more_hands_may_turn_a_miss_into_a_success_and_no_success_into_a_miss(engine: Engine) -> None:
    missed_by_an_hour(engine)
    more = day_of(Presence.PRESENT, SALES, 1, 2)

    assert would(engine, staffing=(more,)).met == (0, 1)
    assert would(engine, terms=other_terms(8), staffing=(more,)).met == (1, 1)


# Periods, pages, refusals.


def test_an_empty_period_has_no_handoffs_and_no_figures(engine: Engine) -> None:
    missed_by_an_hour(engine)
    walk, differences = walk_through(engine, start=FAR, end=FAR + timedelta(days=1), terms=other_terms(5))

    assert (walk.total, walk.totals, differences) == (0, Totals(), [])


def test_a_period_holds_the_handoffs_submitted_in_it_its_end_excluded(engine: Engine) -> None:
    missed_by_an_hour(engine)

    def handoffs(start: datetime, end: datetime) -> int:
        return walk_through(engine, start=start, end=end)[0].totals.handoffs

    assert handoffs(MONDAY_NINE, MONDAY_NINE + timedelta(microseconds=1)) == 1
    assert handoffs(OPEN, MONDAY_NINE) == 0


def test_pages_hold_every_difference_once_and_only_the_first_has_totals_of_all(month: Engine) -> None:
    asked: dict[str, Any] = {
        "terms": some_terms(a_promise(target=1), a_promise(CommitmentKind.ACCEPT, target=1))
    }
    _, everything = walk_through(month, **asked)
    # Not a multiple of what a step or a handoff brings.
    size = len(everything) // 3 + 1
    paged: list[Difference] = []
    place: Place | None = None
    while True:
        walk, page = walk_through(month, page=size, place=place, **asked)
        paged += page
        assert len(page) <= size
        if place is None:
            assert walk.totals.handoffs == walk.total
        place = walk.next_place
        if place is None:
            break

    assert len(everything) > 6
    assert paged == everything


def test_only_who_may_see_a_clock_is_told_of_its_difference_and_of_its_owner(engine: Engine) -> None:
    missed_by_an_hour(engine)
    manager = Sight(person=f"{TENANT}/people/boss", groups=frozenset({SALES}))
    stranger = Sight(person=f"{TENANT}/people/else", groups=frozenset({f"{TENANT}/teams/other"}))

    seen, differences = walk_through(engine, terms=other_terms(5), sight=manager)
    unseen, nothing = walk_through(engine, terms=other_terms(5), sight=stranger)

    assert (len(differences), list(seen.totals.by_owner)) == (1, [REP])
    assert (nothing, list(unseen.totals.by_owner), unseen.totals.differing) == ([], [], 1)
    assert is_seen(engine.clock(), replace(stranger, person=REP))


def test_another_tenants_agreement_or_calendar_is_as_unknown_as_none(engine: Engine) -> None:
    engine.agree()
    for version in (f"{TENANT}/agreements/main/versions/9", "tenants/other/agreements/main/versions/1"):
        with pytest.raises(AgreementUnknown):
            walk_through(engine, version=version)
    with pytest.raises(AgreementUnknown):
        walk_through(engine, tenant="elsewhere", version=f"{TENANT}/agreements/main/versions/1")
    with pytest.raises(CalendarUnknown):
        walk_through(engine, tenant="elsewhere", calendar_version=f"{TENANT}/calendars/office/versions/1")


def test_terms_that_cannot_be_agreed_to_cannot_be_supposed_either(engine: Engine) -> None:
    with pytest.raises(AgreementInvalid):
        walk_through(engine, terms=some_terms(a_promise(target=0)))


def test_nothing_is_written(engine: Engine) -> None:
    missed_by_an_hour(engine, AT_DUE)
    before = (engine.clocks(), engine.log(), engine.alerts())

    walk_through(engine, terms=other_terms(1, WARN_AT_HALF, TAKE_AT_DUE))

    assert (engine.clocks(), engine.log(), engine.alerts()) == before
