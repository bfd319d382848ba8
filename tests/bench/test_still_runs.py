"""The measurements still run: each at a size that measures nothing, most of them on one service.

`THOROUGH=1` runs each by its name, in a process of its own, as `make bench` does.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from smarketing.server.settings import GrpcEngine
from smarketing.sql.engine import sqlite_driver
from tests.bench import (
    accept,
    edge_server,
    events,
    floor_and_rival,
    growth,
    on_postgres,
    open_loop,
)
from tests.bench.loading import closed_loop, end_loaders
from tests.bench.ours import Ours
from tests.bench.requests import submission, unary_requests
from tests.bench.shapes import Running
from tests.bench.wire import OK, Calls, connected
from tests.builders import postgres
from tests.builders.thorough import takes_minutes

ROOT = Path(__file__).parents[2]
SUBMIT = "/smarketing.api.leads.v1.LeadService/SubmitLead"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_SIZE", "small")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[Ours]:
    ours = Ours(folder / "ours", directory=accept.one_queue())
    try:
        ours.prepare()
        yield ours
    finally:
        ours.stop()
        end_loaders()


def test_the_open_loop_loads_in_steps_and_beyond_the_peak(ours: Ours) -> None:
    seen = {"sqlite": open_loop.measured(Running([ours], None).loaded)}

    steps, over = seen["sqlite"]["steps"], seen["sqlite"]["overload"]
    assert [steps[step]["failed"] for step in ("0.25", "0.5", "0.8", "1.0")] == [0] * 4
    assert over["5"]["arrivals"] > over["2"]["arrivals"] > 0
    assert "sqlite_goodput_at_2x_to_peak" in open_loop.judged(seen)["goals"]


def test_reps_take_from_the_queue_what_was_submitted(ours: Ours) -> None:
    assert accept.measured(Running([ours], None).loaded)["claim"]["per_second"] > 0


def test_a_consumer_takes_in_what_waits_and_single_events(ours: Ours, folder: Path) -> None:
    seen = asyncio.run(events.followed(ours, folder))

    assert seen["events"] > 0
    assert seen["singles"] > 0


@pytest.mark.parametrize("engine", GrpcEngine)
async def test_the_edge_answers_as_the_bare_server_does(engine: GrpcEngine) -> None:
    if engine is GrpcEngine.NATIVE:
        pytest.importorskip("pygrpc_native")
    for kind in ("bare", "edge"):
        port, token, server = await edge_server.started(kind, engine)
        statuses = [status async for status in _submitted(f"127.0.0.1:{port}", token)]
        await (server.stop(0) if kind == "bare" else server.drain())
        assert statuses == [OK] * 3, kind


def test_a_replica_on_postgresql_says_how_long_it_held_the_turn(folder: Path) -> None:
    with postgres.database() as url:
        ours = Ours(folder / "on-postgres", database_url=url)
        try:
            ours.prepare()
            seen = on_postgres.with_turns(Running([ours], None), 64)
        finally:
            ours.stop()
            end_loaders()

    assert seen["failed"] == 0
    assert seen["held_share"] > 0
    assert seen["leads_per_turn"] > 0


def test_the_rival_keeps_a_lead_on_postgresql() -> None:
    with postgres.database() as url:
        engine = floor_and_rival.on_server(url)
        naive = floor_and_rival.Naive(engine)
        for _ in range(2):
            naive.insert(submission("abc", 1), b"a lead")
        with engine.connect() as connection:
            kept = connection.exec_driver_sql("SELECT count(*) FROM lead JOIN handoff ON lead_id = lead.id")
            assert kept.scalar_one() == 1
        engine.dispose()


def test_copies_of_leads_are_whole_and_the_log_has_no_holes(ours: Ours, folder: Path) -> None:
    closed_loop(Running([ours], None).loaded, in_flight=20, seconds=0.2, most=20, loaders=1)
    ours.stop()
    path = next((folder / "ours").glob("*.db"))
    connection = sqlite_driver().connect(str(path))
    before = [_count(connection, table) for table in ("lead_person", "handoff", "submission", "lead_match")]
    connection.close()

    growth.multiply(path, 3)

    connection = sqlite_driver().connect(str(path))
    after = [_count(connection, table) for table in ("lead_person", "handoff", "submission", "lead_match")]
    [(last,)] = connection.execute("SELECT position FROM log_head WHERE view = 'tenants/-'")
    assert after == [4 * each for each in before]
    assert _count(connection, "event_log") == last
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@takes_minutes
@pytest.mark.parametrize(
    "name",
    ["open-loop", "submit-postgres", "replicas", "partitions", "interceptors", "accept", "events", "growth"],
)
def test_each_prints_its_figures_and_goals(name: str) -> None:
    command = [sys.executable, "-m", "tests.bench", "--only", name]
    environment = {**os.environ, "BENCH_SIZE": "small"}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )

    assert done.returncode == 0, done.stderr
    assert json.loads((ROOT / "build" / "bench-small.json").read_text())[name]["ratios"]


def _count(connection: Any, table: str) -> int:
    [(count,)] = connection.execute(f"SELECT count(*) FROM {table}")
    return int(count)


async def _submitted(target: str, token: str) -> AsyncIterator[int]:
    """Send three requests at once, and yield how they ended."""
    ended: asyncio.Queue[int] = asyncio.Queue()
    calls: Calls = await connected(target, SUBMIT, token, lambda _number, status, _: ended.put_nowait(status))
    for number, request in enumerate(unary_requests("abc", 3)):
        calls.send(number, request)
    calls.flush()
    for _ in range(3):
        yield await asyncio.wait_for(ended.get(), 10)
    calls.close()
