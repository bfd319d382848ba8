"""The three services scraped fresh, after a day's work in two tenants, and after a restart."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import LeadsClient, SlaClient
from tests.builders.processes import Installation, an_installation, until
from tests.builders.webhooks import Receiver
from tests.e2e.company import Company, settled_in

SHOWN, HIDDEN = "acme", "globex"
"""The tenant that the configuration names, and one that it does not."""
ENVIRON: Final = {"SMARKETING_METRIC_TENANTS": SHOWN, "SMARKETING_WEBHOOK_LOOPBACK": "true"}

GIVEN_NAME, FAMILY_NAME, MAIL, PHONE = "Zaphira", "Quillfeather", "zq.canary@example.org", "+4930555019283"
NOBODY_LISTENS: Final = "http://127.0.0.1:9/zq-canary-hook"
CANARIES: Final = (
    GIVEN_NAME,
    FAMILY_NAME,
    "zq.canary",
    "555019283",
    "zq-canary",
    "rosa",
    "Diaz",
    "127.0.0.1",
)

Pages = Mapping[str, "Page"]
"""By service."""


@dataclass(frozen=True)
class Page:
    """What one service answered."""

    text: str

    @cached_property
    def families(self) -> dict[str, Metric]:
        """Its metrics by the name that a query uses."""
        found: dict[str, Metric] = {}
        for family in text_string_to_metric_families(self.text):
            found[f"{family.name}_total" if family.type == "counter" else family.name] = family
        return found

    @property
    def series_count(self) -> int:
        return sum(len(family.samples) for family in self.families.values())

    def has_values(self, name: str) -> bool:
        return name in self.families and bool(self.families[name].samples)

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one value with these labels among its own."""
        for sample in self.families[name].samples:
            if labels.items() <= sample.labels.items():
                return sample.value
        return None

    def values(self, name: str) -> Iterator[tuple[tuple[tuple[str, str], ...], float]]:
        for sample in self.families[name].samples:
            yield tuple(sorted(sample.labels.items())), sample.value


@dataclass(frozen=True)
class Seen:
    """Three looks at the same installation."""

    fresh: Pages
    worked: Pages
    restarted: Pages

    @property
    def pages(self) -> Iterator[tuple[str, Page]]:
        for look in (self.fresh, self.worked, self.restarted):
            yield from look.items()


def looked_at(folder: Path, *, is_complete: Callable[[Pages], bool]) -> Seen:
    """Run everything; `is_complete` says whether what the work left behind has come to be shown."""
    data, files = folder / "data", folder / "files"
    with an_installation(data, ENVIRON) as installation:
        fresh = asyncio.run(_scraped(installation, _is_read))
        worked = asyncio.run(_worked(installation, files, is_complete))
    with an_installation(data, ENVIRON) as installation:
        restarted = asyncio.run(_scraped(installation, _is_read))
    return Seen(fresh, worked, restarted)


def is_caught_up(pages: Pages) -> bool:
    """Whether every consumer stands at the head of its log."""
    position, head = "smarketing_eventlog_consumer_position", "smarketing_eventlog_head_position"
    return all(
        value == pages[dict(labels)["log"]].value(head)
        for page in pages.values()
        for labels, value in page.values(position)
    )


def _is_read(pages: Pages) -> bool:
    task = "smarketing_server_task_last_success_timestamp_seconds"
    return all(
        page.value(task, task=each) is not None for page in pages.values() for each in ("gauges", "metrics")
    )


async def _scraped(installation: Installation, holds: Callable[[Pages], bool]) -> Pages:
    async with httpx.AsyncClient() as http:

        async def pages() -> Pages:
            found = {}
            for service, address in installation.addresses.items():
                answer = await http.get(f"http://{address['http']}/metrics")
                assert answer.status_code == 200, answer.text
                found[service] = Page(answer.text)
            return found

        return await until(pages, holds, seconds=40)


async def _worked(installation: Installation, files: Path, is_complete: Callable[[Pages], bool]) -> Pages:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        for tenant in (SHOWN, HIDDEN):
            folder = files / tenant
            folder.mkdir(parents=True)
            company = await settled_in(installation, tenant, folder)
            await _register(company, receiver.url, NOBODY_LISTENS)
            await _write_back(company)
            await _work(company)
        return await _scraped(installation, is_complete)


async def _register(company: Company, *urls: str) -> None:
    async with SlaClient(company.of("sven")) as sla:
        for url in urls:
            await sla.create_webhook_endpoint(
                slapb.CreateWebhookEndpointRequest(
                    parent=company.name, webhook_endpoint=slapb.WebhookEndpoint(url=url)
                )
            )


async def _write_back(company: Company) -> None:
    """Let the website be told where nobody listens: what it is told waits."""
    async with LeadsClient(company.of("mara")) as manager:
        await manager.intake.create_write_back(
            intakepb.CreateWriteBackRequest(
                parent=company.name,
                write_back=intakepb.WriteBack(source_system="website", url=NOBODY_LISTENS),
            )
        )


async def _work(company: Company) -> None:
    """Three are followed up, one is accepted and forgotten until it is missed, one offer stays open."""
    async with LeadsClient(company.of("website")) as website, LeadsClient(company.of("rosa")) as rosa:
        for number, segment in enumerate(("calm", "calm", "calm", "hasty", "calm")):
            submitted = await website.submit_lead(_submission(company, number, segment))
            if number == 4:
                break
            offer = submitted.handoff.offer
            accept = leadspb.AcceptOfferRequest(name=offer.name, fencing_token=offer.fencing_token)
            handoff = await rosa.accept_offer(accept)
            if segment == "calm":
                call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL, contact=True)
                await rosa.log_follow_up(leadspb.LogFollowUpRequest(parent=handoff.name, follow_up=call))


def _submission(company: Company, number: int, segment: str) -> leadspb.SubmitLeadRequest:
    contact = leadspb.Contact(
        given_name=GIVEN_NAME, family_name=FAMILY_NAME, email=f"{number}{MAIL}", phone=f"{PHONE}{number}"
    )
    submission = leadspb.Submission(
        source_system="website",
        external_id=f"web-{number}",
        contact=contact,
        qualification=leadspb.Qualification(source="newsletter", segment=segment),
    )
    return leadspb.SubmitLeadRequest(parent=company.name, submission=submission)
