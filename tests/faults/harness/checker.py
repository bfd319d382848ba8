"""Judges what is left after faults: fourteen invariants, each a function of the evidence alone.

Each returns what breaks it, in words, and nothing when it holds; each costs what it reads, once.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

import orjson

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from tests.faults.harness.clocks import unlike_the_slow_clock
from tests.faults.harness.evidence import Evidence, Log, instant, total
from tests.faults.harness.load import SOURCE

Check: TypeAlias = Callable[[Evidence], Iterator[str]]

OUTCOMES: Final[Mapping[str, Any]] = {
    "met": slaeventspb.ClockMet,
    "breached": slaeventspb.ClockBreached,
    "void": slaeventspb.ClockVoided,
}
_GROWTH: Final = 1.1
_SLACK: Final = 4
"""Descriptors and threads that come and go."""
_RESIDENT_GROWTH: Final = 1.5
_FACT_KIB: Final = 2
_MOST_FACTS: Final = 40_000
"""What `reports` keeps at hand by design: so many of each kind that it met since it was measured."""


def i1_submissions_are_handoffs(evidence: Evidence) -> Iterator[str]:
    """Every `ok` submission is exactly one handoff; every handoff is of one that was asked for."""
    begun = Counter(
        said.handoff
        for _, said in evidence.leads.of(leadeventspb.HandoffSubmitted)
        if said.source_system == SOURCE
    )
    asked = [each for each in evidence.operations.values() if each.kind == "submit"]
    owners: dict[str, str] = {}
    for operation in asked:
        if operation.outcome != "ok":
            continue
        if begun[operation.handoff] != 1:
            yield f"{operation.key} was answered with {operation.handoff}, begun {begun[operation.handoff]}×"
        if owners.setdefault(operation.handoff, operation.key) != operation.key:
            yield f"{operation.key} and {owners[operation.handoff]} got one handoff, {operation.handoff}"
    unknown = sum(operation.outcome == "info" for operation in asked)
    invented = [handoff for handoff in begun if handoff not in owners]
    if len(invented) > unknown:
        yield f"{len(invented)} handoffs nobody was told of, {unknown} submissions of unknown outcome"


def i2_positions_are_contiguous(evidence: Evidence) -> Iterator[str]:
    """Positions are 1 to the head, and what was read once reads the same for ever."""
    for name, log in _logs(evidence):
        if [event.position for event in log.events] != list(range(1, log.head + 1)):
            yield f"the log of {name} is not 1..{log.head}"
        if {event.log_id for event in log.events} - {log.log_id}:
            yield f"the log of {name} has events of another log"
        stamps = [instant(event.record_time) for event in log.events]
        if stamps != sorted(stamps):
            yield f"the log of {name} was recorded out of order"
    logs = dict(_logs(evidence))
    for name, log_id, head, digest in evidence.read_before:
        if (logs[name].log_id, logs[name].digest(head)) != (log_id, digest):
            yield f"the first {head} events of {name} are not what they were"


def i3_versions_are_contiguous(evidence: Evidence) -> Iterator[str]:
    """Versions of each subject are 1, 2, 3 … in the order of positions."""
    for name, log in _logs(evidence):
        newest: defaultdict[tuple[str, str], int] = defaultdict(int)
        for event in log.events:
            key = (event.tenant, event.subject)
            if event.subject_version != newest[key] + 1:
                yield f"{name}: {event.subject} goes from version {newest[key]} to {event.subject_version}"
            newest[key] = event.subject_version


def i4_requests_have_one_effect(evidence: Evidence) -> Iterator[str]:
    """All answers to one request are equal, and an offer is accepted once."""
    for operation in evidence.operations.values():
        if len(set(operation.answers)) > 1:
            yield f"{operation.kind} {operation.key} was answered in {len(set(operation.answers))} ways"
    accepted = Counter(
        (said.handoff, said.offer)
        for _, said in evidence.leads.of(leadeventspb.HandoffAccepted)
        if said.offer
    )
    yield from (f"offer {offer} was accepted {n} times" for (_, offer), n in accepted.items() if n > 1)
    owned = {handoff for handoff, _ in accepted}
    told = {
        each.key for each in evidence.operations.values() if (each.kind, each.outcome) == ("accept", "ok")
    }
    yield from (f"{handoff} was accepted by its answer and is nobody's" for handoff in told - owned)
    logged = Counter(said.handoff for _, said in evidence.leads.of(leadeventspb.FollowUpLogged))
    asked = [each for each in evidence.operations.values() if each.kind == "follow_up"]
    for operation in asked:
        if operation.outcome == "ok" and logged[operation.key] != 1:
            yield f"the follow-up of {operation.key} is in the log {logged[operation.key]} times"


def i5_clocks_have_one_outcome(evidence: Evidence) -> Iterator[str]:
    """A clock starts once; each cycle has one outcome, and each rung fires once and in time's order."""
    started = Counter(_clock(said) for _, said in evidence.sla.of(slaeventspb.ClockStarted))
    yield from (f"{clock} started {count} times" for (clock, _), count in started.items() if count > 1)
    ended: Counter[tuple[str, int]] = Counter()
    for kind in OUTCOMES.values():
        ended.update(_clock(said) for _, said in evidence.sla.of(kind))
    retracted = Counter(_clock(said) for _, said in evidence.sla.of(slaeventspb.BreachRetracted))
    for key, count in ended.items():
        # A miss taken back is followed by what became of the clock instead.
        if count > 1 + retracted[key]:
            yield f"{key[0]} ended {count} times in cycle {key[1]}"
    yield from (f"the miss of {key[0]} was taken back {n} times" for key, n in retracted.items() if n > 1)
    rungs = Counter((*_clock(said), said.rung_id) for _, said in evidence.sla.of(slaeventspb.RungFired))
    yield from (f"rung {key[2]} of {key[0]} fired {count} times" for key, count in rungs.items() if count > 1)
    offered = {said.handoff for _, said in evidence.leads.of(leadeventspb.HandoffOffered)}
    clocked = {
        said.clock.handoff
        for _, said in evidence.sla.of(slaeventspb.ClockStarted)
        if said.clock.commitment_id == "accept"
    }
    yield from (f"{handoff} was offered and has no clock" for handoff in sorted(offered - clocked))


def i6_nothing_fires_early(evidence: Evidence) -> Iterator[str]:
    """No miss and no rung is recorded before its instant."""
    for kind in (slaeventspb.ClockBreached, slaeventspb.RungFired):
        for event, said in evidence.sla.of(kind):
            if instant(event.record_time) < instant(event.occur_time):
                yield f"{said.clock.clock} fired before {instant(event.occur_time)}"


def i7_misses_are_found(evidence: Evidence) -> Iterator[str]:
    """A miss is said to have occurred when it was due; how late it was found is `lateness`."""
    for event, said in evidence.sla.of(slaeventspb.ClockBreached):
        if event.occur_time != said.clock.due_time:
            yield f"the miss of {said.clock.clock} is dated {instant(event.occur_time)}"


def i8_clocks_are_what_the_log_says(evidence: Evidence) -> Iterator[str]:
    """Every clock is what a slow clock makes of the leads log alone."""
    yield from unlike_the_slow_clock(evidence.leads, evidence.sla)


def i9_figures_are_the_fold(evidence: Evidence) -> Iterator[str]:
    """The tables of reports are what a rebuild from both logs makes."""
    yield from evidence.unlike_rebuilt


def i10_metrics_are_the_rows(evidence: Evidence) -> Iterator[str]:
    """Totals of /metrics are those of the log, and nobody is nobody's."""
    if not evidence.metrics:
        return
    leads, sla = evidence.metrics["leads"], evidence.metrics["sla"]
    begun = sum(1 for _ in evidence.leads.of(leadeventspb.HandoffSubmitted))
    shown: dict[str, tuple[float, float]] = {
        "submitted": (total(leads, "smarketing_leads_submitted_total"), begun),
        "standing": (total(leads, "smarketing_leads_handoffs"), begun),
        "nobody's": (total(leads, "smarketing_leads_unowned_handoffs"), 0),
        "not conserved": (total(leads, "smarketing_leads_unconserved_handoffs"), 0),
        "clocks started": (
            total(sla, "smarketing_sla_clocks_started_total"),
            sum(1 for _ in evidence.sla.of(slaeventspb.ClockStarted)),
        ),
        "rungs": (
            total(sla, "smarketing_sla_rungs_fired_total"),
            sum(1 for _ in evidence.sla.of(slaeventspb.RungFired)),
        ),
    }
    yield from (
        f"{name}: shown {has:g}, in the log {should:g}"
        for name, (has, should) in shown.items()
        if has != should
    )


def i11_consumers_are_at_the_head(evidence: Evidence) -> Iterator[str]:
    """Everybody who follows a log has all of it, and nothing was put aside for good."""
    logs = dict(_logs(evidence))
    for consumer, (log_id, position) in evidence.consumers.items():
        log = logs[consumer.rpartition(".")[2]]
        owed = log.head if evidence.quiet_time is None else _recorded_by(log, evidence.quiet_time)
        if log_id != log.log_id or not owed <= position <= log.head:
            yield f"{consumer} is at {position} of {log_id}, the log at {log.head} of {log.log_id}"
    if evidence.dead_letters:
        yield f"{evidence.dead_letters} dead letters"


def i12_webhooks_arrive(evidence: Evidence) -> Iterator[str]:
    """Every alert was told; one id stands for one body; every signature is right."""
    if not evidence.secret:
        return
    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    for each in evidence.received:
        bodies[each.message_id].add(each.body)
    yield from (f"{key} came with {len(own)} bodies" for key, own in bodies.items() if len(own) > 1)
    if evidence.verified != len(evidence.received):
        yield f"{len(evidence.received) - evidence.verified} signatures are wrong"
    told = {name for own in bodies.values() for body in own for name in _alert_named(body)}
    for message in evidence.unsent:
        # One that failed waits for its next attempt, minutes or hours; one that is due waits for nothing.
        if evidence.quiet_time is None or message.next_attempt_time <= evidence.quiet_time:
            yield f"{message.alert} waits since {message.next_attempt_time}, tried {message.attempts} times"
        told.add(message.alert)
    opened = {said.alert.name for _, said in evidence.sla.of(slaeventspb.AlertChanged)}
    yield from (f"nobody was told of {name}" for name in sorted(opened - told))


def i13_no_canary_escaped(evidence: Evidence) -> Iterator[str]:
    """No secret and no person is where none belongs."""
    for place, content in evidence.texts.items():
        folded = content.lower()
        for canary in evidence.canaries:
            if canary.lower().encode() in folded:
                yield f"{canary[:12]}… is in {place}"
    for name, log in _logs(evidence):
        for event in log.events:
            if any(canary.lower().encode() in event.payload.value.lower() for canary in evidence.canaries):
                yield f"{event.subject} says something personal in the log of {name}"


def i14_nothing_leaks(evidence: Evidence) -> Iterator[str]:
    """Descriptors and threads are as many as before, and memory is not much more."""
    for service, (before, after) in evidence.vitals.items():
        for what in ("descriptors", "threads"):
            had, has = getattr(before, what), getattr(after, what)
            if has > had * _GROWTH + _SLACK:
                yield f"{service} holds {has} {what}, and held {had}"
        at_hand = _FACT_KIB * _facts_at_hand(evidence) if service == "reports" else 0
        if after.resident_kib > before.resident_kib * _RESIDENT_GROWTH + at_hand:
            yield f"{service} holds {after.resident_kib} KiB, and held {before.resident_kib}"


CHECKS: Final[Mapping[str, Check]] = {
    "I1": i1_submissions_are_handoffs,
    "I2": i2_positions_are_contiguous,
    "I3": i3_versions_are_contiguous,
    "I4": i4_requests_have_one_effect,
    "I5": i5_clocks_have_one_outcome,
    "I6": i6_nothing_fires_early,
    "I7": i7_misses_are_found,
    "I8": i8_clocks_are_what_the_log_says,
    "I9": i9_figures_are_the_fold,
    "I10": i10_metrics_are_the_rows,
    "I11": i11_consumers_are_at_the_head,
    "I12": i12_webhooks_arrive,
    "I13": i13_no_canary_escaped,
    "I14": i14_nothing_leaks,
}


def violations(evidence: Evidence) -> dict[str, list[str]]:
    """Return what breaks each invariant; an empty list for one that holds."""
    return {name: list(check(evidence)) for name, check in CHECKS.items()}


def lateness(sla: Log) -> list[float]:
    """Return by how many seconds each miss was found after it was due, shortest first."""
    return sorted(
        (instant(event.record_time) - instant(event.occur_time)).total_seconds()
        for event, _ in sla.of(slaeventspb.ClockBreached)
    )


def _facts_at_hand(evidence: Evidence) -> int:
    handoffs = sum(1 for _ in evidence.leads.of(leadeventspb.HandoffSubmitted))
    clocks = sum(1 for _ in evidence.sla.of(slaeventspb.ClockStarted))
    return min(handoffs, _MOST_FACTS) + min(clocks, _MOST_FACTS)


def _logs(evidence: Evidence) -> tuple[tuple[str, Log], tuple[str, Log]]:
    return ("leads", evidence.leads), ("sla", evidence.sla)


def _recorded_by(log: Log, time: datetime) -> int:
    return sum(instant(event.record_time) <= time for event in log.events)


def _clock(said: Any) -> tuple[str, int]:
    return said.clock.clock, said.clock.cycle


def _alert_named(body: bytes) -> list[str]:
    message = orjson.loads(body)
    return [message["alert"]] if "alert" in message else []
