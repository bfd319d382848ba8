"""Which misses an approved exception excuses, and which it does not."""

import pytest

from services.sla.domain.clock import evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.timeline import Excuse, FactKind
from tests.builders.sla import a_commitment, a_fact, a_timeline, an_agreement, at, calendars

DUE = "2026-09-21T14:00:00+09:00"
ACCEPTED = a_fact(FactKind.ACCEPTED, "2026-09-21T10:00:00+09:00", 1)
AGREEMENT = "tenants/default/agreements/main"


def outcome(excuse: Excuse | None, *, version: str = f"{AGREEMENT}/versions/1") -> Outcome:
    """Return what becomes of a clock due at two that nobody stops, with an exception approved next week."""
    excused = a_fact(
        FactKind.EXCUSED,
        "2026-09-21T10:00:00+09:00",
        -1,
        record_time=at("2026-09-28T10:00:00+09:00"),
        commitment="first_follow_up",
        excuse=excuse,
    )
    (state,) = evaluate(
        an_agreement(a_commitment(), name=version),
        calendars(),
        a_timeline(ACCEPTED, excused),
        at("2026-09-21T15:00:00+09:00"),
    )
    return state.outcome


def test_an_exception_excuses_a_miss_however_late_the_other_party_gave_its_word() -> None:
    assert outcome(Excuse(agreement=AGREEMENT)) is Outcome.EXCUSED


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (DUE, "2026-09-21T14:00:01+09:00", Outcome.EXCUSED),
        ("2026-09-21T09:00:00+09:00", "2026-09-21T14:00:00.000001+09:00", Outcome.EXCUSED),
        ("2026-09-21T09:00:00+09:00", DUE, Outcome.BREACHED),
        ("2026-09-21T14:00:00.000001+09:00", "2026-09-22T14:00:00+09:00", Outcome.BREACHED),
    ],
)
def test_a_range_excuses_what_was_due_from_its_start_until_before_its_end(
    start: str, end: str, expected: Outcome
) -> None:
    assert outcome(Excuse(agreement=AGREEMENT, start_time=at(start), end_time=at(end))) is expected


def test_an_exception_of_one_agreement_excuses_nothing_under_another() -> None:
    assert outcome(Excuse(agreement="tenants/default/agreements/mai")) is Outcome.BREACHED
    assert outcome(Excuse(agreement="tenants/default/agreements/other")) is Outcome.BREACHED


def test_a_clock_that_still_runs_is_not_excused_beforehand() -> None:
    excused = a_fact(FactKind.EXCUSED, "2026-09-21T10:00:00+09:00", -1, commitment="first_follow_up")
    (state,) = evaluate(an_agreement(a_commitment()), calendars(), a_timeline(ACCEPTED, excused), at(DUE))

    assert state.outcome is Outcome.RUNNING
