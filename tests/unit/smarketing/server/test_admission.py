"""Budgets: what comes in goes out, and a tenant's quota fills up again with time."""

from types import SimpleNamespace

import pytest

from smarketing.server.admission import Admission, AdmissionLimits
from smarketing.server.errors import Refusal
from smarketing.server.sign_in import Throttle


def refused(act, *arguments):
    with pytest.raises(Refusal) as caught:
        act(*arguments)
    return caught.value


def test_a_quota_fills_at_its_rate_up_to_its_burst_and_says_when_to_return():
    clock = SimpleNamespace(at=100.0)
    limits = AdmissionLimits(tenant_calls_per_second=2, tenant_burst=3)
    admission = Admission(limits, monotonic=lambda: clock.at)
    for _ in range(3):
        admission.spend("default")
    refusal = refused(admission.spend, "default")
    clock.at += 0.5
    admission.spend("default")
    refused(admission.spend, "default")
    clock.at += 3600
    for _ in range(3):
        admission.spend("default")

    assert refused(admission.spend, "default").reason == "TENANT_QUOTA_EXCEEDED"
    assert refusal.retry_delay.total_seconds() == 0.5


def test_places_are_given_back():
    admission = Admission(AdmissionLimits(unary_in_flight=1, streams_in_flight=1, streams_per_principal=1))
    for _ in range(3):
        admission.enter_unary()
        assert refused(admission.enter_unary).reason == "SERVER_BUSY"
        admission.leave_unary()
        admission.enter_stream("mina")
        assert refused(admission.enter_stream, "otto").reason == "SERVER_BUSY"
        admission.leave_stream("mina")

    assert (admission.unary_in_flight, admission.streams_in_flight) == (0, 0)


def test_sign_in_failures_are_forgotten_after_the_window_and_kept_apart_by_address():
    clock = SimpleNamespace(at=0.0)
    throttle = Throttle(failures=2, window_seconds=60, capacity=2, monotonic=lambda: clock.at)
    throttle.failed("a")
    clock.at = 10.0
    throttle.failed("a")

    assert throttle.wait_seconds("a") == 50.0
    assert throttle.wait_seconds("b") == 0.0
    clock.at = 60.1
    assert throttle.wait_seconds("a") == 0.0
