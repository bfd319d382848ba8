"""Real history comes in while `leads`, PostgreSQL and NATS nodes die again and again: figures are the files'.

A part of the rows and two kills of each in `make thorough`; all eight thousand, and twenty-two, with
FAULTS=full.
The files of others stand outside the repository: `SHARED_DATA` names their folder.
"""

import asyncio
import csv
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from smarketing import wallclock
from tests.builders.processes import Installation
from tests.builders.thorough import takes_minutes
from tests.e2e.company import Company, settled_in
from tests.e2e.test_import_of_history import (
    EXAMPLES,
    Importing,
    Olist,
    counted,
    month_of,
    origin_of,
    rows_of,
    shared,
)
from tests.faults.harness.ground_nemesis import GroundNemesis, Replica
from tests.faults.harness.ledger import operations, summary
from tests.faults.harness.nemesis import Nemesis
from tests.faults.harness.report import table
from tests.faults.harness.shapes import SECOND, SECOND_GROUNDS
from tests.faults.harness.stage import Stage, a_stage
from tests.faults.test_kill_during_import import external_ids

FULL: Final = os.environ.get("FAULTS") == "full"
ROWS: Final = 8_000 if FULL else 1_600
KILLS: Final = 22 if FULL else 2
SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
BETWEEN_SECONDS: Final = (0.5, 3.0) if FULL else (0.5, 1.5)
LONGEST_SECONDS: Final = float(os.environ.get("FAULTS_SECONDS", "420"))
"""After which nobody strikes any more, so that a slow machine comes to an end too."""
SHARE: Final = 0.1
"""Of the peak: callers who submit one lead at a time beside the import."""
TENANT: Final = "olist"

pytestmark = [
    pytest.mark.timeout(1_200 if FULL else 240),
    pytest.mark.skipif(sys.platform != "linux", reason="measures processes in /proc"),
]


@dataclass
class UnderFire:
    """The import of one company on the second shape, and whoever disturbs it."""

    stage: Stage
    importing: Importing
    replica: Replica
    nemesis: GroundNemesis
    resumed: int = 0
    during: int = 0
    """Blows that fell while rows were still to come in, for the first time or again."""
    repeated: int = 0
    """Times that the file was imported once more, as there were blows left."""

    async def imported(self, noun: str, file: Path, mapping: Path, *more: str) -> Counter[str]:
        """Import a file, as often as it takes; return what became of its rows, by the last run."""
        arguments = [*self.importing.arguments(noun, file, mapping), *more, "--format", "json"]
        for _ in range(60):
            ran = await self.importing.company.installation.smarketing(
                *arguments, token=self.importing.token(noun), tenant=TENANT, seconds=400
            )
            if ran.status == 0:
                return Counter(ran.document["outcomes"])
            # Somebody was away for longer than the command is patient: the same command goes on from there.
            assert ran.status == 4, ran.err + ran.out
            self.resumed += 1
            arguments = [each for each in arguments if each != "--restart"]
        raise AssertionError("the import does not come to its end")

    async def strikes(self, kill: Callable[[], Awaitable[None]], states: list[Path], total: int) -> None:
        """Strike at moments of the import, by chance, and one after the other."""
        chance = self.nemesis.chance
        ends = wallclock.monotonic() + LONGEST_SECONDS
        for moment in sorted(chance.randrange(int(total * 0.85)) for _ in range(KILLS)):
            while sum(map(settled_rows, states)) < moment:  # noqa: ASYNC110 -- another process sets no event of ours
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0.0, 0.1))
            self.during += sum(map(settled_rows, states)) < total
            await kill()
            if wallclock.monotonic() > ends:
                return
            await asyncio.sleep(chance.uniform(*BETWEEN_SECONDS))


def settled_rows(state: Path) -> int:
    if not state.exists():
        return 0
    rows = [
        line
        for line in state.read_bytes().split(b"\n")
        if line.startswith(b'{"row":') and line.endswith(b"}")
    ]
    return int(rows[-1].split(b":")[1].split(b",")[0]) if rows else 0


def balanced(stage: Stage, replica: Replica) -> Installation:
    """Return the installation as clients see it who know both replicas of `leads`."""
    both = ",".join(each.addresses["leads"]["grpc"] for each in (stage.fleet, replica))
    addresses = {**stage.fleet.addresses, "leads": {**stage.fleet.addresses["leads"], "grpc": f"ipv4:{both}"}}
    return Installation(stage.fleet.data_dir, addresses, process=stage.fleet.process, log=stage.fleet.log)


def the_first(count: int, source: Path, folder: Path, *, of: set[str] | None = None) -> Path:
    """Copy the first rows of a file, or those about the leads that are named."""
    rows = rows_of(source)
    kept = rows[:count] if of is None else [row for row in rows if row["mql_id"] in of]
    path = folder / source.name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)
    return path


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    shared("olist_funnel")
    async with a_stage(tmp_path, replace(SECOND, surroundings=measured), SEED) as stage:
        yield stage


@contextmanager
def measured(data_dir: Path) -> Iterator[Mapping[str, str]]:
    """Give the second shape's surroundings, with both tenants in the metrics: they are held to the logs."""
    with SECOND.surroundings(data_dir) as told:
        yield {**told, "SMARKETING_METRIC_TENANTS": f"default,{TENANT}"}


@takes_minutes
async def test_history_imported_while_replicas_database_and_bus_die_is_the_files_funnel(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "files").mkdir()
    leads_file = the_first(
        ROWS, shared("olist_funnel/olist_marketing_qualified_leads_dataset.csv"), tmp_path / "files"
    )
    named = {row["mql_id"] for row in rows_of(leads_file)}
    deals_file = the_first(
        0, shared("olist_funnel/olist_closed_deals_dataset.csv"), tmp_path / "files", of=named
    )
    olist = Olist(rows_of(leads_file), rows_of(deals_file))
    ground = SECOND_GROUNDS.under(stage.fleet.data_dir)
    replica = Replica(stage.fleet)
    with replica.running("leads"):
        await replica.ready("leads")
        both = balanced(stage, replica)
        stage.company = Company(both, stage.company.tenant, stage.company.tokens)
        company = await settled_in(both, TENANT, tmp_path, zone="America/Sao_Paulo", currency="BRL")
        chance = random.Random(SEED)
        nemesis = GroundNemesis(ground, (stage.fleet, replica), stage.ledger, chance, [])
        fire = UnderFire(stage, Importing(company, tmp_path), replica, nemesis)
        began = wallclock.monotonic()
        async with stage.load("beside", share=SHARE, peak_seconds=1.0):
            await _imported_under_fire(fire, leads_file, deals_file, len(olist.leads) + len(olist.deals))
        seconds = wallclock.monotonic() - began

        assert counted(await fire.importing.funnel("--by", "source")) == olist.by(origin_of)
        assert counted(await fire.importing.funnel("--by", "month")) == olist.by(month_of)
        assert await external_ids(company, "olist") == Counter(olist.by_id.keys())
        head = await fire.importing.head()
        again = await fire.imported("leads", leads_file, EXAMPLES / "olist_leads.yaml", "--restart")
        assert again == {"duplicate": len(olist.leads)}
        assert await fire.importing.head() == head
        replica_status = await replica.stop_all()
    assert replica_status == {"leads": 0}
    await _judged(fire, olist, seconds, capsys)


async def _imported_under_fire(fire: UnderFire, leads_file: Path, deals_file: Path, total: int) -> None:
    leads_map, deals_map = EXAMPLES / "olist_leads.yaml", EXAMPLES / "olist_outcomes.yaml"
    states = [
        Path(fire.importing.arguments(noun, file, mapping)[6])
        for noun, file, mapping in (("leads", leads_file, leads_map), ("outcomes", deals_file, deals_map))
    ]
    kinds = (fire.nemesis.kill_leads, fire.nemesis.kill_database, fire.nemesis.kill_node)
    async with asyncio.TaskGroup() as tasks:
        striking = [tasks.create_task(fire.strikes(kill, states, total)) for kill in kinds]
        await fire.imported("leads", leads_file, leads_map)
        await fire.imported("outcomes", deals_file, deals_map)
        # What was said once may be said again, also while everybody dies, and changes nothing.
        while not all(each.done() for each in striking):
            fire.repeated += 1
            assert set(await fire.imported("leads", leads_file, leads_map, "--restart")) <= {"duplicate"}


async def _judged(fire: UnderFire, olist: Olist, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    """Judge by the invariants, report, and fail for what was broken or when nothing was hit."""
    stage = fire.stage
    evidence, found = await stage.judge()
    nemesis = Nemesis(stage.fleet, stage.ledger, SEED, blows=fire.nemesis.blows)
    note = (
        f"passed; {len(olist.leads)} leads and {len(olist.deals)} deals in {seconds:.0f} s,"
        f" {fire.during} blows while rows came in, import resumed {fire.resumed} times"
        f" and repeated {fire.repeated} times"
    )
    row = stage.row("F6 import", nemesis, evidence, found, note)
    row.keep()
    with capsys.disabled():
        ended = summary(operations(stage.ledger_path))
        sys.stdout.write(f"\n{table([row])}requests by outcome: {dict(ended)}\n")
    assert {name: broken[:5] for name, broken in found.items() if broken} == {}
    assert row.hits > 0, "no fault hit anything"
    assert all(any(kind in blow.target for blow in nemesis.blows) for kind in ("leads", "PostgreSQL", "NATS"))
