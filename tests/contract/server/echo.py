# ruff: noqa: N802, ARG002 -- gRPC chooses the names and the arguments of a servicer
"""A service with all four arities, made at run time, and the rig that serves it on a real port."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from smarketing.server.admission import Admission, AdmissionLimits, Overflow, server_busy
from smarketing.server.audit import AuditEntry
from smarketing.server.auth import (
    Authenticator,
    Caller,
    Directory,
    DirectoryToken,
    PrincipalKind,
    Role,
    hash_secret,
)
from smarketing.server.bootstrap import RunningServer, Servicer, start_server
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.methods import CallLimits
from smarketing.server.policy import Allow
from smarketing.server.settings import GrpcEngine, ServerConfig
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator
from tests.builders.engines import engine

PACKAGE = "smarketing.tests.echo.v1"
SERVICE = f"{PACKAGE}.EchoService"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECRET = "s" * 64
TEAM = "tenants/default/teams/inside"
REQUEST_ID = "7d1f8a52-6f0e-4a56-9f5b-1b8f4a1d2c3e"
ROOM = Overflow(most=1, refusal=server_busy(), note=lambda _: None)


def _declare() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="smarketing/tests/echo.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[timestamp_pb2.DESCRIPTOR.name],
    )
    types = descriptor_pb2.FieldDescriptorProto
    for message, names in (
        ("EchoRequest", ["name", "request_id", "word", "note"]),
        ("EchoResponse", ["word"]),
    ):
        declared = file.message_type.add(name=message)
        for number, name in enumerate(names, start=1):
            declared.field.add(name=name, number=number, type=types.TYPE_STRING, label=types.LABEL_OPTIONAL)
    service = file.service.add(name="EchoService")
    for name, client_streams, server_streams in (
        ("Say", False, False),
        ("Tell", False, True),
        ("Gather", True, False),
        ("Talk", True, True),
    ):
        service.method.add(
            name=name,
            input_type=f".{PACKAGE}.EchoRequest",
            output_type=f".{PACKAGE}.EchoResponse",
            client_streaming=client_streams,
            server_streaming=server_streams,
        )
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


def _class(name: str) -> Any:
    try:
        found = descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}")
    except KeyError:
        _declare()
        found = descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}")
    return message_factory.GetMessageClass(found)


EchoRequest = _class("EchoRequest")
EchoResponse = _class("EchoResponse")


class EchoServicer:
    """Says the word back; `during` runs first, to fail, to wait, or to look."""

    def __init__(self, during: Callable[[], Any] | None = None) -> None:
        self._during = during

    async def _before(self) -> None:
        if self._during is not None:
            happening = self._during()
            if asyncio.iscoroutine(happening):
                await happening

    async def Say(self, request, context):
        await self._before()
        return EchoResponse(word=request.word)

    async def Tell(self, request, context):
        await self._before()
        for letter in request.word:
            yield EchoResponse(word=letter)

    async def Gather(self, requests, context):
        await self._before()
        return EchoResponse(word=" ".join([request.word async for request in requests]))

    async def Talk(self, requests, context):
        async for request in requests:
            await self._before()
            yield EchoResponse(word=request.word)


class ReaderStyleEchoServicer(EchoServicer):
    """The same in gRPC's other style: it reads from and writes to the context."""

    async def Tell(self, request, context):
        await self._before()
        for letter in request.word:
            await context.write(EchoResponse(word=letter))

    async def Gather(self, requests, context):
        await self._before()
        words = []
        while (request := await context.read()) is not grpc.aio.EOF:
            words.append(request.word)
        return EchoResponse(word=" ".join(words))

    async def Talk(self, requests, context):
        while (request := await context.read()) is not grpc.aio.EOF:
            await self._before()
            await context.write(EchoResponse(word=request.word))


def add_echo(servicer: Any, server: Any) -> None:
    make = {
        "Say": grpc.unary_unary_rpc_method_handler,
        "Tell": grpc.unary_stream_rpc_method_handler,
        "Gather": grpc.stream_unary_rpc_method_handler,
        "Talk": grpc.stream_stream_rpc_method_handler,
    }
    handlers = {
        name: handler(
            getattr(servicer, name),
            request_deserializer=EchoRequest.FromString,
            response_serializer=EchoResponse.SerializeToString,
        )
        for name, handler in make.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


ECHO_POLICY = {
    f"/{SERVICE}/Say": Allow(Role.SALES_REP, Role.SERVICE, mutation=True),
    f"/{SERVICE}/Tell": Allow(Role.SALES_REP, Role.SERVICE),
    f"/{SERVICE}/Gather": Allow(Role.SALES_REP, Role.SERVICE, mutation=True),
    f"/{SERVICE}/Talk": Allow(Role.SALES_REP, Role.SERVICE),
}


def a_caller(
    principal: str = "tenants/default/people/mina",
    *,
    tenant: str = "default",
    kind: PrincipalKind = PrincipalKind.PERSON,
    roles: frozenset[Role] = frozenset({Role.SALES_REP}),
) -> Caller:
    return Caller(principal=principal, tenant=tenant, kind=kind, roles=roles)


def a_token(token_id: str, caller: Caller, *, secret: str = SECRET, expire_time: datetime | None = None):
    return DirectoryToken(
        token_id=token_id, secret_hash=hash_secret(secret), caller=caller, expire_time=expire_time
    )


TOKENS = (
    a_token("minaminamina", a_caller()),
    a_token("auditauditau", a_caller("tenants/default/people/ada", roles=frozenset({Role.AUDITOR}))),
    a_token("otherotherot", a_caller("tenants/other/people/otto", tenant="other")),
    a_token("expiredexpir", a_caller(), expire_time=NOW),
    a_token(
        "leadsleadsle",
        a_caller(
            "tenants/-/systems/leads",
            tenant="-",
            kind=PrincipalKind.SERVICE,
            roles=frozenset({Role.SERVICE}),
        ),
    ),
    a_token(
        "crmcrmcrmcrm",
        replace(a_caller("tenants/default/systems/crm", kind=PrincipalKind.SYSTEM), teams=frozenset({TEAM})),
    ),
)
PEOPLE = {
    "tenants/default/people/mina": frozenset({TEAM}),
    "tenants/default/people/ada": frozenset({"tenants/default/teams/field"}),
    "tenants/other/people/otto": frozenset({TEAM}),
}

DIRECTORY = Directory(TOKENS, PEOPLE)


def bearer(token_id: str = "minaminamina", *, secret: str = SECRET) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer smk_{token_id}_{secret}"),)


MINA = bearer()


def a_request(word: str = "hello", **fields: str) -> Any:
    return EchoRequest(
        **{"name": "tenants/default/leads/l1", "request_id": REQUEST_ID, "word": word, **fields}
    )


@dataclass
class Rig:
    running: RunningServer
    channel: grpc.aio.Channel
    authenticator: Authenticator
    draining: Draining
    telemetry: Telemetry
    denials: list[AuditEntry] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    """How often `all_four` made each call: once, unless the client made the outcome up itself."""

    def say(self, request: Any = None, *, metadata: Any = MINA, timeout: float | None = 5) -> Any:
        call = self.channel.unary_unary(
            f"/{SERVICE}/Say", request_serializer=_bytes, response_deserializer=EchoResponse.FromString
        )
        return call(a_request() if request is None else request, metadata=metadata, timeout=timeout)

    def tell(self, request: Any = None, *, metadata: Any = MINA, timeout: float | None = 5) -> Any:
        call = self.channel.unary_stream(
            f"/{SERVICE}/Tell", request_serializer=_bytes, response_deserializer=EchoResponse.FromString
        )
        return call(a_request() if request is None else request, metadata=metadata, timeout=timeout)

    def gather(self, requests: Any, *, metadata: Any = MINA, timeout: float | None = 5) -> Any:
        call = self.channel.stream_unary(
            f"/{SERVICE}/Gather", request_serializer=_bytes, response_deserializer=EchoResponse.FromString
        )
        return call(requests, metadata=metadata, timeout=timeout)

    def talk(self, requests: Any = None, *, metadata: Any = MINA, timeout: float | None = 5) -> Any:
        call = self.channel.stream_stream(
            f"/{SERVICE}/Talk", request_serializer=_bytes, response_deserializer=EchoResponse.FromString
        )
        return call(requests, metadata=metadata, timeout=timeout)

    async def all_four(self, request: Any, **options: Any) -> list[Any]:
        """Make the same call in each arity; return each one's words, or its error."""
        outcomes = []
        for method, call, argument in (
            ("Say", self.say, lambda: request),
            ("Tell", self.tell, lambda: request),
            ("Gather", self.gather, lambda: iter([request])),
            ("Talk", self.talk, lambda: iter([request])),
        ):
            outcome = None
            while outcome is None or _is_the_clients_own_race(outcome):
                self.attempts[method] += 1
                outcome = await outcome_of(call(argument(), **options))
            outcomes.append(outcome)
        return outcomes


def _is_the_clients_own_race(outcome: Any) -> bool:
    # grpc's Python client sometimes makes up this status when the server refuses a request stream
    # before its first message was written. Our own INTERNAL always carries details.
    if not isinstance(outcome, grpc.aio.AioRpcError) or outcome.code() is not grpc.StatusCode.INTERNAL:
        return False
    return rpc_status.from_call(outcome) is None


async def outcome_of(call: Any) -> Any:
    try:
        if hasattr(call, "__aiter__"):
            return "".join([response.word async for response in call])
        return (await call).word
    except grpc.aio.AioRpcError as error:
        return error


def _bytes(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def told(error: grpc.aio.AioRpcError) -> SimpleNamespace:
    """Read what the client is told: code, reason, metadata, field violations, delay, trailers."""
    status = rpc_status.from_call(error)
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    for detail in status.details if status else ():
        for known in (info, bad, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    return SimpleNamespace(
        code=error.code(),
        text=error.details(),
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        fields=[violation.field for violation in bad.field_violations],
        retry_milliseconds=retry.retry_delay.ToMilliseconds(),
        trailers=dict(error.trailing_metadata()),
    )


def pushback_milliseconds(refused: SimpleNamespace) -> int:
    """Return the delay in the trailer that grpc's own retries obey; the native engine cannot send it."""
    trailer = refused.trailers.get("grpc-retry-pushback-ms")
    if engine() is GrpcEngine.NATIVE:
        # The day the engine can, this fails, and the exception can go.
        assert trailer is None
        return refused.retry_milliseconds
    return int(trailer)


@asynccontextmanager
async def serving(
    servicer: Any = None,
    *,
    admission: AdmissionLimits | None = None,
    limits: CallLimits | None = None,
    config: ServerConfig | None = None,
    refusal_of: Callable[[Exception], Any] = lambda _: None,
    directory: Directory | None = DIRECTORY,
    busy: Sequence[str] = ("Say", "Talk"),
) -> AsyncIterator[Rig]:
    authenticator = Authenticator(now=lambda: NOW)
    if directory is not None:
        authenticator.replace_directory(directory)
    denials: list[AuditEntry] = []
    draining, telemetry = Draining(), Telemetry()
    edge = Edge(
        authenticator=authenticator,
        admission=Admission(admission),
        telemetry=telemetry,
        draining=draining,
        validator=Validator(),
        limits=limits,
        refusal_of=refusal_of,
        note_denial=denials.append,
    )
    running = await start_server(
        config or ServerConfig(listen="127.0.0.1:0", grpc_engine=engine()),
        edge=edge,
        draining=draining,
        policy=ECHO_POLICY,
        servicers=[Servicer(add_echo, servicer or EchoServicer(), busy=busy)],
    )
    # Left to itself the window grows with what loopback carries, and a reader that sleeps is told megabytes.
    window = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{running.port}", options=window)
    try:
        yield Rig(running, channel, authenticator, draining, telemetry, denials)
    finally:
        await channel.close()
        await running.drain()
