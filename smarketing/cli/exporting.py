"""What belongs to a tenant, and how it is read: page by page, each written before the next is asked for."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import orjson
from google.protobuf.message import Message

from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import identity_pb2 as identitypb
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import calendars_pb2 as calendarspb
from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.documents import document_of
from smarketing.client import ClientSettings, LeadsClient, ReportsClient, SlaClient

__all__ = ["EXPORTED", "Everything", "Store"]

EXPORTED: Final = ("leads", "sla", "reports")
"""The services, in the order in which their logs are read: who follows comes after whom it follows."""

_PAGE: Final = 500
_AT_ONCE: Final = 16
"""Handoffs of which the details are asked for side by side, and held."""


class Store:
    """Files of one JSON document a line, each with its count and digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written: dict[str, dict[str, Any]] = {}
        """Name → how many documents a file holds, its size and its SHA-256."""

    async def fill(self, name: str, messages: AsyncGenerator[Message, None]) -> None:
        """Write messages to a file as they come."""
        with self.file(name) as file:
            async with aclosing(messages):
                async for message in messages:
                    file.add(document_of(message))

    @contextmanager
    def file(self, name: str) -> Iterator["_File"]:
        """Give a new file to add documents to; it is whole when the block ends."""
        path = self._folder / name
        file = _File(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with file.opened:
            yield file
            file.opened.flush()
            os.fsync(file.opened.fileno())
        self.written[name] = {
            "count": file.count,
            "size_bytes": path.stat().st_size,
            "sha256": file.digest.hexdigest(),
        }

    def manifest(self, document: dict[str, Any]) -> None:
        """Write what the folder holds."""
        descriptor = os.open(self._folder / "manifest.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


class _File:
    def __init__(self, descriptor: int) -> None:
        self.opened = os.fdopen(descriptor, "wb")
        self.digest = hashlib.sha256()
        self.count = 0

    def add(self, document: Any) -> None:
        line = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
        self.opened.write(line)
        self.digest.update(line)
        self.count += 1


class Everything:
    """What the caller may read of a tenant. A call that is denied ends the export: half of it is none."""

    def __init__(self, settings: ClientSettings) -> None:
        self._tenant = settings.parent
        self._stack = AsyncExitStack()
        self._leads = LeadsClient(settings)
        self._sla = SlaClient(settings)
        self._reports = ReportsClient(settings)

    async def __aenter__(self) -> Self:
        for client in (self._leads, self._sla, self._reports):
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_exit: object) -> None:
        await self._stack.aclose()

    async def small(self, store: Store) -> None:
        """Write what there is one of."""
        tenant, leads = self._tenant, self._leads
        with store.file("settings.ndjson") as file:
            directory = directorypb.GetDirectoryRequest(name=f"{tenant}/directory")
            file.add(document_of(await leads.directory.get_directory(directory)))
            playbook = playbookpb.GetPlaybookRequest(name=f"{tenant}/playbook")
            file.add(document_of(await leads.playbook.get_playbook(playbook)))
            rules = intakepb.GetIntakeRulesRequest(name=f"{tenant}/intakeRules")
            file.add(document_of(await leads.intake.get_intake_rules(rules)))
            privacy = privacypb.GetPrivacySettingsRequest(name=f"{tenant}/privacySettings")
            file.add(document_of(await leads.privacy.get_privacy_settings(privacy)))

    def lists(self) -> Iterable[tuple[str, AsyncGenerator[Any, None]]]:
        """Return the lists that the services have of a tenant, each with the name of its file."""
        leads, sla = self._leads, self._sla
        of: dict[str, Any] = {"parent": self._tenant, "page_size": _PAGE}
        below = {name: {**of, "parent": f"{self._tenant}/{name}/-"} for name in _PARENTS}
        return (
            ("disputes.ndjson", leads.disputes.disputes(disputespb.ListDisputesRequest(**of))),
            ("feedback.ndjson", leads.work.feedback(workpb.ListFeedbackRequest(**of))),
            (
                "distinctions.ndjson",
                leads.identity.distinctions(identitypb.ListDistinctionsRequest(**below["leads"])),
            ),
            (
                "possible_duplicates.ndjson",
                leads.identity.possible_duplicates(
                    identitypb.ListPossibleDuplicatesRequest(**below["leads"])
                ),
            ),
            ("score_models.ndjson", leads.scoring.score_models(scoringpb.ListScoreModelsRequest(**of))),
            (
                "mql_definitions.ndjson",
                leads.scoring.mql_definitions(scoringpb.ListMqlDefinitionsRequest(**of)),
            ),
            ("sources.ndjson", leads.intake.sources(intakepb.ListSourcesRequest(**of))),
            ("write_backs.ndjson", leads.intake.write_backs(intakepb.ListWriteBacksRequest(**of))),
            (
                "agreements.ndjson",
                sla.agreement_versions(slapb.ListAgreementVersionsRequest(**below["agreements"])),
            ),
            (
                "calendars.ndjson",
                sla.calendar_versions(slapb.ListCalendarVersionsRequest(**below["calendars"])),
            ),
            (
                "holiday_reviews.ndjson",
                sla.calendars.holiday_reviews(calendarspb.ListHolidayReviewsRequest(**below["calendars"])),
            ),
            (
                "calendar_assignments.ndjson",
                sla.calendars.calendar_assignments(calendarspb.ListCalendarAssignmentsRequest(**of)),
            ),
            ("leave.ndjson", sla.leaves(slapb.ListLeaveRequest(**below["people"]))),
            ("clocks.ndjson", sla.clocks(slapb.ListClocksRequest(**of))),
            ("alerts.ndjson", sla.alerts(slapb.ListAlertsRequest(**of))),
            ("exceptions.ndjson", sla.exceptions.exceptions(exceptionspb.ListExceptionsRequest(**of))),
            ("budgets.ndjson", sla.budgets.budgets(budgetspb.ListBudgetsRequest(**of))),
            (
                "marketing_periods.ndjson",
                sla.periods.marketing_periods(periodspb.ListMarketingPeriodsRequest(**of)),
            ),
            (
                "alert_channels.ndjson",
                sla.alert_channels(slapb.ListAlertChannelsRequest(**below["people"])),
            ),
            (
                "webhook_endpoints.ndjson",
                sla.webhook_endpoints(slapb.ListWebhookEndpointsRequest(**of)),
            ),
            ("inputs.ndjson", self._reports.inputs(inputspb.ListInputsRequest(**of))),
            *(
                (f"audit_{name}.ndjson", client.audit.audit_entries(auditpb.ListAuditEntriesRequest(**of)))
                for name, client in self._clients()
            ),
        )

    async def handoffs(self, store: Store, *, personal: bool) -> None:
        """Write every handoff with its follow-ups and its opportunity, and with `personal` every lead."""
        request = leadspb.ListHandoffsRequest(parent=f"{self._tenant}/leads/-", page_size=_PAGE)
        with (
            store.file("handoffs.ndjson") as handoffs,
            store.file("follow_ups.ndjson") as follow_ups,
            store.file("opportunities.ndjson") as opportunities,
            store.file("opportunity_changes.ndjson") as changes,
        ):
            files = (follow_ups, opportunities, changes)
            async with aclosing(_gathered(self._leads.handoffs(request), _AT_ONCE)) as groups:
                async for group in groups:
                    for handoff, told in zip(
                        group, await asyncio.gather(*map(self._details, group)), strict=True
                    ):
                        handoffs.add(document_of(handoff))
                        for file, documents in zip(files, told, strict=True):
                            for document in documents:
                                file.add(document)
        if personal:
            await self._people(store)

    async def events(self, store: Store, service: str) -> dict[str, Any]:
        """Write the tenant's view of a service's log; return which log that is, and up to where."""
        client = dict(self._clients())[service]
        log_id, position = "", 0
        with store.file(f"events_{service}.ndjson") as file:
            while True:
                page = await client.events.read_events(
                    eventlogpb.ReadEventsRequest(
                        parent=self._tenant, log_id=log_id, after_position=position, limit=_PAGE
                    )
                )
                log_id = page.log_id
                for event in page.events:
                    file.add(document_of(event))
                    position = event.position
                if position >= page.head_position:
                    return {"log_id": log_id, "position": position}

    def _clients(self) -> tuple[tuple[str, Any], ...]:
        return (("leads", self._leads), ("sla", self._sla), ("reports", self._reports))

    async def _details(self, handoff: leadspb.Handoff) -> tuple[list[Any], list[Any], list[Any]]:
        follow_ups: list[Any] = []
        if handoff.follow_up_count:
            request = leadspb.ListFollowUpsRequest(parent=handoff.name, page_size=_PAGE)
            follow_ups = [document_of(each) async for each in self._leads.follow_ups(request)]
        if not handoff.opportunity:
            return follow_ups, [], []
        asked = leadspb.GetOpportunityRequest(name=handoff.opportunity)
        opportunity = await self._leads.get_opportunity(asked)
        moved = workpb.ListOpportunityChangesRequest(parent=handoff.opportunity, page_size=_PAGE)
        changes = [document_of(each) async for each in self._leads.work.opportunity_changes(moved)]
        return follow_ups, [document_of(opportunity)], changes

    async def _people(self, store: Store) -> None:
        """Write what `ExportSubject` tells of every lead: once each, by its first handoff."""
        request = leadspb.ListHandoffsRequest(parent=f"{self._tenant}/leads/-", page_size=_PAGE)
        with store.file("people.ndjson") as file:
            async with aclosing(_gathered(self._leads.handoffs(request), _AT_ONCE)) as groups:
                async for group in groups:
                    leads = [lead for lead, _, number in map(_parted, group) if number == "1"]
                    for document in await asyncio.gather(*map(self._person, leads)):
                        file.add(document)

    async def _person(self, lead: str) -> Any:
        request = privacypb.ExportSubjectRequest(parent=self._tenant, lead=lead)
        return orjson.loads((await self._leads.privacy.export_subject(request)).json)


_PARENTS: Final = ("leads", "agreements", "calendars", "people")


def _parted(handoff: leadspb.Handoff) -> tuple[str, str, str]:
    return handoff.name.rpartition("/handoffs/")


async def _gathered(
    messages: AsyncGenerator[leadspb.Handoff, None], count: int
) -> AsyncGenerator[list[leadspb.Handoff], None]:
    group: list[leadspb.Handoff] = []
    async with aclosing(messages):
        async for message in messages:
            group.append(message)
            if len(group) == count:
                yield group
                group = []
    if group:
        yield group
