"""`smarketing apply FILE… | --defaults`: configuration compared with what there is, applied after a yes."""

import asyncio
import dataclasses
import functools
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

import typer

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.agreement_kind import WRITTEN_AS
from smarketing.cli.beginning import MANAGER, begun, id_of_person
from smarketing.cli.changes import Change, changes_view, show_changes
from smarketing.cli.configuration import Document, Kind, read_documents
from smarketing.cli.kinds import READERS
from smarketing.cli.leads import taken
from smarketing.cli.options import read
from smarketing.cli.session import Exit, Session, session_of
from smarketing.client import DeniedError, LeadsClient, RefusedError, SlaClient
from smarketing.mapping.texts import enum_word
from smarketing.mapping.yamltext import FileFaulty

__all__ = ["run"]


class _Work(Protocol):
    def __call__(self, *, validate_only: bool) -> Coroutine[Any, Any, list[Change]]: ...


@dataclasses.dataclass(frozen=True, slots=True)
class _Services:
    leads: LeadsClient
    sla: SlaClient


def run(
    ctx: typer.Context,
    *,
    files: Annotated[
        list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="YAML files.")
    ] = None,
    defaults: Annotated[
        bool,
        typer.Option("--defaults", help="Instead of files: what a new tenant lacks to begin with."),
    ] = False,
    manager: Annotated[
        str, typer.Option(help="With --defaults: the id of the one manager of a tenant that has nobody.")
    ] = MANAGER,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Compare configuration files with what there is, and apply the difference."""
    session = session_of(ctx)
    if defaults == bool(files):
        raise typer.BadParameter("give files, or --defaults")
    work = _work(session, files or [], read(id_of_person, manager))
    changes = asyncio.run(work(validate_only=True))
    if not changes or dry_run:
        show_changes(session, changes, applied=False)
        return
    if not yes and not _agreed(session, changes):
        raise typer.Exit(Exit.REFUSED)
    show_changes(session, asyncio.run(work(validate_only=False)), applied=True)


def _work(session: Session, files: list[Path], manager: str) -> _Work:
    if not files:
        return functools.partial(begun, session, manager)
    documents = read_documents(files, session.settings.tenant, READERS)
    return functools.partial(_applied, session, documents)


def _agreed(session: Session, changes: list[Change]) -> bool:
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to ask: give --yes, or --dry-run to look only")
    session.err.print(changes_view(changes))
    return typer.confirm("Apply?", err=True)


async def _applied(session: Session, documents: list[Document], *, validate_only: bool) -> list[Change]:
    changes: list[Change] = []
    async with LeadsClient(session.settings) as leads, SlaClient(session.settings) as sla:
        for document in documents:
            changes += await _APPLY[document.kind](_Services(leads, sla), document, validate_only)
    return changes


async def _directory(services: _Services, document: Document, validate_only: bool) -> list[Change]:
    request = directorypb.ApplyDirectoryRequest(
        parent=f"tenants/{document.tenant}",
        directory=cast("directorypb.Directory", document.message),
        validate_only=validate_only,
    )
    response = await services.leads.directory.apply_directory(request)
    return [
        Change(
            Kind.DIRECTORY,
            change.resource,
            enum_word(directorypb.DirectoryChange.Kind.DESCRIPTOR, change.kind),
            tuple(change.fields),
        )
        for change in response.changes
    ]


async def _calendar(services: _Services, document: Document, validate_only: bool) -> list[Change]:
    parent = f"tenants/{document.tenant}/calendars/{document.own_id}"
    wanted = cast("slapb.CalendarVersion", document.message)
    newest = await _newest_calendar(services.sla, parent)
    fields = _differing(newest, wanted)
    if newest is not None and not fields:
        return []
    name = parent
    if not validate_only:
        request = slapb.CreateCalendarVersionRequest(parent=parent, calendar_version=wanted)
        name = (await services.sla.create_calendar_version(request)).name
    return [Change(Kind.CALENDAR, name, "added" if newest is None else "changed", fields)]


async def _agreement(services: _Services, document: Document, validate_only: bool) -> list[Change]:
    parent = f"tenants/{document.tenant}/agreements/{document.own_id}"
    wanted = slapb.AgreementVersion()
    wanted.CopyFrom(cast("slapb.AgreementVersion", document.message))
    wanted.calendar_version = await _calendar_version(services.sla, document)
    listed = services.sla.agreement_versions(slapb.ListAgreementVersionsRequest(parent=parent, page_size=1))
    versions, _ = await taken(listed, 1)
    wanted = await _looked_at(services.sla, document, parent, wanted)
    fields = _differing(versions[0] if versions else None, wanted)
    if versions and not fields:
        return []
    name = parent
    if not validate_only:
        request = slapb.ProposeAgreementRequest(parent=parent, agreement_version=wanted)
        name = (await services.sla.propose_agreement(request)).name
    return [Change(Kind.AGREEMENT, name, "changed" if versions else "added", fields)]


async def _looked_at(
    sla: SlaClient, document: Document, parent: str, wanted: slapb.AgreementVersion
) -> slapb.AgreementVersion:
    """Return the version as the service would make it, targets in business days turned into durations.

    Who may not propose, or whose calendar comes with the same files, is told when it is applied.

    Raises:
        FileFaulty: with every fault that the service finds, each at its line.
    """
    request = slapb.ProposeAgreementRequest(parent=parent, agreement_version=wanted, validate_only=True)
    try:
        return await sla.propose_agreement(request)
    except DeniedError:
        return wanted
    except RefusedError as refused:
        if refused.reason != "AGREEMENT_INVALID":
            raise
        file = document.place.rpartition(":")[0]
        faults = []
        for each in refused.field_violations:
            path = each.field.removeprefix("agreement_version.")
            if path == "calendar_version" and not await _has_calendar(sla, wanted.calendar_version):
                continue
            line = document.line_of(path, WRITTEN_AS)
            faults.append(f"{file}:{line}: {path}: {each.description}")
        if faults:
            raise FileFaulty(faults) from None
        return wanted


async def _has_calendar(sla: SlaClient, version: str) -> bool:
    try:
        await sla.get_calendar_version(slapb.GetCalendarVersionRequest(name=version))
    except RefusedError:
        return False
    return True


async def _leave(services: _Services, document: Document, validate_only: bool) -> list[Change]:
    wanted = cast("slapb.Leave", document.message)
    async for known in services.sla.leaves(slapb.ListLeaveRequest(parent=document.own_id, page_size=1_000)):
        same = known.start_time == wanted.start_time and known.end_time == wanted.end_time
        if same and not known.HasField("cancel_time"):
            return []
    if not validate_only:
        await services.sla.create_leave(slapb.CreateLeaveRequest(parent=document.own_id, leave=wanted))
    return [Change(Kind.LEAVE, document.own_id, "added")]


async def _webhook_endpoint(services: _Services, document: Document, validate_only: bool) -> list[Change]:
    parent = f"tenants/{document.tenant}"
    wanted = cast("slapb.WebhookEndpoint", document.message)
    listed = services.sla.webhook_endpoints(slapb.ListWebhookEndpointsRequest(parent=parent, page_size=1_000))
    async for known in listed:
        if known.url == wanted.url and not known.HasField("delete_time"):
            return []
    secret = ""
    if not validate_only:
        request = slapb.CreateWebhookEndpointRequest(parent=parent, webhook_endpoint=wanted)
        secret = (await services.sla.create_webhook_endpoint(request)).secret
    return [Change(Kind.WEBHOOK_ENDPOINT, wanted.url, "added", secret=secret)]


_APPLY: Mapping[Kind, Callable[[_Services, Document, bool], Awaitable[list[Change]]]] = {
    Kind.DIRECTORY: _directory,
    Kind.CALENDAR: _calendar,
    Kind.LEAVE: _leave,
    Kind.AGREEMENT: _agreement,
    Kind.WEBHOOK_ENDPOINT: _webhook_endpoint,
}


async def _newest_calendar(sla: SlaClient, parent: str) -> slapb.CalendarVersion | None:
    listed = sla.calendar_versions(slapb.ListCalendarVersionsRequest(parent=parent, page_size=1))
    versions, _ = await taken(listed, 1)
    return versions[0] if versions else None


async def _calendar_version(sla: SlaClient, document: Document) -> str:
    if document.calendar.startswith("tenants/"):
        return document.calendar
    parent = f"tenants/{document.tenant}/calendars/{document.calendar}"
    newest = await _newest_calendar(sla, parent)
    # In a dry run the calendar may be in the same files and not exist yet.
    return f"{parent}/versions/1" if newest is None else newest.name


def _differing(known: Any, wanted: Any) -> tuple[str, ...]:
    """Return the fields in which a file differs from what there is; what only the service says is none."""
    if known is None:
        return ()
    told = (
        "name",
        "etag",
        "state",
        "acceptances",
        "effective_time",
        "retire_time",
        "consent",
        "create_time",
        "tzdata_version",
    )
    return tuple(
        field.name
        for field in wanted.DESCRIPTOR.fields
        if field.name not in told and getattr(known, field.name) != getattr(wanted, field.name)
    )
