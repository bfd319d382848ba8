"""PostgreSQL for tests: one server a process, made at the first use, and a database a test.

    with postgres.database() as url: …

A database is copied from a template: an empty one, or one that a test module has prepared once.
"""

import atexit
import itertools
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg

from smarketing.sql.local_server import OWNER, LocalServer

SERVICE: Final = "smarketing"
"""The role that tests store as: it owns its databases, but is subject to every rule in them."""

_ROOM_BYTES: Final = 2 * 1024**3
"""Free memory that files may take: each database is a copy of some 8 MB."""

_templates: set[str] = set()
_numbers = itertools.count(1)


@cache
def server() -> LocalServer:
    """Return this process' server, which gives up durability for speed and ends with the process."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="smarketing-pg-", dir=memory if roomy else None))
    started = LocalServer(folder, durable=False).start()
    atexit.register(_end, started)
    with psycopg.connect(started.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {SERVICE} LOGIN")
    return started


@contextmanager
def server_of_ones_own() -> Iterator[LocalServer]:
    """Give a server that a test may harm; it also listens on a free port of loopback."""
    folder = Path(tempfile.mkdtemp(prefix="smarketing-pg-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        with LocalServer(folder, durable=False, port=port) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def url_of(name: str, *, user: str = SERVICE) -> str:
    """Return how to open a database of this process' server."""
    return server().url(name, user=user)


@contextmanager
def database(template: str = "template0") -> Iterator[str]:
    """Give the URL of a database that is like its template, and drop it at the end."""
    name = f"test_{next(_numbers)}"
    with _administering() as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER {SERVICE} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield url_of(name)
    finally:
        with _administering() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def template(name: str, prepare: Callable[[str], None]) -> str:
    """Return the name of a template, which `prepare`, given its URL, fills when it is first asked for."""
    if name not in _templates:
        with _administering() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {SERVICE} TEMPLATE template0")
        prepare(url_of(name))
        _templates.add(name)
    return name


@contextmanager
def _administering() -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(url_of("postgres", user=OWNER), autocommit=True) as connection:
        yield connection


def _end(started: LocalServer) -> None:
    started.stop()
    shutil.rmtree(started.folder, ignore_errors=True)
