"""Ask for a handoff to be taken from whoever missed it."""

from services.sla.domain.decide import Decision
from services.sla.domain.takeover import takeover_of
from services.sla.store.tx import SlaTx


def ask_for_takeover(tx: SlaTx, decision: Decision) -> None:
    """Ask once for each rung that says so; `leads` does it, and bounds how often a handoff is taken."""
    clock = decision.change.clock
    rung = takeover_of(decision, tx.measure(clock.agreement_version).terms)
    if rung is not None:
        tx.ask_takeover(clock, rung)
