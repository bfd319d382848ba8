"""Buckets read instead of handoffs say the same, but for the width of a bucket."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.domain.estimators import Outcome
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period, micros_of
from services.reports.domain.responses import MEASURES, Measure, ResponseItems
from services.reports.domain.waits import HORIZONS, bucket_of
from services.reports.domain.words import Closed, FollowedUp, Offered, Rejected
from services.reports.store.queries import Queries, Question
from services.reports.store.responses import ResponseQueries
from tests.builders.reports import MONDAY, TENANT, Ledger, a_ledger, at, handoff, submitted

_NOW = at(days=40)
_HOUR = 3_600_000_000

_lead = st.tuples(
    st.integers(0, 39 * 24 * 60),
    st.integers(-60, 3 * 24 * 60),
    st.one_of(st.none(), st.integers(-30, 40 * 24 * 60)),
    st.sampled_from(["", "rejected", "won"]),
    st.sampled_from(["webform", "expo"]),
    st.booleans(),
)


def _told(ledger: Ledger, leads: list[tuple[Any, ...]]) -> None:
    for number, (minute, inquired, followed, ended, source, historical) in enumerate(leads, 1):
        began = micros_of(MONDAY + timedelta(minutes=minute))
        inquiry = began - inquired * 60_000_000
        ledger.leads(submitted(number, began, source=source, inquire_time=inquiry, historical=historical))
        if followed is not None and began + followed * 60_000_000 <= _NOW:
            time = began + followed * 60_000_000
            ledger.leads(FollowedUp(TENANT, handoff(number), time, contact=False, counts=True))
        if number % 3:
            offered = began + number * 600_000_000
            ledger.leads(Offered(TENANT, handoff(number), offered, f"o{number}", "kim", ""))
        if ended == "rejected":
            ledger.leads(Rejected(TENANT, handoff(number), began + 3_600_000_000, "", "no", "sales"))
        if ended == "won":
            ledger.leads(Closed(TENANT, handoff(number), began + 7_200_000_000, won=True))


def _question(period: Period | None, *group_by: Dimension) -> Question:
    return Question(tenant=TENANT, period=period, group_by=group_by, now=_NOW)


def _averaged(items: ResponseItems) -> list[tuple[int, Outcome, int]]:
    """Return the items as buckets should hold them: those of one bucket at their mean."""
    buckets: dict[tuple[Outcome, int], list[int]] = {}
    for duration, outcome, _ in items.items:
        waits = outcome is Outcome.WAITING
        bucket = (_NOW - duration) // _HOUR if waits else bucket_of(duration)
        buckets.setdefault((outcome, bucket), []).append(duration)
    found = []
    for (outcome, _), durations in buckets.items():
        whole = sum(_NOW - each if outcome is Outcome.WAITING else each for each in durations)
        mean = whole // len(durations)
        mean = _NOW - mean if outcome is Outcome.WAITING else mean
        widest = _HOUR if outcome is Outcome.WAITING else max(1_000_000, mean // 32)
        assert all(abs(each - mean) <= widest for each in durations)
        found.append((mean, outcome, len(durations)))
    return sorted(found)


@settings(max_examples=25, deadline=None)
@given(st.lists(_lead, max_size=14), st.sampled_from([None, Period.month(2026, 3)]), st.booleans())
def test_buckets_hold_every_wait_at_their_mean_and_shares_within_a_horizon_are_exact(
    leads: list[tuple[Any, ...]], period: Period | None, by_source: bool
) -> None:
    question = _question(period, *([Dimension.SOURCE] if by_source else []))
    with a_ledger() as ledger:
        _told(ledger, leads)
        queries = Queries(ledger.tables)
        single, many = ResponseQueries(queries), ResponseQueries(queries, most_single_items=-1)
        with ledger.database.reading() as connection:
            for measure in MEASURES:
                exact = single.items(connection, question, measure)
                counted = many.items(connection, question, measure)
                assert exact.keys() == counted.keys()
                for group, items in exact.items():
                    assert items.item_count == counted[group].item_count
                    assert items.invalid_count == counted[group].invalid_count
                    assert sorted(counted[group].counted) == _averaged(items)
            for horizon in HORIZONS:
                exact = single.items_so_old(connection, question, Measure.BUYER_FIRST_FOLLOW_UP, horizon)
                counted = many.items_so_old(connection, question, Measure.BUYER_FIRST_FOLLOW_UP, horizon)
                assert {group: items.within(horizon) for group, items in exact.items()} == {
                    group: items.within(horizon) for group, items in counted.items()
                }


def test_no_bucket_reaches_over_a_horizon() -> None:
    assert all(bucket_of(horizon) < bucket_of(horizon + 1) for horizon in HORIZONS)
