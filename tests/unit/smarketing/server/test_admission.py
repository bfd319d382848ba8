"""Budgets: what comes in goes out, and a tenant's quota fills up again with time."""

from types import SimpleNamespace

import pytest

from smarketing.server.admission import Admission, AdmissionLimits, TenantLimits
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


def a_tenant_with(calls_per_second):
    clock = SimpleNamespace(at=0.0)
    own = TenantLimits(calls_per_second=calls_per_second)
    return clock, Admission(limits_of=lambda _: own, monotonic=lambda: clock.at)


def test_a_message_of_a_stream_waits_until_the_one_before_it_is_paid():
    clock, admission = a_tenant_with(10)
    assert admission.spend_in_stream("default", 210) == 0.0
    # Ten of the twenty that were saved up are left to calls: 200 are owed, at ten a second.
    assert admission.spend_in_stream("default", 1) == pytest.approx(20.0)
    clock.at += 19.9
    assert admission.spend_in_stream("default", 1) == pytest.approx(0.1)
    clock.at += 0.2

    assert admission.spend_in_stream("default", 1) == 0.0


def test_a_stream_that_takes_all_it_may_leaves_the_tenants_calls_their_half():
    clock, admission = a_tenant_with(10)
    admission.spend_in_stream("default", 1_000_000)
    for _ in range(10):
        admission.spend("default")
    assert refused(admission.spend, "default").reason == "TENANT_QUOTA_EXCEEDED"
    clock.at += 1.0

    for _ in range(10):
        admission.spend("default")


@pytest.mark.parametrize("batch", [1, 7, 50, 500])
def test_calls_and_streams_together_stay_within_one_quota(batch):
    clock, admission = a_tenant_with(20)
    taken = 0
    for _ in range(10_000):
        taken += batch if admission.spend_in_stream("default", batch) == 0.0 else 0
        try:
            admission.spend("default")
        except Refusal:
            pass
        else:
            taken += 1
        clock.at += 0.01

    # Two seconds' worth was saved up, and the last message of a stream is paid afterwards.
    assert 20 * clock.at <= taken <= 20 * (clock.at + 2) + batch


def test_streams_of_a_tenant_without_a_quota_of_its_own_are_not_counted():
    admission = Admission(AdmissionLimits(tenant_calls_per_second=1, tenant_burst=1), monotonic=lambda: 0.0)

    assert [admission.spend_in_stream("default", 500) for _ in range(10)] == [0.0] * 10
