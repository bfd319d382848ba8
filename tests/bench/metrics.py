"""What a scrape costs with three tenants, each with more names of its own than are shown."""

import asyncio
import sqlite3
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from services.sla.domain.course import Outcome
from services.sla.store.tallies import EXCEPTION, RETRACTED, RUNG, SETTLED, STARTED
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import LeadsClient
from tests.builders.processes import Installation, an_installation, until
from tests.e2e.company import settled_in

TENANTS: Final = ("acme", "globex", "initech")
COMMITMENTS: Final = [f"promise-{number}" for number in range(12)]
TEAMS: Final = [f"team-{number}" for number in range(12)]
SCRAPES: Final = 200
GOAL_MS: Final = 50.0
GOAL_SERIES: Final = 2_000
_LABELS: Final = {
    STARTED: [""],
    RETRACTED: [""],
    SETTLED: ["met", "breached", "excused", "void"],
    RUNG: [f"step-{number}" for number in range(12)],
    EXCEPTION: ["requested", "approved", "declined", "lapsed", "self_approved"],
}
_STATES: Final = ((Outcome.BREACHED, ""), (Outcome.PAUSED, ""), (Outcome.RUNNING, "x"), (Outcome.RUNNING, ""))
_ENVIRON: Final = {"SMARKETING_METRIC_TENANTS": ",".join(TENANTS)}

Figures = dict[str, Any]


def metrics() -> Figures:
    """Scrape each service on loopback with the full catalogue shown."""
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with an_installation(data, _ENVIRON) as installation:
            asyncio.run(_one_clock_of_each_tenant(installation, Path(folder)))
        _crowd(data)
        with an_installation(data, _ENVIRON) as installation:
            seen = asyncio.run(_scraped(installation))
    return {
        "services": seen,
        "lines": [
            f"{service:8} {each['series']:>5} series"
            f"   p50 {each['p50_ms']:>6.1f} ms   p99 {each['p99_ms']:>6.1f} ms"
            f"   {each['cpu_ms']:>5.1f} ms CPU a scrape"
            for service, each in seen.items()
        ],
        "ratios": {
            "goal_to_p99": min(GOAL_MS / each["p99_ms"] for each in seen.values()),
            "goal_to_series": min(GOAL_SERIES / each["series"] for each in seen.values()),
        },
        "goals": {"goal_to_p99": 1.0, "goal_to_series": 1.0},
    }


async def _one_clock_of_each_tenant(installation: Installation, folder: Path) -> None:
    for tenant in TENANTS:
        own = folder / tenant
        own.mkdir()
        company = await settled_in(installation, tenant, own)
        submission = leadspb.Submission(
            source_system="website", external_id="1", contact=leadspb.Contact(email="k@example.org")
        )
        async with LeadsClient(company.of("website")) as website:
            await website.submit_lead(leadspb.SubmitLeadRequest(parent=company.name, submission=submission))
    database = next(installation.data_dir.rglob("sla.db"))

    async def clocks() -> int:
        with sqlite3.connect(database) as connection:
            (count,) = connection.execute("SELECT count(DISTINCT tenant) FROM clock").fetchone()
        return int(count)

    await until(clocks, lambda count: count == len(TENANTS))


def _crowd(data: Path) -> None:
    """Write totals and open clocks of more commitments, teams and steps than have series."""
    with sqlite3.connect(next(data.rglob("sla.db"))) as connection:
        for tenant, (what, labels), commitment, team in product(TENANTS, _LABELS.items(), COMMITMENTS, TEAMS):
            if what != SETTLED and team != TEAMS[0]:
                continue
            rows = [(tenant, what, commitment, team, label, 1) for label in labels]
            connection.executemany("INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?)", rows)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(clock)")]
        names = ", ".join(f'"{name}"' for name in columns)
        for number, (tenant, commitment, team, (outcome, fired)) in enumerate(
            product(TENANTS, COMMITMENTS, TEAMS, _STATES)
        ):
            own = {
                "id": f"copy-{number}",
                "origin": 10**9 + number,
                "tenant": tenant,
                "commitment_id": commitment,
                "team": team,
                "outcome": outcome.value,
                "fired": fired,
                "end_time": None,
                # Nobody is to decide them.
                "next_time": None,
            }
            asked = ", ".join(f":{name}" if name in own else f'"{name}"' for name in columns)
            # The names are those of our own columns.
            connection.execute(f"INSERT INTO clock ({names}) SELECT {asked} FROM clock LIMIT 1", own)


async def _scraped(installation: Installation) -> Figures:
    async with httpx.AsyncClient() as http:

        async def shown(service: str) -> str:
            answer = await http.get(f"http://{installation.addresses[service]['http']}/metrics")
            return answer.text

        await until(lambda: shown("sla"), lambda page: 'commitment="other"' in page, seconds=60)
        await until(lambda: shown("leads"), lambda page: "smarketing_leads_handoffs{" in page, seconds=60)
        found = {}
        for service in installation.addresses:
            before = _cpu_ms(installation, service)
            found[service] = await _timed(shown, service)
            # On a machine that others use too, this says more than the time that passed.
            found[service]["cpu_ms"] = (_cpu_ms(installation, service) - before) / SCRAPES
        return found


def _cpu_ms(installation: Installation, service: str) -> float:
    fields = Path(f"/proc/{installation.process_id(service)}/stat").read_text().rpartition(")")[2].split()
    return 10 * (int(fields[11]) + int(fields[12]))


async def _timed(shown: Any, service: str) -> Figures:
    took, page = [], ""
    for _ in range(SCRAPES):
        began = time.perf_counter()
        page = await shown(service)
        took.append(1_000 * (time.perf_counter() - began))
    took.sort()
    series = sum(not line.startswith("#") for line in page.splitlines())
    return {"series": series, "p50_ms": took[SCRAPES // 2], "p99_ms": took[SCRAPES * 99 // 100]}
