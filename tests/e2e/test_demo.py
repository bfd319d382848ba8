"""`make demo` twice in a row, as somebody does who has just cloned the project, and what it leaves behind."""

import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from services.reports.consumers import lead_events, sla_events
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.periods import micros_of
from services.reports.store.database import SCHEMA
from services.reports.store.figures import Figures
from services.reports.store.queries import Queries, Question
from services.reports.store.reconcile import reconcile
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.eventlog.reading import head, read
from smarketing.sql import Connection, open_database

pytestmark = pytest.mark.timeout(420)

TENANT = "tenants/default"
_CLOSING = {
    "HandoffRejected": "REJECTED",
    "HandoffDisqualified": "DISQUALIFIED",
    "HandoffRecycled": "RECYCLED",
    "HandoffQualified": "QUALIFIED",
    "HandoffConverted": "CONVERTED",
}


@dataclass(frozen=True)
class Said:
    """One event of a log, opened."""

    kind: str
    payload: Any
    event: eventlogpb.Event


@dataclass(frozen=True)
class Start:
    """What one run of the demo printed, and the handoffs that there were after it."""

    status: int
    output: str
    handoffs: frozenset[str]


@dataclass(frozen=True)
class Demo:
    """A demo that was started twice."""

    folder: Path
    first: Start
    second: Start


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "data"
    return Demo(folder, _start(folder), _start(folder))


@pytest.fixture(scope="module")
def leads_said(demo: Demo) -> list[Said]:
    return _said(demo.folder / "leads.db")


@pytest.fixture(scope="module")
def sla_said(demo: Demo) -> list[Said]:
    return _said(demo.folder / "sla.db")


def test_it_ends_well_and_prints_both_parties_and_the_dashboard(demo: Demo) -> None:
    for start in (demo.first, demo.second):
        assert start.status == 0, start.output
        assert re.search(r"^Marketing *$", start.output, re.MULTILINE)
        assert re.search(r"^Sales *$", start.output, re.MULTILINE)
        assert re.search(r"http://127\.0\.0\.1:\d+/$", start.output, re.MULTILINE)
        assert "ingrid.token" in start.output


def test_a_second_start_has_every_handoff_of_the_first_and_says_how_many(demo: Demo) -> None:
    assert demo.first.handoffs < demo.second.handoffs, "all of the first, and the live ones of the second"
    assert f"{len(demo.first.handoffs):,} handoffs were there before" in demo.second.output


def test_nobody_else_can_read_the_tokens(demo: Demo) -> None:
    files = [*(demo.folder / "tokens").iterdir(), demo.folder / "receiver.secret"]

    assert len(files) > 10
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        run = _run(tmp_path / "data", port)

    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert f"Port {port} is taken" in run.stderr


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    run = _run(tmp_path, _free_base())

    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_offers_end_in_every_way_and_handoffs_in_every_state(leads_said: list[Said]) -> None:
    kinds = Counter(each.kind for each in leads_said)
    ended = Counter(
        leadspb.Offer.State.Name(each.payload.state) for each in leads_said if each.kind == "OfferEnded"
    )
    manners = Counter(each.payload.manner for each in leads_said if each.kind == "HandoffAccepted")
    states = Counter(_states(leads_said).values())

    assert 700 <= kinds["HandoffSubmitted"] <= 1_100
    assert ended["STATE_DECLINED"] > 0
    assert ended["STATE_EXPIRED"] > 0
    assert len(manners) >= 3, "accepted, claimed from the queue, and assigned when somebody went on leave"
    for state in ("OFFERED", "ACCEPTED", "WORKING", *_CLOSING.values(), "WON", "LOST"):
        assert states[state] > 0, state
    assert kinds["HandoffRevised"] > 0


def test_either_party_answers_for_some_rejections(leads_said: list[Said]) -> None:
    parties = {
        termspb.Party.Name(each.payload.accountable_party)
        for each in leads_said
        if each.kind == "HandoffRejected"
    }

    assert parties >= {"PARTY_MARKETING", "PARTY_SALES"}


def test_nobody_is_offered_a_lead_while_on_leave(leads_said: list[Said], sla_said: list[Said]) -> None:
    (leave,) = (each.payload.leave for each in sla_said if each.kind == "LeaveChanged")
    person = leave.name.partition("/leave/")[0]
    offered = [
        each.event.occur_time.ToDatetime()
        for each in leads_said
        if each.kind == "HandoffOffered" and each.payload.assignee == person
    ]
    away = [at for at in offered if leave.start_time.ToDatetime() <= at < leave.end_time.ToDatetime()]

    assert away == []
    assert offered


def test_either_party_keeps_and_misses_promises_and_some_evidence_comes_late(sla_said: list[Said]) -> None:
    outcomes: dict[str, Counter[str]] = {}
    for each in sla_said:
        if each.kind in {"ClockMet", "ClockBreached", "BreachRetracted", "ClockStoppedLate"}:
            clock = each.payload.clock
            for party in clock.parties:
                outcomes.setdefault(termspb.Party.Name(party), Counter())[each.kind] += 1

    for party in ("PARTY_MARKETING", "PARTY_SALES"):
        assert outcomes[party]["ClockMet"] > outcomes[party]["ClockBreached"] > 0
    assert outcomes["PARTY_SALES"]["BreachRetracted"] > 0
    assert outcomes["PARTY_SALES"]["ClockStoppedLate"] > 0
    assert outcomes["PARTY_SALES"]["ClockStoppedLate"] < outcomes["PARTY_SALES"]["ClockBreached"]


def test_a_breach_is_of_its_due_instant_and_found_within_the_hour(sla_said: list[Said]) -> None:
    for each in sla_said:
        if each.kind == "ClockBreached":
            assert each.event.occur_time == each.payload.clock.due_time
            assert each.event.occur_time.ToDatetime() <= each.event.record_time.ToDatetime()


def test_reports_shows_what_an_independent_count_of_the_logs_gives(demo: Demo) -> None:
    with _reports(demo) as connection:
        folded = {row.service: row.position for row in Queries(SCHEMA.reports).folded(connection)}
        # Behind every due instant: a clock is counted when it is due, also when it was met before.
        question = Question(tenant=TENANT, period=None, now=micros_of(datetime(2100, 1, 1, tzinfo=UTC)))
        figures = Figures(Queries(SCHEMA.reports))
        (funnel,) = figures.funnel(connection, question, Basis.COHORT)
        scores = figures.scores(connection, question)
        mismatches = reconcile(connection, SCHEMA.reports)
    of_leads = [each for each in _said(demo.folder / "leads.db") if each.event.position <= folded["leads"]]
    of_sla = [each for each in _said(demo.folder / "sla.db") if each.event.position <= folded["sla"]]
    kinds = Counter(each.kind for each in of_leads)

    assert mismatches.total == 0
    assert funnel.tally.items == kinds["HandoffSubmitted"]
    assert funnel.tally.rejected == kinds["HandoffRejected"]
    assert funnel.tally.won == sum(
        each.payload.state == leadspb.Opportunity.STATE_WON
        for each in of_leads
        if each.kind == "OpportunityClosed"
    )
    shown = {
        score.terms.commitment_id: (score.tally.met, score.tally.breached)
        for party in scores.parties
        for score in party.commitments
    }
    assert shown == _settled(of_sla)


def _settled(of_sla: list[Said]) -> dict[str, tuple[int, int]]:
    """Return for each commitment how many clocks stand as met and as breached, by their last word."""
    last: dict[tuple[str, str], str] = {}
    for each in of_sla:
        if each.kind in {"ClockMet", "ClockBreached", "BreachRetracted"}:
            last[each.payload.clock.commitment_id, each.payload.clock.clock] = each.kind
    commitments = {commitment for commitment, _ in last}
    counted = Counter((commitment, kind == "ClockBreached") for (commitment, _), kind in last.items())
    return {each: (counted[each, False], counted[each, True]) for each in commitments}


def _states(leads_said: list[Said]) -> dict[str, str]:
    """Return where each handoff stands, from what was said of it."""
    states: dict[str, str] = {}
    for each in leads_said:
        handoff = each.event.subject
        if each.kind == "HandoffOffered":
            states[handoff] = "OFFERED"
        elif each.kind == "HandoffAccepted" and states[handoff] == "OFFERED":
            states[handoff] = "ACCEPTED"
        elif each.kind == "FollowUpLogged" and states[handoff] == "ACCEPTED":
            states[handoff] = "WORKING"
        elif each.kind == "OpportunityClosed":
            won = each.payload.state == leadspb.Opportunity.STATE_WON
            states[each.payload.handoff] = "WON" if won else "LOST"
        elif each.kind in _CLOSING:
            states[handoff] = _CLOSING[each.kind]
    return states


def _start(folder: Path) -> Start:
    run = _run(folder, _free_base())
    submitted = [each for each in _said(folder / "leads.db") if each.kind == "HandoffSubmitted"]
    return Start(run.returncode, run.stdout + run.stderr, frozenset(each.event.subject for each in submitted))


def _run(folder: Path, port_base: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.demo", "--exit", "--data", str(folder)]
    return subprocess.run(
        [*command, "--port-base", str(port_base)], capture_output=True, text=True, timeout=200, check=False
    )


def _free_base() -> int:
    """Return a port such that everything the demo listens on is free.

    Each process looks in a place of its own, since between the look and the start another might take it.
    """
    first = 10_001 + (os.getpid() % 70) * 300
    for base in (*range(first, 31_000, 300), *range(10_001, first, 300)):
        try:
            for port in (base, base + 1, base + 2, base + 100, base + 101, base + 102, base + 200):
                with closing(socket.create_server(("127.0.0.1", port))):
                    pass
        except OSError:
            continue
        return base
    raise AssertionError("no free ports")


def _said(database: Path) -> list[Said]:
    found: list[Said] = []
    with open_database(f"sqlite:///{database}") as opened, opened.reading() as connection:
        _, newest = head(connection, "tenants/-")
        while len(found) < newest:
            page = read(connection, "tenants/-", after=len(found), limit=5_000)
            found += [_opened(event) for event in page.events]
    return found


def _opened(event: eventlogpb.Event) -> Said:
    name = event.payload.type_url.rpartition("/")[2]
    assert name in lead_events.PAYLOAD_TYPES | sla_events.PAYLOAD_TYPES, "an event that reports does not know"
    payload = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    return Said(name.rpartition(".")[2], payload.FromString(event.payload.value), event)


@contextmanager
def _reports(demo: Demo) -> Iterator[Connection]:
    """Give a reading connection to the database of reports."""
    with open_database(f"sqlite:///{demo.folder / 'reports.db'}") as opened, opened.reading() as connection:
        yield connection
