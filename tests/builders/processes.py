"""The three services as real processes: in a folder of their own, on free ports, always taken away again."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from smarketing import wallclock
from smarketing.client import ClientSettings
from smarketing.config import Secret
from tests.builders.engines import ENGINE_VARIABLE, engine
from tests.builders.kept import a_url_for

__all__ = ["SERVICES", "Finished", "Installation", "an_installation", "finished", "until", "waited_for"]

ROOT: Final = Path(__file__).parents[2]
SERVICES: Final = {
    "leads": "smarketing.api.leads.v1.LeadService",
    "sla": "smarketing.api.sla.v1.SlaService",
    "reports": "smarketing.api.reports.v1.ReportService",
}
_POLL_SECONDS: Final = 0.05
_SHOWN: Final = 2_000
"""Characters of an answer in a failure."""
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 40.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ran to its end."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it wrote with `--format json`; fails with its errors when it ended badly."""
        assert self.status == 0, f"status {self.status}: {self.err}{self.out}"
        return json.loads(self.out)


@dataclass
class Installation:
    """A supervisor and its three services."""

    data_dir: Path
    addresses: dict[str, dict[str, str]]
    process: "subprocess.Popen[bytes]"
    log: Path
    """What the supervisor and the services wrote to standard error."""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def operator(self) -> str:
        """The operator's token."""
        return (self.data_dir / "tokens" / "operator.token").read_text().strip()

    def settings(self, token: str, *, tenant: str = "default") -> ClientSettings:
        """Return what a client needs to call as the token's owner."""
        targets = {name: each["grpc"] for name, each in self.addresses.items()}
        return ClientSettings(**targets, token=Secret(token), tenant=tenant)

    def environment(self, token: str, *, tenant: str = "default") -> dict[str, str]:
        """Return the environment of a program that calls as the token's owner."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
        targets = {f"SMARKETING_{name.upper()}": each["grpc"] for name, each in self.addresses.items()}
        own = {
            "SMARKETING_TOKEN": token,
            "SMARKETING_TENANT": tenant,
            "COLUMNS": "200",
            "PYTHONPATH": str(ROOT),
        }
        return kept | targets | own

    async def smarketing(
        self, *arguments: str | Path, token: str, tenant: str = "default", seconds: float = 60.0
    ) -> Finished:
        """Run the command line to its end."""
        command = [Path(sys.executable).with_name("smarketing"), *arguments]
        return await finished(command, self.environment(token, tenant=tenant), seconds=seconds)

    async def json(self, *arguments: str | Path, token: str, tenant: str = "default") -> Any:
        """Run the command line and return the document that it wrote."""
        ran = await self.smarketing(*arguments, "--format", "json", token=token, tenant=tenant)
        return ran.document

    def process_id(self, service: str) -> int | None:
        """Return the process id of a service; None while it has none."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if f"services.{service}".encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        return None

    def kill(self, service: str) -> bool:
        """Kill a service with SIGKILL; the supervisor starts it again. False while it has no process."""
        process_id = self.process_id(service)
        if process_id is None:
            return False
        try:
            os.kill(process_id, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def is_ready(self, service: str) -> bool:
        """Whether health says that the service serves."""
        request = health_pb2.HealthCheckRequest(service=SERVICES[service])
        # A channel for each question: one that met a closed port would wait before it tries again.
        with grpc.insecure_channel(self.addresses[service]["grpc"]) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=2)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> None:
        """Return once all three serve."""
        waited_for(
            lambda: all(map(self.is_ready, SERVICES)),
            seconds=seconds,
            why=lambda: self.log.read_text()[-4000:],
        )

    def stop(self) -> int:
        """End the supervisor and so the services; return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def an_installation(
    data_dir: Path, environ: Mapping[str, str] | None = None, *, build: Path = ROOT
) -> Iterator[Installation]:
    """Start the three services on free ports, wait until they serve, and end them afterwards.

    `build` is the folder that the package `services` lies in.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "said.log"
    command = [
        sys.executable,
        "-m",
        "services",
        "--data",
        str(data_dir),
        "--port-base",
        "0",
        "--print-addresses",
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
    with log.open("ab") as said:
        process = subprocess.Popen(
            command,
            cwd=build,
            env={
                **kept,
                "SMARKETING_LOG_LEVEL": "WARNING",
                ENGINE_VARIABLE: engine(),
                "SMARKETING_DATABASE_URL": a_url_for(data_dir),
                **(environ or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
    assert process.stdout is not None
    with process.stdout as told:
        line = told.readline()
    installation = Installation(data_dir, json.loads(line), process, log)
    try:
        installation.wait_until_ready()
        yield installation
    finally:
        installation.stop()


async def finished(
    command: Sequence[str | Path], environ: Mapping[str, str], *, given: bytes = b"", seconds: float = 60.0
) -> Finished:
    """Run a program to its end; it is killed and the test fails when that takes longer than `seconds`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=dict(environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(process.returncode or 0, out.decode(), err.decode())


def waited_for(condition: Callable[[], bool], *, seconds: float, why: Callable[[], str] = str) -> None:
    """Return once the condition holds; fail when it does not in time."""
    deadline = wallclock.monotonic() + seconds
    while not condition():
        assert wallclock.monotonic() < deadline, f"not within {seconds} s; {why()}"
        # Another process sets no event of ours.
        signal.sigtimedwait([], _POLL_SECONDS)


async def until(
    question: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, seconds: float = 20.0
) -> T:
    """Ask again and again, and return the first answer that holds; fail with the last one otherwise."""
    deadline = wallclock.monotonic() + seconds
    while True:
        answer = await question()
        if holds(answer):
            return answer
        assert wallclock.monotonic() < deadline, f"not within {seconds} s; last: {answer!r}"[:_SHOWN]
        await asyncio.sleep(_POLL_SECONDS)  # another process answers, and tells nobody when it will
