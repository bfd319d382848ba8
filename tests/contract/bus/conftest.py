"""Fixtures: a served log, a channel to it, and a database beside it that follows."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from smarketing.sql import Database, Writer
from tests.contract.bus.served_log import NOON, OTHER_LOG_ID, ServedLog, a_database


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[ServedLog]:
    log = ServedLog(tmp_path)
    await log.start()
    yield log
    await log.close()


@pytest.fixture
async def channel(log: ServedLog) -> AsyncIterator[grpc.aio.Channel]:
    async with log.channel() as channel:
        yield channel


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Database]:
    with a_database(tmp_path, "follower", log_id=OTHER_LOG_ID) as database:
        yield database


@pytest.fixture
async def follower_writer(follower: Database) -> AsyncIterator[Writer]:
    async with Writer(follower, now=lambda: NOON) as writer:
        yield writer


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep expected complaints out of the output, and their rendering out of the time."""
    with capture_logs():
        yield


@pytest.fixture(autouse=True)
async def nothing_left_running() -> AsyncIterator[None]:
    """Every task of ours ends with the test that began it."""
    yield
    leftovers = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not [task for task in leftovers if "smarketing" in repr(task.get_coro())], leftovers
