from datetime import timedelta
from decimal import Decimal

import pytest

from services.sla.domain.agreement import (
    AgreementVersion,
    CommitmentKind,
    Grade,
    Rung,
    Tier,
    TimeBasis,
    agreement_for,
)
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.condition import Attributes, Condition
from services.sla.domain.course import IntervalKind, Outcome
from services.sla.domain.errors import BadAgreement
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import BusinessTime
from tests.builders.sla import a_calendar, a_commitment, a_fact, a_timeline, an_agreement, at, calendars

HOUR = BusinessTime.of(hours=1)
ACCEPT = an_agreement(a_commitment(CommitmentKind.ACCEPT))
FOLLOW_UP = an_agreement()
ROUTE = an_agreement(a_commitment(CommitmentKind.ROUTE))


def mon(time: str, day: int = 21) -> str:
    return f"2026-09-{day}T{time}:00+09:00"


def fact(kind: FactKind, time: str, day: int = 21, **changes: object) -> Fact:
    return a_fact(kind, mon(time, day), **changes)


def clock(agreement: AgreementVersion, *facts: Fact, as_of: str = mon("17:00", 30)) -> ClockState | None:
    states = evaluate(agreement, calendars(), a_timeline(*facts), at(as_of))
    return states[0] if states else None


def test_an_accept_clock_starts_with_the_first_offer_and_a_rejection_stops_it():
    state = clock(ACCEPT, fact(FactKind.OFFERED, "10:00"), fact(FactKind.REJECTED, "13:00"))

    assert (state.outcome, state.start_time, state.stop_time) == (
        Outcome.MET,
        at(mon("10:00")),
        at(mon("13:00")),
    )
    assert (state.due_time, state.elapsed, state.remaining) == (at(mon("14:00")), HOUR * 3, HOUR)


def test_a_declined_or_expired_offer_stops_nothing_and_another_offer_restarts_nothing():
    state = clock(
        ACCEPT,
        fact(FactKind.OFFERED, "10:00"),
        fact(FactKind.OFFER_ENDED, "12:00"),
        fact(FactKind.OFFERED, "12:00"),
        fact(FactKind.ACCEPTED, "15:00"),
    )

    assert (state.outcome, state.breach_time, state.late_by) == (Outcome.BREACHED, at(mon("14:00")), HOUR)


@pytest.mark.parametrize("kind", [FactKind.ACCEPTED, FactKind.ASSIGNED])
def test_a_first_follow_up_clock_starts_at_assignment(kind):
    state = clock(FOLLOW_UP, fact(FactKind.OFFERED, "09:00"), fact(kind, "10:00"), as_of=mon("11:00"))

    assert (state.outcome, state.start_time, state.elapsed) == (Outcome.RUNNING, at(mon("10:00")), HOUR)


def test_reassignment_does_not_reset_the_clock_that_counts():
    state = clock(FOLLOW_UP, fact(FactKind.ACCEPTED, "10:00"), fact(FactKind.ASSIGNED, "13:00"))

    assert (state.start_time, state.due_time) == (at(mon("10:00")), at(mon("14:00")))


def test_a_follow_up_while_the_handoff_is_offered_both_accepts_it_and_is_the_follow_up():
    facts = (fact(FactKind.OFFERED, "10:00", person="kim"), fact(FactKind.FOLLOW_UP, "11:00"))

    accept, follow_up = clock(ACCEPT, *facts), clock(FOLLOW_UP, *facts)
    assert (accept.outcome, accept.stop_time) == (Outcome.MET, at(mon("11:00")))
    assert (follow_up.outcome, follow_up.elapsed) == (Outcome.MET, BusinessTime())
    assert follow_up.start_time == follow_up.stop_time == at(mon("11:00"))


def test_a_follow_up_by_somebody_else_does_not_accept_the_offer():
    facts = (fact(FactKind.OFFERED, "10:00", person="lee"), fact(FactKind.FOLLOW_UP, "11:00"))

    assert clock(ACCEPT, *facts, as_of=mon("12:00")).outcome is Outcome.RUNNING
    assert clock(FOLLOW_UP, *facts) is None


def test_an_offer_to_a_queue_is_accepted_by_anybodys_follow_up_until_it_ends():
    offered, ended = fact(FactKind.OFFERED, "10:00"), fact(FactKind.OFFER_ENDED, "10:30")

    assert clock(FOLLOW_UP, offered, fact(FactKind.FOLLOW_UP, "11:00")).outcome is Outcome.MET
    assert clock(FOLLOW_UP, offered, ended, fact(FactKind.FOLLOW_UP, "11:00")) is None


@pytest.mark.parametrize(
    "changes",
    [{"grade": Grade.BACK_DATED}, {"grade": None}, {"person": None}],
    ids=["grade", "none", "nobody"],
)
def test_a_follow_up_without_enough_evidence_or_a_person_stops_nothing(changes):
    state = clock(
        FOLLOW_UP,
        fact(FactKind.ACCEPTED, "10:00"),
        fact(FactKind.FOLLOW_UP, "11:00", **changes),
        as_of=mon("12:00"),
    )

    assert state.outcome is Outcome.RUNNING


def test_the_agreement_may_accept_back_dated_evidence():
    agreement = an_agreement(a_commitment(grades=frozenset(Grade)))

    state = clock(
        agreement, fact(FactKind.ACCEPTED, "10:00"), fact(FactKind.FOLLOW_UP, "11:00", grade=Grade.BACK_DATED)
    )
    assert state.outcome is Outcome.MET


@pytest.mark.parametrize("kind", [FactKind.VOIDED, FactKind.RECYCLED, FactKind.CLOSED])
def test_leaving_until_due_makes_the_clock_void_with_the_reason_and_leaving_later_keeps_the_breach(kind):
    accepted = fact(FactKind.ACCEPTED, "10:00")

    early = clock(FOLLOW_UP, accepted, fact(kind, "14:00", reason="WHY"))
    late = clock(FOLLOW_UP, accepted, fact(kind, "14:01"), fact(FactKind.FOLLOW_UP, "15:00"))
    assert (early.outcome, early.void_reason) == (Outcome.VOID, f"{kind.value}:WHY")
    assert (early.end_time, early.stop_time) == (at(mon("14:00")), None)
    assert (late.outcome, late.end_time, late.late_by) == (Outcome.BREACHED, at(mon("14:01")), None)


def test_an_overturned_dispute_reopens_a_met_accept_clock_and_not_a_breached_one():
    offered, overturned = fact(FactKind.OFFERED, "10:00"), fact(FactKind.DISPUTE_OVERTURNED, "10:00", 22)

    met = clock(ACCEPT, offered, fact(FactKind.REJECTED, "11:00"), overturned, as_of=mon("11:00", 22))
    breached = clock(ACCEPT, offered, fact(FactKind.REJECTED, "15:00"), overturned)
    assert (met.outcome, met.cycle, met.elapsed) == (Outcome.RUNNING, 2, HOUR * 2)
    assert (met.original_due_time, met.due_time) == (at(mon("14:00")), at(mon("13:00", 22)))
    assert (breached.outcome, breached.cycle) == (Outcome.BREACHED, 1)


def test_the_route_clock_runs_from_submission_to_the_first_offer_and_counts_for_the_system():
    state = clock(ROUTE, fact(FactKind.SUBMITTED, "10:00"), fact(FactKind.OFFERED, "11:00"))

    assert (state.outcome, state.party.value, state.elapsed) == (Outcome.MET, "SYSTEM", HOUR)


def test_an_archived_submission_runs_no_clock_until_it_is_taken_up():
    archived = fact(FactKind.SUBMITTED, "10:00", is_archived=True, is_history=True)

    assert clock(ROUTE, archived) is None
    assert clock(FOLLOW_UP, archived, fact(FactKind.ASSIGNED, "10:00", 28)).start_time == at(mon("10:00", 28))


def test_a_fact_dated_back_further_than_two_business_days_counts_only_once_it_is_approved():
    accepted = fact(FactKind.ACCEPTED, "10:00")
    # Two business days after Monday 11:00 is Wednesday 11:00.
    within = fact(FactKind.FOLLOW_UP, "11:00", record_time=at(mon("11:00", 23)))
    beyond = fact(FactKind.FOLLOW_UP, "11:00", record_time=at(mon("11:01", 23)), position=7)
    approval = fact(FactKind.APPROVED, "12:00", 28, about=7)
    history = fact(FactKind.FOLLOW_UP, "11:00", record_time=at(mon("11:01", 23)), is_history=True)

    outcomes = [
        clock(FOLLOW_UP, accepted, *facts).outcome
        for facts in ([within], [beyond], [beyond, approval], [history])
    ]
    assert outcomes == [Outcome.MET, Outcome.BREACHED, Outcome.MET, Outcome.MET]


def test_the_first_tier_that_fits_gives_the_target_from_what_was_known_when_the_start_was_recorded():
    fast = Tier(target=HOUR, condition=Condition(min_score=80, source_channels=frozenset({"demo"})))
    agreement = an_agreement(a_commitment(tiers=(fast, Tier(target=HOUR * 4))))
    hot = fact(FactKind.SUBMITTED, "09:00", attributes=Attributes(source_channel="demo", score=80))
    cooled = fact(FactKind.REVISED, "10:30", attributes=Attributes(source_channel="demo", score=79))

    assert clock(agreement, hot, fact(FactKind.ACCEPTED, "10:00"), cooled).target == HOUR
    assert clock(agreement, hot, cooled, fact(FactKind.ACCEPTED, "11:00")).target == HOUR * 4
    assert clock(agreement, fact(FactKind.ACCEPTED, "11:00")).target == HOUR * 4


def test_a_handoff_that_no_tier_or_no_version_means_has_no_clock():
    only_demo = an_agreement(a_commitment(condition=Condition(segments=frozenset({"enterprise"}))))
    later = an_agreement(effective_time=at(mon("10:01")))
    earlier = an_agreement(expire_time=at(mon("10:00")))

    for agreement in (only_demo, later, earlier):
        assert clock(agreement, fact(FactKind.ACCEPTED, "10:00")) is None


def test_the_clock_of_a_handoff_runs_in_its_teams_calendar():
    early = a_calendar(hours={"mon": [["06:00", "10:30"]], "tue": [["06:00", "10:30"]]})
    facts = a_timeline(fact(FactKind.ACCEPTED, "10:00", team="early"))

    (state,) = evaluate(FOLLOW_UP, calendars(early=early), facts, at(mon("12:00")))
    assert (state.calendar, state.due_time) == ("early", at(mon("09:30", 22)))


def test_on_the_wall_every_minute_counts():
    agreement = an_agreement(a_commitment(basis=TimeBasis.WALL))

    assert clock(agreement, fact(FactKind.ACCEPTED, "17:00")).due_time == at(mon("21:00"))


def test_a_pause_ends_at_its_cap_and_a_reason_nobody_agreed_to_pauses_nothing():
    accepted = fact(FactKind.ACCEPTED, "10:00")

    capped = clock(FOLLOW_UP, accepted, fact(FactKind.PAUSED, "11:00", reason="short"), as_of=mon("13:00"))
    holding = clock(FOLLOW_UP, accepted, fact(FactKind.PAUSED, "11:00", reason="short"), as_of=mon("11:30"))
    unknown = clock(FOLLOW_UP, accepted, fact(FactKind.PAUSED, "11:00", reason="golf"), as_of=mon("13:00"))
    assert (capped.outcome, capped.due_time, capped.paused) == (Outcome.RUNNING, at(mon("15:00")), HOUR)
    assert (holding.outcome, holding.next_instant) == (Outcome.PAUSED, at(mon("12:00")))
    assert (unknown.outcome, unknown.due_time) == (Outcome.RUNNING, at(mon("14:00")))


def test_an_excused_breach_is_excused_and_keeps_its_instant():
    excused = fact(FactKind.EXCUSED, "09:00", 22, commitment="first_follow_up")

    state = clock(FOLLOW_UP, fact(FactKind.ACCEPTED, "10:00"), excused)
    met = clock(FOLLOW_UP, fact(FactKind.ACCEPTED, "10:00"), fact(FactKind.FOLLOW_UP, "11:00"), excused)
    assert (state.outcome, state.breach_time) == (Outcome.EXCUSED, at(mon("14:00")))
    assert met.outcome is Outcome.MET


def test_rungs_move_with_the_due_instant_but_not_once_they_are_passed():
    rungs = (
        Rung(id="early", percent=25),
        Rung(id="late", offset=-HOUR),
        Rung(id="due", percent=100),
        Rung(id="after", offset=HOUR),
        Rung(id="huge", offset=-(HOUR * 9)),
    )
    paused = (fact(FactKind.PAUSED, "12:00", reason="buyer_asked"), fact(FactKind.RESUMED, "13:00"))

    state = clock(
        an_agreement(a_commitment(rungs=rungs)), fact(FactKind.ACCEPTED, "10:00"), *paused, as_of=mon("14:30")
    )
    assert {rung.id: (rung.time, rung.is_passed) for rung in state.rungs} == {
        "early": (at(mon("11:00")), True),
        "late": (at(mon("14:00")), True),
        "due": (at(mon("15:00")), False),
        "after": (at(mon("16:00")), False),
        "huge": (at(mon("10:00")), True),
    }


def test_a_stop_at_a_rungs_own_instant_leaves_it_nothing_to_warn_of():
    accepted = fact(FactKind.ACCEPTED, "10:00")

    early = clock(FOLLOW_UP, accepted, fact(FactKind.FOLLOW_UP, "12:00"))
    late = clock(FOLLOW_UP, accepted, fact(FactKind.FOLLOW_UP, "14:00"))
    assert [rung.is_passed for rung in early.rungs] == [False, False]
    assert [rung.is_passed for rung in late.rungs] == [True, False]


def test_the_next_instant_is_the_next_rung_then_just_after_due_then_nothing():
    accepted = fact(FactKind.ACCEPTED, "10:00")
    just_after = at(mon("14:00")) + timedelta(microseconds=1)

    times = ["10:00", "12:00", "14:00", "15:00"]
    assert [clock(FOLLOW_UP, accepted, as_of=mon(time)).next_instant for time in times] == [
        at(mon("12:00")),
        at(mon("14:00")),
        just_after,
        None,
    ]


def test_a_fact_known_but_still_to_come_is_a_next_instant():
    state = clock(
        FOLLOW_UP, fact(FactKind.ACCEPTED, "10:00"), fact(FactKind.FOLLOW_UP, "10:30"), as_of=mon("10:10")
    )

    assert (state.outcome, state.next_instant) == (Outcome.RUNNING, at(mon("10:30")))


def test_the_intervals_tell_of_every_stretch_what_became_of_it():
    state = clock(
        FOLLOW_UP,
        fact(FactKind.ACCEPTED, "16:00"),
        fact(FactKind.PAUSED, "17:00", reason="buyer_asked"),
        fact(FactKind.RESUMED, "10:00", 22),
        fact(FactKind.FOLLOW_UP, "11:00", 22),
    )

    assert [(interval.kind, interval.start_time, interval.end_time) for interval in state.intervals] == [
        (IntervalKind.COUNTED, at(mon("16:00")), at(mon("17:00"))),
        (IntervalKind.PAUSED, at(mon("17:00")), at(mon("18:00"))),
        (IntervalKind.CLOSED, at(mon("18:00")), at(mon("09:00", 22))),
        (IntervalKind.PAUSED, at(mon("09:00", 22)), at(mon("10:00", 22))),
        (IntervalKind.COUNTED, at(mon("10:00", 22)), at(mon("11:00", 22))),
    ]


def test_a_handoff_is_under_the_first_agreement_in_force_whose_scope_means_it():
    emea = an_agreement(name="emea", scope=Condition(regions=frozenset({"EMEA"})))
    rest = an_agreement(name="rest")
    order = [an_agreement(name="old", expire_time=at(mon("00:00"))), emea, rest]

    assert agreement_for(order, Attributes(region="EMEA"), at(mon("10:00"))) is emea
    assert agreement_for(order, Attributes(region="APAC"), at(mon("10:00"))) is rest
    assert agreement_for([emea], Attributes(), at(mon("10:00"))) is None


@pytest.mark.parametrize(
    ("faulty", "field"),
    [
        (lambda: Tier(target=-HOUR), "tier.target"),
        (lambda: Rung(id="r"), "rungs.r"),
        (lambda: Rung(id="r", percent=50, offset=HOUR), "rungs.r"),
        (lambda: Rung(id="r", percent=-1), "rungs.r.percent"),
        (lambda: a_commitment(tiers=()), "commitments.first_follow_up.tiers"),
        (lambda: a_commitment(rungs=(Rung(id="r", percent=1),) * 2), "commitments.first_follow_up.rungs"),
        (lambda: a_commitment(objective=Decimal(1)), "commitments.first_follow_up.objective"),
        (lambda: an_agreement(a_commitment(), a_commitment()), "commitments"),
    ],
)
def test_an_agreement_that_cannot_be_measured_names_the_part_at_fault(faulty, field):
    with pytest.raises(BadAgreement) as refusal:
        faulty()
    assert refusal.value.field == field
