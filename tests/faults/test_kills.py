"""F1 to F4: each service, and all of them, killed under load: nothing is lost, doubled or invented.

A few kills in `make thorough`, many with FAULTS=full. Each run says its seed; FAULTS_SEED repeats one.
"""

import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from smarketing import wallclock
from smarketing.failpoints import PLACES
from tests.builders.thorough import takes_minutes
from tests.faults.harness.ledger import operations, summary
from tests.faults.harness.nemesis import Nemesis
from tests.faults.harness.report import table
from tests.faults.harness.shapes import shape_in_use
from tests.faults.harness.stage import Stage, a_stage

FULL: Final = os.environ.get("FAULTS") == "full"
SHARE: Final = 0.7 if FULL else 0.3
"""Of the measured peak; less in `make thorough`, where other tests run beside it."""
LONGEST_SECONDS: Final = float(os.environ.get("FAULTS_SECONDS", "270"))
"""After which a part kills no more, so that a slow machine comes to an end too."""
SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)

pytestmark = [
    pytest.mark.timeout(900 if FULL else 400),
    pytest.mark.skipif(sys.platform != "linux", reason="measures processes in /proc"),
]


@dataclass(frozen=True, slots=True)
class Killing:
    """Who is killed in a row, how often, and at which places besides at any moment."""

    row: str
    victims: Sequence[str]
    few: int
    many: int
    places: Sequence[str] = ()


KILLINGS: Final = (
    Killing("F1", ["leads"], 2, 50, ["outbox.after_append", "writer.before_commit", "writer.after_commit"]),
    Killing("F2", ["sla"], 2, 50, [*PLACES]),
    Killing("F3", ["reports"], 1, 50, ["consumer.after_apply", "writer.before_commit"]),
    Killing("F4", ["leads", "sla", "reports"], 1, 25),
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, shape_in_use(), SEED) as stage:
        yield stage


async def strike(nemesis: Nemesis, killing: Killing, number: int) -> None:
    """Kill once: at a place, one after the other, or at any moment."""
    places = killing.places
    if places and number % 2:
        place = places[number // 2 % len(places)]
        await nemesis.kill_at(killing.victims[0], place, visit=nemesis.chance.randrange(1, 20))
    else:
        await nemesis.kill(killing.victims, within=(0.2, 2.0 if FULL else 0.8))


@pytest.mark.skipif(not FULL, reason="FAULTS=full: all four rows in little are one test below")
@pytest.mark.parametrize("killing", KILLINGS, ids=[each.row for each in KILLINGS])
async def test_services_killed_again_and_again(
    killing: Killing, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = int(os.environ.get("FAULTS_COUNT", "0")) or killing.many
    part = os.environ.get("FAULTS_PART", "")
    nemesis = Nemesis(stage.fleet, stage.ledger, SEED)
    ends = wallclock.monotonic() + LONGEST_SECONDS
    async with stage.load(killing.row, share=SHARE):
        for number in range(kills):
            await strike(nemesis, killing, number)
            if wallclock.monotonic() > ends:
                break
    await judged(stage, nemesis, f"{killing.row} {part}".strip(), capsys)


@pytest.mark.skipif(FULL, reason="each row has a test of its own above")
@takes_minutes
async def test_a_few_kills_of_each_service_and_of_all_lose_nothing_and_double_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    nemesis = Nemesis(stage.fleet, stage.ledger, SEED)
    async with stage.load("few", share=SHARE, peak_seconds=1.0) as load:
        # Some callers do not wait for their answers either (F57).
        load.given_up_share = 0.1
        for killing in KILLINGS:
            for number in range(killing.few):
                await strike(nemesis, killing, number)
    nemesis.others["given up"] = load.given_up
    await judged(stage, nemesis, "F1-F4 in little", capsys)


async def judged(stage: Stage, nemesis: Nemesis, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Judge, report, and fail for what was broken or when nothing was hit."""
    evidence, found = await stage.judge()
    row = stage.row(name, nemesis, evidence, found)
    row.keep()
    with capsys.disabled():
        ended = summary(operations(stage.ledger_path))
        sys.stdout.write(f"\n{table([row])}requests by outcome: {dict(ended)}\n")
    assert {name: broken[:5] for name, broken in found.items() if broken} == {}
    assert row.hits > 0, "no fault hit anything"
