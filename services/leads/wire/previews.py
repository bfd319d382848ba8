"""What routing came to, or would → protobuf."""

from collections.abc import Iterable

from services.leads.domain.previews import PersonLoad, Preview, RuleLoad
from services.leads.wire.leads import put_decision
from smarketing.api.leads.v1 import routing_pb2 as routingpb

__all__ = ["load_message", "preview_message"]


def preview_message(preview: Preview) -> routingpb.PreviewRoutingResponse:
    """Return the answer to a preview."""
    message = routingpb.PreviewRoutingResponse(
        handoff_count=preview.handoffs,
        truncated=preview.truncated,
        rules=map(_rule, preview.rules),
        people=map(_person, preview.people),
        queues=(
            routingpb.RoutingQueueLoad(queue=queue, ground=ground, handoff_count=count)
            for (queue, ground), count in sorted(preview.queues.items())
        ),
    )
    if preview.one is not None:
        message.assignee = preview.one.assignee
        put_decision(message.decision, preview.one.decision)
    return message


def load_message(rules: Iterable[RuleLoad], people: Iterable[PersonLoad]) -> routingpb.RoutingLoad:
    """Return how turns were shared."""
    return routingpb.RoutingLoad(rules=map(_rule, rules), people=map(_person, people))


def _rule(load: RuleLoad) -> routingpb.RoutingRuleLoad:
    pool = load.pool
    return routingpb.RoutingRuleLoad(
        rule_id=load.rule_id,
        turn_count=pool.turns,
        shares=(
            routingpb.RoutingShare(person=person, turn_count=balance.turns, due_turns=float(balance.due))
            for person, balance in pool.balances().items()
        ),
        largest_deviation_turns=float(pool.largest_deviation),
        bound_turns=float(pool.bound),
    )


def _person(load: PersonLoad) -> routingpb.RoutingPersonLoad:
    return routingpb.RoutingPersonLoad(
        person=load.person,
        handoff_count=load.handoffs,
        open_handoff_count=load.open_handoffs,
        capacity=load.capacity,
        passed_over=(
            routingpb.RoutingReasonCount(reason=reason, count=count)
            for reason, count in sorted(load.passed_over.items())
        ),
    )
