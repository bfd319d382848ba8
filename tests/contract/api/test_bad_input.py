"""Whatever is sent to whichever RPC, the answer is a result or a documented refusal; the service lives on.

The messages are made from the descriptors, so a new RPC or field is attacked as soon as it exists.
"""

import asyncio
import importlib
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import LeadsClient, SlaClient
from smarketing.server.auth import Role
from smarketing.server.policy import Policy
from tests.builders.processes import ROOT, SERVICES, Installation, an_installation
from tests.e2e.company import Company, settled_in

pytestmark = pytest.mark.timeout(300)

EXAMPLES: Final = int(os.environ.get("BAD_INPUT_EXAMPLES", "12"))
DEADLINE_SECONDS: Final = 10.0
LISTEN_SECONDS: Final = 0.15
"""How long an endless stream is listened to: whoever has not refused by then is serving."""
ANSWERS: Final = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
DOCUMENTED: Final = frozenset(
    re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
)
UNKNOWN_NAMES: Final = (
    "tenants/default",
    "tenants/elsewhere",
    "tenants/-",
    "tenants/default/leads/nobody/handoffs/1",
    "tenants/default/leads/-",
    "tenants/default/people/nobody",
    "tenants/elsewhere/leads/x/handoffs/1/offers/1",
    "tenants/default/agreements/none/versions/9",
    "tenants/default/agreements/handover/versions/99999999999999999999999",
    "tenants/default/agreements/handover/versions/01",
    "tenants/default/calendars/always/versions/99999999999999999999999",
    "tenants/default/leads/x/handoffs/99999999999999999999999",
    "tenants/default/leads/x/handoffs/1/offers/99999999999999999999999",
    "tenants/default/people/rosa/leave/99999999999999999999999",
    "tenants/default/systems/crm/tokens/x",
    "tenants/default/webhookEndpoints/x",
    "tenants/default/clocks/x",
    "tenants/default/alerts/x",
    "tenants//leads//",
    "default",
    "/",
)
HOSTILE_TEXTS: Final = (
    "",
    " ",
    "x",
    "\x00",
    "a\x00b",
    "line\nbreak",
    "\x1b[31mred",
    "\x7f\x85",
    "\u202eright to left",
    "\ufffe\U000e0001",
    "e\u0301" * 40,
    "😀" * 300,
    "x" * 1_025,
    "x" * 70_000,
    "'; DROP TABLE handoff; --",
    "../../etc/passwd",
    "%s%n{0}${x}",
    "jo@example.com",
    "jo@@example..com",
    "+49 30 1234567",
    "00000000-0000-4000-8000-000000000000",
    "not-a-uuid",
    "EUR",
    "Europe/Berlin",
    "25:61",
    "https://example.com/hook",
    "http://169.254.169.254/latest",
    "REJECTED",
    "S1",
    "eyJhbGciOiJub25lIn0",
    "AAAA" * 300,
)
NUMBERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (0, 1, -1, 7, 100, 1_000, 1_001, 2**31 - 1, -(2**31)),
    FieldDescriptor.CPPTYPE_INT64: (0, 1, -1, 100, 2**53, 2**63 - 1, -(2**63)),
    FieldDescriptor.CPPTYPE_UINT32: (0, 1, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 1, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: (0.0, -1.0, 1e308, float("nan"), float("inf")),
    FieldDescriptor.CPPTYPE_FLOAT: (0.0, -1.0, float("nan"), float("-inf")),
    FieldDescriptor.CPPTYPE_BOOL: (True, False),
}
# The ends of what protobuf allows, beyond them, the epoch, before it, and far off in both directions.
SECONDS: Final = (0, 1, -1, 1_700_000_000, -62_135_596_800, -62_135_596_801, 253_402_300_799, 2**62, -(2**62))
NANOS: Final = (0, 1, 999_999_999, -1, 1_000_000_000, 2**31 - 1)
SMALL: Final = (0, 1, 12, 13, 29, 31, 32, -1, 1_900, 2_024, 9_999, 10_000, 2**31 - 1)


@dataclass
class Town:
    """A running installation with a little of everything, and who may ask for what."""

    installation: Installation
    company: Company
    names: list[str] = field(default_factory=list)
    channels: dict[str, grpc.Channel] = field(default_factory=dict)
    process_ids: dict[str, int | None] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)
    """Reasons, by gRPC status."""

    def token(self, roles: frozenset[Role]) -> str:
        """Return the token of somebody who has one of the roles, and belongs to one tenant if that can be."""
        for who, role in (
            ("sven", Role.SALES_MANAGER),
            ("mara", Role.MARKETING_MANAGER),
            ("rosa", Role.SALES_REP),
        ):
            if role in roles:
                return self.company.tokens[who]
        return self.installation.operator


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("attacked")
    with an_installation(folder / "data") as installation:
        town = asyncio.run(_settled(installation, folder))
        for service, each in installation.addresses.items():
            town.channels[service] = grpc.insecure_channel(each["grpc"])
            town.process_ids[service] = installation.process_id(service)
        yield town
        for channel in town.channels.values():
            channel.close()


async def _settled(installation: Installation, folder: Path) -> Town:
    company = await settled_in(installation, "default", folder)
    town = Town(installation, company)
    async with (
        LeadsClient(company.of("website")) as website,
        LeadsClient(company.of("rosa")) as rosa,
        SlaClient(company.of("sven")) as sla,
    ):
        for number, step in enumerate(("offered", "accepted", "worked", "converted")):
            submission = leadspb.Submission(source_system="website", external_id=step)
            submission.contact.email = f"{step}@example.com"
            request = leadspb.SubmitLeadRequest(parent=company.name, submission=submission)
            handoff = (await website.submit_lead(request)).handoff
            offer = handoff.offer
            town.names += [handoff.name, handoff.name.partition("/handoffs/")[0], offer.name]
            if number > 0:
                await rosa.accept_offer(leadspb.AcceptOfferRequest(name=offer.name, fencing_token=1))
            if number > 1:
                call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL)
                await rosa.log_follow_up(leadspb.LogFollowUpRequest(parent=handoff.name, follow_up=call))
            if number > 2:
                converted = await rosa.convert_handoff(leadspb.ConvertHandoffRequest(name=handoff.name))
                town.names.append(converted.name)
        for clock in [each async for each in sla.clocks(slapb.ListClocksRequest(parent=company.name))][:2]:
            town.names.append(clock.name)
    own = ("people/rosa", "people/rosa/leave/x", "teams/sales", "queues/inbound", "systems/crm", "directory")
    town.names += [f"{company.name}/{each}" for each in own]
    town.names += [f"{company.name}/agreements/handover", f"{company.name}/agreements/handover/versions/1"]
    town.names += [f"{company.name}/calendars/always", f"{company.name}/calendars/always/versions/1"]
    return town


def policy_of(service: str) -> Policy:
    policy: Policy = importlib.import_module(f"services.{service}.rpc.policy").POLICY
    return policy


def rpcs() -> list[tuple[str, str]]:
    return [(service, name) for service in SERVICES for name in sorted(policy_of(service))]


def method_of(name: str) -> MethodDescriptor:
    _, service, method = name.split("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]


def texts(of: FieldDescriptor, town: Town) -> st.SearchStrategy[str]:
    """Return texts for a field: names of what there is above all where a name is wanted."""
    if of.name == "request_id":
        wild = st.sampled_from(HOSTILE_TEXTS)
        # Mostly a right one, else nothing behind it is ever reached.
        return st.one_of(st.builds(wallclock.new_uuid), st.builds(wallclock.new_uuid), wild)
    known = st.sampled_from(town.names)
    if of.name in {"name", "parent", "queue", "person", "owner", "assignee", "clock", "handoff"}:
        return st.one_of(
            known, st.just("tenants/default"), known, st.sampled_from(UNKNOWN_NAMES + HOSTILE_TEXTS)
        )
    return st.one_of(st.sampled_from(HOSTILE_TEXTS), st.text(max_size=40), known)


def single(of: FieldDescriptor, town: Town, depth: int) -> st.SearchStrategy[Any]:
    """Return values for one element of a field."""
    if of.message_type is not None:
        return messages(of.message_type, town, depth + 1)
    if of.enum_type is not None:
        known = [value.number for value in of.enum_type.values]
        return st.sampled_from([*known, *known, 99, -1, 2**31 - 1])
    if of.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=64)
    if of.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return texts(of, town)
    return st.sampled_from(NUMBERS[of.cpp_type])


def messages(of: Descriptor, town: Town, depth: int = 0) -> st.SearchStrategy[Message]:
    """Return messages of a type, with any of its fields left out."""
    made: Any = message_factory.GetMessageClass(of)
    if of.full_name in {"google.protobuf.Timestamp", "google.protobuf.Duration"}:
        return st.builds(made, seconds=st.sampled_from(SECONDS), nanos=st.sampled_from(NANOS))
    if of.full_name == "google.type.Date":
        small = st.sampled_from(SMALL)
        return st.builds(made, year=small, month=small, day=small)
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for each in of.fields:
        if depth >= 4 and each.message_type is not None:
            continue
        parts[each.name] = _values(each, town, depth)
    named = {name for name in parts if name in {"name", "parent", "request_id", "queue"} and depth == 0}

    def build(values: dict[str, Any]) -> Message:
        message: Message = made()
        for name, value in values.items():
            put(message, of.fields_by_name[name], value)
        return message

    required = {name: parts.pop(name) for name in named}
    return st.fixed_dictionaries(required, optional=parts).map(build)


def _values(of: FieldDescriptor, town: Town, depth: int) -> st.SearchStrategy[Any]:
    if not of.is_repeated:
        return single(of, town, depth)
    if of.message_type is not None and of.message_type.GetOptions().map_entry:
        return st.dictionaries(st.sampled_from(HOSTILE_TEXTS), st.sampled_from(HOSTILE_TEXTS), max_size=3)
    return st.lists(single(of, town, depth), max_size=3)


def put(message: Any, of: FieldDescriptor, value: Any) -> None:
    if of.is_repeated:
        target = getattr(message, of.name)
        target.update(value) if isinstance(value, dict) else target.extend(value)
    elif of.message_type is not None:
        getattr(message, of.name).CopyFrom(value)
    else:
        setattr(message, of.name, value)


@dataclass(frozen=True)
class Answer:
    """How a call ended."""

    code: grpc.StatusCode
    details: str
    info: error_details_pb2.ErrorInfo | None = None
    fields: tuple[str, ...] = ()


def ask(town: Town, service: str, name: str, raw: list[bytes], token: str | None = None) -> Answer:
    """Send messages to an RPC, and return how it answered; an endless stream is left after a moment."""
    method = method_of(name)
    bearer = token or town.token(policy_of(service)[name].roles)
    metadata = (("authorization", f"Bearer {bearer}"),)
    way = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    call = getattr(town.channels[service], way)(name)
    given_ = iter(raw) if method.client_streaming else raw[0]
    try:
        if method.server_streaming:
            _listen(call(given_, metadata=metadata, timeout=LISTEN_SECONDS))
        else:
            call(given_, metadata=metadata, timeout=DEADLINE_SECONDS)
    except grpc.RpcError as error:
        return _refused(error, endless=method.server_streaming)
    return Answer(grpc.StatusCode.OK, "")


def _listen(responses: Any) -> None:
    for _ in responses:
        responses.cancel()
        return


def _refused(error: Any, *, endless: bool) -> Answer:
    if endless and error.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}:
        return Answer(grpc.StatusCode.OK, "still serving")
    status = rpc_status.from_call(error)
    info, fields = None, []
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            fields = [violation.field for violation in bad.field_violations]
    return Answer(error.code(), error.details() or "", info, tuple(fields))


def is_documented(answer: Answer, sent: object) -> None:
    """Check that an answer is a result, or a refusal that says why and where."""
    assert answer.code in ANSWERS, (answer, sent)
    if answer.code is grpc.StatusCode.OK:
        return
    assert answer.info is not None, (answer, sent)
    assert answer.info.domain == "smarketing"
    assert answer.info.reason in DOCUMENTED, (answer, sent)
    # Bytes that are no message have no field that could be named.
    if answer.code is grpc.StatusCode.INVALID_ARGUMENT and answer.info.reason != "REQUEST_MALFORMED":
        assert answer.fields, (answer, sent)
        assert all(answer.fields), (answer, sent)


@pytest.mark.parametrize(("service", "name"), rpcs(), ids=lambda value: value.rpartition(".")[2])
def test_any_message_gets_a_result_or_a_documented_refusal(town: Town, service: str, name: str) -> None:
    method = method_of(name)
    count = 2 if method.client_streaming else 1
    # Fewer where an answer takes as long as one cares to listen.
    examples = max(4, EXAMPLES // 3) if method.server_streaming else EXAMPLES

    @seed(zlib.crc32(f"{service}{name}".encode()))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(messages(method.input_type, town), min_size=count, max_size=count))
    def attack(sent: list[Message]) -> None:
        answer = ask(town, service, name, [message.SerializeToString() for message in sent])
        is_documented(answer, sent)
        if answer.info is not None:
            town.seen.setdefault(answer.code.name, set()).add(answer.info.reason)

    attack()


@pytest.mark.parametrize(("service", "name"), rpcs(), ids=lambda value: value.rpartition(".")[2])
def test_what_is_no_message_at_all_is_refused(town: Town, service: str, name: str) -> None:
    for raw in (b"", b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xc3\x28", os.urandom(64)):
        is_documented(ask(town, service, name, [raw]), raw)


@pytest.mark.parametrize("service", SERVICES)
def test_a_message_over_the_size_limit_is_refused_and_the_next_one_is_served(
    town: Town, service: str
) -> None:
    name = next(rpc for rpc in sorted(policy_of(service)) if "/ReadEvents" in rpc)
    huge = b"\x12" + _varint(9 << 20) + b"x" * (9 << 20)

    answer = ask(town, service, name, [huge])

    # The transport refuses it before a line of ours runs, so there is no reason beside the status.
    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    is_documented(ask(town, service, name, [b""]), "nothing")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def asked(town: Town, service: str, method: str, request: Any, who: str = "sven") -> Answer:
    full = next(name for name in policy_of(service) if name.endswith(f"/{method}"))
    return ask(town, service, full, [request.SerializeToString()], town.company.tokens[who])


def reason(answer: Answer) -> tuple[str, str]:
    return answer.code.name, answer.info.reason if answer.info is not None else ""


def test_the_usual_mistakes_have_their_reasons(town: Town) -> None:
    own, foreign = "tenants/default", "tenants/elsewhere"
    offered = town.names[0]
    uuid = wallclock.new_uuid
    handoffs = leadspb.ListHandoffsRequest
    qualify = leadspb.QualifyHandoffRequest

    assert reason(asked(town, "leads", "ListHandoffs", handoffs(parent=f"{foreign}/leads/-"))) == (
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
    )
    assert reason(asked(town, "leads", "ListHandoffs", handoffs(parent=f"{own}/leads/-", page_size=-1))) == (
        "INVALID_ARGUMENT",
        "FIELD_INVALID",
    )
    garbage = handoffs(parent=f"{own}/leads/-", page_token="AAAA")
    assert reason(asked(town, "leads", "ListHandoffs", garbage)) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
    unknown = leadspb.GetHandoffRequest(name=f"{own}/leads/nobody/handoffs/1")
    assert reason(asked(town, "leads", "GetHandoff", unknown)) == ("NOT_FOUND", "HANDOFF_UNKNOWN")
    stale = qualify(name=offered, request_id=uuid(), etag="0")
    assert reason(asked(town, "leads", "QualifyHandoff", stale))[1] in {"ETAG_STALE", "STATE_FORBIDS"}
    without = leadspb.SubmitLeadRequest(parent=own)
    assert reason(asked(town, "leads", "SubmitLead", without, "website")) == (
        "INVALID_ARGUMENT",
        "REQUEST_ID_REQUIRED",
    )
    first = leadspb.SubmitLeadRequest(parent=own, request_id=uuid())
    first.submission.source_system, first.submission.external_id = "website", "reused"
    first.submission.contact.email = "reused@example.com"
    assert asked(town, "leads", "SubmitLead", first, "website").code is grpc.StatusCode.OK
    first.submission.contact.email = "other@example.com"
    answer = asked(town, "leads", "SubmitLead", first, "website")
    assert reason(answer) == ("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REUSED")
    first.request_id, first.submission.external_id = uuid(), "a\x00b"
    answer = asked(town, "leads", "SubmitLead", first, "website")
    assert (reason(answer), answer.fields) == (
        ("INVALID_ARGUMENT", "FIELD_INVALID"),
        ("submission.external_id",),
    )
    accept = slapb.AcceptAgreementRequest(name=f"{own}/agreements/none/versions/1", request_id=uuid())
    assert reason(asked(town, "sla", "AcceptAgreement", accept)) == ("NOT_FOUND", "AGREEMENT_UNKNOWN")
    kpi = reportspb.QueryKpiRequest(parent=own, kpi_id="X999")
    assert reason(asked(town, "reports", "QueryKpi", kpi)) == ("NOT_FOUND", "KPI_UNKNOWN")


def test_every_process_survived_it_all(town: Town) -> None:
    assert {name: town.installation.process_id(name) for name in SERVICES} == town.process_ids
    assert all(map(town.installation.is_ready, SERVICES))
    assert "Traceback" not in town.installation.log.read_text()
