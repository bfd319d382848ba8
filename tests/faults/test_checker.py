"""The judge sees what it is there to see: each invariant, broken on purpose in a small clean history."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.message import Message

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from tests.builders.webhooks import Received
from tests.faults.harness.checker import CHECKS, violations
from tests.faults.harness.evidence import Evidence, Log, Unsent
from tests.faults.harness.fleet import Vitals
from tests.faults.harness.ledger import Ledger, Operation, operations
from tests.faults.harness.report import Row

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HANDOFF = "tenants/default/leads/1/handoffs/1"
CLOCK = "tenants/default/clocks/1"
ALERT = "tenants/default/alerts/1"

Spoil = Callable[[Evidence], Evidence]


def a_log(log_id: str, *told: tuple[str, float, float, Message]) -> Log:
    """Return a log of payloads with subject and the seconds at which they occurred and were recorded."""
    events, versions = [], dict[str, int]()
    for position, (subject, occurred, recorded, payload) in enumerate(told, start=1):
        versions[subject] = versions.get(subject, 0) + 1
        event = eventlogpb.Event(
            log_id=log_id,
            position=position,
            tenant="tenants/default",
            subject=subject,
            subject_version=versions[subject],
        )
        event.occur_time.FromDatetime(START + timedelta(seconds=occurred))
        event.record_time.FromDatetime(START + timedelta(seconds=recorded))
        event.payload.Pack(payload)
        events.append(event)
    return Log(log_id, len(events), events)


def facts(commitment: str, start: float) -> slaeventspb.ClockFacts:
    """Return a clock of five seconds."""
    said = slaeventspb.ClockFacts(
        clock=f"{CLOCK}-{commitment}", handoff=HANDOFF, commitment_id=commitment, cycle=1
    )
    said.start_time.FromDatetime(START + timedelta(seconds=start))
    said.due_time.FromDatetime(START + timedelta(seconds=start + 5))
    return said


def clean() -> Evidence:
    """Return the story of one hasty lead, answered in time, followed up too late, alerted once."""
    hasty = leadspb.Qualification(segment="hasty")
    leads = a_log(
        "leads-log",
        (
            HANDOFF,
            0,
            0,
            leadeventspb.HandoffSubmitted(handoff=HANDOFF, source_system="faults", qualification=hasty),
        ),
        (HANDOFF, 0, 0, leadeventspb.HandoffOffered(handoff=HANDOFF, offer="o1")),
        (HANDOFF, 2, 2, leadeventspb.HandoffAccepted(handoff=HANDOFF, offer="o1")),
        (HANDOFF, 9, 9, leadeventspb.FollowUpLogged(handoff=HANDOFF)),
    )
    accept, follow = facts("accept", 0), facts("first-follow-up", 2)
    alert = slapb.Alert(name=ALERT, clock=follow.clock)
    sla = a_log(
        "sla-log",
        (accept.clock, 0, 0.1, slaeventspb.ClockStarted(clock=accept)),
        (accept.clock, 2, 2.1, slaeventspb.ClockMet(clock=accept)),
        (follow.clock, 2, 2.1, slaeventspb.ClockStarted(clock=follow)),
        (follow.clock, 7, 7.2, slaeventspb.ClockBreached(clock=follow)),
        (follow.clock, 7, 7.2, slaeventspb.RungFired(clock=follow, rung_id="due")),
        (ALERT, 7, 7.2, slaeventspb.AlertChanged(alert=alert)),
        (follow.clock, 9, 9.1, slaeventspb.ClockStoppedLate(clock=follow)),
    )
    message = Received(path="/", headers={"webhook-id": "alert-1"}, body=orjson.dumps({"alert": ALERT}))
    vitals = Vitals(resident_kib=100_000, descriptors=40, threads=12)
    return Evidence(
        leads=leads,
        sla=sla,
        operations={
            "r1": Operation(
                "r1", "submit", "a-1", "d", 2, ["same", "same"], HANDOFF, unknown=["UNAVAILABLE"]
            ),
            "r2": Operation("r2", "accept", HANDOFF, "d", 1, ["yes"], HANDOFF),
            "r3": Operation("r3", "follow_up", HANDOFF, "d", 1, ["yes"], HANDOFF),
        },
        read_before=[("leads", "leads-log", 3, leads.digest(3))],
        metrics={
            "leads": {
                ("smarketing_leads_submitted_total", ()): 1.0,
                ("smarketing_leads_handoffs", ()): 1.0,
            },
            "sla": {
                ("smarketing_sla_clocks_started_total", ()): 2.0,
                ("smarketing_sla_rungs_fired_total", ()): 1.0,
            },
        },
        consumers={"sla.leads": ("leads-log", 4), "reports.sla": ("sla-log", 7)},
        received=[message],
        secret="whsec",
        verified=1,
        texts={"the log": b"handoff_offered"},
        canaries=["kanarie"],
        vitals={"sla": (vitals, vitals)},
    )


def logged(evidence: Evidence, which: str, log: Log) -> Evidence:
    """Put a log in the place of one."""
    return replace(evidence, leads=log) if which == "leads" else replace(evidence, sla=log)


def changed(which: str, place: int, **fields: Any) -> Spoil:
    """Return what changes an event of a log; `seconds` moves when it was recorded."""

    def spoil(evidence: Evidence) -> Evidence:
        log: Log = getattr(evidence, which)
        event = eventlogpb.Event.FromString(log.events[place - 1].SerializeToString())
        for name, value in fields.items():
            if name == "seconds":
                event.record_time.FromDatetime(START + timedelta(seconds=value))
            else:
                setattr(event, name, value)
        events = [*log.events[: place - 1], event, *log.events[place:]]
        return logged(evidence, which, replace(log, events=events))

    return spoil


def told_again(which: str, position: int) -> Spoil:
    """Return what repeats an event at the end of its log, with a place and version of its own."""

    def spoil(evidence: Evidence) -> Evidence:
        log: Log = getattr(evidence, which)
        event = eventlogpb.Event.FromString(log.events[position - 1].SerializeToString())
        newest = log.events[-1].record_time
        event.position, event.record_time.seconds = log.head + 1, newest.seconds + 1
        event.subject_version = 1 + sum(each.subject == event.subject for each in log.events)
        again = Log(log.log_id, log.head + 1, [*log.events, event])
        places = {name: (key, at + (key == log.log_id)) for name, (key, at) in evidence.consumers.items()}
        return logged(replace(evidence, consumers=places), which, again)

    return spoil


def with_operation(request_id: str, **fields: Any) -> Spoil:
    """Return what changes an entry of the ledger, or adds one."""

    def spoil(evidence: Evidence) -> Evidence:
        known = evidence.operations.get(request_id, Operation(request_id, "submit", "a-9", "d", 1))
        return replace(evidence, operations={**evidence.operations, request_id: replace(known, **fields)})

    return spoil


def without_clocks(evidence: Evidence) -> Evidence:
    """Drop what sla said of the first clock."""
    told = [event for event in evidence.sla.events if not event.subject.endswith("-accept")]
    return replace(evidence, sla=Log("sla-log", len(told), told))


def due_later(evidence: Evidence) -> Evidence:
    """Grant the follow-up two seconds more than was promised."""
    events = []
    for event in evidence.sla.events:
        if event.payload.Is(slaeventspb.ClockStarted.DESCRIPTOR):
            said = slaeventspb.ClockStarted.FromString(event.payload.value)
            said.clock.due_time.seconds += 2
            event.payload.Pack(said)
        events.append(event)
    return replace(evidence, sla=replace(evidence.sla, events=events))


def moved(evidence: Evidence) -> Evidence:
    """Date the miss when it was found."""
    event = eventlogpb.Event.FromString(evidence.sla.events[3].SerializeToString())
    event.occur_time.CopyFrom(event.record_time)
    events = [*evidence.sla.events[:3], event, *evidence.sla.events[4:]]
    return replace(evidence, sla=replace(evidence.sla, events=events))


def waiting(evidence: Evidence, *, minutes: float) -> Evidence:
    """Let the alert wait for its next attempt, so many minutes after all was quiet."""
    quiet_time = START + timedelta(minutes=1)
    message = Unsent(
        alert=ALERT,
        attempts=1,
        next_attempt_time=quiet_time + timedelta(minutes=minutes),
        problem="no answer in time",
    )
    return replace(evidence, quiet_time=quiet_time, unsent=[message], received=[], verified=0)


def personal(evidence: Evidence) -> Evidence:
    """Name a person in an event."""
    event = eventlogpb.Event.FromString(evidence.leads.events[0].SerializeToString())
    said = leadeventspb.HandoffSubmitted.FromString(event.payload.value)
    said.qualification.campaign = "for kanarie"
    event.payload.Pack(said)
    return replace(evidence, leads=replace(evidence.leads, events=[event, *evidence.leads.events[1:]]))


def done_in_time(leads: Log) -> Log:
    """Let the follow-up have happened a second before it was due."""
    event = eventlogpb.Event.FromString(leads.events[3].SerializeToString())
    event.occur_time.FromDatetime(START + timedelta(seconds=6))
    return replace(leads, events=[*leads.events[:3], event])


MORE = Vitals(resident_kib=100_000, descriptors=60, threads=12)
OTHER = Received(path="/", headers={"webhook-id": "alert-1"}, body=b'{"alert": "another"}')
SPOILT: list[tuple[str, str, Spoil]] = [
    ("I1", "an answered lead is gone", with_operation("r9", answers=["yes"], handoff="tenants/x/handoffs/9")),
    ("I1", "one lead began twice", told_again("leads", 1)),
    ("I1", "one handoff for two", with_operation("r9", answers=["yes"], handoff=HANDOFF)),
    (
        "I1",
        "a lead that nobody sent",
        with_operation("r1", invoked=1, answers=[], unknown=[], last_refused=True, refusals=["NO"]),
    ),
    ("I2", "a hole", changed("leads", 2, position=7)),
    ("I2", "another log's event", changed("sla", 2, log_id="other")),
    ("I2", "history rewritten", changed("leads", 2, actor="somebody else")),
    ("I2", "recorded before the one in front", changed("sla", 3, seconds=-5)),
    ("I3", "a version twice", changed("leads", 3, subject_version=2)),
    ("I4", "another answer the second time", with_operation("r1", answers=["same", "other"])),
    ("I4", "accepted twice", told_again("leads", 3)),
    ("I4", "followed up twice", told_again("leads", 4)),
    ("I4", "accepted by the answer alone", with_operation("r2", key="tenants/default/leads/2/handoffs/1")),
    ("I5", "missed twice", told_again("sla", 4)),
    ("I5", "a rung twice", told_again("sla", 5)),
    ("I5", "started twice", told_again("sla", 1)),
    ("I5", "an offer without a clock", without_clocks),
    ("I6", "found before it was due", changed("sla", 4, seconds=6.5)),
    ("I7", "dated when it was found", moved),
    ("I8", "a due instant that nobody promised", due_later),
    (
        "I8",
        "missed though it was done",
        lambda evidence: replace(evidence, leads=done_in_time(evidence.leads)),
    ),
    ("I9", "a row that no event makes", lambda evidence: replace(evidence, unlike_rebuilt=["clock_fact"])),
    (
        "I10",
        "a counter that fell",
        lambda evidence: replace(evidence, metrics={**evidence.metrics, "sla": {}}),
    ),
    (
        "I11",
        "a reader who stopped",
        lambda evidence: replace(evidence, consumers={"sla.leads": ("leads-log", 3)}),
    ),
    (
        "I11",
        "a reader of another log",
        lambda evidence: replace(evidence, consumers={"sla.leads": ("old", 4)}),
    ),
    ("I11", "a dead letter", lambda evidence: replace(evidence, dead_letters=1)),
    ("I12", "an alert nobody heard", lambda evidence: replace(evidence, received=[], verified=0)),
    ("I12", "a message that is due and not sent", lambda evidence: waiting(evidence, minutes=-1)),
    ("I12", "a signature that is wrong", lambda evidence: replace(evidence, verified=0)),
    (
        "I12",
        "two bodies under one id",
        lambda evidence: replace(evidence, received=[*evidence.received, OTHER], verified=2),
    ),
    ("I13", "a person in the log", lambda evidence: replace(evidence, texts={"the log": b"to Kanarie"})),
    ("I13", "a person in an event", personal),
    (
        "I14",
        "descriptors left open",
        lambda evidence: replace(evidence, vitals={"sla": (evidence.vitals["sla"][0], MORE)}),
    ),
]


def test_a_message_that_waits_for_its_next_attempt_breaks_nothing() -> None:
    assert violations(waiting(clean(), minutes=5))["I12"] == []


def test_a_clean_history_breaks_nothing() -> None:
    assert violations(clean()) == {name: [] for name in CHECKS}


@pytest.mark.parametrize(
    ("invariant", "spoil"),
    [(each[0], each[2]) for each in SPOILT],
    ids=[f"{each[0]} {each[1]}" for each in SPOILT],
)
def test_what_breaks_an_invariant_is_seen(invariant: str, spoil: Spoil) -> None:
    assert violations(spoil(clean()))[invariant] != []


def test_every_invariant_was_seen_broken() -> None:
    assert {invariant for invariant, _, _ in SPOILT} == set(CHECKS)


def test_a_ledger_tells_what_is_known_of_each_request(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        for request_id in ("answered", "refused", "unknown", "lost"):
            ledger.invoke(request_id, "submit", request_id, "d")
        ledger.info("answered", "UNAVAILABLE")
        ledger.invoke("answered", "submit", "answered", "d")
        ledger.ok("answered", b"yes", HANDOFF)
        ledger.info("refused", "DEADLINE_EXCEEDED")
        ledger.invoke("refused", "submit", "refused", "d")
        ledger.fail("refused", "INVALID")
        ledger.info("unknown", "UNAVAILABLE")
        assert ledger.under_way == 1
    # Whoever wrote it died within a line.
    with path.open("ab") as file:
        file.write(b'{"what": "ok", "id": "lo')

    assert {key: found.outcome for key, found in operations(path).items()} == {
        "answered": "ok",
        "refused": "fail",
        "unknown": "info",
        "lost": "info",
    }


def test_a_row_whose_faults_hit_nothing_has_failed() -> None:
    assert Row(row="F1", faults={"SIGKILL leads": 9}, hits=0).failed
    assert not Row(row="F1", faults={"SIGKILL leads": 9}, hits=1).failed
    assert Row(row="F1", faults={"SIGKILL leads": 9}, hits=9, violations={"I1": 1}).failed
