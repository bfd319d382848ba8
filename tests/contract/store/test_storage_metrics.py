"""What a store says of itself: of a file what the file system knows, of a server what the server does."""

from pathlib import Path

from prometheus_client import CollectorRegistry

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
