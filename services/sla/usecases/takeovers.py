"""Ask for a handoff to be taken from whoever missed it, where the ladder says so."""

from services.sla.domain.decide import Decision
from services.sla.domain.events import RungFired
from services.sla.domain.terms import Mode
from services.sla.store.tx import SlaTx


def ask_for_takeover(tx: SlaTx, decision: Decision) -> None:
    """Ask once for each rung that says so; `leads` does it, and bounds how often a handoff is taken.

    Of several found past together the highest asks. Nothing is asked in observe mode, of history, of what
    is done by now, and of what waits in a queue.
    """
    clock = decision.change.clock
    fired = [each for each in decision.change.happenings if isinstance(each, RungFired)]
    if not fired or clock.silent or not clock.is_open or "/people/" not in clock.owner:
        return
    terms = tx.measure(clock.agreement_version).terms
    if terms.mode is not Mode.ENFORCE:
        return
    steps = {step.id for step in terms.promise(clock.commitment_id).steps if step.reassigns}
    asking = [rung for rung in fired if rung.rung in steps]
    if asking:
        highest = max(asking, key=lambda rung: rung.occur_time)
        tx.ask_takeover(clock, highest)
