"""What marketing promises for a period besides value, and the pace that people are told of."""

from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from services.sla.domain.marketing_terms import (
    Amount,
    LeadValue,
    MarketingTerms,
    Quota,
    QuotaPeriod,
    faults_of_marketing,
)
from services.sla.domain.period import NOTHING, Pace, PeriodCounts, Verdict, period_at, settle
from services.sla.domain.period_promises import (
    Judged,
    PeriodPromise,
    judge_promises,
    next_look,
    watched_pace,
)
from smarketing.businesstime import BusinessTime
from tests.builders.sla import a_calendar, at

SEPTEMBER = period_at(at("2026-09-15T12:00:00+09:00"), QuotaPeriod.MONTH, "Asia/Seoul")
OPENINGS = a_calendar()
DAY = BusinessTime(9 * 3_600_000_000)
QUOTA = Quota(period=QuotaPeriod.MONTH, value=Amount(currency="EUR", minor_units=1_000))
VALUED = (LeadValue(segment="", value=Amount(currency="EUR", minor_units=100)),)
OVER = SEPTEMBER.end_time


def judged(counts: PeriodCounts, as_of: datetime = OVER, **agreed: Any) -> Judged:
    terms = MarketingTerms(**agreed)
    (found,) = judge_promises(terms, settle(terms, SEPTEMBER, counts, OPENINGS, as_of=as_of), as_of=as_of)
    return found


@pytest.mark.parametrize(
    ("conforming", "expected"), [(8, Verdict.MET), (9, Verdict.MET), (7, Verdict.BREACHED)]
)
def test_conformance_is_kept_when_at_least_the_agreed_share_met_the_definition(
    conforming: int, expected: Verdict
) -> None:
    counts = PeriodCounts(held_against=10, conforming=conforming)
    found = judged(counts, least_conformance=8_000)

    assert (found.promise, found.verdict) == (PeriodPromise.CONFORMANCE, expected)
    assert (found.limit, found.actual) == (Fraction(4, 5), Fraction(conforming, 10))


@pytest.mark.parametrize(("filled", "expected"), [(18, Verdict.MET), (17, Verdict.BREACHED)])
def test_completeness_is_kept_when_at_least_the_agreed_share_of_fields_is_filled_in(
    filled: int, expected: Verdict
) -> None:
    counts = PeriodCounts(held_against=5, required=20, filled=filled)

    assert judged(counts, least_completeness=9_000).verdict is expected


@pytest.mark.parametrize(
    ("rejected", "decided", "waiting", "expected"),
    [
        (2, 10, 0, Verdict.MET),
        (3, 10, 0, Verdict.BREACHED),
        # However one that waits goes: 2 of 10, or 3 of 11 which is more than a fifth.
        (2, 10, 1, Verdict.PENDING),
        # 3 of 15 at worst is a fifth.
        (2, 14, 1, Verdict.MET),
        # 3 of 10 even when the dispute is won.
        (3, 10, 1, Verdict.BREACHED),
        (0, 0, 1, Verdict.PENDING),
    ],
)
def test_rejections_are_decided_as_soon_as_no_dispute_can_change_it(
    rejected: int, decided: int, waiting: int, expected: Verdict
) -> None:
    counts = PeriodCounts(rejected=rejected, decided=decided, waiting=waiting)

    assert judged(counts, most_rejected=2_000).verdict is expected


@pytest.mark.parametrize("agreed", ["least_conformance", "least_completeness", "most_rejected"])
def test_a_share_of_nothing_is_neither_kept_nor_missed(agreed: str) -> None:
    assert judged(NOTHING, OVER, **{agreed: 5_000}).verdict is Verdict.UNDEFINED
    assert judged(NOTHING, OVER, **{agreed: 5_000}).actual is None


@pytest.mark.parametrize("agreed", ["least_conformance", "least_completeness", "most_rejected"])
def test_nothing_is_decided_before_the_period_is_over(agreed: str) -> None:
    before = at("2026-09-30T23:59:59+09:00")

    assert judged(NOTHING, before, **{agreed: 5_000}).verdict is Verdict.RUNNING


def test_what_was_not_agreed_has_no_verdict() -> None:
    terms = MarketingTerms(lead_values=VALUED, quota=QUOTA)
    statement = settle(terms, SEPTEMBER, PeriodCounts(delivered=1_000), OPENINGS, as_of=OVER)

    (only,) = judge_promises(terms, statement, as_of=OVER)
    assert (only.promise, only.verdict) == (PeriodPromise.VALUE, Verdict.MET)
    assert only.limit == only.actual == 1


@pytest.mark.parametrize("share", [-1, 10_000])
def test_a_share_of_all_is_refused_with_its_path(share: int) -> None:
    faults = faults_of_marketing(MarketingTerms(least_conformance=share, most_rejected=share))

    assert [fault.path for fault in faults] == [
        "marketing_terms.minimum_conformance_basis_points",
        "marketing_terms.maximum_rejected_basis_points",
    ]


def watched(delivered: int, as_of: str, before: Pace | None = None) -> Pace | None:
    terms = MarketingTerms(lead_values=VALUED, quota=QUOTA)
    counts, now = PeriodCounts(delivered=delivered), at(as_of)
    statement = settle(terms, SEPTEMBER, counts, OPENINGS, as_of=now)
    return watched_pace(QUOTA, statement, before, OPENINGS, DAY, as_of=now)


def test_nobody_is_told_of_the_pace_before_a_business_day_is_over_nor_after_the_end() -> None:
    # The 1st is a Tuesday.
    assert watched(0, "2026-09-01T17:59:00+09:00") is None
    assert watched(0, "2026-09-01T18:00:00+09:00") is Pace.BEHIND
    assert watched(0, "2026-10-01T00:00:00+09:00") is None


def test_who_was_told_stays_told_until_half_of_the_way_back_is_made_up_for() -> None:
    # Half of the month's open time: 500 is the quota's own pace, 400 the least and 625 the most.
    half = "2026-09-15T18:00:00+09:00"

    assert [watched(each, half) for each in (399, 400)] == [Pace.BEHIND, Pace.ON_PACE]
    assert [watched(each, half, Pace.BEHIND) for each in (449, 450)] == [Pace.BEHIND, Pace.ON_PACE]
    assert [watched(each, half, Pace.AHEAD) for each in (563, 562)] == [Pace.AHEAD, Pace.ON_PACE]


def look(delivered: int, as_of: str) -> datetime | None:
    counts = PeriodCounts(delivered=delivered)
    return next_look(QUOTA, SEPTEMBER, counts, OPENINGS, DAY, as_of=at(as_of))


def test_a_period_is_looked_at_next_when_time_alone_takes_its_pace_out_of_the_band() -> None:
    # 400 is 80 % of what is wanted when half of 22 days is gone, and falls behind in the instant after.
    fallen = look(400, "2026-09-15T12:00:00+09:00")

    assert fallen == at("2026-09-16T09:00:00.000001+09:00")
    assert watched(400, "2026-09-15T18:00:00+09:00") is Pace.ON_PACE
    assert watched(400, "2026-09-16T09:00:00.000001+09:00") is Pace.BEHIND


def test_a_period_whose_pace_is_too_fast_is_looked_at_when_half_of_that_has_worn_off() -> None:
    # 450 is 125 % of the pace when 0.36 of 22 days of nine hours is gone, and 112.5 % when 0.4 is.
    in_band, worn_off = look(450, "2026-09-09T12:00:00+09:00"), look(450, "2026-09-10T17:16:48+09:00")

    # 7.92 days: the 10th is the eighth. 8.8 days: the 11th is the ninth.
    assert in_band == at("2026-09-10T17:16:48+09:00")
    assert worn_off == at("2026-09-11T16:12:00+09:00")
    assert watched(450, "2026-09-11T16:11:59+09:00", Pace.AHEAD) is Pace.AHEAD
    assert watched(450, "2026-09-11T16:12:00+09:00", Pace.AHEAD) is Pace.ON_PACE


def test_a_period_without_value_is_looked_at_after_its_first_day_and_then_at_its_end() -> None:
    assert look(0, "2026-09-01T00:00:00+09:00") == at("2026-09-01T09:00:00.000001+09:00")
    assert look(0, "2026-09-01T10:00:00+09:00") == at("2026-09-01T18:00:00+09:00")
    assert look(0, "2026-09-01T18:00:00+09:00") == SEPTEMBER.end_time
    assert look(0, "2026-10-01T00:00:00+09:00") is None
