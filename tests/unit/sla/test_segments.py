"""What each owner made of a handoff, in their own calendar; nothing of it counts in compliance."""

from collections.abc import Sequence
from datetime import datetime

from services.sla.domain.agreement import Attempts, CommitmentKind
from services.sla.domain.clock import evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.segments import Owners, OwnTime, Segment
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import BusinessTime, Interval
from tests.builders.sla import a_calendar, a_commitment, a_fact, a_timeline, an_agreement, at, calendars

MORNINGS = a_calendar(hours={day: [["09:00", "12:00"]] for day in ("mon", "tue", "wed", "thu", "fri")})


def mon(time: str) -> str:
    return f"2026-09-21T{time}:00+09:00"


def tue(time: str) -> str:
    return f"2026-09-22T{time}:00+09:00"


def assigned(person: str, time: str) -> Fact:
    return a_fact(FactKind.ASSIGNED, time, person=person)


def segments(
    *facts: Fact,
    as_of: str,
    away: Sequence[Interval] = (),
    kind: CommitmentKind = CommitmentKind.FIRST_FOLLOW_UP,
    **changes: object,
) -> tuple[Segment, ...]:
    """Return the owners' clocks of a promise of four hours; Park works in the mornings only."""

    def own_time(person: str, _team: str, _at: datetime) -> OwnTime:
        return OwnTime(openings=MORNINGS if person == "park" else a_calendar(), away=away)

    commitment = a_commitment(kind, rungs=(), **changes)
    agreement = an_agreement(commitment)
    owners = Owners(agreement, commitment, calendars(), a_timeline(*facts), own_time)
    return owners.segments(at(as_of))


def test_each_owner_has_the_whole_target_from_their_own_assignment_on() -> None:
    first, second = segments(assigned("kim", mon("09:00")), assigned("lee", mon("11:00")), as_of=mon("12:00"))

    assert (first.owner, first.outcome, first.end_time) == ("kim", Outcome.VOID, at(mon("11:00")))
    assert (second.owner, second.outcome, second.due_time) == ("lee", Outcome.RUNNING, at(mon("15:00")))


def test_an_owners_time_is_that_of_their_own_calendar() -> None:
    (segment,) = segments(assigned("park", mon("10:00")), as_of=mon("11:00"))

    # Two hours of Monday's morning and two of Tuesday's.
    assert segment.due_time == at(tue("11:00"))


def test_what_the_first_owner_missed_stays_theirs() -> None:
    first, second = segments(
        assigned("kim", mon("09:00")),
        assigned("lee", mon("14:00")),
        a_fact(FactKind.FOLLOW_UP, mon("15:00")),
        as_of=mon("16:00"),
    )

    assert (first.outcome, first.due_time, first.stop_time) == (Outcome.BREACHED, at(mon("13:00")), None)
    assert (second.outcome, second.stop_time) == (Outcome.MET, at(mon("15:00")))


def test_the_handoffs_own_clock_is_what_it_is_whoever_has_it() -> None:
    facts = assigned("kim", mon("09:00")), assigned("lee", mon("12:00"))
    (state,) = evaluate(an_agreement(a_commitment()), calendars(), a_timeline(*facts), at(mon("12:30")))

    assert (state.start_time, state.due_time) == (at(mon("09:00")), at(mon("13:00")))


def test_an_agreement_may_give_an_owner_less() -> None:
    (segment,) = segments(
        assigned("kim", mon("09:00")), as_of=mon("10:00"), owner_target=BusinessTime.of(hours=1)
    )

    assert segment.due_time == at(mon("10:00"))


def test_leave_is_nobodys_time() -> None:
    away = [Interval(at(mon("10:00")), at(tue("09:00")))]

    (segment,) = segments(assigned("kim", mon("09:00")), as_of=tue("11:00"), away=away)

    # One hour before leave, three after it.
    assert (segment.due_time, segment.elapsed) == (at(tue("12:00")), BusinessTime.of(hours=3))


def test_assigning_a_handoff_to_who_has_it_starts_nothing() -> None:
    found = segments(assigned("kim", mon("09:00")), assigned("kim", mon("11:00")), as_of=mon("12:00"))

    assert [segment.start_time for segment in found] == [at(mon("09:00"))]


def test_a_handoff_taken_over_is_theirs_no_more_before_anybody_else_has_it() -> None:
    (segment,) = segments(
        assigned("kim", mon("09:00")),
        a_fact(FactKind.TAKEN_OVER, mon("13:30")),
        a_fact(FactKind.FOLLOW_UP, mon("14:00")),
        as_of=mon("15:00"),
    )

    assert (segment.outcome, segment.end_time, segment.stop_time) == (
        Outcome.BREACHED,
        at(mon("13:30")),
        None,
    )


def test_an_owners_attempts_are_those_since_their_assignment() -> None:
    tries = [a_fact(FactKind.FOLLOW_UP, mon(time)) for time in ("09:30", "10:30", "11:30")]
    first, second = segments(
        assigned("kim", mon("09:00")),
        assigned("lee", mon("10:00")),
        *tries,
        as_of=mon("12:00"),
        kind=CommitmentKind.ATTEMPTS,
        attempts=Attempts(count=2),
    )

    assert (first.outcome, second.outcome, second.stop_time) == (Outcome.VOID, Outcome.MET, at(mon("11:30")))


def test_what_no_owner_promises_has_no_segments() -> None:
    assert segments(assigned("kim", mon("09:00")), as_of=mon("12:00"), kind=CommitmentKind.ACCEPT) == ()
