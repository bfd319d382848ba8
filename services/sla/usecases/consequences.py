"""Say what the parties agreed to do, when a rung is passed that it hangs on."""

from services.sla.domain.consequence import following
from services.sla.domain.decide import Decision
from services.sla.domain.events import RungFired
from services.sla.domain.terms import Mode
from services.sla.store.tx import SlaTx


def say_what_follows(tx: SlaTx, decision: Decision) -> None:
    """Say each consequence of every rung that fired, also of those below the one that is delivered.

    Nothing follows in observe mode, from history, and of what is done by now.
    """
    clock = decision.change.clock
    fired = [each for each in decision.change.happenings if isinstance(each, RungFired)]
    if not fired or clock.silent or not clock.is_open:
        return
    terms = tx.measure(clock.agreement_version).terms
    if terms.mode is not Mode.ENFORCE:
        return
    consequences = terms.promise(clock.commitment_id).consequences
    for rung in fired:
        for due in following(consequences, rung=rung.rung):
            tx.say_consequence(clock, rung, due)
