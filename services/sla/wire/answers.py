"""Who answers for a clock, and which targets are proposed, as they are shown."""

from collections.abc import Mapping, Sequence

from services.sla.domain.recorded import Clock
from services.sla.domain.targets import Durations, Unknown
from services.sla.domain.terms import Promise
from services.sla.wire.agreements import basis_value
from services.sla.wire.instants import duration
from smarketing.api.sla.v1 import agreements_pb2 as agreementspb


def responsibility_message(
    clock: Clock, people: Mapping[str, Sequence[str]], *, is_agreed: bool
) -> agreementspb.Responsibility:
    """Return who has which part in a clock now."""
    return agreementspb.Responsibility(
        clock=clock.name,
        commitment_id=clock.commitment_id,
        owner=clock.owner,
        accountable=people["accountable"],
        responsible=people["responsible"],
        consulted=people["consulted"],
        informed=people["informed"],
        agreed=is_agreed,
    )


def proposal_message(promise: Promise, each: Durations) -> agreementspb.TargetProposal:
    """Return what is proposed for one commitment and target."""
    message = agreementspb.TargetProposal(
        commitment_id=each.commitment_id,
        present_target_duration=duration(each.target),
        settled_count=each.settled,
        done_count=each.done,
        undefined_reason="" if each.unknown is None else each.unknown.value,
    )
    if promise.basis is not None:
        message.basis = basis_value(promise.basis)
    for field, value in (
        (message.p50_duration, each.p50),
        (message.p80_duration, each.p80),
        (message.proposed_target_duration, each.proposed),
    ):
        if value is not None and each.unknown is not Unknown.TOO_FEW:
            field.CopyFrom(duration(value))
    return message
