"""The empty `SubmitLead`, bare or behind everything that every call of ours passes, on either engine.

    python -m tests.bench.edge_server bare|edge grpcio|native

It prints its port and the token to call with.
"""

import argparse
import asyncio
import signal
import sys
from typing import Any, Final

import grpc

from services.leads.rpc.policy import POLICY
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import leads_pb2_grpc
from smarketing.server.admission import Admission, AdmissionLimits, Overflow, server_busy
from smarketing.server.auth import (
    Authenticator,
    Caller,
    Directory,
    DirectoryToken,
    PrincipalKind,
    Role,
    issue_token,
)
from smarketing.server.bootstrap import Servicer, start_server
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.listening import listen, new_server
from smarketing.server.settings import GrpcEngine, ServerConfig
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator
from tests.bench.floor_and_rival import Echo

_SERVICE: Final = "smarketing.api.leads.v1.LeadService"
_PRINCIPAL: Final = "tenants/default/systems/bench"
_ENOUGH: Final = 100_000
"""Calls in flight, more than any load has."""


async def _absent(_self: object, _request: object, _context: object) -> None:
    """Stand for the methods that nobody calls here."""


_METHODS: Final = leadspb.DESCRIPTOR.services_by_name["LeadService"].methods_by_name


class _Whole(Echo):
    """Every method of the service, of which one answers."""


for _name in _METHODS:
    if _name != "SubmitLead":
        setattr(_Whole, _name, _absent)


async def _bare(engine: GrpcEngine) -> tuple[int, str, Any]:
    room = Overflow(most=_ENOUGH, refusal=server_busy(), note=lambda _: None)
    server: Any = new_server(ServerConfig(grpc_engine=engine), room)
    servicer = Echo()

    async def call(raw: bytes, context: Any) -> bytes:
        answer = await servicer.SubmitLead(leadspb.SubmitLeadRequest.FromString(raw), context)
        return answer.SerializeToString()

    # The messages are read and written all the same, as in the generated code.
    handlers = {"SubmitLead": grpc.unary_unary_rpc_method_handler(call)}
    server.serve(_SERVICE, handlers, busy=handlers)
    port = listen(server, "127.0.0.1:0", None)
    await server.start()
    return port, "", server


async def _edge(engine: GrpcEngine) -> tuple[int, str, Any]:
    issued = issue_token()
    caller = Caller(
        principal=_PRINCIPAL,
        tenant="default",
        kind=PrincipalKind.SYSTEM,
        roles=frozenset({Role.MARKETING_SPECIALIST}),
    )
    authenticator = Authenticator()
    token = DirectoryToken(token_id=issued.token_id, secret_hash=issued.secret_hash, caller=caller)
    authenticator.replace_directory(Directory([token]))
    edge = Edge(
        authenticator=authenticator,
        admission=Admission(AdmissionLimits(tenant_calls_per_second=1e6)),
        telemetry=Telemetry(),
        draining=Draining(),
        validator=Validator(),
    )
    server = await start_server(
        ServerConfig(grpc_engine=engine),
        edge=edge,
        draining=Draining(),
        policy={name: line for name, line in POLICY.items() if name.startswith(f"/{_SERVICE}/")},
        servicers=[Servicer(leads_pb2_grpc.add_LeadServiceServicer_to_server, _Whole(), busy=["SubmitLead"])],
    )
    return server.port, issued.text, server


async def started(kind: str, engine: GrpcEngine) -> tuple[int, str, Any]:
    """Start one of both; return its port, the token to call with, and the server."""
    return await (_bare if kind == "bare" else _edge)(engine)


async def _serve(kind: str, engine: GrpcEngine) -> None:
    port, token, server = await started(kind, engine)
    print(port, token, flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await (server.stop(1) if kind == "bare" else server.drain())


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("bare", "edge"))
    parser.add_argument("engine", type=GrpcEngine)
    given = parser.parse_args()
    asyncio.run(_serve(given.kind, given.engine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
