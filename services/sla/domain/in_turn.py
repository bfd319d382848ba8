"""What is read together is decided as if each thing had been read when it was recorded.

A clock that is met or void stays so, whatever becomes known of an earlier instant later on. So it matters in
which order things were recorded, and it must not matter how many of them were read at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from services.sla.domain.accord import Accord
from services.sla.domain.decide import Aside, Decision, Measuring, decide
from services.sla.domain.history import History, Told
from services.sla.domain.recorded import Clock
from services.sla.domain.timeline import FactKind


def decide_in_turn(
    history: History,
    fresh: Sequence[Told],
    clocks: Sequence[Clock],
    accords: Sequence[Accord],
    measuring: Measuring,
    *,
    as_of: datetime,
    now: datetime,
    aside: Aside = frozenset(),
) -> list[Decision]:
    """Return what is new about the handoff's clocks, as `decide` does; `fresh` is what was read just now.

    A miss is not looked for before all is known: what a later record shows to have been done was not missed.

    Raises:
        BusinessTimeError: when a due instant cannot be worked out.
    """
    settled: dict[str, Decision] = {}
    known = {clock.id: clock for clock in clocks}
    for at in _turns(fresh):
        later = {each.fact.position for each in fresh if each.fact.record_time > at}
        then = History.of(history.handoff, (each for each in history.told if each.fact.position not in later))
        found = decide(then, list(known.values()), accords, measuring, as_of=at, now=now, aside=aside)
        for decision in found:
            if decision.change.clock.is_decided:
                known[decision.change.clock.id] = decision.change.clock
                _keep(settled, decision)
    last = decide(history, list(known.values()), accords, measuring, as_of=as_of, now=now, aside=aside)
    for decision in last:
        _keep(settled, decision)
    return list(settled.values())


def _turns(fresh: Sequence[Told]) -> list[datetime]:
    """Return the instants before the last at which something was recorded; none where order says nothing."""
    # An inquiry is older than its record by nature, and is recorded with its submission.
    facts = sorted(
        (each.fact for each in fresh if each.fact.kind is not FactKind.INQUIRED),
        key=lambda fact: (fact.record_time, fact.position),
    )
    if all(one.occur_time <= other.occur_time for one, other in pairwise(facts)):
        return []
    return sorted({fact.record_time for fact in facts})[:-1]


def _keep(settled: dict[str, Decision], decision: Decision) -> None:
    """Have one decision of each clock, however often it was decided."""
    change = decision.change
    before = settled.get(change.clock.id)
    if before is None:
        settled[change.clock.id] = decision
        return
    change = replace(
        change,
        happenings=(*before.change.happenings, *change.happenings),
        held=(*before.change.held, *change.held),
        resolve=change.resolve or before.change.resolve,
    )
    settled[change.clock.id] = Decision(before=before.before, change=change)
