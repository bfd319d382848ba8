"""A start while PostgreSQL is away waits, and says so; one that no waiting mends ends at once (P29)."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import Connection
from structlog.testing import capture_logs

from services.__main__ import addresses_from
from services.leads import __main__ as leads
from services.reports import __main__ as reports
from services.sla import __main__ as sla
from services.sla.rpc.policy import POLICY
from smarketing import wallclock
from smarketing.client.errors import error_of
from smarketing.server.settings import ServerConfig
from smarketing.server.starting import Opened, StartGivenUp, Store, started, status_of
from smarketing.sql import DatabaseUnsupported, SchemaTooNew, StorageError, Writer, open_database
from smarketing.sql.local_server import OWNER, LocalServer
from tests.builders import postgres
from tests.builders.processes import ROOT, until

pytestmark = pytest.mark.timeout(120)

SLA: Final = "smarketing.api.sla.v1.SlaService"
MIGRATIONS: Final = "services.sla.store.migrations"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """Give a server that may be stopped, with an empty database for each kind of test."""
    with postgres.server_of_ones_own() as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE smarketing LOGIN PASSWORD 'right'")
            connection.execute("CREATE DATABASE smarketing OWNER smarketing")
            connection.execute("CREATE DATABASE in_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
            connection.execute("CREATE DATABASE newer OWNER smarketing")
        with psycopg.connect(server.url("newer", user="smarketing"), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA sla")
            connection.execute("CREATE TABLE sla.alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
            connection.execute("INSERT INTO sla.alembic_version VALUES ('9999')")
        yield server


@pytest.fixture
def config(server: LocalServer) -> ServerConfig:
    server.stop()
    server.start()
    return ServerConfig(
        listen=addresses_from(0)["sla"].grpc, database_url=server.url("smarketing", user="smarketing")
    )


@pytest.fixture
def away(config: ServerConfig, server: LocalServer) -> ServerConfig:
    """Give the settings of a service whose server does not run."""
    server.stop()
    return config


def nothing(_connection: Connection) -> None:
    """Prepare nothing."""


async def begun(
    config: ServerConfig,
    build: Callable[[AsyncExitStack, Opened], Awaitable[Any]],
    stack: AsyncExitStack,
    prepare: Callable[[Connection], object] = nothing,
) -> Any:
    store = Store(config.database_of("sla"), MIGRATIONS, prepare)
    return await started(build, stack, config=config, store=store, policy=POLICY)


async def one(_stack: AsyncExitStack, opened: Opened) -> int:
    """Build what asks the database for a one."""
    with opened.database.reading() as connection:
        return int(connection.exec_driver_sql("SELECT 1").scalar_one())


async def health_of(config: ServerConfig, service: str) -> int | None:
    async with grpc.aio.insecure_channel(config.listen) as channel:
        try:
            request = health_pb2.HealthCheckRequest(service=service)
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=2)
        except grpc.aio.AioRpcError:
            return None
    return int(answer.status)


async def reason_for(config: ServerConfig, method: str) -> str:
    async with grpc.aio.insecure_channel(config.listen) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", timeout=2)
    return error_of(caught.value).reason


async def test_a_start_before_its_database_is_not_ready_but_alive_and_goes_on_when_that_comes(
    config: ServerConfig, server: LocalServer
) -> None:
    server.stop()
    with capture_logs() as said:
        async with AsyncExitStack() as stack, asyncio.timeout(60):
            starting = asyncio.create_task(begun(config, one, stack))
            serving = health_pb2.HealthCheckResponse.SERVING
            await until(lambda: health_of(config, ""), lambda found: found == serving)
            assert await health_of(config, SLA) == health_pb2.HealthCheckResponse.NOT_SERVING
            assert await reason_for(config, f"/{SLA}/ProposeAgreement") == "STORAGE_UNAVAILABLE"
            await asyncio.to_thread(server.start)
            assert await starting == 1
            # Whoever goes on takes the address for the service itself.
            assert await health_of(config, "") is None
    assert [each["waits_for"] for each in said if each["event"] == "start_waits"][:1] == [
        "the database server, which does not answer"
    ]


async def test_a_database_that_dies_in_the_middle_of_a_start_is_begun_with_anew(
    config: ServerConfig, server: LocalServer
) -> None:
    tries: list[Opened] = []

    async def build(stack: AsyncExitStack, opened: Opened) -> int:
        tries.append(opened)
        writer = await stack.enter_async_context(Writer(opened.database, now=wallclock.utc_now))
        if len(tries) == 1:
            await asyncio.to_thread(server.kill)
        return await writer.read(lambda connection: connection.exec_driver_sql("SELECT 7").scalar_one())

    async def comes_back() -> None:
        await until(lambda: health_of(config, SLA), lambda found: found is not None)
        await asyncio.to_thread(server.start)

    async with AsyncExitStack() as stack, asyncio.timeout(60):
        back = asyncio.create_task(comes_back())
        assert await begun(config, build, stack) == 7
        await back
    assert len(tries) == 2


async def test_a_replica_that_migrates_is_waited_for_longer_than_for_any_other_lock(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smarketing.server.starting._TURN_PATIENCE", timedelta(milliseconds=100))
    other = replace(
        config, database_url=config.database_url.replace("/smarketing?", "/smarketing?schema=late&")
    )
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        with open_database(other.database_of("sla")) as database, capture_logs() as said:
            with database.migrating():
                starting = asyncio.create_task(begun(other, one, stack))
                await until(lambda: health_of(config, SLA), lambda found: found is not None)
            assert await starting == 1
    assert "another replica, which has the turn to migrate or to write" in {
        each.get("waits_for") for each in said
    }


@pytest.mark.parametrize(
    ("refusal", "place", "says"),
    [
        pytest.param(
            DatabaseUnsupported, ("smarketing:wrong", "smarketing"), "password authentication", id="password"
        ),
        pytest.param(DatabaseUnsupported, ("smarketing", "smarketing"), "no password", id="no password"),
        pytest.param(
            DatabaseUnsupported, ("smarketing:right", "nowhere"), "does not exist", id="no database"
        ),
        pytest.param(DatabaseUnsupported, ("smarketing:right", "in_ascii"), "LOCALE 'C.UTF-8'", id="order"),
        pytest.param(SchemaTooNew, ("smarketing:right", "newer"), "start the newer build", id="newer schema"),
    ],
)
async def test_what_no_waiting_mends_ends_a_start_at_once(
    config: ServerConfig,
    server: LocalServer,
    refusal: type[Exception],
    place: tuple[str, str],
    says: str,
) -> None:
    # Over the network, where passwords are asked for.
    role, database = place
    url = f"postgresql://{role}@127.0.0.1:{server.port}/{database}?schema=sla"
    store = Store(url, MIGRATIONS, nothing)
    with capture_logs() as said:
        async with AsyncExitStack() as stack:
            with pytest.raises(refusal, match=says):
                await started(one, stack, config=config, store=store, policy=POLICY)
    assert not [each for each in said if each["event"] == "start_waits"]


async def test_a_role_above_row_policies_is_refused(config: ServerConfig, server: LocalServer) -> None:
    above = replace(config, database_url=server.url("smarketing", user=OWNER))
    async with AsyncExitStack() as stack:
        with pytest.raises(DatabaseUnsupported, match="without SUPERUSER and BYPASSRLS"):
            await begun(above, one, stack)


async def test_a_fault_of_a_file_is_not_waited_for(config: ServerConfig, tmp_path: Path) -> None:
    (tmp_path / "sla.db").write_bytes(b"no database" * 1000)
    async with AsyncExitStack() as stack:
        with pytest.raises(StorageError):
            await begun(replace(config, database_url="", data_dir=tmp_path), one, stack)


async def test_patience_that_is_over_ends_the_start(away: ServerConfig) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(StartGivenUp, match="it waited for the database server, which does not answer"):
            await begun(replace(away, start_patience=timedelta(0)), one, stack)


def environ_of(config: ServerConfig, folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
    own = {
        "SMARKETING_DATA_DIR": str(folder),
        "SMARKETING_LISTEN": config.listen,
        "SMARKETING_HTTP_LISTEN": "127.0.0.1:0",
        "SMARKETING_DATABASE_URL": config.database_url,
    }
    return {**kept, **own, **more}


@pytest.mark.parametrize("service", ["leads", "sla", "reports"])
def test_each_service_that_gives_up_says_why_in_a_sentence(
    service: str,
    away: ServerConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environ_of(away, tmp_path, SMARKETING_START_PATIENCE="0s").items():
        monkeypatch.setenv(name, value)
    # Logs of this process are other tests' too.
    for place in ("services.leads.__main__", "services.reports.__main__", "smarketing.logs"):
        monkeypatch.setattr(f"{place}.configure_logs", lambda *_, **__: None)
    mains = {"leads": leads.main, "sla": lambda: sla.main([]), "reports": reports.main}
    assert mains[service]() == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"{service} did not start: for 0:00:00 it waited for the database server, which does not answer"
    )


async def test_a_process_that_waits_ends_in_order_when_it_is_told_to(
    away: ServerConfig, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.sla", cwd=ROOT, env=environ_of(away, tmp_path)
    )
    try:
        await until(lambda: health_of(away, SLA), lambda found: found is not None)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


def test_a_stop_that_is_heard_while_the_store_is_opened_ends_the_start(config: ServerConfig) -> None:
    tries: list[int] = []
    built: list[Opened] = []

    async def serving() -> None:
        loop = asyncio.get_running_loop()

        def prepare(connection: Connection) -> None:
            tries.append(len(tries))
            if len(tries) == 1:
                # From here on there is somebody who hears a stop, as long as storage is waited for.
                connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
            signal.raise_signal(signal.SIGTERM)
            heard = threading.Event()
            # Behind whatever the loop does about the signal.
            loop.call_soon_threadsafe(loop.call_soon, loop.call_soon, heard.set)
            assert heard.wait(30)

        async def build(_stack: AsyncExitStack, opened: Opened) -> None:
            built.append(opened)

        async with AsyncExitStack() as stack:
            await begun(config, build, stack, prepare)

    assert status_of("sla", serving()) == 0
    assert tries == [0, 1]
    assert built == []
