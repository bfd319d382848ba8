"""The estimators against an independent library and the evidence that the definitions are published with."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.domain.estimators import Outcome, estimate, fixed_horizon, wilson

_HOUR = 3_600_000_000


def _synthetic() -> list[tuple[float, float]]:
    """Return (start, time to service) in hours of the evidence's 3,000 leads; never is infinite."""
    random.seed(7)
    leads = []
    for day in range(30):
        for _ in range(100):
            start = 24 * day + 24 * random.random()
            kind = random.random()
            if kind < 0.70:
                leads.append((start, random.lognormvariate(math.log(3), 1.0)))
            elif kind < 0.85:
                leads.append((start, random.lognormvariate(math.log(60), 0.6)))
            else:
                leads.append((start, math.inf))
    return leads


def _read_at(hour: float, leads: list[tuple[float, float]]) -> list[tuple[int, Outcome]]:
    return [
        (
            round(min(time, hour - start) * _HOUR),
            Outcome.ANSWERED if start + time <= hour else Outcome.WAITING,
        )
        for start, time in leads
    ]


def _hours(micros: int | None) -> float | None:
    return None if micros is None else round(micros / _HOUR, 1)


def test_quantiles_of_the_evidence_count_those_who_still_wait() -> None:
    curve = estimate(_read_at(720, _synthetic()))

    assert _hours(curve.quantile(0.5)) == 5.1
    assert _hours(curve.quantile(0.75)) == 43.3
    assert curve.quantile(0.9) is None


def test_completed_items_alone_would_have_flattered() -> None:
    completed = [item for item in _read_at(720, _synthetic()) if item[1] is Outcome.ANSWERED]
    curve = estimate(completed)

    assert _hours(curve.quantile(0.5)) == 3.8
    assert _hours(curve.quantile(0.75)) == 10.2
    assert _hours(curve.quantile(0.9)) == 49.0


def test_compliance_of_the_evidence_is_that_of_settled_deadlines() -> None:
    items = [
        (duration, outcome, round((720 - start) * _HOUR))
        for (duration, outcome), (start, _) in zip(_read_at(720, _synthetic()), _synthetic(), strict=True)
    ]

    answered, observed = fixed_horizon(items, 24 * _HOUR)

    assert round(answered / observed, 3) == 0.711


def _decided_so_far(leads: list[tuple[float, float]]) -> tuple[int, int]:
    """Return the naive reading at hour 720: what was met already, of all that is met or missed by now."""
    met = sum(time <= 24 and start + time <= 720 for start, time in leads)
    missed = sum(time > 24 and start + 24 <= 720 for start, time in leads)
    return met, met + missed


def test_what_is_decided_so_far_flatters_and_of_the_last_day_it_is_always_everything() -> None:
    met, decided = _decided_so_far(_synthetic())

    assert round(met / decided, 3) == 0.716
    assert _decided_so_far([lead for lead in _synthetic() if lead[0] >= 720 - 24]) == (53, 53)


def test_the_last_three_days_read_38_hours_at_p75_where_completed_ones_read_5_6() -> None:
    young = [lead for lead in _synthetic() if lead[0] >= 720 - 72]
    items = _read_at(720, young)

    assert _hours(estimate(items).quantile(0.75)) == 38.3
    assert estimate(items).quantile(0.9) is None
    assert _hours(estimate(i for i in items if i[1] is Outcome.ANSWERED).quantile(0.75)) == 5.6


_items = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([Outcome.ANSWERED, Outcome.WAITING])),
    min_size=1,
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(_items)
def test_without_exits_the_curve_is_kaplan_and_meiers(items: list[tuple[int, Outcome]]) -> None:
    from lifelines import KaplanMeierFitter

    fitter = KaplanMeierFitter().fit([d for d, _ in items], [o is Outcome.ANSWERED for _, o in items])
    curve = estimate(items)
    table = fitter.event_table

    for point in curve.points:
        assert point.survival == pytest.approx(fitter.predict(point.duration), abs=1e-12)
        assert point.answered == pytest.approx(1 - fitter.predict(point.duration), abs=1e-12)
        assert point.at_risk == table.loc[point.duration, "at_risk"]
        interval = curve.survival_interval(point.duration)
        if interval is not None:
            low, high = fitter.confidence_interval_.loc[point.duration]
            assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(Outcome), min_size=2, max_size=40))
def test_with_exits_the_curve_is_aalen_and_johansens(outcomes: list[Outcome]) -> None:
    from lifelines import AalenJohansenFitter

    if Outcome.ANSWERED not in outcomes:
        return
    items = [(number + 1, outcome) for number, outcome in enumerate(outcomes)]
    codes = {Outcome.ANSWERED: 1, Outcome.EXITED: 2, Outcome.WAITING: 0}
    fitter = AalenJohansenFitter(calculate_variance=False)
    fitter.fit([d for d, _ in items], [codes[o] for _, o in items], event_of_interest=1)
    column = fitter.cumulative_density_.iloc[:, 0]

    for point in estimate(items).points:
        assert point.answered == pytest.approx(column.loc[point.duration], abs=1e-12)


def test_answers_exits_and_survivors_are_all_there_are() -> None:
    curve = estimate(
        [(1, Outcome.ANSWERED), (2, Outcome.EXITED), (2, Outcome.ANSWERED), (3, Outcome.WAITING)]
    )

    assert curve.points[-1].answered == pytest.approx(0.5)
    assert curve.points[-1].survival == pytest.approx(0.25)


def test_a_rejection_before_any_answer_is_not_still_to_come() -> None:
    answered_half = estimate([(1, Outcome.ANSWERED), (2, Outcome.EXITED)])
    as_if_waiting = estimate([(1, Outcome.ANSWERED), (0, Outcome.WAITING)])

    assert answered_half.quantile(0.75) is None
    assert as_if_waiting.quantile(0.75) == 1


def test_nobody_to_estimate_is_no_curve() -> None:
    curve = estimate([])

    assert (curve.item_count, curve.points, curve.quantile(0.5)) == (0, (), None)


def test_a_chart_gets_at_most_the_points_it_wants_first_and_last_among_them() -> None:
    curve = estimate((duration, Outcome.ANSWERED) for duration in range(1, 1001))

    thinned = curve.thinned(200)

    assert len(thinned) == 200
    assert (thinned[0], thinned[-1]) == (curve.points[0], curve.points[-1])


@pytest.mark.parametrize(("part", "whole", "low", "high"), [(9, 10, 0.60, 0.98), (3, 3, 0.44, 1.00)])
def test_small_shares_have_wide_intervals(part: int, whole: int, low: float, high: float) -> None:
    interval = wilson(part, whole)

    assert interval is not None
    assert (round(interval.low, 2), round(interval.high, 2)) == (low, high)


def test_a_share_of_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None
