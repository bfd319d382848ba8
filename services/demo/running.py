"""The processes of the demo: the three services under their supervisor, and the receiver of alerts."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.demo.storing import Storage
from services.supervised import SUPERVISOR_VARIABLE
from smarketing.client import CallError, ClientSettings, LeadsClient, ReportsClient, SlaClient
from smarketing.config import Secret

__all__ = ["HOST", "DidNotStart", "Places", "receiver", "services_on", "settings_of", "wait_until_ready"]

HOST: Final = "127.0.0.1"
_HTTP_ABOVE: Final = 100
_RECEIVER_ABOVE: Final = 200
_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_SUPERVISED: Final = ("-m", "services.supervised")


class DidNotStart(Exception):
    """Something that the demo needs is not there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything listens."""

    port_base: int

    @property
    def grpc(self) -> tuple[int, int, int]:
        """The ports of leads, sla and reports."""
        return self.port_base, self.port_base + 1, self.port_base + 2

    @property
    def dashboard(self) -> str:
        """The address of the pages."""
        return f"http://{HOST}:{self.port_base + 2 + _HTTP_ABOVE}/"

    @property
    def metrics(self) -> list[str]:
        """The addresses that Prometheus reads."""
        return [f"http://{HOST}:{port + _HTTP_ABOVE}/metrics" for port in self.grpc]

    @property
    def receiver(self) -> int:
        """The receiver's port."""
        return self.port_base + _RECEIVER_ABOVE

    @property
    def alerts(self) -> str:
        """Where alerts are sent."""
        return f"http://{HOST}:{self.receiver}/alerts"

    def check_free(self) -> None:
        """Refuse ports that somebody else has.

        Raises:
            DidNotStart: naming the first.
        """
        for port in (*self.grpc, *(port + _HTTP_ABOVE for port in self.grpc), self.receiver):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError:
                    raise DidNotStart(
                        f"Port {port} is taken: stop what listens there, or name others with --port-base."
                    ) from None


def settings_of(places: Places, token_file: Path) -> ClientSettings:
    """Return how somebody calls the services."""
    leads, sla, reports = (f"{HOST}:{port}" for port in places.grpc)
    token = Secret(token_file.read_text(encoding="ascii").strip())
    return ClientSettings(leads=leads, sla=sla, reports=reports, token=token)


@asynccontextmanager
async def services_on(
    data_dir: Path, places: Places, storage: Storage
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the three services; they end before this does."""
    environment = {
        **_as_child(),
        "SMARKETING_REFLECTION": "true",
        "SMARKETING_WEBHOOK_LOOPBACK": "true",
        **storage.environment,
    }
    command = (*_SUPERVISED, "services")
    arguments = ("--data", str(data_dir), "--port-base", str(places.port_base))
    with log_of(data_dir).open("ab") as log:
        async with _child(*command, *arguments, environment=environment, output=log) as process:
            yield process


@asynccontextmanager
async def receiver(places: Places, secret_file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the receiver of alerts; it writes to this process's output."""
    command = (*_SUPERVISED, "services.demo.receiving", str(places.receiver), str(secret_file))
    async with _child(*command, environment=_as_child()) as process:
        yield process


def log_of(data_dir: Path) -> Path:
    """Return where the services write what they have to say."""
    return data_dir / "services.log"


async def wait_until_ready(settings: ClientSettings, services: asyncio.subprocess.Process, log: Path) -> None:
    """Return when all three serve.

    Raises:
        DidNotStart: they ended, or took too long; with where to read why.
    """
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while not await _are_ready(settings):
                if services.returncode is not None:
                    raise DidNotStart(f"The services ended; {log} says why.")
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise DidNotStart(f"The services are not ready after {_READY_SECONDS:g} s; {log} says why.") from None


async def _are_ready(settings: ClientSettings) -> bool:
    try:
        async with (
            LeadsClient(settings) as leads,
            SlaClient(settings) as sla,
            ReportsClient(settings) as reports,
        ):
            return (
                await leads.is_serving("smarketing.api.leads.v1.LeadService")
                and await sla.is_serving("smarketing.api.sla.v1.SlaService")
                and await reports.is_serving("smarketing.api.reports.v1.ReportService")
            )
    except CallError:
        return False


def _as_child() -> dict[str, str]:
    """Return this environment, and whose end is the child's too."""
    return {**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())}


@asynccontextmanager
async def _child(
    *arguments: str, environment: Mapping[str, str], output: object = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    # A session of its own: Ctrl-C is for this process, which then stops the others in order.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,  # type: ignore[arg-type] # a file, or None for this process's own
        stderr=output,  # type: ignore[arg-type] # the same
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
