"""Every RPC of every service, for every role and every bad credential: nobody gets in by another door.

The methods come from the contracts' descriptors and the rights from the services' own policies, so that a
new RPC is walked as soon as it exists. The handlers behind the door only note that they were reached.
"""

import importlib
import importlib.util
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_status import rpc_status
from sqlalchemy import MetaData

from smarketing import wallclock
from smarketing.api.audit.v1 import audit_pb2
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import (
    directory_pb2,
    disputes_pb2,
    identity_pb2,
    intake_pb2,
    playbook_pb2,
    privacy_pb2,
    routing_pb2,
    scoring_pb2,
    search_pb2,
    tenancy_pb2,
    work_pb2,
)
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import agreements_pb2 as agreementspb
from smarketing.api.sla.v1 import backtest_pb2 as backtestpb
from smarketing.api.sla.v1 import budgets_pb2, clocks_pb2, exceptions_pb2, periods_pb2
from smarketing.api.sla.v1 import calendars_pb2 as calendarspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.server.admission import Admission, AdmissionLimits
from smarketing.server.auth import Authenticator, PrincipalKind, Role, hash_secret
from smarketing.server.bootstrap import Servicer, start_server
from smarketing.server.directory import (
    Principal,
    PrincipalToken,
    define_directory,
    load_directory,
    put_principals,
    put_tokens,
    revoke_tokens,
)
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.policy import Policy, resource_field
from smarketing.server.settings import ServerConfig
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator
from smarketing.sql import open_database
from tests.builders.engines import engine

pytestmark = pytest.mark.usefixtures("each_engine")

OWN_CONTRACTS = {
    "leads": (
        leadspb,
        directory_pb2,
        disputes_pb2,
        identity_pb2,
        intake_pb2,
        playbook_pb2,
        privacy_pb2,
        routing_pb2,
        scoring_pb2,
        search_pb2,
        tenancy_pb2,
        work_pb2,
    ),
    "sla": (
        slapb,
        agreementspb,
        backtestpb,
        budgets_pb2,
        calendarspb,
        clocks_pb2,
        exceptions_pb2,
        periods_pb2,
    ),
    "reports": (reportspb, inputspb),
}
SHARED_CONTRACTS = (eventlogpb, audit_pb2)
SECRET = "k" * 64
PLENTY = AdmissionLimits(tenant_calls_per_second=1e6, tenant_burst=1_000_000)
DENIED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


def policy_of(service: str) -> Policy:
    module = f"services.{service}.rpc.policy"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} does not exist yet")
    policy: Policy = importlib.import_module(module).POLICY
    return policy


def methods_of(policy: Policy) -> dict[str, MethodDescriptor]:
    services = {name.split("/")[1] for name in policy}
    pool = descriptor_pool.Default()
    return {
        f"/{service}/{method.name}": method
        for service in sorted(services)
        for method in pool.FindServiceByName(service).methods
    }


def principal_of(role: Role, tenant: str) -> str:
    return f"tenants/{tenant}/systems/{role.value.replace('_', '-')}"


def token_id(role: Role, state: str) -> str:
    return f"{role.value}{state}".replace("_", "").ljust(26, "0")


def bearer(role: Role, state: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer smk_{token_id(role, state)}_{SECRET}"),)


def a_directory() -> Any:
    """Return a snapshot with four tokens for each role: good, expired, revoked, and another tenant's."""
    metadata = MetaData()
    tables = define_directory(metadata)
    with open_database("sqlite://") as database:
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
            for role, tenant in itertools.product(Role, ("acme", "other")):
                principal = Principal(
                    tenant=tenant,
                    principal=principal_of(role, tenant),
                    kind=PrincipalKind.SYSTEM,
                    roles=frozenset({role}),
                )
                put_principals(tables, connection, [principal])
            past = wallclock.utc_now() - timedelta(seconds=1)
            for role in Role:
                for state in ("good", "expired", "revoked", "foreign"):
                    tenant = "other" if state == "foreign" else "acme"
                    token = PrincipalToken(
                        tenant=tenant,
                        token_id=token_id(role, state),
                        principal=principal_of(role, tenant),
                        secret_hash=hash_secret(SECRET),
                        expire_time=past if state == "expired" else None,
                    )
                    put_tokens(tables, connection, [token])
                revoke_tokens(tables, connection, [("acme", token_id(role, "revoked"))])
        with database.reading() as connection:
            return load_directory(tables, connection)


@dataclass
class Door:
    """A served policy, and which methods were reached behind it."""

    channel: grpc.aio.Channel
    methods: dict[str, MethodDescriptor]
    policy: Policy
    reached: list[str] = field(default_factory=list)

    async def knock(self, name: str, metadata: Any) -> grpc.aio.AioRpcError | None:
        """Call a method about the tenant `acme`; return how it was refused."""
        while True:
            error = await self._call(name, metadata)
            # The client makes this status up when a stream is refused before its first message went out.
            made_up = error is not None and error.code() is grpc.StatusCode.INTERNAL
            if not made_up or rpc_status.from_call(error) is not None:
                return error

    async def _call(self, name: str, metadata: Any) -> grpc.aio.AioRpcError | None:
        method = self.methods[name]
        raw = self._request(name, method)
        streams = ("stream" if method.client_streaming else "unary") + (
            "_stream" if method.server_streaming else "_unary"
        )
        call = getattr(self.channel, streams)(name)
        answer = call(iter([raw]) if method.client_streaming else raw, metadata=metadata, timeout=10)
        try:
            if method.server_streaming:
                async for _ in answer:
                    pass
            else:
                await answer
        except grpc.aio.AioRpcError as error:
            return error
        return None

    def _request(self, name: str, method: MethodDescriptor) -> bytes:
        request: Any = message_factory.GetMessageClass(method.input_type)()
        at = request
        *outer, last = resource_field(method.input_type, self.policy[name]).split(".") or [""]
        for step in outer:
            at = getattr(at, step)
        if last:
            setattr(at, last, "tenants/acme")
        if "request_id" in method.input_type.fields_by_name:
            request.request_id = wallclock.new_uuid()
        return bytes(request.SerializeToString())


@asynccontextmanager
async def a_door(policy: Policy) -> AsyncIterator[Door]:
    async with AsyncExitStack() as stack:
        authenticator = Authenticator()
        authenticator.replace_directory(a_directory())
        draining = Draining()
        edge = Edge(
            authenticator=authenticator,
            admission=Admission(PLENTY),
            telemetry=Telemetry(),
            draining=draining,
            validator=Validator(),
        )
        methods = methods_of(policy)
        door = Door(None, methods, policy)  # type: ignore[arg-type] -- the channel needs the server's port
        services = sorted({name.split("/")[1] for name in methods})
        running = await start_server(
            ServerConfig(grpc_engine=engine()),
            edge=edge,
            draining=draining,
            policy=policy,
            servicers=[Servicer(_add_notes, (service, door)) for service in services],
        )
        stack.push_async_callback(running.drain)
        door.channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{running.port}"))
        yield door


def _add_notes(served: Any, server: Any) -> None:
    service, door = served
    handlers = {
        name.rpartition("/")[2]: _noting(name, method, door)
        for name, method in door.methods.items()
        if name.split("/")[1] == service
    }
    server.add_registered_method_handlers(service, handlers)


def _noting(name: str, method: MethodDescriptor, door: Door) -> Any:
    request_type = message_factory.GetMessageClass(method.input_type)
    response_type = message_factory.GetMessageClass(method.output_type)

    async def one(request: Any, _context: Any) -> Any:
        if method.client_streaming:
            async for _ in request:
                break
        door.reached.append(name)
        return response_type()

    async def many(request: Any, context: Any) -> AsyncIterator[Any]:
        yield await one(request, context)

    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    return make(
        many if method.server_streaming else one,
        request_deserializer=request_type.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _rpcs(contract: Any) -> Iterator[str]:
    for service in contract.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}"


@pytest.mark.parametrize("service", OWN_CONTRACTS)
def test_every_rpc_of_a_contract_has_a_line(service: str) -> None:
    policy = policy_of(service)

    contracts = (*OWN_CONTRACTS[service], *SHARED_CONTRACTS)
    assert {rpc for contract in contracts for rpc in _rpcs(contract)} == set(policy)


@pytest.mark.parametrize("service", OWN_CONTRACTS)
async def test_nobody_gets_in_without_a_token_that_stands(service: str) -> None:
    async with a_door(policy_of(service)) as door:
        bad: list[Any] = [
            (),
            (("authorization", ""),),
            (("authorization", "Bearer"),),
            (("authorization", f"Basic {SECRET}"),),
            (("authorization", "Bearer smk_nobodynobody_" + SECRET),),
            (("authorization", f"Bearer smk_{token_id(Role.OPERATOR, 'good')}_{'x' * 64}"),),
        ]
        bad += [bearer(role, state) for role in Role for state in ("expired", "revoked")]
        for name, metadata in itertools.product(door.methods, bad):
            refused = await door.knock(name, metadata)

            assert refused is not None
            assert refused.code() is grpc.StatusCode.UNAUTHENTICATED, (name, metadata)
        assert door.reached == []


@pytest.mark.parametrize("service", OWN_CONTRACTS)
async def test_nobody_gets_in_without_the_role(service: str) -> None:
    async with a_door(policy_of(service)) as door:
        for name, role in itertools.product(door.methods, Role):
            if role not in door.policy[name].roles:
                refused = await door.knock(name, bearer(role, "good"))

                assert refused is not None
                assert refused.code() is grpc.StatusCode.PERMISSION_DENIED, (name, role)
        assert door.reached == []


@pytest.mark.parametrize("service", OWN_CONTRACTS)
async def test_nobody_gets_into_another_tenant_and_the_denial_reads_like_a_missing_role(service: str) -> None:
    async with a_door(policy_of(service)) as door:
        seen = set()
        for name, role in itertools.product(door.methods, Role):
            if door.policy[name].is_about_no_tenant:
                continue
            refused = await door.knock(name, bearer(role, "foreign"))

            assert refused is not None
            assert refused.code() is grpc.StatusCode.PERMISSION_DENIED, (name, role)
            seen.add((refused.details(), tuple(refused.trailing_metadata() or ())))
        assert len(seen) == 1
        assert door.reached == []


@pytest.mark.parametrize("service", OWN_CONTRACTS)
async def test_whoever_has_the_role_gets_in(service: str) -> None:
    """Keeps the others honest: the same calls reach the handler when nothing is wrong with them."""
    async with a_door(policy_of(service)) as door:
        for name, role in itertools.product(door.methods, Role):
            if role in door.policy[name].roles:
                refused = await door.knock(name, bearer(role, "good"))

                assert refused is None or refused.code() not in DENIED, (name, role)
        assert set(door.reached) == set(door.methods)
