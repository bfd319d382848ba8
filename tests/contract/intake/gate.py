"""The service with sources registered, a stand-in for vendors' APIs, and the published samples."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from services.leads.usecases.bootstrap import token_file
from smarketing import wallclock
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceStub
from smarketing.api.leads.v1.intake_pb2_grpc import IntakeServiceStub
from tests.contract.leads.office import MAX, TEAM, TENANT, Metadata, Office, an_office

SECRET: Final = "a-shared-secret"
VENDORS: Final = (
    *("hubspot", "salesforce", "dynamics", "marketo", "mautic", "facebook_lead_ads", "google"),
    *("typeform", "pipedrive", "intercom", "callrail", "unbounce", "generic", "web"),
)


def sample(path: str) -> bytes:
    """Return a published payload; skips the test where the data folder is not there."""
    folder = os.environ.get("SHARED_DATA")
    if not folder or not (Path(folder) / "webhooks").is_dir():
        pytest.skip("SHARED_DATA does not name a folder with the published files")
    return (Path(folder) / "webhooks" / path).read_bytes()


@dataclass
class Gate:
    """Where webhooks come in, and how to look at what became of them."""

    office: Office
    stub: IntakeServiceStub
    http: httpx.AsyncClient
    operator: Metadata
    secrets: dict[str, str] = field(default_factory=dict)

    async def source(self, mapping: str, system: str = "", **changes: Any) -> intakepb.Source:
        """Register a source, and return it."""
        secret = changes.pop("secret", SECRET)
        others = {name: changes.pop(name) for name in ("api_token", "verify_token") if name in changes}
        response = await self.stub.CreateSource(
            intakepb.CreateSourceRequest(
                parent=TENANT,
                request_id=wallclock.new_uuid(),
                source=intakepb.Source(
                    system=f"{TENANT}/systems/{system or mapping}", mapping=mapping, **changes
                ),
                secret=secret,
                **others,
            ),
            metadata=self.manager,
        )
        self.secrets[response.source.name] = secret or response.secret
        return response.source

    @property
    def manager(self) -> Metadata:
        return self.office.of(MAX)

    async def post(
        self, source: intakepb.Source, body: bytes, headers: Mapping[str, str] | None = None, **query: str
    ) -> httpx.Response:
        """Send a webhook as it is."""
        kind = (
            {"content-type": "application/json"} if headers is None or "content-type" not in headers else {}
        )
        return await self.http.post(
            source.path, content=body, headers={**kind, **(headers or {})}, params=query
        )

    async def leads(self) -> list[tuple[leadspb.Contact, leadspb.Handoff]]:
        """Return every lead with its latest handoff, oldest first."""
        listed = await self.office.stub.ListHandoffs(
            leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-"), metadata=self.manager
        )
        found = []
        for handoff in reversed(listed.handoffs):
            name = handoff.name.partition("/handoffs/")[0]
            lead = await self.office.stub.GetLead(leadspb.GetLeadRequest(name=name), metadata=self.manager)
            found.append((lead.contact, handoff))
        return found

    async def set_aside(self, source: intakepb.Source) -> list[intakepb.SetAside]:
        listed = await self.stub.ListSetAside(
            intakepb.ListSetAsideRequest(parent=source.name), metadata=self.manager
        )
        return list(listed.set_aside)

    async def fetched(self) -> None:
        """Run the fetch steps that are due."""
        task = next(each for each in self.office.leads.background if each.name == "fetch")
        await task.run.__self__.run_once()  # type: ignore[attr-defined]  # its object is the fetcher


@asynccontextmanager
async def a_gate(data_dir: Path, **settings: Any) -> AsyncIterator[Gate]:
    """Start the service, with a system for each vendor that may say everything."""
    settings = {"webhook_loopback": True, **settings}
    async with an_office(data_dir, **settings) as office:
        operator: Metadata = (
            ("authorization", f"Bearer {token_file(data_dir, 'operator').read_text().strip()}"),
        )
        directories = DirectoryServiceStub(office.channel)
        directory = await directories.GetDirectory(
            directorypb.GetDirectoryRequest(name=f"{TENANT}/directory"), metadata=operator
        )
        roles = [directorypb.ROLE_MARKETING_SPECIALIST, directorypb.ROLE_SALES_REP]
        directory.systems.extend(
            directorypb.System(name=f"{TENANT}/systems/{vendor}", roles=roles, teams=[TEAM])
            for vendor in VENDORS
        )
        directory.systems.append(
            directorypb.System(
                name=f"{TENANT}/systems/marketing-only", roles=[directorypb.ROLE_MARKETING_SPECIALIST]
            )
        )
        await directories.ApplyDirectory(
            directorypb.ApplyDirectoryRequest(
                parent=TENANT, request_id=wallclock.new_uuid(), directory=directory
            ),
            metadata=operator,
        )
        base = f"http://127.0.0.1:{office.leads.http.port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
            yield Gate(office, IntakeServiceStub(office.channel), http, operator)


def mac(body: bytes, algorithm: str = "sha256", *, secret: str = SECRET) -> bytes:
    """Return the MAC that a vendor would make."""
    return hmac.digest(secret.encode(), body, algorithm)


def in_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def proof(vendor: str, body: bytes) -> dict[str, Any]:
    """Return how a vendor proves a body: headers, or parameters of the query."""
    return {
        "mautic": {"headers": {"webhook-signature": in_base64(mac(body))}},
        "intercom": {"headers": {"x-hub-signature": f"sha1={mac(body, 'sha1').hex()}"}},
        "typeform": {"headers": {"typeform-signature": f"sha256={in_base64(mac(body))}"}},
        "facebook_lead_ads": {"headers": {"x-hub-signature-256": f"sha256={mac(body).hex()}"}},
        "hubspot": {
            "headers": {
                "x-hubspot-signature-version": "v1",
                "x-hubspot-signature": hashlib.sha256(SECRET.encode() + body).hexdigest(),
            }
        },
        "pipedrive": {"headers": {"authorization": f"Basic {in_base64(b'hook:' + SECRET.encode())}"}},
        "marketo": {"headers": {"x-intake-token": SECRET}},
        "salesforce": {"headers": {"x-intake-token": SECRET}},
        "dynamics_365": {"code": SECRET},
        "google_ads_lead_form": {},
    }.get(vendor, {"token": SECRET})


@dataclass
class StandIn:
    """A vendor's API on loopback: answers by path, and remembers who asked."""

    answers: dict[str, Any]
    asked: list[tuple[str, str]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    """Statuses with which the next requests are answered."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "StandIn":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
            }
            path = urlsplit(line.split(" ")[1]).path
            self.asked.append((path, headers.get("authorization", "")))
            status = self.failures.pop(0) if self.failures else (200 if path in self.answers else 404)
            found = self.answers.get(path, {})
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
