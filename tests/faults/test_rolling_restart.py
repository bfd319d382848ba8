"""F58, its second part: each of two replicas of each service stopped and started in turn, under load (P30).

Clients have our stock policy and know both replicas; none of their calls may fail, and nothing is doubled.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.client import CallError, LeadsClient, ReportsClient, SlaClient
from smarketing.client.retries import RetryPolicy
from tests.builders.processes import SERVICES
from tests.builders.thorough import FULL_FAULTS, takes_minutes
from tests.e2e.company import Company
from tests.faults.harness.ground_nemesis import GroundNemesis, Replica
from tests.faults.harness.ledger import operations
from tests.faults.harness.shapes import SECOND, SECOND_GROUNDS
from tests.faults.harness.stage import Stage, a_stage
from tests.faults.test_second_shape_under_load import SEED, Field, judged, known_by_all

ROUNDS: Final = 3 if FULL_FAULTS else 1
SHARE: Final = 0.4
"""Of the peak: a service that starts takes the machine for some seconds from those who answer."""
LONGEST_STOP_SECONDS: Final = 25.0
FOUND_AGAIN_SECONDS: Final = 3.0
"""For clients to find a replica that is back, before the next one stops: what docs/deployment.md asks for."""
READS_EVERY_SECONDS: Final = 0.05

pytestmark = [
    pytest.mark.timeout(600),
    takes_minutes,
    pytest.mark.skipif(sys.platform != "linux", reason="measures processes in /proc"),
]


@dataclass
class Readers:
    """Who reads, and who watches, all the time."""

    company: Company
    read: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Readers"]:
        """Read and watch meanwhile."""
        async with AsyncExitStack() as stack:
            leads = await stack.enter_async_context(LeadsClient(self.company.of("rosa")))
            events = await stack.enter_async_context(LeadsClient(self.company.operator))
            sla = await stack.enter_async_context(SlaClient(self.company.of("sven")))
            reports = await stack.enter_async_context(ReportsClient(self.company.of("mara")))
            name = self.company.name
            every = leadspb.ListHandoffsRequest(parent=f"{name}/leads/-", page_size=10)
            clocks = slapb.ListClocksRequest(parent=name, page_size=10)
            card = reportspb.GetScorecardRequest(parent=name)
            offers = leadspb.WatchOffersRequest(parent=name)
            tasks = [
                self._reading("leads", lambda: leads.list_handoffs(every)),
                self._reading("sla", lambda: sla.list_clocks(clocks)),
                self._reading("reports", lambda: reports.get_scorecard(card)),
                self._watching("offers", lambda: leads.watch_offers(offers)),
                self._watching("events", lambda: events.events.watch_events("tenants/-", after_position=0)),
            ]
            running = [asyncio.create_task(task) for task in tasks]
            try:
                yield self
            finally:
                for each in running:
                    each.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    async def _reading(self, name: str, ask: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await ask()
            except CallError as error:
                self.failed.append(f"{name}: {error.code.name} {error}")
            else:
                self.read[name] += 1
            await asyncio.sleep(READS_EVERY_SECONDS)

    async def _watching(self, name: str, watch: Callable[[], Any]) -> None:
        try:
            async with aclosing(watch()) as stream:
                async for _ in stream:
                    self.heard[name] += 1
        except CallError as error:
            self.failed.append(f"{name}: {error.code.name} {error}")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, SECOND, SEED) as stage:
        yield stage


async def test_no_call_fails_while_each_replica_is_restarted_in_turn(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    ground = SECOND_GROUNDS.under(stage.fleet.data_dir)
    replica = Replica(stage.fleet)
    stops: list[float] = []
    with replica.running(*SERVICES):
        await replica.ready(*SERVICES)
        stage.company = known_by_all(stage, [replica])
        nemesis = GroundNemesis(ground, (stage.fleet, replica), stage.ledger, random.Random(SEED), blows=[])
        stock = {"retries": RetryPolicy(), "call": timedelta(seconds=10)}
        async with (
            Readers(stage.company).running() as readers,
            stage.load("f58", share=SHARE, peak_seconds=1.0, **stock) as load,
        ):
            for _ in range(ROUNDS):
                for service in SERVICES:
                    for number in range(len(nemesis.replicas)):
                        stops.append(await nemesis.restart(service, number))
                        await asyncio.sleep(FOUND_AGAIN_SECONDS)
        await stage.quiet()
        held = ground.connections()
        assert await replica.stop_all() == dict.fromkeys(SERVICES, 0)
    await judged(Field(stage, [replica], nemesis, load), "F58 rolling", held, capsys)

    asked = operations(stage.ledger_path)
    assert Counter(reason for each in asked.values() for reason in each.unknown) == Counter()
    assert readers.failed == []
    assert min(readers.read[name] for name in SERVICES) > len(stops)
    assert min(readers.heard["offers"], readers.heard["events"]) > len(stops)
    assert max(stops) <= LONGEST_STOP_SECONDS
