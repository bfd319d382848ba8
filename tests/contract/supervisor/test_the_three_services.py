"""The three real services under their supervisor, from an empty folder."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from smarketing import wallclock
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceStub
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.reports.v1.reports_pb2_grpc import ReportServiceStub
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.sla_pb2_grpc import SlaServiceStub

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the children in /proc")

TENANT = "tenants/default"
ADA = f"{TENANT}/people/ada"


@dataclass
class Install:
    """A supervisor that runs, and what it said."""

    data_dir: Path
    process: asyncio.subprocess.Process
    addresses: dict[str, dict[str, str]]
    said: list[str] = field(default_factory=list)

    def token(self, system: str = "operator") -> str:
        return (self.data_dir / "tokens" / f"{system}.token").read_text().strip()

    def child(self, name: str) -> int:
        """Return the process id of a service."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if f"services.{name}".encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise LookupError(name)


@asynccontextmanager
async def an_install(data_dir: Path) -> AsyncIterator[Install]:
    command = ["-m", "services", "--data", str(data_dir), "--port-base", "0", "--print-addresses"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "SMARKETING_LOG_LEVEL": "WARNING"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    install = Install(data_dir, process, json.loads(await process.stdout.readline()))
    listening = asyncio.create_task(_listen(process, install.said))
    try:
        yield install
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await listening


async def _listen(process: asyncio.subprocess.Process, said: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        if line.startswith(b"smarketing: "):
            # One by one: the test looks at it meanwhile.
            said.append(line.decode().strip().removeprefix("smarketing: "))  # noqa: PERF401 -- see above


async def until(condition: Callable[[], Any], *, seconds: float = 40.0) -> None:
    """Return once the condition, which may be asynchronous, holds; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            answer = condition()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.02)


def bearer(text: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {text}"),)


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_they_start_survive_a_kill_and_end_together(tmp_path: Path) -> None:
    async with an_install(tmp_path) as install:
        await until(lambda: install.said == ["ready: leads, sla, reports"])
        killed = install.child("leads")

        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(install.said) == 3)
        assert install.child("leads") != killed
        install.process.send_signal(signal.SIGTERM)

        assert await install.process.wait() == 0
        assert install.said == [
            "ready: leads, sla, reports",
            "leads was ended by SIGKILL; restarting it in 0.5 s",
            "ready: leads, sla, reports",
        ]


async def test_a_revoked_token_is_refused_by_all_three_within_five_seconds(tmp_path: Path) -> None:
    async with an_install(tmp_path) as install:
        await until(lambda: install.said == ["ready: leads, sla, reports"])
        operator = bearer(install.token())
        channels = {name: grpc.aio.insecure_channel(each["grpc"]) for name, each in install.addresses.items()}
        leads = DirectoryServiceStub(channels["leads"])
        directory = await leads.GetDirectory(
            directorypb.GetDirectoryRequest(name=f"{TENANT}/directory"), metadata=operator
        )
        directory.people.add(name=ADA, roles=[directorypb.ROLE_SALES_MANAGER], team=f"{TENANT}/teams/sales")
        await leads.ApplyDirectory(
            directorypb.ApplyDirectoryRequest(
                parent=TENANT, request_id=wallclock.new_uuid(), directory=directory
            ),
            metadata=operator,
        )
        made = await leads.IssueToken(
            directorypb.IssueTokenRequest(parent=ADA, request_id=wallclock.new_uuid()), metadata=operator
        )
        ada = bearer(made.bearer)

        async def codes() -> set[grpc.StatusCode]:
            return {
                await code_of(
                    leads.GetDirectory(
                        directorypb.GetDirectoryRequest(name=f"{TENANT}/directory"), metadata=ada
                    )
                ),
                await code_of(
                    SlaServiceStub(channels["sla"]).ListAlerts(
                        slapb.ListAlertsRequest(parent=TENANT), metadata=ada
                    )
                ),
                await code_of(
                    ReportServiceStub(channels["reports"]).ListKpis(
                        reportspb.ListKpisRequest(parent=TENANT),
                        metadata=ada,
                    )
                ),
            }

        async def everywhere(code: grpc.StatusCode) -> bool:
            return await codes() == {code}

        await until(lambda: everywhere(grpc.StatusCode.OK))
        await leads.RevokeToken(
            directorypb.RevokeTokenRequest(name=made.token.name, request_id=wallclock.new_uuid()),
            metadata=operator,
        )
        await until(lambda: everywhere(grpc.StatusCode.UNAUTHENTICATED), seconds=5)
        for channel in channels.values():
            await channel.close()
