"""The databases that every store suite runs on; another one joins by a line in `ENGINES`."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smarketing.sql import Database, Writer, open_database
from tests.builders import postgres

ENGINES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "sqlite file": lambda folder: nullcontext(f"sqlite:///{folder}/store.db"),
    "sqlite memory": lambda _folder: nullcontext("sqlite://"),
    "postgresql": lambda _folder: postgres.database(),
}


class Clock:
    """A clock that a test sets; it ticks a microsecond at each look so that instants differ."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.instant += timedelta(microseconds=1)
        return self.instant


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=list(ENGINES))
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ENGINES[request.param](tmp_path) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with open_database(database_url) as database:
        yield database


@pytest.fixture
async def writer(database: Database, clock: Clock) -> AsyncIterator[Writer]:
    async with Writer(database, now=clock) as writer:
        yield writer
