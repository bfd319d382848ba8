"""Marketing's own clock: from the inquiry at the source to the submission."""

from datetime import timedelta

from services.sla.domain.agreement import CommitmentKind, Party, Tier, TimeBasis
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.timeline import FactKind
from smarketing.businesstime import BusinessTime
from tests.builders.sla import a_commitment, a_fact, a_timeline, an_agreement, at, calendars

NOON = at("2026-03-02T12:00:00+00:00")


def handed_over(after: timedelta) -> ClockState:
    promise = a_commitment(
        CommitmentKind.FRESHNESS,
        party=Party.MARKETING,
        basis=TimeBasis.WALL,
        tiers=(Tier(target=BusinessTime.of(hours=1)),),
        rungs=(),
    )
    submit = NOON + after
    timeline = a_timeline(
        a_fact(FactKind.INQUIRED, NOON, record_time=submit), a_fact(FactKind.SUBMITTED, submit)
    )
    (state,) = evaluate(an_agreement(promise), calendars(), timeline, submit)
    return state


def test_an_inquiry_handed_over_within_the_target_is_met() -> None:
    assert handed_over(timedelta(hours=1)).outcome is Outcome.MET


def test_an_inquiry_handed_over_late_is_breached_at_its_due_instant() -> None:
    state = handed_over(timedelta(hours=1, microseconds=1))

    assert (state.outcome, state.breach_time) == (Outcome.BREACHED, NOON + timedelta(hours=1))


def test_an_inquiry_many_days_old_is_no_back_dated_evidence() -> None:
    assert handed_over(timedelta(days=30)).outcome is Outcome.BREACHED
