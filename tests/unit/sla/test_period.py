"""Marketing's period: value against quota with its pace, conformance, completeness, and rejections."""

from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.domain.agreement import Party
from services.sla.domain.marketing_terms import Amount, LeadValue, MarketingTerms, Quota, QuotaPeriod
from services.sla.domain.period import (
    NOTHING,
    Decision,
    Entry,
    Pace,
    PeriodCounts,
    Statement,
    Verdict,
    counts_of,
    period_at,
    settle,
)
from tests.builders.sla import a_calendar, at

SEPTEMBER = period_at(at("2026-09-15T12:00:00+09:00"), QuotaPeriod.MONTH, "Asia/Seoul")
OPENINGS = a_calendar()
TERMS = MarketingTerms(
    lead_values=(LeadValue(segment="", value=Amount(currency="EUR", minor_units=100)),),
    quota=Quota(period=QuotaPeriod.MONTH, value=Amount(currency="EUR", minor_units=1_000)),
)
FINAL = at("2026-09-22T18:00:00+09:00")


def stated(counts: PeriodCounts, as_of: str | datetime, terms: MarketingTerms = TERMS) -> Statement:
    return settle(terms, SEPTEMBER, counts, OPENINGS, as_of=at(as_of) if isinstance(as_of, str) else as_of)


@pytest.mark.parametrize(
    ("kind", "name", "start"),
    [
        (QuotaPeriod.MONTH, "2026-12", "2026-12-01T00:00-05:00"),
        # Summer time is still on in October.
        (QuotaPeriod.QUARTER, "2026-Q4", "2026-10-01T00:00-04:00"),
        (QuotaPeriod.YEAR, "2026", "2026-01-01T00:00-05:00"),
    ],
)
def test_a_period_is_one_of_the_zones_own_calendar(kind: QuotaPeriod, name: str, start: str) -> None:
    # Half past ten in the evening in New York, and the next year in UTC already.
    period = period_at(at("2026-12-31T22:30:00-05:00"), kind, "America/New_York")

    assert period == (name, at(start), at("2027-01-01T00:00-05:00"))


def test_the_last_instant_before_midnight_is_of_the_period_and_midnight_of_the_next() -> None:
    end = SEPTEMBER.end_time
    following = period_at(end, QuotaPeriod.MONTH, "Asia/Seoul")

    assert period_at(end - timedelta(microseconds=1), QuotaPeriod.MONTH, "Asia/Seoul") == SEPTEMBER
    assert (following.id, following.start_time) == ("2026-10", end)


def test_value_is_what_was_handed_over_less_what_was_finally_rejected_on_marketings_account() -> None:
    entry = Entry(value=100)
    rejected = entry.rejected(Party.MARKETING, final_time=FINAL)

    def value(of: Entry) -> tuple[int, int]:
        counts = counts_of(of)
        return counts.delivered, counts.pending

    assert value(entry) == value(entry.taken()) == (100, 0)
    assert value(rejected) == value(rejected.disputed()) == (100, 100)
    assert value(rejected.as_of(FINAL)) == (100, 100)
    assert value(rejected.as_of(FINAL + timedelta(microseconds=1))) == (0, 0)
    assert value(rejected.disputed().as_of(FINAL + timedelta(days=30))) == (100, 100)
    assert value(rejected.disputed().upheld()) == (0, 0)
    assert value(rejected.disputed().overturned()) == (100, 0)
    assert counts_of(rejected.disputed().overturned()) == counts_of(entry)


def test_what_sales_reject_for_their_own_reasons_takes_no_value_away() -> None:
    final = Entry(value=100).rejected(Party.SALES, final_time=FINAL).upheld()

    assert counts_of(final) == PeriodCounts(submitted=1, delivered=100, decided=1)


def test_the_share_of_rejections_is_of_what_was_decided_and_final() -> None:
    waiting = counts_of(Entry().rejected(Party.MARKETING, final_time=FINAL))
    final = counts_of(Entry().rejected(Party.MARKETING, final_time=FINAL).upheld())
    taken = counts_of(Entry().taken())

    assert stated(NOTHING, FINAL).rejected_share is None
    assert stated(waiting, FINAL).rejected_share is None
    assert stated(final + taken + taken + taken + waiting, FINAL).rejected_share == Fraction(1, 4)


def test_conformance_and_completeness_count_only_what_was_held_against_a_definition() -> None:
    good = counts_of(Entry(conforms=True, required=4, filled=4))
    poor = counts_of(Entry(conforms=False, required=4, filled=1))
    before_any = counts_of(Entry())
    statement = stated(good + poor + before_any, FINAL)

    # A ratio of sums: five of eight fields, whatever each handoff's own share.
    assert (statement.conformance, statement.completeness) == (Fraction(1, 2), Fraction(5, 8))
    assert statement.fully_complete == Fraction(1, 2)
    assert stated(before_any, FINAL).conformance is None


def test_a_void_handoff_counts_for_nothing() -> None:
    assert counts_of(Entry(value=100, conforms=True, required=1, filled=1).taken().voided()) == NOTHING


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # September 2026 has 22 working days; at the end of the 11th half of the quota of 1,000 is on time.
        (399, Pace.BEHIND),
        (400, Pace.ON_PACE),
        (625, Pace.ON_PACE),
        (626, Pace.AHEAD),
    ],
)
def test_pace_is_watched_in_both_directions(value: int, expected: Pace) -> None:
    statement = stated(PeriodCounts(delivered=value), "2026-09-15T18:00:00+09:00")

    assert statement.pace == Fraction(value, 500)
    assert statement.pace_state is expected


def test_before_the_first_opening_there_is_no_pace_and_after_the_end_it_is_the_attainment() -> None:
    counts = PeriodCounts(delivered=900)

    assert stated(counts, "2026-09-01T08:59:00+09:00").pace is None
    assert stated(counts, "2026-11-01T00:00:00+09:00").pace == Fraction(9, 10)
    assert stated(counts, "2026-09-10T00:00:00+09:00").attainment == Fraction(9, 10)


@pytest.mark.parametrize(
    ("delivered", "pending", "expected"),
    [
        (1_000, 0, Verdict.MET),
        (1_100, 100, Verdict.MET),
        (1_000, 1, Verdict.PENDING),
        (999, 0, Verdict.BREACHED),
        (999, 500, Verdict.BREACHED),
    ],
)
def test_a_quota_is_decided_at_the_periods_end_as_soon_as_no_dispute_can_change_it(
    delivered: int, pending: int, expected: Verdict
) -> None:
    counts = PeriodCounts(delivered=delivered, pending=pending)

    assert stated(counts, SEPTEMBER.end_time - timedelta(microseconds=1)).verdict is Verdict.RUNNING
    assert stated(counts, SEPTEMBER.end_time).verdict is expected


def test_without_a_quota_there_is_nothing_to_keep() -> None:
    statement = stated(PeriodCounts(delivered=5), SEPTEMBER.end_time, MarketingTerms())

    assert (statement.verdict, statement.attainment, statement.pace) == (Verdict.RUNNING, None, None)


ENTRIES = st.builds(
    Entry,
    value=st.none() | st.integers(min_value=1, max_value=10_000),
    conforms=st.none() | st.booleans(),
    required=st.integers(min_value=0, max_value=5),
    filled=st.integers(min_value=0, max_value=5),
    decision=st.sampled_from(Decision),
    is_marketings=st.booleans(),
    is_void=st.booleans(),
)


@given(st.lists(st.tuples(ENTRIES, ENTRIES), max_size=8))
def test_a_sum_changed_entry_by_entry_is_the_sum_of_the_entries_as_they_are(
    changes: list[tuple[Entry, Entry]],
) -> None:
    running = sum((counts_of(before) for before, _ in changes), NOTHING)
    for before, after in changes:
        running = running - counts_of(before) + counts_of(after)

    assert running == sum((counts_of(after) for _, after in changes), NOTHING)
