"""When a handoff is to be taken from whoever has it."""

from services.sla.domain.decide import Decision
from services.sla.domain.events import RungFired
from services.sla.domain.terms import Mode, Terms


def takeover_of(decision: Decision, terms: Terms) -> RungFired | None:
    """Return the rung that asks for it; None when none does.

    Of several found past together the highest asks. Nothing is asked in observe mode, of history, of what
    is done by now, and of what waits in a queue.
    """
    clock = decision.change.clock
    fired = [each for each in decision.change.happenings if isinstance(each, RungFired)]
    if not fired or clock.silent or not clock.is_open or "/people/" not in clock.owner:
        return None
    if terms.mode is not Mode.ENFORCE:
        return None
    steps = terms.promise(clock.commitment_id).reassigning
    asking = [rung for rung in fired if rung.rung in steps]
    return max(asking, key=lambda rung: rung.occur_time, default=None)
