"""What metrics count of the events: totals kept in the database, which never fall."""

from collections.abc import Callable
from typing import Any

from services.leads.domain import events as happened
from services.leads.domain.events import HandoffEvent, OfferState

Total = tuple[str, str, str]
"""Tenant, what is counted, and its label."""


def totals_of(event: HandoffEvent) -> tuple[Total, ...]:
    """Return what this event counts for."""
    count = _COUNTS.get(type(event))
    if count is None:
        return ()
    total, label = count(event)
    return ((event.handoff.tenant, total, label),) if label else ()


def _offered(event: happened.HandoffOffered) -> tuple[str, str]:
    if not event.decision.routing_version:
        return "routed", ""
    # An offer that never ends is a queue's.
    return "routed", "fallback" if event.expire_time is None else "assigned"


def _accepted(event: happened.HandoffAccepted) -> tuple[str, str]:
    return "offers_ended", OfferState.ACCEPTED.name.lower() if event.offer else ""


_COUNTS: dict[type[HandoffEvent], Callable[[Any], tuple[str, str]]] = {
    happened.HandoffSubmitted: lambda event: ("submitted", event.qualification.source_channel.name.lower()),
    happened.HandoffOffered: _offered,
    happened.OfferClosed: lambda event: ("offers_ended", event.state.name.lower()),
    happened.HandoffAccepted: _accepted,
    happened.HandoffRejected: lambda _: ("offers_ended", OfferState.REJECTED.name.lower()),
    happened.FollowUpLogged: lambda event: (
        "follow_ups",
        f"{event.channel.name.lower()} {event.grade.name.lower()}",
    ),
}
