"""What a store says of itself: of a file what the file system knows, of a server what the server does."""

import asyncio
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import psycopg
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from smarketing.server.gauges import DatabaseGauges
from smarketing.server.storage_telemetry import StorageTelemetry, engine_version
from smarketing.sql import Database, Writer, open_database
from tests.builders import postgres
from tests.contract.store.conftest import Clock

_OF_FILES = {"smarketing_db_wal_bytes", "smarketing_db_disk_free_bytes"}


async def shown(database: Database) -> dict[str, float]:
    registry = CollectorRegistry()
    async with Writer(database, now=Clock()) as writer:
        StorageTelemetry(registry).watch(writer)
        await DatabaseGauges(registry, writer, []).refresh()
        found = list(registry.collect())
    return {each.name: each.samples[0].value for each in found if each.type == "gauge" and each.samples}


async def test_a_file_is_measured_with_its_log_and_the_room_it_has(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path}/store.db") as database:
        found = await shown(database)

        assert found.keys() >= {"smarketing_db_size_bytes", *_OF_FILES}
        assert "smarketing_db_clock_offset_seconds" not in found
        assert engine_version(database)


async def test_a_server_is_asked_for_the_size_and_how_far_its_clock_is() -> None:
    with postgres.database() as url, open_database(url) as database:
        found = await shown(database)

        assert found["smarketing_db_size_bytes"] > 1_000_000
        assert abs(found["smarketing_db_clock_offset_seconds"]) < 5
        assert not found.keys() & _OF_FILES
        assert not engine_version(database)


async def test_whoever_waits_for_the_turn_to_write_and_whoever_holds_it_say_for_how_long() -> None:
    with postgres.database() as url, open_database(url) as one, open_database(url) as other:
        registries = [CollectorRegistry(), CollectorRegistry()]
        telemetries = [StorageTelemetry(registry) for registry in registries]
        holds, may_end = threading.Event(), threading.Event()

        def long(_connection: Connection, asked: Sequence[int], _now: datetime) -> Sequence[int]:
            holds.set()
            assert may_end.wait(20)
            return asked

        def brief(_connection: Connection, asked: Sequence[int], _now: datetime) -> Sequence[int]:
            return asked

        async with (
            Writer(one, now=Clock(), observer=telemetries[0]) as first,
            Writer(other, now=Clock(), observer=telemetries[1]) as second,
        ):
            for telemetry, writer in zip(telemetries, (first, second), strict=True):
                telemetry.watch(writer)
            holding = asyncio.create_task(first.run(long, [1]))
            await asyncio.to_thread(holds.wait, 20)
            waiting = asyncio.create_task(second.run(brief, [2]))
            await asyncio.to_thread(somebody_waits_for_a_lock, url)
            seen = time.perf_counter()
            # What is measured below is at least as long as this takes.
            await asyncio.to_thread(somebody_waits_for_a_lock, url)
            at_least = time.perf_counter() - seen
            may_end.set()
            await asyncio.gather(holding, waiting)

    spent = [
        {
            part: registry.get_sample_value("smarketing_db_turn_seconds_sum", {"part": part}) or 0.0
            for part in ("waited", "held")
        }
        for registry in registries
    ]
    assert spent[0]["held"] > at_least
    assert spent[1]["waited"] > at_least


def somebody_waits_for_a_lock(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            found = connection.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            ).fetchone()
            if found != (0,):
                return
    raise AssertionError("nobody waits")
