"""A rolling upgrade (F56): this build and the next one on one database, restarted and killed meanwhile.

The next build is this one with a migration more in each service: in the database this one then meets a
schema that it does not know.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest
from sqlalchemy import make_url

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.client import LeadsClient, ReportsClient
from smarketing.sql import open_database, schema_revision
from tests.builders import postgres
from tests.builders.processes import ROOT, SERVICES, Installation, an_installation, until
from tests.builders.thorough import FULL_FAULTS, takes_minutes
from tests.e2e.company import Company, settled_in
from tests.faults.harness.shapes import SECOND, SECOND_GROUNDS
from tests.faults.harness.stage import Stage, a_stage
from tests.faults.test_second_shape_under_load import SEED, Field, played

pytestmark = pytest.mark.timeout(600)

TENANT: Final = "rolled"
KILLS: Final = 24
LONGEST_SECONDS: Final = float(os.environ.get("FAULTS_SECONDS", "120"))
NEXT: Final = """
    from alembic import op
    from sqlalchemy import Column, Text

    revision = "{revision}"
    down_revision = "{head}"
    oldest_build = "{head}"

    def upgrade() -> None:
        op.add_column("event_log", Column("remark", Text))
        op.create_table("remark", Column("remark", Text, primary_key=True))
"""


def the_build_after(folder: Path) -> Path:
    """Copy the services, each with one migration more: a column where events are written, and a table."""
    shutil.copytree(ROOT / "services", folder / "services", ignore=shutil.ignore_patterns("__pycache__"))
    for service, head in heads(ROOT).items():
        source = NEXT.format(revision=f"{int(head) + 1:04}", head=head)
        path = folder / "services" / service / "store" / "migrations" / f"{int(head) + 1:04}_more.py"
        path.write_text(dedent(source))
    return folder


def heads(build: Path) -> dict[str, str]:
    return {
        service: max(path.name[:4] for path in (build / "services" / service).glob("store/migrations/0*.py"))
        for service in SERVICES
    }


def revisions(url: str) -> dict[str, str]:
    found = {}
    for service in SERVICES:
        of_service = make_url(url).update_query_dict({"schema": service})
        with (
            open_database(of_service.render_as_string(hide_password=False)) as database,
            database.reading() as connection,
        ):
            found[service] = schema_revision(connection)
    return found


async def submitted(company: Company, installation: Installation, number: int) -> None:
    there = Company(installation, company.tenant, company.tokens)
    lead = leadspb.Submission(
        source_system="website",
        external_id=f"web-{number}",
        contact=leadspb.Contact(given_name="Ada", email=f"web-{number}@example.com"),
        qualification=leadspb.Qualification(source="newsletter", segment="hasty"),
    )
    async with LeadsClient(there.of("website")) as website:
        await website.submit_lead(
            leadspb.SubmitLeadRequest(parent=company.name, submission=lead, request_id=wallclock.new_uuid())
        )


async def breached(company: Company, installation: Installation) -> int:
    """Return how many promises to accept the scorecard calls broken."""
    there = Company(installation, company.tenant, company.tokens)
    async with ReportsClient(there.of("mara")) as reports:
        card = await reports.get_scorecard(reportspb.GetScorecardRequest(parent=company.name))
    return sum(
        score.breached_count
        for party in card.parties
        for score in party.commitments
        if score.commitment_id == "accept"
    )


def at_least(count: int) -> Callable[[int], bool]:
    return lambda found: found >= count


@pytest.mark.skipif(
    not FULL_FAULTS,
    reason="starts the services three times: FAULTS=full runs it; test_older_builds is its short form",
)
async def test_a_build_serves_beside_the_next_one_and_starts_again_on_its_schema(tmp_path: Path) -> None:
    after = the_build_after(tmp_path / "after")
    with ExitStack() as running:
        url = running.enter_context(postgres.database())
        environ = {"SMARKETING_DATABASE_URL": url, "SMARKETING_METRIC_TENANTS": TENANT}
        with ExitStack() as first:
            older = first.enter_context(an_installation(tmp_path / "data", environ))
            assert revisions(url) == heads(ROOT)
            company = await settled_in(older, TENANT, tmp_path)
            await submitted(company, older, 0)

            newer = running.enter_context(an_installation(tmp_path / "data", environ, build=after))
            assert revisions(url) == heads(after) != heads(ROOT)
            await submitted(company, older, 1)
            await submitted(company, newer, 2)

        again = running.enter_context(an_installation(tmp_path / "data", environ))
        await submitted(company, again, 3)
        await submitted(company, newer, 4)
        for each in (again, newer):
            found = await until(partial(breached, company, each), at_least(5), seconds=60)
            assert found == 5


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, SECOND, SEED) as stage:
        yield stage


@takes_minutes
@pytest.mark.skipif(sys.platform != "linux", reason="measures processes in /proc")
async def test_two_builds_whose_processes_are_killed_again_and_again_lose_nothing_and_double_nothing(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = the_build_after(tmp_path / "after")

    async def struck(field: Field) -> None:
        ends, chance = wallclock.monotonic() + LONGEST_SECONDS, field.nemesis.chance
        # Each service of each build once, and whoever it hits from then on.
        for number in range(len(field.nemesis.replicas)):
            for service in SERVICES:
                await asyncio.sleep(chance.uniform(0.2, 1.0))
                await field.nemesis.kill(service, number)
        while FULL_FAULTS and len(field.nemesis.blows) < KILLS and wallclock.monotonic() < ends:
            await asyncio.sleep(chance.uniform(0.2, 2.0))
            await field.nemesis.kill_any()

    await played(stage, "F56 kills", struck, [tuple(SERVICES)], capsys, build=after)
    # The older one started again, and more than once, on a schema that it does not know.
    url = SECOND_GROUNDS.under(stage.fleet.data_dir).url("leads")
    assert revisions(url) == heads(after) != heads(ROOT)
