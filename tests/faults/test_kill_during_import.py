"""Services are killed while a file comes in: nothing is lost, nothing doubled, and every figure still agrees.

A handful of kills in `make thorough`, many with FAULTS=full. Each run says its seed; FAULTS_SEED repeats one.
"""

import asyncio
import csv
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from smarketing import wallclock
from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.client import LeadsClient, ReportsClient, SlaClient
from tests.builders.processes import ROOT, SERVICES, Installation, an_installation, until
from tests.builders.thorough import takes_minutes
from tests.e2e.company import Company, settled_in

FULL: Final = os.environ.get("FAULTS") == "full"
ROUNDS: Final = 5 if FULL else 1
KILLS_PER_SERVICE: Final = 3
ROWS: Final = 4_500
SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)

pytestmark = [
    pytest.mark.timeout(1_700 if FULL else 170),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the services' processes in /proc"),
]

MAPPING: Final = """
kind: Leads
time_zone: UTC
fields:
  source_system: {constant: flood}
  external_id: {column: id}
  contact.email: {column: email}
  qualification.source: {column: source}
  qualification.segment: {column: segment}
"""
SOURCES: Final = ("ads", "fair", "unknown", "")


@dataclass
class Tally:
    """What was done to the services."""

    kills: Counter[str] = field(default_factory=Counter)
    reimports: int = 0

    def __str__(self) -> str:
        per_service = ", ".join(
            f"{service} {count} kills, 3/n = {3 / count:.3f}" for service, count in sorted(self.kills.items())
        )
        return f"seed {SEED}: {per_service}; imports begun again {self.reimports}; lost 0, doubled 0"


@dataclass
class Caller:
    """Somebody who submits one lead at a time while services die, and remembers what was answered."""

    company: Company
    answered: list[tuple[leadspb.SubmitLeadRequest, leadspb.SubmitLeadResponse]] = field(default_factory=list)

    async def call(self, random_: random.Random) -> None:
        """Submit until cancelled; a call that finds nobody is repeated by the client with the same id."""
        async with LeadsClient(self.company.of("website")) as leads:
            while True:
                number = len(self.answered)
                submission = leadspb.Submission(
                    source_system="caller",
                    external_id=f"c-{number}",
                    contact=leadspb.Contact(email=f"c{number}@example.org"),
                )
                request = leadspb.SubmitLeadRequest(
                    parent=self.company.name, request_id=wallclock.new_uuid(), submission=submission
                )
                self.answered.append((request, await leads.submit_lead(request)))
                await asyncio.sleep(random_.uniform(0.05, 0.3))

    async def replayed(self) -> None:
        """Say everything again: every answer must be the first one."""
        async with LeadsClient(self.company.of("website")) as leads:
            for request, response in self.answered:
                assert await leads.submit_lead(request) == response


@dataclass
class Nemesis:
    """Kills services at random moments of an import, told by how far it came."""

    installation: Installation
    state: Path
    random: random.Random
    tally: Tally

    async def strike(self, total: int) -> None:
        victims = list(SERVICES) * KILLS_PER_SERVICE
        self.random.shuffle(victims)
        moments = sorted(self.random.randrange(0, int(total * 0.9)) for _ in victims)
        for victim, moment in zip(victims, moments, strict=True):
            while settled_rows(self.state) < moment:  # noqa: ASYNC110 -- another process sets no event of ours
                await asyncio.sleep(0.005)
            await asyncio.sleep(self.random.uniform(0, 0.05))
            # A service that is just being started again is killed when it is there, ready or not.
            while not self.installation.kill(victim):  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.02)
            self.tally.kills[victim] += 1


def settled_rows(state: Path) -> int:
    try:
        lines = state.read_bytes().split(b"\n")
    except FileNotFoundError:
        return 0
    rows = [line for line in lines if line.startswith(b'{"row":') and line.endswith(b"}")]
    return int(rows[-1].split(b":")[1].split(b",")[0]) if rows else 0


@dataclass
class Log:
    """A whole log as its readers see it."""

    log_id: str
    head: int
    events: list[eventlogpb.Event] = field(repr=False)

    def payloads(self, kind: type[Message]) -> Iterator[tuple[eventlogpb.Event, Any]]:
        for event in self.events:
            if event.payload.Is(kind.DESCRIPTOR):
                payload = kind()
                event.payload.Unpack(payload)
                yield event, payload


async def whole_log(client: Any) -> Log:
    """Read a log from its first event to its head, and check that it is one."""
    events: list[eventlogpb.Event] = []
    while True:
        page = await client.events.read_events(
            eventlogpb.ReadEventsRequest(parent="tenants/-", after_position=len(events), limit=5_000)
        )
        events += page.events
        if len(events) >= page.head_position:
            break
    assert [event.position for event in events] == list(range(1, page.head_position + 1))
    assert {event.log_id for event in events} <= {page.log_id}
    versions: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        versions[event.subject].append(event.subject_version)
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
    return Log(page.log_id, page.head_position, events)


@pytest.fixture(scope="module")
def own_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with an_installation(tmp_path_factory.mktemp("killed")) as installation:
        yield installation


@takes_minutes
async def test_services_killed_during_an_import_lose_nothing_and_double_nothing(
    own_installation: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    company = await settled_in(own_installation, "default", tmp_path)
    mapping = tmp_path / "flood.yaml"
    mapping.write_text(MAPPING)
    tally = Tally()
    random_ = random.Random(SEED)
    seen: Sequence[Log] = ()
    caller = Caller(company)
    wanted: list[str] = []
    for number in range(ROUNDS):
        table = tmp_path / f"flood-{number}.csv"
        wanted += a_table(table, number)
        calling = asyncio.create_task(caller.call(random_))
        await imported_under_fire(company, ("leads", table, mapping, "--live"), ROWS, random_, tally)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        own_installation.wait_until_ready()

        seen = await check(company, seen)
        assert await external_ids(company, "flood") == Counter(wanted)
        assert set((await external_ids(company, "caller")).values()) == {1}
        with capsys.disabled():
            sys.stdout.write(f"\n{tally}\n")
    await caller.replayed()
    assert tally.kills == dict.fromkeys(SERVICES, KILLS_PER_SERVICE * ROUNDS)


@pytest.mark.skipif(not FULL, reason="FAULTS=full: it takes a minute")
async def test_services_killed_during_the_import_of_real_history_keep_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = os.environ.get("SHARED_DATA", "")
    if not folder:
        pytest.skip("SHARED_DATA is not set: name the folder that holds olist_funnel")
    olist = Path(folder) / "olist_funnel"
    leads_file = olist / "olist_marketing_qualified_leads_dataset.csv"
    deals_file = olist / "olist_closed_deals_dataset.csv"
    tally, random_ = Tally(), random.Random(SEED)
    with an_installation(tmp_path / "data") as installation:
        company = await settled_in(installation, "default", tmp_path, zone="America/Sao_Paulo")
        examples = ROOT / "examples"

        await imported_under_fire(
            company, ("leads", leads_file, examples / "olist_leads.yaml"), 8_000, random_, tally
        )
        installation.wait_until_ready()
        await imported(company, tmp_path, "outcomes", deals_file, examples / "olist_outcomes.yaml")

        await check(company, ())
        with leads_file.open(newline="") as file:
            assert await external_ids(company, "olist") == Counter(
                row["mql_id"] for row in csv.DictReader(file)
            )
    with capsys.disabled():
        sys.stdout.write(f"\nreal history, {tally}\n")


def a_table(path: Path, number: int) -> list[str]:
    """Write a file of leads of which some are due in five seconds; return their ids."""
    ids = [f"{number}-{row}" for row in range(ROWS)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "email", "source", "segment"])
        for row, each in enumerate(ids):
            segment = "hasty" if row % 9 == 0 else ""
            writer.writerow([each, f"{each}@example.com", SOURCES[row % len(SOURCES)], segment])
    return ids


async def imported_under_fire(
    company: Company, what: tuple[str | Path, ...], total: int, random_: random.Random, tally: Tally
) -> None:
    """Import while services die, and begin the import again as often as it gives up."""
    state = Path(company.installation.data_dir) / f"{Path(what[1]).name}.state"
    nemesis = Nemesis(company.installation, state, random_, tally)
    striking = asyncio.create_task(nemesis.strike(total))
    try:
        for _ in range(10):
            noun, file, mapping, *more = what
            ran = await company.installation.smarketing(
                noun,
                "import",
                file,
                "--map",
                mapping,
                "--state",
                state,
                *more,
                token=company.tokens["website"],
                seconds=300 if FULL else 120,
            )
            if ran.status == 0:
                break
            assert ran.status == 4, ran.err + ran.out
            tally.reimports += 1
        assert ran.status == 0, ran.err + ran.out
        async with asyncio.timeout(60):
            await striking
    finally:
        striking.cancel()
        await asyncio.gather(striking, return_exceptions=True)


async def imported(company: Company, folder: Path, noun: str, file: Path, mapping: Path) -> None:
    await company.installation.json(
        noun, "import", file, "--map", mapping, "--state", folder / "state", token=company.tokens["crm"]
    )


async def external_ids(company: Company, source_system: str) -> Counter[str]:
    """Return how many handoffs each submission of a sender has."""
    request = leadspb.ListHandoffsRequest(
        parent=f"{company.name}/leads/-", page_size=1_000, source_system=source_system
    )
    async with LeadsClient(company.of("sven")) as leads, aclosing(leads.handoffs(request)) as handoffs:
        return Counter([handoff.external_id async for handoff in handoffs])


async def check(company: Company, before: Sequence[Log]) -> list[Log]:
    """Check logs, consumers, clocks, figures and audit against one another; return the logs."""
    async with (
        LeadsClient(company.operator) as leads,
        SlaClient(company.operator) as sla,
        ReportsClient(company.operator) as reports,
    ):
        funnel, logs = await settled_down(leads, sla, reports)
        leads_log, sla_log = logs
        for old, new in zip(before, logs, strict=False):
            assert new.log_id == old.log_id
            assert [_bytes(event) for event in new.events[: old.head]] == [_bytes(e) for e in old.events]
        assert as_counted(funnel) == folded(leads_log)
        await every_clock_has_one_outcome(sla_log, reports, company)
        for client in (leads, sla, reports):
            for parent in (company.name, "tenants/-"):
                verified = await client.audit.verify_audit(auditpb.VerifyAuditRequest(parent=parent))
                assert verified.intact, verified
    return logs


def _bytes(event: eventlogpb.Event) -> bytes:
    return bytes(event.SerializeToString(deterministic=True))


async def settled_down(
    leads: LeadsClient, sla: SlaClient, reports: ReportsClient
) -> tuple[reportspb.Funnel, list[Log]]:
    """Return the funnel and both logs, once everybody has read everything and nothing new is due."""
    request = reportspb.GetFunnelRequest(parent="tenants/default", group_by=[reportspb.DIMENSION_SOURCE])

    async def ask() -> tuple[list[str], reportspb.Funnel, list[Log]]:
        funnel = await reports.get_funnel(request)
        folded_to = {each.log_id: each.position for each in funnel.as_of.positions}
        if folded_to != {page.log_id: page.head_position for page in [await head(leads), await head(sla)]}:
            return [f"reports has folded {folded_to}"], funnel, []
        logs = [await whole_log(leads), await whole_log(sla)]
        return unmeasured(*logs), funnel, logs

    _, funnel, logs = await until(ask, lambda answer: not answer[0], seconds=60)
    return funnel, logs


async def head(client: LeadsClient | SlaClient) -> eventlogpb.ReadEventsResponse:
    return await client.events.read_events(eventlogpb.ReadEventsRequest(parent="tenants/-", limit=1))


def unmeasured(leads_log: Log, sla_log: Log) -> list[str]:
    """Return the handoffs that were offered without a clock, and those that are late without a breach."""
    offered = {payload.handoff for _, payload in leads_log.payloads(leadeventspb.HandoffOffered)}
    clocked = {
        payload.clock.handoff
        for _, payload in sla_log.payloads(slaeventspb.ClockStarted)
        if payload.clock.commitment_id == "accept"
    }
    hasty = {
        payload.handoff
        for _, payload in leads_log.payloads(leadeventspb.HandoffSubmitted)
        if payload.qualification.segment == "hasty"
    }
    breached = {payload.clock.handoff for _, payload in sla_log.payloads(slaeventspb.ClockBreached)}
    return sorted(offered - clocked) + sorted(hasty - breached)


def as_counted(funnel: reportspb.Funnel) -> dict[str | None, tuple[int, ...]]:
    return {
        row.group[0].value if row.group[0].HasField("value") else None: (
            row.submitted_count,
            row.accepted_count,
            row.converted_count,
            row.won_count,
            row.archived_count,
        )
        for row in funnel.rows
    }


def folded(log: Log) -> dict[str | None, tuple[int, ...]]:
    """Count the funnel from the log alone, the slow way: a set of handoffs for each stage."""
    stages: dict[str, set[str]] = {stage: set() for stage in ("accepted", "converted", "won", "archived")}
    source: dict[str, str | None] = {}
    for event, payload in log.payloads(leadeventspb.HandoffSubmitted):
        assert payload.handoff not in source, f"{payload.handoff} began twice"
        told = payload.qualification
        source[payload.handoff] = told.source if told.HasField("source") else None
        if payload.archived:
            stages["archived"].add(event.subject)
    kinds = {
        "accepted": leadeventspb.HandoffAccepted,
        "converted": leadeventspb.HandoffConverted,
        "won": leadeventspb.OpportunityClosed,
    }
    for stage, kind in kinds.items():
        stages[stage] = {payload.handoff for _, payload in log.payloads(kind)}
    # Skipped stages are credited, and whoever won is archived no more.
    stages["converted"] |= stages["won"]
    stages["accepted"] |= stages["converted"]
    stages["archived"] -= stages["won"]
    groups = set(source.values())
    return {
        group: (
            sum(found == group for found in source.values()),
            *(
                sum(source[handoff] == group for handoff in stages[stage])
                for stage in ("accepted", "converted", "won", "archived")
            ),
        )
        for group in groups
    }


async def every_clock_has_one_outcome(log: Log, reports: ReportsClient, company: Company) -> None:
    """Check that no clock began, was missed or told twice, and that the scorecard counts the same misses."""
    started = Counter(
        (payload.clock.handoff, payload.clock.commitment_id)
        for _, payload in log.payloads(slaeventspb.ClockStarted)
    )
    assert set(started.values()) <= {1}
    outcomes: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for kind in (slaeventspb.ClockBreached, slaeventspb.ClockMet, slaeventspb.ClockVoided):
        for event, payload in log.payloads(kind):
            outcomes[payload.clock.clock] += 1
            if kind is slaeventspb.ClockBreached:
                missed[payload.clock.commitment_id] += 1
                assert event.occur_time == payload.clock.due_time
                assert _instant(event.record_time) >= _instant(payload.clock.due_time)
    assert set(outcomes.values()) <= {1}
    rungs = Counter(
        (payload.clock.clock, payload.clock.cycle, payload.rung_id)
        for _, payload in log.payloads(slaeventspb.RungFired)
    )
    assert set(rungs.values()) <= {1}
    card = await reports.get_scorecard(reportspb.GetScorecardRequest(parent=company.name))
    scores = {score.commitment_id: score for party in card.parties for score in party.commitments}
    assert {name: score.breached_count for name, score in scores.items() if score.breached_count} == missed


def _instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
