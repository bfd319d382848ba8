"""F5 to F8, F20, F21, F51: two replicas of each service on PostgreSQL and NATS, under load, and judged.

In F51 there is a third one of `leads`. Each row by itself with FAULTS=full; in `make thorough` one short run
in which most of it happens once or twice.
"""

import asyncio
import itertools
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import orjson
import pytest

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import LeadsClient
from smarketing.client.retries import RetryPolicy
from tests.builders.processes import ROOT, SERVICES, Installation
from tests.builders.thorough import takes_minutes
from tests.e2e.company import Company
from tests.faults.harness.ground_nemesis import GroundNemesis, Replica
from tests.faults.harness.ledger import operations, summary
from tests.faults.harness.load import SOURCE, Load
from tests.faults.harness.nemesis import Nemesis
from tests.faults.harness.report import percentiles, table
from tests.faults.harness.shapes import SECOND, SECOND_GROUNDS
from tests.faults.harness.stage import Stage, a_stage

FULL: Final = os.environ.get("FAULTS") == "full"
LONGEST_SECONDS: Final = float(os.environ.get("FAULTS_SECONDS", "200"))
SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SHARE: Final = 0.6 if FULL else 0.3
CALL_SECONDS: Final = 3.0
"""What the load grants to one attempt."""
CALLERS: Final = 64
POOLED: Final = 8
"""Connections that a process may hold: two for the writer, six for readers."""

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="measures processes in /proc"),
]


@dataclass(frozen=True)
class Trouble:
    """What is done in a row, how often, and how long it is quiet in between."""

    row: str
    strike: Callable[["Field"], Awaitable[None]]
    many: int
    between: tuple[float, float]
    further: Sequence[Sequence[str]] = (tuple(SERVICES),)
    """Which services run once more, and which yet once more."""


@dataclass
class Field:
    """Replicas of services, whoever strikes them, and the load that all of them serve."""

    stage: Stage
    replicas: Sequence[Replica]
    """Those beside the fleet of the stage."""
    nemesis: GroundNemesis
    load: Load


async def one_request_many_times(field: Field) -> None:
    """Say one submission by many callers to all replicas at once, of which one dies meanwhile."""
    key = f"same-{len(field.nemesis.blows)}"
    submission = leadspb.Submission(
        source_system=SOURCE, external_id=key, contact=leadspb.Contact(email=f"{key}@same.example")
    )
    request = leadspb.SubmitLeadRequest(
        parent=field.stage.company.name, request_id=wallclock.new_uuid(), submission=submission
    )
    once = RetryPolicy(attempts=1)
    settings = field.stage.company.of("website")
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                LeadsClient(replace(settings, leads=each.addresses["leads"]["grpc"]), retries=once)
            )
            for each in (field.stage.fleet, *field.replicas)
        ]
        callers = [
            asyncio.create_task(field.load._call("submit", key, client.submit_lead, request))
            for _, client in zip(range(CALLERS), itertools.cycle(clients), strict=False)
        ]
        await asyncio.sleep(field.nemesis.chance.uniform(0.0, 0.2))
        await field.nemesis.kill_leads()
        answers = await asyncio.gather(*callers)
    assert len({answer.handoff.name for answer in answers if answer is not None}) == 1
    assert None not in answers, "refused"


TROUBLES: Final = (
    Trouble("F5", lambda field: field.nemesis.kill_any(), 40, (0.5, 3.0)),
    Trouble("F6", lambda field: field.nemesis.kill_database(), 25, (2.0, 8.0)),
    Trouble("F7", lambda field: field.nemesis.stall_database(8.0), 8, (4.0, 8.0)),
    Trouble("F8", lambda field: field.nemesis.end_transactions(), 100, (0.2, 1.5)),
    Trouble("F20", lambda field: field.nemesis.kill_node(), 25, (0.5, 3.0)),
    Trouble("F21", lambda field: field.nemesis.pause_node(), 6, (2.0, 5.0)),
    Trouble("F51", one_request_many_times, 20, (0.5, 2.0), (tuple(SERVICES), ("leads",))),
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, SECOND, SEED) as stage:
        yield stage


@pytest.mark.skipif(not FULL, reason="FAULTS=full: in little they are the test below")
@pytest.mark.parametrize("trouble", TROUBLES, ids=[each.row for each in TROUBLES])
async def test_the_second_shape_loses_nothing_and_doubles_nothing(
    trouble: Trouble, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    async def struck(field: Field) -> None:
        ends = wallclock.monotonic() + LONGEST_SECONDS
        for _ in range(trouble.many):
            await asyncio.sleep(field.nemesis.chance.uniform(*trouble.between))
            await trouble.strike(field)
            if wallclock.monotonic() > ends:
                break

    await played(stage, trouble.row, struck, trouble.further, capsys)


@pytest.mark.skipif(FULL, reason="each row has a test of its own above")
@takes_minutes
async def test_a_little_of_everything_on_the_second_shape_loses_nothing_and_doubles_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    async def struck(field: Field) -> None:
        nemesis = field.nemesis
        for strike in (
            nemesis.kill_leads(),
            nemesis.kill_database(),
            nemesis.end_transactions(),
            nemesis.kill_node(),
            one_request_many_times(field),
            nemesis.stall_database(1.0),
            nemesis.kill_database(),
        ):
            await asyncio.sleep(nemesis.chance.uniform(0.5, 1.0))
            await strike

    await played(stage, "F5-F51 in little", struck, (("leads",), ("leads",)), capsys)


async def played(
    stage: Stage,
    row: str,
    struck: Callable[[Field], Awaitable[None]],
    further: Sequence[Sequence[str]],
    capsys: pytest.CaptureFixture[str],
    *,
    build: Path = ROOT,
    beside: Sequence[Company] = (),
) -> None:
    """Let replicas of these services, by some build, serve a load beside the fleet while somebody strikes.

    Other companies have a quieter time meanwhile, in which nobody is in a hurry.
    """
    ground = SECOND_GROUNDS.under(stage.fleet.data_dir)
    replicas = [Replica(stage.fleet, build=build) for _ in further]
    with ExitStack() as running:
        for replica, services in zip(replicas, further, strict=True):
            running.enter_context(replica.running(*services))
            await replica.ready(*services)
        stage.company = known_by_all(stage, replicas)
        nemesis = GroundNemesis(ground, (stage.fleet, *replicas), stage.ledger, random.Random(SEED), blows=[])
        async with AsyncExitStack() as loads:
            for company in beside:
                known = known_by_all(stage, replicas, company)
                quieter = stage.load(
                    company.tenant, share=SHARE / 4, peak_seconds=0.5, company=known, hasty_share=0.0
                )
                await loads.enter_async_context(quieter)
            load = await loads.enter_async_context(
                stage.load(row.partition(" ")[0], share=SHARE / (1 + len(beside)), peak_seconds=1.0)
            )
            stage.note_vitals()
            field = Field(stage, replicas, nemesis, load)
            await struck(field)
        await stage.quiet()
        for replica, services in zip(replicas, further, strict=True):
            await replica.ready(*services)
        held = ground.connections()
        for replica, services in zip(replicas, further, strict=True):
            assert await replica.stop_all() == dict.fromkeys(services, 0)
    await judged(field, row, held, capsys)


def known_by_all(stage: Stage, replicas: Sequence[Replica], company: Company | None = None) -> Company:
    """Return a company, or the stage's own, as clients see it who know every replica of each service."""
    addresses = {}
    for name, own in stage.fleet.addresses.items():
        known = dict.fromkeys([own["grpc"], *(replica._addresses[name].grpc for replica in replicas)])
        addresses[name] = {**own, "grpc": f"ipv4:{','.join(known)}"}
    every = Installation(stage.fleet.data_dir, addresses, process=stage.fleet.process, log=stage.fleet.log)
    company = company or stage.company
    return Company(every, company.tenant, company.tokens)


def attempts_seconds(ledger: Path) -> list[float]:
    """Return how long each attempt took whose outcome nobody knew, shortest first."""
    found: list[float] = []
    begun: dict[str, float] = {}
    for line in ledger.read_bytes().splitlines():
        entry = orjson.loads(line)
        if entry["what"] == "invoke":
            # Of callers under one request id only the last is timed.
            begun[entry["id"]] = entry["mono"]
        elif entry["what"] == "info" and entry["id"] in begun:
            found.append(entry["mono"] - begun.pop(entry["id"]))
    return sorted(found)


async def judged(field: Field, row_name: str, held: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Judge, report, and fail for what was broken or when nothing was hit."""
    stage = field.stage
    evidence, found = await stage.judge()
    nemesis = Nemesis(stage.fleet, stage.ledger, SEED, blows=field.nemesis.blows)
    asked = operations(stage.ledger_path)
    failed = attempts_seconds(stage.ledger_path)
    codes = Counter(code for each in asked.values() for code in each.unknown)
    note = (
        f"passed; {len(failed)} attempts failed, after s {percentiles(failed)}:"
        f" {', '.join(f'{count} {code}' for code, count in codes.most_common())};"
        f" {summary(asked)['info']} calls in the end; connections held afterwards {held}"
    )
    row = stage.row(row_name, nemesis, evidence, found, note)
    row.keep()
    with capsys.disabled():
        sys.stdout.write(f"\n{table([row])}requests by outcome: {dict(summary(asked))}\n")
    assert {name: broken[:5] for name, broken in found.items() if broken} == {}
    assert row.hits > 0, "no fault hit anything"
    assert summary(asked)["info"] == 0
    processes = sum(fleet.started for fleet in (stage.fleet, *field.replicas))
    assert held <= processes * POOLED, "connections leak"
