"""An event too large to be followed is the caller's to mend, and the caller is told so."""

from collections.abc import Callable

import grpc
import pytest

from services.leads.rpc.refusals import refusal_of as leads_refusal_of
from services.sla.rpc.refusals import refusal_of as sla_refusal_of
from smarketing.eventlog.outbox import EventTooLarge
from smarketing.server.errors import Refusal


@pytest.mark.parametrize("refusal_of", [leads_refusal_of, sla_refusal_of])
def test_a_request_whose_event_is_too_large_is_refused_with_both_sizes(
    refusal_of: Callable[[Exception], Refusal | None],
) -> None:
    refusal = refusal_of(EventTooLarge("tenants/acme/routing", 262_145))

    assert refusal is not None
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "EVENT_TOO_LARGE")
    assert dict(refusal.metadata) == {
        "subject": "tenants/acme/routing",
        "size_bytes": "262145",
        "max_bytes": "262144",
    }
