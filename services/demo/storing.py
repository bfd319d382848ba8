"""Where the demo's services store: files in its folder, or a PostgreSQL server of its own."""

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from smarketing.sql.local_server import OWNER, LocalServer, LocalServerFailed

__all__ = ["Shape", "Storage", "StorageMissing", "home_for", "storage_in"]

_ROLE: Final = "smarketing"
_DATABASE: Final = "smarketing"
_HOME: Final = "postgres.home"
"""Says where the server's files are."""
_SETTINGS: Final = {
    "wal_level": "replica",
    # The month fills empty tables within a minute: what is known of them must keep up.
    "autovacuum": "on",
    "autovacuum_naptime": "5s",
}
_LONGEST_FOLDER: Final = 80
"""Characters: a socket's path may have a few more than a hundred."""
_ELSEWHERE: Final = Path("/var/tmp")  # noqa: S108 -- the folder below it is made for one owner alone


class Shape(StrEnum):
    """What the services store in."""

    EMBEDDED = "embedded"
    """A SQLite file each."""
    POSTGRES = "postgres"
    """One PostgreSQL database, a schema each."""


class StorageMissing(Exception):
    """What the shape needs is not installed, or did not start; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A store that runs."""

    url_of: Callable[[str], str]
    """Service → the URL of its database."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the services are told of it."""


@contextmanager
def storage_in(data_dir: Path, shape: Shape, *, durable: bool = True) -> Iterator[Storage]:
    """Give the store that belongs to a folder; a server is ended before this returns.

    `durable=False` waits for no disk: a crash while playing throws the whole folder away.

    Raises:
        StorageMissing: there is no server to be had.
    """
    if shape is Shape.EMBEDDED:
        yield Storage(url_of=lambda service: f"sqlite:///{data_dir / f'{service}.db'}")
        return
    home = Path((data_dir / _HOME).read_text(encoding="utf-8").strip())
    server = LocalServer(data_dir / home, durable=durable, settings=_SETTINGS)
    try:
        with server:
            _make_database(server)
            url = server.url(_DATABASE, user=_ROLE)
            yield Storage(
                url_of=lambda service: f"{url}&schema={service}", environment={"SMARKETING_DATABASE_URL": url}
            )
    except LocalServerFailed as failed:
        raise StorageMissing(f"PostgreSQL did not start: {failed}") from failed


def home_for(data_dir: Path, name: Path) -> Path:
    """Choose, and note in the folder, where a server's files go; `name` is what the folder will be called.

    In the folder itself, unless its path is too long for a socket, or a server that may not run as root
    could not get there.

    Returns:
        The place, empty.
    """
    inside = name / "postgres"
    home = data_dir / "postgres"
    told = "postgres"
    if len(str(inside.absolute())) > _LONGEST_FOLDER or not _can_be_entered(data_dir):
        digest = hashlib.sha256(str(name.absolute()).encode()).hexdigest()[:12]
        home = _ELSEWHERE / f"smarketing-demo-{digest}"
        told = str(home)
        shutil.rmtree(home, ignore_errors=True)
    (data_dir / _HOME).write_text(told + "\n", encoding="utf-8")
    return home


def _can_be_entered(folder: Path) -> bool:
    """Whether the account that a server runs as can get into a folder; for all but root it is ours."""
    if os.geteuid() != 0:
        return True
    folder.chmod(0o711)
    account = pwd.getpwnam("nobody")
    as_account: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    try:
        # Asked by the account itself: what is above the folder may keep it out as well.
        asked = subprocess.run(["test", "-x", str(folder.absolute())], cwd="/", check=False, **as_account)  # noqa: S607 -- wherever it is
    except PermissionError:
        return False
    return asked.returncode == 0


def _make_database(server: LocalServer) -> None:
    import psycopg

    with psycopg.connect(server.url("postgres", user=OWNER), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_ROLE]).fetchone() is None:
            connection.execute(f"CREATE ROLE {_ROLE} LOGIN")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {_ROLE}")
