"""The promises of the tests' company once more: from the leads log alone, by the builders' slow clock."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.sql import to_micros
from tests.builders.second_by_second import Counted, SlowCount
from tests.builders.slow_clock import SlowClock
from tests.faults.harness.evidence import Log, instant

_SECOND: Final = 1_000_000
_TARGETS: Final = {True: 5 * _SECOND, False: 3_600 * _SECOND}
"""By whether the lead is hasty: what the company's agreement grants to accept it, and to follow up."""
_ALWAYS: Final = {
    "tz": "UTC",
    "hours": {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
}
_LEFT: Final = (
    leadeventspb.HandoffRejected,
    leadeventspb.HandoffVoided,
    leadeventspb.HandoffDisqualified,
    leadeventspb.HandoffRecycled,
)
_STATES: Final[dict[str, tuple[Any, str]]] = {
    kind.DESCRIPTOR.full_name: (kind, state)
    for kind, state in (
        (slaeventspb.ClockStarted, "RUNNING"),
        (slaeventspb.ClockMet, "MET"),
        (slaeventspb.ClockBreached, "BREACHED"),
        # The evidence came late, of something done in time.
        (slaeventspb.BreachRetracted, "MET"),
        (slaeventspb.ClockVoided, "VOID"),
    )
}


def unlike_the_slow_clock(leads: Log, sla: Log) -> Iterator[str]:
    """Yield each clock of an answer or a first follow-up that is not what its handoff's events make it."""
    recorded = _recorded(sla)
    if not recorded or not leads.events:
        return
    counted = _counted(instant(leads.events[-1].record_time).date())
    hasty = {
        said.handoff: said.qualification.segment == "hasty"
        for _, said in leads.of(leadeventspb.HandoffSubmitted)
    }
    starts = _first(leads, leadeventspb.HandoffAccepted)
    stops = _first(leads, leadeventspb.FollowUpLogged)
    left = {said.handoff for kind in _LEFT for _, said in leads.of(kind)}
    for clock, facts, outcome, spans, known in recorded:
        target = _TARGETS[hasty.get(facts.handoff, False)]
        start, due = to_micros(instant(facts.start_time)), to_micros(instant(facts.due_time))
        if any(counted.add(at, target) != until for at, until in spans):
            yield f"{clock} is due {instant(facts.due_time)}, {target / _SECOND:g} s after its start"
        if facts.commitment_id != "first-follow-up" or facts.handoff in left:
            continue
        if starts.get(facts.handoff) != start:
            yield f"{clock} did not start when its handoff was accepted"
            continue
        told = [(start, "start")]
        if facts.handoff in stops:
            told.append((stops[facts.handoff], "stop"))
        shown = SlowClock(counted, target).shown(told, max(known, start))
        if (shown["state"], shown["due"]) != (outcome, due):
            yield f"{clock} is {outcome}, the slow clock says {shown['state']}"


def _recorded(sla: Log) -> list[tuple[str, Any, str, set[tuple[int, int]], int]]:
    """Return each clock of the two promises: its facts, how it stands, its spans as told, and until when."""
    states: dict[str, tuple[Any, str]] = {}
    spans: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for event in sla.events:
        kind, state = _STATES.get(event.payload.type_url.rpartition("/")[2], (None, ""))
        if kind is not None:
            said = kind.FromString(event.payload.value)
            if said.clock.commitment_id in ("accept", "first-follow-up"):
                facts = said.clock
                states[facts.clock] = (facts, state)
                spans[facts.clock].add(
                    (to_micros(instant(facts.start_time)), to_micros(instant(facts.due_time)))
                )
    known = to_micros(instant(sla.events[-1].record_time))
    return [
        (clock, facts, state, spans[clock], known)
        for clock, (facts, state) in states.items()
        if state != "VOID" and not facts.historical
    ]


def _first(leads: Log, kind: Any) -> dict[str, int]:
    """Return the first instant at which something of a kind happened to each handoff."""
    found: dict[str, int] = {}
    for event, said in leads.of(kind):
        at = to_micros(instant(event.occur_time))
        found[said.handoff] = min(at, found.get(said.handoff, at))
    return found


def _counted(day: date) -> Counted:
    return SlowCount(_ALWAYS, day, days=3).counted
