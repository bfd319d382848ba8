"""Bring the facts of a merged handoff to the one that goes on for it."""

from collections.abc import Mapping, Sequence

from services.sla.domain.history import History, Told, shared
from services.sla.domain.timeline import FactKind
from services.sla.store.tx import SlaTx


def with_shared(tx: SlaTx, told: Mapping[str, Sequence[Told]]) -> dict[str, list[Told]]:
    """Return what is told by handoff, and with it what happened on handoffs that others now go on for.

    What was told of these comes in the same batch or is on record: `leads` tells of nothing more on a handoff
    that another goes on for.
    """
    found = {handoff: list(each) for handoff, each in told.items()}
    unions = [
        (handoff, each.fact.source)
        for handoff, new in told.items()
        for each in new
        if each.fact.kind is FactKind.UNITED and each.fact.source
    ]
    if not unions:
        return found
    known = tx.histories({source for _, source in unions})
    for handoff, source in unions:
        history: History
        history, _ = known[source].joined(told.get(source, ()))
        found[handoff] += shared(history, handoff)
    return found
