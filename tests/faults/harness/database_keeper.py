"""Keeps a PostgreSQL server for tests that kill it: `python -m tests.faults.harness.database_keeper FOLDER`.

A process of its own, because one that holds threads of gRPC may not safely fork one that runs as another
account. Each line on standard input is `start`, `stop` or `kill`, and is answered by `done`; the end of the
input ends the server.
"""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from smarketing.sql.local_server import LocalServer
from tests.builders.processes import ROOT

_SETTINGS: Final = {"shared_buffers": "32MB"}


class Keeper:
    """The other end: what is asked for is done when the method returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, database: str, *, user: str) -> str:
        """Return how to open a database of the server."""
        return LocalServer(self._folder).url(database, user=user)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.harness.database_keeper", str(self._folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closes the input, which ends the server.
        self._process.communicate(timeout=60)

    def start(self) -> None:
        """Start the server, which waits for its disk; return when it answers."""
        self._ask("start")

    def kill(self) -> None:
        """Stop it as `pg_ctl stop -m immediate` does."""
        self._ask("kill")

    @property
    def processes(self) -> list[int]:
        """The main process and those that serve one connection each, or write."""
        main = int((self._folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text(encoding="utf-8")
        return [main, *map(int, children.split())]

    def _ask(self, what: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n", f"the server does not {what}"


def main(folder: Path) -> None:
    """Do what is asked for until nobody asks any more."""
    with LocalServer(folder, settings=_SETTINGS) as server:
        asked = {"start": server.start, "stop": server.stop, "kill": server.kill}
        for line in sys.stdin:
            if line != "start\n" or server.pid is None:
                asked[line.strip()]()
            sys.stdout.write("done\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
