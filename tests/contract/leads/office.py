"""The whole service on a real port, with a directory, and a caller for each who works there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.leads.__main__ import Leads, start
from services.leads.config import LeadsConfig
from services.leads.usecases.bootstrap import token_file
from smarketing import wallclock
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceStub
from smarketing.api.leads.v1.leads_pb2_grpc import LeadServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.engines import engine
from tests.builders.stores import a_url

TENANT = "tenants/acme"
TEAM = f"{TENANT}/teams/inside"
QUEUE = f"{TENANT}/queues/inbound"
ANNA, BEN, MIA, LEA, MAX = (f"{TENANT}/people/{name}" for name in ("anna", "ben", "mia", "lea", "max"))
FORM = f"{TENANT}/systems/form"
DIALLER = f"{TENANT}/systems/dialler"

Metadata = tuple[tuple[str, str], ...]


@dataclass
class Office:
    leads: Leads
    stub: LeadServiceStub
    channel: grpc.aio.Channel
    tokens: dict[str, str] = field(default_factory=dict)

    def of(self, principal: str) -> Metadata:
        return (("authorization", f"Bearer {self.tokens[principal]}"),)

    async def submit(self, number: int, **changes: Any) -> leadspb.Handoff:
        response = await self.stub.SubmitLead(a_submit(number, **changes), metadata=self.of(FORM))
        return response.handoff


def a_submission(number: int, **changes: Any) -> leadspb.Submission:
    fields: dict[str, Any] = {
        "source_system": "website",
        "external_id": f"form-{number}",
        "contact": leadspb.Contact(given_name="Kim", email=f"kim{number}@example.com"),
        "qualification": leadspb.Qualification(source="website_form", segment="retail"),
    }
    return leadspb.Submission(**{**fields, **changes})


def a_submit(number: int, *, request_id: str = "", **changes: Any) -> leadspb.SubmitLeadRequest:
    return leadspb.SubmitLeadRequest(
        parent=TENANT,
        request_id=request_id or wallclock.new_uuid(),
        submission=a_submission(number, **changes),
    )


def an_accept(handoff: leadspb.Handoff, **changes: Any) -> leadspb.AcceptOfferRequest:
    fields: dict[str, Any] = {
        "name": handoff.offer.name,
        "request_id": wallclock.new_uuid(),
        "fencing_token": handoff.offer.fencing_token,
    }
    return leadspb.AcceptOfferRequest(**{**fields, **changes})


def reason_of(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return error.code(), info.reason, dict(info.metadata)


def _directory() -> directorypb.Directory:
    def person(name: str, role: directorypb.Role.ValueType, team: str = TEAM) -> directorypb.Person:
        return directorypb.Person(name=name, roles=[role], team=team)

    growth = f"{TENANT}/teams/growth"
    return directorypb.Directory(
        time_zone="Europe/Berlin",
        region_code="DE",
        currency_code="EUR",
        teams=[
            directorypb.Team(name=TEAM, party=termspb.PARTY_SALES, manager=MIA),
            directorypb.Team(name=growth, party=termspb.PARTY_MARKETING, manager=MAX),
        ],
        people=[
            person(ANNA, directorypb.ROLE_SALES_REP),
            person(BEN, directorypb.ROLE_SALES_REP),
            person(MIA, directorypb.ROLE_SALES_MANAGER),
            person(LEA, directorypb.ROLE_LEADERSHIP, ""),
            person(MAX, directorypb.ROLE_MARKETING_MANAGER, growth),
        ],
        systems=[
            directorypb.System(name=FORM, roles=[directorypb.ROLE_MARKETING_SPECIALIST]),
            directorypb.System(name=DIALLER, roles=[directorypb.ROLE_SALES_REP], teams=[TEAM]),
        ],
        queues=[directorypb.Queue(name=QUEUE, team=TEAM, manager=MIA)],
        routing=directorypb.Routing(
            rules=[
                directorypb.RoutingRule(
                    rule_id="all",
                    members=[directorypb.RoutingMember(person=ANNA), directorypb.RoutingMember(person=BEN)],
                )
            ],
            fallback_queue=QUEUE,
            offer_duration=Duration(seconds=3600),
            max_offers=2,
        ),
    )


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def an_office(
    data_dir: Path,
    *,
    principals: Sequence[str] = (FORM, ANNA, BEN, MIA, LEA, MAX, DIALLER),
    **settings: Any,
) -> AsyncIterator[Office]:
    """Start the service as its process does, with a new database, and take on the staff."""
    async with AsyncExitStack() as stack:
        if "database_url" not in settings:
            settings["database_url"] = stack.enter_context(a_url("services.leads.store.migrations"))
        yield await _opened(data_dir, principals, settings, stack)


async def _opened(
    data_dir: Path, principals: Sequence[str], settings: dict[str, Any], stack: AsyncExitStack
) -> Office:
    config = LeadsConfig(
        listen="127.0.0.1:0",
        http_listen="127.0.0.1:0",
        grpc_engine=engine(),
        data_dir=data_dir,
        stop_grace=timedelta(seconds=1),
        **settings,
    )
    leads = await start(config, stack)
    serving = asyncio.create_task(leads.http.run())
    stack.push_async_callback(_ended, serving)
    stack.push_async_callback(leads.running.drain)
    address = f"127.0.0.1:{leads.running.port}"
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
    operator = (("authorization", f"Bearer {token_file(data_dir, 'operator').read_text().strip()}"),)
    directories = DirectoryServiceStub(channel)
    await directories.ApplyDirectory(
        directorypb.ApplyDirectoryRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), directory=_directory()
        ),
        metadata=operator,
    )
    office = Office(leads, LeadServiceStub(channel), channel)
    for principal in principals:
        issued = await directories.IssueToken(
            directorypb.IssueTokenRequest(parent=principal, request_id=wallclock.new_uuid()),
            metadata=operator,
        )
        office.tokens[principal] = issued.bearer
    return office
