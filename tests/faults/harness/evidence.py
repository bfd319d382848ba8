"""What there is to be judged after the faults are over, gathered through the public interfaces."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import httpx
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client.parser import text_string_to_metric_families

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.client import LeadsClient, SlaClient
from tests.builders.processes import SERVICES, Installation
from tests.builders.webhooks import Received
from tests.e2e.company import Company
from tests.faults.harness.fleet import Vitals
from tests.faults.harness.ledger import Operation

P = TypeVar("P", bound=Message)

_PAGE_EVENTS: Final = 5_000

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
"""Value of each series by name and sorted labels."""


@dataclass(frozen=True, slots=True)
class Log:
    """A whole log as a reader sees it."""

    log_id: str
    head: int
    events: Sequence[eventlogpb.Event] = field(repr=False)

    def of(self, kind: type[P]) -> Iterator[tuple[eventlogpb.Event, P]]:
        """Yield the events of a kind with what they say."""
        name = kind.DESCRIPTOR.full_name
        for event in self.events:
            if event.payload.type_url.endswith(f"/{name}"):
                said = kind()
                said.ParseFromString(event.payload.value)
                yield event, said

    def digest(self, upto: int) -> str:
        """Return what tells the contents of the first `upto` events apart."""
        content = hashlib.sha256()
        for event in self.events[:upto]:
            content.update(event.SerializeToString(deterministic=True))
        return content.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A message that was not delivered yet."""

    alert: str
    attempts: int
    next_attempt_time: datetime
    problem: str
    """Why the last attempt failed; empty before the first."""


@dataclass(kw_only=True)
class Evidence:
    """Everything a check may look at; what a row has no use for stays empty."""

    leads: Log
    sla: Log
    operations: Mapping[str, Operation] = field(default_factory=dict)
    read_before: Sequence[tuple[str, str, int, str]] = ()
    """Service, log id, head and digest of each log as it was read earlier."""
    metrics: Mapping[str, Samples] = field(default_factory=dict)
    consumers: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Log id and position of each consumer, `{service}.{whom it follows}`, as its rows say after the end."""
    quiet_time: datetime | None = None
    """When nothing was owed any more; what time alone brought since then need not be read by everybody."""
    unlike_rebuilt: Sequence[str] = ()
    """Rows of reports that a rebuild from both logs makes otherwise."""
    dead_letters: int = 0
    unsent: Sequence[Unsent] = ()
    received: Sequence[Received] = ()
    secret: str = ""
    verified: int = 0
    """How many of those received bore a right signature when they came."""
    texts: Mapping[str, bytes] = field(default_factory=dict)
    """What must not hold a secret or a person: logs, pages, files of other services."""
    canaries: Sequence[str] = ()
    vitals: Mapping[str, tuple[Vitals, Vitals]] = field(default_factory=dict)
    """Of each process that lived through it: before, and after everything was quiet again."""


def instant(stamp: Timestamp) -> datetime:
    """Return an instant of the wire."""
    return stamp.ToDatetime(tzinfo=UTC)


async def read_log(client: LeadsClient | SlaClient) -> Log:
    """Read a log from its beginning to its head."""
    events: list[eventlogpb.Event] = []
    while True:
        page = await client.events.read_events(
            eventlogpb.ReadEventsRequest(
                parent="tenants/-", after_position=events[-1].position if events else 0, limit=_PAGE_EVENTS
            )
        )
        events += page.events
        if not page.events:
            return Log(page.log_id, page.head_position, events)


async def scraped(installation: Installation) -> dict[str, Samples]:
    """Return what /metrics of each service shows."""
    async with httpx.AsyncClient() as client:
        pages = await asyncio.gather(
            *(client.get(f"http://{installation.addresses[name]['http']}/metrics") for name in SERVICES)
        )
    return {name: samples_of(page.text) for name, page in zip(SERVICES, pages, strict=True)}


def samples_of(page: str) -> Samples:
    """Return every series of a page of metrics."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of a metric's series that have these labels."""
    wanted = set(labels.items())
    return sum(value for (found, own), value in samples.items() if found == name and wanted <= set(own))


async def both_logs(company: Company) -> tuple[Log, Log]:
    """Return the logs of leads and sla."""
    async with LeadsClient(company.operator) as leads, SlaClient(company.operator) as sla:
        return await read_log(leads), await read_log(sla)


async def heads_of_logs(company: Company) -> dict[str, int]:
    """Return the last positions of the logs of leads and sla, at the cost of one event each."""
    first = eventlogpb.ReadEventsRequest(parent="tenants/-", limit=1)
    async with LeadsClient(company.operator) as leads, SlaClient(company.operator) as sla:
        return {
            "leads": (await leads.events.read_events(first)).head_position,
            "sla": (await sla.events.read_events(first)).head_position,
        }


def files_of(data_dir: Path, services: Sequence[str]) -> dict[str, bytes]:
    """Return the bytes of services' database files, where they have any."""
    found = {}
    for service in services:
        for path in sorted(data_dir.glob(f"{service}.db*")):
            found[path.name] = path.read_bytes()
    return found
