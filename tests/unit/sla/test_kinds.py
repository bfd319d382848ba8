"""The clocks of each kind of promise: what starts them, what stops them, how many there are."""

from datetime import timedelta
from typing import Any

import pytest

from services.sla.domain.agreement import Attempts, CommitmentKind, Party, Tier
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import BusinessTime
from tests.builders.sla import a_commitment, a_fact, a_timeline, an_agreement, at, calendars


def mon(time: str) -> str:
    return f"2026-09-21T{time}:00+09:00"


def tue(time: str) -> str:
    return f"2026-09-22T{time}:00+09:00"


def clocks(kind: CommitmentKind, *facts: Fact, as_of: str, **changes: object) -> list[ClockState]:
    agreement = an_agreement(a_commitment(kind, rungs=(), **changes))
    return list(evaluate(agreement, calendars(), a_timeline(*facts), at(as_of)))


def outcomes(kind: CommitmentKind, *facts: Fact, as_of: str, **changes: object) -> list[Outcome]:
    return [state.outcome for state in clocks(kind, *facts, as_of=as_of, **changes)]


ASSIGNED = a_fact(FactKind.ASSIGNED, mon("09:00"), person="kim")


def tried(time: str, channel: str = "CALL", **changes: Any) -> Fact:
    return a_fact(FactKind.FOLLOW_UP, time, channel=channel, **changes)


def attempts(*facts: Fact, as_of: str, **wanted: object) -> ClockState:
    (state,) = clocks(
        CommitmentKind.ATTEMPTS,
        ASSIGNED,
        *facts,
        as_of=as_of,
        attempts=Attempts(**wanted),  # type: ignore[arg-type] # forwarded as written
    )
    return state


# Attempts.


def test_attempts_are_met_by_the_follow_up_with_which_there_were_enough() -> None:
    state = attempts(
        tried(mon("10:00")), tried(mon("11:00")), tried(mon("12:00")), as_of=mon("12:30"), count=3
    )

    assert (state.outcome, state.stop_time) == (Outcome.MET, at(mon("12:00")))


def test_a_follow_up_too_soon_after_the_last_that_counted_does_not_count() -> None:
    # 10:00 counts; 10:30 is half an hour after it; 11:00 is an hour after 10:00, though not after 10:30.
    tries = tried(mon("10:00")), tried(mon("10:30")), tried(mon("11:00"))

    state = attempts(*tries, as_of=mon("12:00"), count=2, spacing=timedelta(hours=1))

    assert state.stop_time == at(mon("11:00"))


def test_a_follow_up_a_microsecond_short_of_the_spacing_does_not_count() -> None:
    short = tried("2026-09-21T10:59:59.999999+09:00")

    state = attempts(tried(mon("10:00")), short, as_of=mon("12:00"), count=2, spacing=timedelta(hours=1))

    assert state.outcome is Outcome.RUNNING


def test_enough_attempts_on_too_few_dates_are_not_enough() -> None:
    one_day = [tried(mon(time)) for time in ("09:30", "10:00", "10:30")]
    wanted = {"count": 2, "dates": 2}

    assert attempts(*one_day, as_of=mon("12:00"), **wanted).outcome is Outcome.RUNNING
    assert attempts(*one_day, tried(tue("09:00")), as_of=mon("12:00"), **wanted).outcome is Outcome.RUNNING
    (state,) = clocks(
        CommitmentKind.ATTEMPTS,
        ASSIGNED,
        *one_day,
        tried(tue("09:00")),
        as_of=tue("10:00"),
        tiers=(Tier(target=BusinessTime.of(hours=18)),),
        attempts=Attempts(count=2, dates=2),
    )
    assert (state.outcome, state.stop_time) == (Outcome.MET, at(tue("09:00")))


def test_dates_are_those_of_the_calendars_zone() -> None:
    # Twenty minutes apart, and midnight in Seoul lies between them; in UTC both are of Monday.
    tries = tried("2026-09-21T14:50:00+00:00"), tried("2026-09-21T15:10:00+00:00")

    state = clocks(
        CommitmentKind.ATTEMPTS,
        ASSIGNED,
        *tries,
        as_of=tue("10:00"),
        tiers=(Tier(target=BusinessTime.of(hours=18)),),
        attempts=Attempts(count=2, dates=2),
    )[0]

    assert state.outcome is Outcome.MET


def test_enough_attempts_over_too_few_channels_are_not_enough() -> None:
    calls = tried(mon("09:30")), tried(mon("10:00"))
    wanted = {"count": 2, "channels": 2}

    assert attempts(*calls, as_of=mon("12:00"), **wanted).outcome is Outcome.RUNNING
    mailed = attempts(*calls, tried(mon("11:00"), "EMAIL"), as_of=mon("12:00"), **wanted)
    assert mailed.stop_time == at(mon("11:00"))


@pytest.mark.parametrize(
    "answer",
    [
        a_fact(FactKind.CONTACTED, mon("11:00")),
        tried(mon("11:00"), is_contact=True),
        a_fact(FactKind.CLOSED, mon("11:00"), reason="NO_BUDGET"),
        a_fact(FactKind.QUALIFIED, mon("11:00")),
    ],
)
def test_whoever_answered_or_was_done_with_need_not_be_tried_again(answer: Fact) -> None:
    state = attempts(tried(mon("10:00")), answer, as_of=mon("12:00"), count=5)

    assert (state.outcome, state.stop_time) == (Outcome.MET, at(mon("11:00")))


def test_too_few_attempts_are_a_miss_at_due() -> None:
    # Four hours from nine: due at one.
    state = attempts(tried(mon("10:00")), tried(mon("13:01")), as_of=mon("14:00"), count=2)

    assert (state.outcome, state.breach_time) == (Outcome.BREACHED, at(mon("13:00")))


# Outcomes after each follow-up.


def test_a_further_follow_up_in_time_takes_the_place_of_the_one_before() -> None:
    first, second = clocks(
        CommitmentKind.DISPOSITION, tried(mon("09:00")), tried(mon("11:00")), as_of=mon("12:00")
    )

    assert (first.outcome, first.void_reason) == (Outcome.VOID, "FOLLOW_UP")
    assert (second.outcome, second.due_time) == (Outcome.RUNNING, at(mon("15:00")))
    assert first.key != second.key


def test_a_further_follow_up_after_due_leaves_the_miss_and_starts_a_clock_of_its_own() -> None:
    found = outcomes(
        CommitmentKind.DISPOSITION,
        tried(mon("09:00")),
        tried(mon("14:00")),
        a_fact(FactKind.QUALIFIED, mon("15:00")),
        as_of=mon("16:00"),
    )

    assert found == [Outcome.BREACHED, Outcome.MET]


def test_a_follow_up_after_the_outcome_asks_for_no_other_one() -> None:
    facts = tried(mon("09:00")), a_fact(FactKind.QUALIFIED, mon("10:00")), tried(mon("11:00"))

    assert outcomes(CommitmentKind.DISPOSITION, *facts, as_of=mon("12:00")) == [Outcome.MET]


def test_a_follow_up_that_arrives_late_changes_which_clock_nobody_else_is() -> None:
    first, second = tried(mon("09:00")), tried(mon("11:00"))
    between = tried(mon("10:00"))
    before = clocks(CommitmentKind.DISPOSITION, first, second, as_of=mon("12:00"))

    after = clocks(CommitmentKind.DISPOSITION, first, second, between, as_of=mon("12:00"))

    assert {state.key for state in before} < {state.key for state in after}
    assert [state.start_time for state in after] == [at(mon("09:00")), at(mon("10:00")), at(mon("11:00"))]


# Rejections and disputes.


def test_a_rejection_owes_its_reason_with_evidence() -> None:
    rejected = a_fact(FactKind.REJECTED, mon("09:00"), reason="NO_FIT")
    proved = a_fact(FactKind.EVIDENCED, mon("09:00"), reason="NO_FIT")

    assert outcomes(CommitmentKind.FEEDBACK, rejected, proved, as_of=mon("09:00")) == [Outcome.MET]
    assert outcomes(CommitmentKind.FEEDBACK, rejected, as_of=mon("13:01")) == [Outcome.BREACHED]


def test_each_rejection_has_a_clock_and_an_overturned_one_owes_nothing() -> None:
    facts = (
        a_fact(FactKind.REJECTED, mon("09:00"), reason="NO_FIT"),
        a_fact(FactKind.DISPUTE_OVERTURNED, mon("10:00")),
        a_fact(FactKind.REJECTED, mon("11:00"), reason="NO_FIT"),
    )

    found = outcomes(CommitmentKind.FEEDBACK, *facts, as_of=mon("12:00"))

    assert found == [Outcome.VOID, Outcome.RUNNING]


@pytest.mark.parametrize("answer", [FactKind.DISPUTE_UPHELD, FactKind.DISPUTE_OVERTURNED])
def test_a_dispute_is_answered_either_way(answer: FactKind) -> None:
    facts = a_fact(FactKind.DISPUTED, mon("09:00")), a_fact(answer, mon("13:00"))

    assert outcomes(CommitmentKind.DISPUTE_ANSWER, *facts, as_of=mon("14:00")) == [Outcome.MET]


def test_an_overturned_rejection_lets_the_accept_clock_run_on_without_the_time_between() -> None:
    facts = (
        a_fact(FactKind.OFFERED, mon("09:00")),
        a_fact(FactKind.REJECTED, mon("10:00"), reason="NO_FIT"),
        a_fact(FactKind.DISPUTED, mon("10:30")),
        a_fact(FactKind.DISPUTE_OVERTURNED, mon("12:00")),
        a_fact(FactKind.OFFERED, mon("12:00")),
    )

    (state,) = clocks(CommitmentKind.ACCEPT, *facts, as_of=mon("12:30"))

    # One hour of four was used; the two hours between count for nobody.
    assert (state.outcome, state.cycle, state.due_time) == (Outcome.RUNNING, 2, at(mon("15:00")))


def test_an_overturned_dispute_undoes_no_acceptance() -> None:
    facts = (
        a_fact(FactKind.OFFERED, mon("09:00")),
        a_fact(FactKind.ACCEPTED, mon("10:00")),
        a_fact(FactKind.DISPUTE_OVERTURNED, mon("12:00")),
    )

    (state,) = clocks(CommitmentKind.ACCEPT, *facts, as_of=mon("18:00"))

    assert (state.outcome, state.cycle) == (Outcome.MET, 1)


# Reviews.


def test_each_review_asks_for_the_next_one() -> None:
    facts = (
        a_fact(FactKind.CONVERTED, mon("09:00")),
        a_fact(FactKind.REVIEWED, mon("11:00")),
        a_fact(FactKind.REVIEWED, mon("16:00")),
    )

    states = clocks(CommitmentKind.REVIEW, *facts, as_of=mon("17:00"))

    assert [state.outcome for state in states] == [Outcome.MET, Outcome.BREACHED, Outcome.RUNNING]
    assert states[1].stop_time == at(mon("16:00"))


def test_a_reopened_opportunity_is_reviewed_on_where_it_was_closed() -> None:
    facts = (
        a_fact(FactKind.CONVERTED, mon("09:00")),
        a_fact(FactKind.CLOSED, mon("10:00"), reason="LOST"),
        a_fact(FactKind.REOPENED, mon("15:00")),
    )

    (closed,) = clocks(CommitmentKind.REVIEW, *facts, as_of=mon("14:00"))
    (reopened,) = clocks(CommitmentKind.REVIEW, *facts, as_of=mon("16:00"))

    assert closed.outcome is Outcome.MET
    # Three hours are left of four: at six it is due.
    assert (reopened.outcome, reopened.cycle, reopened.due_time) == (Outcome.RUNNING, 2, at(mon("18:00")))


# Marketing's.


def test_a_recycled_lead_is_due_back_by_its_date() -> None:
    until = at("2026-10-15T12:00:00+09:00")
    recycled = a_fact(FactKind.RECYCLED, mon("09:00"), until=until)
    back = a_fact(FactKind.REQUALIFIED, "2026-10-15T12:00:00+09:00")
    late = a_fact(FactKind.REQUALIFIED, "2026-10-15T12:00:01+09:00")

    (state,) = clocks(CommitmentKind.NURTURE_RETURN, recycled, as_of=mon("10:00"), party=Party.MARKETING)
    assert state.due_time == until
    for fact, expected in ((back, Outcome.MET), (late, Outcome.BREACHED)):
        found = outcomes(CommitmentKind.NURTURE_RETURN, recycled, fact, as_of="2026-11-01T09:00:00+09:00")
        assert found == [expected]


# Reciprocity.


def below(time: str, position: int = 0, **changes: object) -> Fact:
    return a_fact(FactKind.BELOW_DEFINITION, time, position, **changes)


def test_a_lead_below_the_definition_starts_no_clock_of_sales() -> None:
    facts = (
        a_fact(FactKind.SUBMITTED, mon("08:00")),
        below(mon("08:00")),
        a_fact(FactKind.OFFERED, mon("09:00")),
    )

    assert outcomes(CommitmentKind.ACCEPT, *facts, as_of=mon("18:00")) == []
    route = clocks(CommitmentKind.ROUTE, *facts, as_of=mon("18:00"))
    assert [state.outcome for state in route] == [Outcome.MET]


def test_a_lead_found_below_the_definition_later_voids_what_runs_with_that_reason() -> None:
    facts = a_fact(FactKind.OFFERED, mon("09:00")), below(mon("10:00"))

    (state,) = clocks(CommitmentKind.ACCEPT, *facts, as_of=mon("18:00"))

    assert (state.outcome, state.void_reason) == (Outcome.VOID, "BELOW_DEFINITION")


def test_a_lead_found_below_the_definition_after_a_miss_takes_no_miss_back() -> None:
    # The verdict is of the morning, but nobody knew it before the clock was due at one.
    found = below(mon("09:30"), record_time=at(mon("14:00")), is_history=True)
    facts = a_fact(FactKind.OFFERED, mon("09:00")), found

    assert outcomes(CommitmentKind.ACCEPT, *facts, as_of=mon("15:00")) == [Outcome.BREACHED]


def test_a_lead_that_meets_the_definition_by_the_time_of_its_offer_owes_as_any_other() -> None:
    facts = (
        below(mon("08:00")),
        a_fact(FactKind.MEETS_DEFINITION, mon("08:30")),
        a_fact(FactKind.OFFERED, mon("09:00")),
    )

    assert outcomes(CommitmentKind.ACCEPT, *facts, as_of=mon("10:00")) == [Outcome.RUNNING]
