"""F57 and F58: callers who give up at once, and a service told to stop under load.

With FAULTS=full; in `make thorough` callers give up while services are killed (`test_kills.py`).
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Final

import pytest

from smarketing.client import CallError, LeadsClient
from tests.faults.harness.ledger import operations
from tests.faults.harness.nemesis import Nemesis
from tests.faults.harness.shapes import shape_in_use
from tests.faults.harness.stage import Stage, a_stage
from tests.faults.test_kills import judged

FULL: Final = os.environ.get("FAULTS") == "full"
SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SECONDS: Final = float(os.environ.get("FAULTS_SECONDS", "120"))
STOPS: Final = int(os.environ.get("FAULTS_COUNT", "0")) or 8

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not FULL, reason="FAULTS=full"),
    pytest.mark.skipif(sys.platform != "linux", reason="measures processes in /proc"),
]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, shape_in_use(), SEED) as stage:
        yield stage


async def test_callers_who_give_up_within_fifty_milliseconds_lose_nothing_and_leave_nothing_open(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    nemesis = Nemesis(stage.fleet, stage.ledger, SEED)
    async with stage.load("f57", share=0.5) as load:
        await asyncio.sleep(SECONDS / 4)
        stage.note_vitals()
        load.given_up_share = 0.4
        await asyncio.sleep(SECONDS * 3 / 4)
    nemesis.others["given up"] = load.given_up
    await judged(stage, nemesis, "F57", capsys)


async def test_a_service_told_to_stop_under_load_answers_what_it_began_and_ends_in_time(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    nemesis = Nemesis(stage.fleet, stage.ledger, SEED)
    async with stage.load("f58", share=0.5), LeadsClient(stage.company.operator) as leads:
        watching = asyncio.create_task(watch(leads))
        for _ in range(STOPS):
            await asyncio.sleep(nemesis.chance.uniform(0.5, 2.0))
            await nemesis.stop("leads")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert nemesis.slowest_stop <= 25.0
    await judged(stage, nemesis, "F58", capsys)
    # Whoever drains says so, or cuts what it had not begun: the client repeats both. While nobody is there
    # a caller's own three seconds may be over as well.
    codes = Counter(reason for each in operations(stage.ledger_path).values() for reason in each.unknown)
    assert set(codes) <= {"UNAVAILABLE", "SERVER_DRAINING", "CANCELLED", "DEADLINE_EXCEEDED"}, codes


async def watch(leads: LeadsClient) -> None:
    """Keep a stream open, and open it again when the service ended it."""
    while True:
        try:
            async with aclosing(leads.events.watch_events("tenants/-", after_position=0)) as batches:
                async for _ in batches:
                    pass
        except CallError:
            await asyncio.sleep(0.2)
