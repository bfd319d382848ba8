"""`python -m services`: leads, sla and reports on this machine, as three processes under one supervisor."""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.health import credentials_of
from services.supervised import SUPERVISOR_VARIABLE
from services.supervisor import Child, Supervisor

_HOST: Final = "127.0.0.1"
_HTTP_ABOVE_GRPC: Final = 100
_HEALTH_SECONDS: Final = 2.0

# In the order in which they start: leads makes the tokens by which the others call.
_SERVICES: Final = {
    "leads": "smarketing.api.leads.v1.LeadService",
    "sla": "smarketing.api.sla.v1.SlaService",
    "reports": "smarketing.api.reports.v1.ReportService",
}

_BESIDE: Final = {
    **dict.fromkeys(("backup", "restore", "verify", "refold"), "services.backups.commands"),
    "health": "services.health",
}
"""Command → the module whose `main` runs it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where one service listens."""

    grpc: str
    http: str


def addresses_from(port_base: int) -> dict[str, Addresses]:
    """Return the services' addresses: `port_base`, + 1, + 2, and HTTP 100 above; 0 finds free ports."""
    count = len(_SERVICES)
    if port_base:
        ports = [port_base + number for number in range(count)]
        ports += [port + _HTTP_ABOVE_GRPC for port in ports]
    else:
        ports = _free_ports(2 * count)
    return {
        name: Addresses(grpc=f"{_HOST}:{ports[number]}", http=f"{_HOST}:{ports[count + number]}")
        for number, name in enumerate(_SERVICES)
    }


def environment_of(
    name: str, *, data_dir: Path, addresses: Mapping[str, Addresses], environ: Mapping[str, str]
) -> dict[str, str]:
    """Return what one service is told: where it listens, where its data and token are, and its peers."""
    peers = {f"SMARKETING_{peer.upper()}_ADDRESS": addresses[peer].grpc for peer in addresses}
    return {
        **environ,
        **peers,
        "SMARKETING_LISTEN": addresses[name].grpc,
        "SMARKETING_HTTP_LISTEN": addresses[name].http,
        "SMARKETING_DATA_DIR": str(data_dir),
        SUPERVISOR_VARIABLE: str(os.getpid()),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the three services until SIGTERM or SIGINT, or a command beside them; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in _BESIDE:
        # Imported only here: the supervisor itself needs neither the services nor their databases.
        status: int = import_module(_BESIDE[given[0]]).main(given[0], given[1:])
        return status
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of databases, keys and tokens"
    )
    parser.add_argument(
        "--port-base",
        type=int,
        default=7001,
        help="first of the gRPC ports; 0 takes free ones (default 7001)",
    )
    parser.add_argument(
        "--print-addresses", action="store_true", help="say the addresses as one line of JSON on stdout"
    )
    options = parser.parse_args(given)
    addresses = addresses_from(options.port_base)
    if options.print_addresses:
        told = {name: {"grpc": each.grpc, "http": each.http} for name, each in addresses.items()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    return asyncio.run(_run(options.data.absolute(), addresses))


async def _run(data_dir: Path, addresses: Mapping[str, Addresses]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    credentials = credentials_of(os.environ)
    children = []
    for name, service in _SERVICES.items():
        environment = environment_of(name, data_dir=data_dir, addresses=addresses, environ=os.environ)
        child = Child(
            name=name,
            command=[sys.executable, "-m", "services.supervised", f"services.{name}"],
            environment=environment,
            is_live=_asking(addresses[name].grpc, "", credentials),
            is_ready=_asking(addresses[name].grpc, service, credentials),
        )
        children.append(child)
    return await Supervisor(children, say=_say).run(stop)


def _asking(
    address: str, service: str, credentials: grpc.ChannelCredentials | None
) -> Callable[[], Awaitable[bool]]:
    """Return the question whether health at `address` says that `service` is SERVING."""
    request = health_pb2.HealthCheckRequest(service=service)

    async def ask() -> bool:
        # A channel for each question: one that met a closed port would wait before it tries again.
        channel = (
            grpc.aio.insecure_channel(address)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials)
        )
        async with channel:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=_HEALTH_SECONDS)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return ask


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        # All are held until the last is found, so that none is given twice.
        sockets = [stack.enter_context(socket.create_server((_HOST, 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def _say(line: str) -> None:
    sys.stderr.write(f"smarketing: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
