"""How the calls of a load are summed up: by when they were due, and from when they were due."""

import pytest

from tests.bench.arrivals import due_times
from tests.bench.phases import Call, Span, figures_of, percentile, seconds_until_normal, spans_of
from tests.bench.wire import OK, RESOURCE_EXHAUSTED, UNANSWERED

SECOND = Span(begins=0.0, ends=1.0)


def test_several_loaders_share_the_arrivals_of_a_phase_evenly_and_leave_out_pauses() -> None:
    phases = [(4.0, 1.0), (0.0, 0.5), (2.0, 1.0)]

    first, second = (due_times(phases, part, 2) for part in range(2))

    assert first == [0.0, 0.5, 1.5]
    assert second == [0.25, 0.75, 2.0]
    assert [(span.begins, span.ends) for span in spans_of(phases)] == [(0.0, 1.0), (1.0, 1.5), (1.5, 2.5)]


def test_calls_count_where_they_were_due_and_goodput_where_their_answers_came() -> None:
    calls = [Call(0.1, 0.2, OK), Call(0.9, 0.4, OK), Call(1.1, 0.1, OK)]

    seen = figures_of(calls, SECOND)

    assert seen["arrivals"] == 2
    assert seen["goodput_per_second"] == 1
    assert seen["p99_ms"] == pytest.approx(400)


def test_what_was_refused_is_neither_latency_nor_failure_and_what_never_came_is_a_failure() -> None:
    calls = [Call(0.1, 0.5, OK), Call(0.2, 0.01, RESOURCE_EXHAUSTED), Call(0.3, 0.0, UNANSWERED)]

    seen = figures_of(calls, SECOND)

    assert seen["refused_share"] == pytest.approx(1 / 3)
    assert seen["refused_p99_ms"] == pytest.approx(10)
    assert seen["p50_ms"] == pytest.approx(500)
    assert (seen["failed"], seen["failed_by_status"]) == (1, {str(UNANSWERED): 1})


def test_a_phase_without_an_answer_has_no_percentile() -> None:
    assert figures_of([], SECOND)["p99_ms"] == 0
    assert percentile([], 0.5) == 0


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.99) == 4.0


def test_it_is_back_to_normal_from_the_window_on_after_which_nothing_was_late_again() -> None:
    late = [Call(0.1, 0.9, OK), Call(0.3, 0.05, OK), Call(0.6, 0.8, OK)]
    normal = [Call(0.8, 0.05, OK), Call(0.9, 0.05, OK)]

    assert seconds_until_normal([*late, *normal], SECOND, normal=0.1) == 0.75
    assert seconds_until_normal(normal, SECOND, normal=0.1) == 0.0


def test_it_is_not_back_to_normal_while_calls_are_refused_or_late_to_the_end() -> None:
    refused = [Call(0.9, 0.01, RESOURCE_EXHAUSTED)]

    assert seconds_until_normal(refused, SECOND, normal=0.1) is None
    assert seconds_until_normal([Call(0.9, 0.2, OK)], SECOND, normal=0.1) is None
