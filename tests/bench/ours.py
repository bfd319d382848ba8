"""The real service `leads` in a process of its own, with a directory to route by, for measurements."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

from smarketing.api.leads.v1 import directory_pb2, directory_pb2_grpc
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.server.settings import GrpcEngine
from smarketing.wallclock import new_uuid

_TENANT = "tenants/default"
_REPS = 8


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Ours:
    """Starts the service, prepares it, and stops it by its own process id."""

    def __init__(
        self,
        data: Path,
        engine: GrpcEngine | None = None,
        *,
        database_url: str = "",
        directory: directory_pb2.Directory | None = None,
    ) -> None:
        """Start it on a file in the folder `data`, or on a server's database."""
        data.mkdir(exist_ok=True)
        self.target = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self._directory = directory or _directory()
        environment = {
            **os.environ,
            "SMARKETING_LISTEN": self.target,
            "SMARKETING_HTTP_LISTEN": self.http,
            "SMARKETING_DATA_DIR": str(data),
            "SMARKETING_SLA_ADDRESS": f"127.0.0.1:{free_port()}",
            "SMARKETING_LOG_LEVEL": "ERROR",
            # One caller is the whole load here; a tenant's share is not what is measured.
            "SMARKETING_TENANT_CALLS_PER_SECOND": "1000000",
        }
        if database_url:
            environment["SMARKETING_DATABASE_URL"] = database_url
        if engine is not None:
            environment["SMARKETING_GRPC_ENGINE"] = engine
        self._data = data
        self._log = (data / f"leads-{self.target.rpartition(':')[2]}.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.leads"], env=environment, stdout=self._log, stderr=self._log
        )
        self.token = ""

    @property
    def process_id(self) -> int:
        """The service's process id."""
        return self._process.pid

    @property
    def operator_token(self) -> str:
        """The token that the installation made for its operator."""
        return (self._data / "tokens" / "operator.token").read_text().strip()

    def prepare(self) -> None:
        """Wait until it serves, give it reps to route to, and get a token for a marketing system."""
        operator = self._data / "tokens" / "operator.token"
        until = time.monotonic() + 60
        while not operator.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                said = Path(self._log.name).read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"leads did not start: {said[-2000:]}")
            time.sleep(0.05)  # another process writes it, and tells nobody
        self.token = asyncio.run(self._prepare(self.operator_token))

    async def _prepare(self, operator: str) -> str:
        metadata = (("authorization", f"Bearer {operator}"),)
        async with grpc.aio.insecure_channel(self.target) as channel:
            directory = directory_pb2_grpc.DirectoryServiceStub(channel)
            applied = directory_pb2.ApplyDirectoryRequest(
                parent=_TENANT, request_id=new_uuid(), directory=self._directory
            )
            await directory.ApplyDirectory(applied, metadata=metadata, timeout=30, wait_for_ready=True)
            issued = directory_pb2.IssueTokenRequest(
                parent=f"{_TENANT}/systems/bench", request_id=new_uuid(), display_name="bench"
            )
            return (await directory.IssueToken(issued, metadata=metadata, timeout=30)).bearer

    def stop(self) -> None:
        """End it gracefully, or by force after ten seconds."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _directory() -> directory_pb2.Directory:
    reps = [f"{_TENANT}/people/rep{number}" for number in range(_REPS)]
    sales, manager = f"{_TENANT}/teams/sales", f"{_TENANT}/people/manager"
    return directory_pb2.Directory(
        name=f"{_TENANT}/directory",
        time_zone="UTC",
        region_code="DE",
        currency_code="EUR",
        teams=[directory_pb2.Team(name=sales, party=termspb.PARTY_SALES, manager=manager)],
        people=[
            directory_pb2.Person(name=manager, team=sales, roles=[directory_pb2.ROLE_SALES_MANAGER]),
            *(
                directory_pb2.Person(name=rep, team=sales, roles=[directory_pb2.ROLE_SALES_REP])
                for rep in reps
            ),
        ],
        systems=[
            directory_pb2.System(
                name=f"{_TENANT}/systems/bench", roles=[directory_pb2.ROLE_MARKETING_SPECIALIST]
            )
        ],
        queues=[directory_pb2.Queue(name=f"{_TENANT}/queues/inbound", team=sales)],
        routing=directory_pb2.Routing(
            fallback_queue=f"{_TENANT}/queues/inbound",
            offer_duration=Duration(seconds=3600),
            rules=[
                directory_pb2.RoutingRule(
                    rule_id="everybody",
                    members=[directory_pb2.RoutingMember(person=rep, weight=1) for rep in reps],
                )
            ],
        ),
    )
