"""Copies of SQLite files that a running service has open: each as it stood at one instant."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, NullPool, create_engine, event

from smarketing.sql.engine import sqlite_driver
from smarketing.sql.errors import StorageCorrupt, StorageFault, StorageUnavailable

__all__ = ["copied", "find_damage", "pinned", "put_on_disk"]

_PAGES_A_STEP: Final = 1024
_WAIT: Final = "PRAGMA busy_timeout=10000"


@contextmanager
def pinned(path: Path) -> Iterator[Connection]:
    """Give a connection that sees the file as it stands now, however long its owner goes on writing.

    It cannot write. Until it is given back, the owner's write-ahead log grows.

    Raises:
        StorageUnavailable: there is no such file.
    """
    if not path.is_file():
        raise StorageUnavailable(StorageFault.UNREACHABLE)
    engine = create_engine(
        f"sqlite:///{path}",
        module=sqlite_driver(),
        poolclass=NullPool,
        connect_args={"isolation_level": None, "check_same_thread": False},
    )

    def look_only(connection: Any, _record: object) -> None:
        connection.execute(_WAIT).close()
        connection.execute("PRAGMA query_only=ON").close()

    event.listen(engine, "connect", look_only)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with engine.connect() as connection, connection.begin():
        # The instant is that of the first thing read, not of BEGIN.
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        yield connection


def copied(connection: Connection, target: Path) -> None:
    """Write what a pinned connection sees to the new file `target`; it is on the disk at the return.

    The copy is written anew from the rows, so that nothing is in it which was deleted before.
    """
    pages = target.with_name(f"{target.name}.pages")
    try:
        with closing(sqlite_driver().connect(str(pages), isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous=OFF").close()
            # Begun on a connection that reads already, the copy is of the instant which that one sees.
            pinned_one: Any = connection.connection.driver_connection
            pinned_one.backup(copy, pages=_PAGES_A_STEP)
            copy.execute("VACUUM INTO ?", (str(target),)).close()
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{pages}{suffix}").unlink(missing_ok=True)
    target.chmod(0o600)
    put_on_disk(target)


def find_damage(path: Path, *, thorough: bool) -> None:
    """Let SQLite examine a file that nobody has open; `thorough` compares indexes with tables too.

    Raises:
        StorageCorrupt: with the first finding.
    """
    check = "integrity_check" if thorough else "quick_check"
    with closing(sqlite_driver().connect(str(path), isolation_level=None)) as connection:
        try:
            (finding,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
        except sqlite_driver().DatabaseError as error:
            finding = str(error)
    if finding != "ok":
        raise StorageCorrupt(f"{path} failed the database's own check: {finding}")


def put_on_disk(path: Path) -> None:
    """Return once a file, and its name in its folder, would survive a power cut."""
    for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(place, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
