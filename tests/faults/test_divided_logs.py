"""F5 where `sla` and `reports` divide the logs they follow: a dead replica's tenants are taken by others."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from smarketing import wallclock
from smarketing.eventlog.partitions import partitions
from tests.builders.processes import SERVICES
from tests.builders.thorough import takes_minutes
from tests.e2e.company import settled_in
from tests.faults.harness.ground import PARTITIONS, TENANTS
from tests.faults.harness.shapes import DIVIDED
from tests.faults.harness.stage import Stage, a_stage
from tests.faults.test_second_shape_under_load import FULL, LONGEST_SECONDS, SEED, Field, played

BLOWS: Final = 40 if FULL else 5

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="measures processes in /proc"),
]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, DIVIDED, SEED) as stage:
        yield stage


def test_each_of_the_tenants_is_in_a_partition_of_its_own() -> None:
    numbers = [
        part.number for name in TENANTS for part in partitions(PARTITIONS) if part.has(f"tenants/{name}")
    ]
    assert sorted(numbers) == list(range(PARTITIONS))


@takes_minutes
async def test_replicas_that_divide_their_logs_lose_nothing_and_double_nothing(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def struck(field: Field) -> None:
        ends = wallclock.monotonic() + LONGEST_SECONDS
        for _ in range(BLOWS):
            await asyncio.sleep(field.nemesis.chance.uniform(0.5, 3.0))
            await field.nemesis.kill_any()
            if wallclock.monotonic() > ends:
                break

    beside = []
    for tenant in TENANTS[1:]:
        folder = tmp_path / tenant
        folder.mkdir()
        beside.append(await settled_in(stage.fleet, tenant, folder))
    await played(stage, "F5 divided", struck, (tuple(SERVICES),), capsys, beside=beside)
