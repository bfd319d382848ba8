"""Two replicas of each service on one PostgreSQL: they race, one is killed, and the database goes away.

Real processes: two supervisors with three services each, on one database and one folder of keys. The
second trio reads the logs of its own `leads` and `sla`, so everything is applied by whoever comes first.
"""

import asyncio
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import (
    CallError,
    ClientSettings,
    LeadsClient,
    ReportsClient,
    SlaClient,
    UnavailableError,
)
from smarketing.sql.local_server import OWNER, LocalServer
from tests.builders.processes import SERVICES, Installation, an_installation, until, waited_for
from tests.builders.thorough import takes_minutes
from tests.e2e.company import Company, settled_in

FULL: Final = os.environ.get("FAULTS") == "full"

pytestmark = [
    pytest.mark.timeout(400),
    takes_minutes,
]

LEADS: Final = 100 if FULL else 12
TENANT: Final = "raced"


@contextmanager
def a_server() -> Iterator[tuple[LocalServer, str]]:
    """Give a server that a test may kill, and the URL of a database on it."""
    folder = Path(
        tempfile.mkdtemp(prefix="smarketing-pg-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    )
    try:
        # An acknowledged commit survives the server; only of the machine nothing is asked here.
        with LocalServer(folder, durable=False, settings={"synchronous_commit": "on"}) as server:
            with psycopg.connect(server.url("postgres", user=OWNER), autocommit=True) as connection:
                connection.execute("CREATE ROLE smarketing LOGIN")
                connection.execute("CREATE DATABASE smarketing OWNER smarketing")
            yield server, server.url("smarketing", user="smarketing")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Both:
    """Two replicas of everything."""

    server: LocalServer
    one: Installation
    two: Installation
    folder: Path

    @property
    def replicas(self) -> tuple[Installation, Installation]:
        return self.one, self.two


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("replicas")
    with a_server() as (server, url):
        environ = {"SMARKETING_DATABASE_URL": url, "SMARKETING_METRIC_TENANTS": TENANT}
        with (
            an_installation(folder / "data", environ) as one,
            an_installation(folder / "data", environ) as two,
        ):
            yield Both(server, one, two, folder)


def settings_of(company: Company, installation: Installation, who: str) -> ClientSettings:
    """Return how somebody of the company calls one of the replicas."""
    there = Company(installation, company.tenant, company.tokens)
    return there.operator if who == "operator" else there.of(who)


@asynccontextmanager
async def clients(kind: type[Any], company: Company, who: str, both: Both) -> AsyncIterator[list[Any]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(kind(settings_of(company, each, who))) for each in both.replicas
        ]


def a_submission(company: Company, number: int) -> leadspb.SubmitLeadRequest:
    submission = leadspb.Submission(
        source_system="website",
        external_id=f"web-{number}",
        contact=leadspb.Contact(given_name="Ada", email=f"web-{number}@example.com"),
        qualification=leadspb.Qualification(source="newsletter", segment="hasty"),
    )
    return leadspb.SubmitLeadRequest(
        parent=company.name, submission=submission, request_id=wallclock.new_uuid()
    )


async def whole_log(client: Any, company: Company) -> list[eventlogpb.Event]:
    found: list[eventlogpb.Event] = []
    while True:
        after = found[-1].position if found else 0
        page = await client.events.read_events(
            eventlogpb.ReadEventsRequest(parent=company.name, after_position=after, limit=500)
        )
        if not page.events:
            return found
        found += page.events


def kinds_of(events: list[eventlogpb.Event]) -> Mapping[str, list[eventlogpb.Event]]:
    found: dict[str, list[eventlogpb.Event]] = {}
    for event in events:
        found.setdefault(event.payload.TypeName().rpartition(".")[2], []).append(event)
    return found


async def scores_of(client: Any, company: Company) -> dict[str, tuple[int, int]]:
    card = await client.get_scorecard(reportspb.GetScorecardRequest(parent=company.name))
    return {
        score.commitment_id: (score.met_count, score.breached_count)
        for party in card.parties
        for score in party.commitments
    }


async def test_what_is_told_to_both_replicas_happens_once_and_both_say_the_same(both: Both) -> None:
    company = await settled_in(both.one, TENANT, both.folder)
    async with (
        clients(LeadsClient, company, "website", both) as website,
        clients(LeadsClient, company, "rosa", both) as rosa,
        clients(SlaClient, company, "operator", both) as sla,
        clients(ReportsClient, company, "mara", both) as reports,
    ):
        # A token that one replica made is known to the other soon, without a restart.
        await until(partial(_refused, website[1], company), is_nothing, seconds=10)
        await until(partial(_refused, rosa[1], company), is_nothing, seconds=10)

        submitted = [a_submission(company, number) for number in range(LEADS)]
        answers = [
            await asyncio.gather(*(client.submit_lead(request) for client in website))
            for request in submitted
        ]
        assert all(one.handoff.name == two.handoff.name for one, two in answers)
        handoffs = [one.handoff for one, _ in answers]
        assert len({handoff.name for handoff in handoffs}) == LEADS

        for handoff in handoffs[: LEADS // 2]:
            offer = handoff.offer
            won = await asyncio.gather(
                *(
                    client.accept_offer(
                        leadspb.AcceptOfferRequest(
                            name=offer.name,
                            fencing_token=offer.fencing_token,
                            request_id=wallclock.new_uuid(),
                        )
                    )
                    for client in rosa
                ),
                return_exceptions=True,
            )
            assert sum(isinstance(each, CallError) for each in won) == 1, won
            call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL, contact=True)
            await rosa[0].log_follow_up(leadspb.LogFollowUpRequest(parent=handoff.name, follow_up=call))

        # A busy machine may be too late for some of those that were accepted: once each, all the same.
        shown = [
            await until(
                partial(scores_of, each, company),
                lambda found: sum(found.get("accept", ())) == LEADS,
                seconds=60,
            )
            for each in reports
        ]

        logs = [await whole_log(each, company) for each in sla]
        assert [event.position for event in logs[0]] == list(range(1, len(logs[0]) + 1))
        assert logs[0] == logs[1][: len(logs[0])]
        by_kind = kinds_of(logs[0])
        started = Counter(event.subject for event in by_kind["ClockStarted"])
        breached = Counter(event.subject for event in by_kind["ClockBreached"])
        met = Counter(event.subject for event in by_kind["ClockMet"])
        fired = Counter(
            (event.subject, slaeventspb.RungFired.FromString(event.payload.value).rung_id)
            for event in by_kind["RungFired"]
        )
        for counted in (started, breached, met, fired):
            assert set(counted.values()) == {1}
        assert len(breached) >= LEADS - LEADS // 2
        assert not breached.keys() & met.keys()
        assert shown[0]["accept"] == shown[1]["accept"]
        assert shown[0]["accept"][1] >= LEADS - LEADS // 2


def is_nothing(told: str) -> bool:
    return not told


def nobody_is_ready(installation: Installation) -> bool:
    return not any(map(installation.is_ready, SERVICES))


async def _refused(client: Any, company: Company) -> str:
    """Ask something that everybody may; return why not."""
    try:
        await client.list_handoffs(leadspb.ListHandoffsRequest(parent=f"{company.name}/leads/-", page_size=1))
    except CallError as error:
        return repr(error)
    return ""


@pytest.mark.skipif(not FULL, reason="takes half a minute: FAULTS=full runs it")
async def test_a_killed_replica_is_missed_by_nobody(both: Both) -> None:
    """Whichever of the two does what one only has to: the other takes over."""
    company = await settled_in(both.one, "outlived", both.folder)
    both.one.kill("sla")
    async with clients(LeadsClient, company, "website", both) as website:
        await until(partial(_refused, website[1], company), is_nothing, seconds=10)
        await website[1].submit_lead(a_submission(company, 0))
    async with clients(ReportsClient, company, "mara", both) as reports:
        await until(
            lambda: scores_of(reports[1], company),
            lambda found: found.get("accept") == (0, 1),
            seconds=60,
        )
    waited_for(lambda: both.one.is_ready("sla"), seconds=60)
    os.kill(both.two.process_id("sla") or 0, signal.SIGKILL)
    async with clients(LeadsClient, company, "website", both) as website:
        await website[0].submit_lead(a_submission(company, 1))
    async with clients(ReportsClient, company, "mara", both) as reports:
        await until(
            lambda: scores_of(reports[0], company),
            lambda found: found.get("accept") == (0, 2),
            seconds=60,
        )
    waited_for(lambda: both.two.is_ready("sla"), seconds=60)


async def test_a_database_that_is_away_makes_nobody_ready_and_nobody_restart(both: Both) -> None:
    company = await settled_in(both.one, "stranded", both.folder)
    process_ids = {name: each.process_id(name) for each in both.replicas for name in SERVICES}
    both.server.kill()
    try:
        for each in both.replicas:
            waited_for(partial(nobody_is_ready, each), seconds=30)
            assert all(_is_live(each, name) for name in SERVICES)
        async with LeadsClient(company.of("website")) as website:
            began = wallclock.monotonic()
            with pytest.raises(UnavailableError):
                await website.submit_lead(a_submission(company, 0), within=timedelta(seconds=8))
            assert wallclock.monotonic() - began < 8.5
    finally:
        both.server.start()
    for each in both.replicas:
        each.wait_until_ready()
    assert process_ids == {name: each.process_id(name) for each in both.replicas for name in SERVICES}
    async with (
        LeadsClient(company.of("website")) as website,
        ReportsClient(company.of("mara")) as reports,
    ):
        await website.submit_lead(a_submission(company, 1))
        await until(
            lambda: scores_of(reports, company), lambda found: found.get("accept") == (0, 1), seconds=60
        )


def _is_live(installation: Installation, service: str) -> bool:
    with grpc.insecure_channel(installation.addresses[service]["grpc"]) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
