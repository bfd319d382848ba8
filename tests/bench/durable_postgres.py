"""A PostgreSQL server from the wheel that keeps what it acknowledges, for measurements: fsync stays on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from smarketing.sql.local_server import OWNER, LocalServer
from tests.bench.watched import with_children

ROLE: Final = "smarketing"


class DurablePostgres:
    """A running server, and how to make databases in it."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self.execute(f"CREATE ROLE {ROLE} LOGIN")

    def database(self, name: str) -> str:
        """Make a database, and return its URL for a role that row policies bind."""
        self.execute(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE template0")
        return self._server.url(name, user=ROLE)

    def execute(self, statement: str) -> list[Any]:
        """Run a statement as the server's owner, and return what it gives."""
        with psycopg.connect(self._server.url("postgres", user=OWNER), autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    @property
    def process_ids(self) -> list[int]:
        """The server and all its processes of this moment."""
        return [] if self._server.pid is None else with_children(self._server.pid)


@contextmanager
def durable_postgres(folder: Path) -> Iterator[DurablePostgres]:
    """Start a server in a folder, and end it."""
    with LocalServer(folder) as server:
        started = DurablePostgres(server)
        [(fsync,)] = started.execute("SHOW fsync")
        if fsync != "on":
            raise RuntimeError("the server does not wait for the disk")
        yield started
