"""`smarketing apply --defaults`: what a new tenant lacks, and nothing of what it has.

A tenant begins with both departments and one queue, and nobody. What is added is a manager, open hours, and
an agreement that measures and alerts nobody. What is there already, whatever it says, stays as it is.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, cast

from google.protobuf.duration_pb2 import Duration

from smarketing import wallclock
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.changes import Change
from smarketing.cli.configuration import Document, Kind, read_documents
from smarketing.cli.kinds import READERS
from smarketing.cli.session import Session
from smarketing.client import DeniedError, LeadsClient, RefusedError, SlaClient
from smarketing.config import Secret
from smarketing.names import is_id

__all__ = ["MANAGER", "begun", "default_files", "id_of_person"]

MANAGER: Final = "manager"
"""The id of the one manager, unless another is given."""

_PACKAGED: Final = Path(__file__).with_name("default_files")
_CHECKOUT: Final = Path(__file__).parents[2] / "deploy" / "default"
_BOTH: Final = (directorypb.ROLE_MARKETING_MANAGER, directorypb.ROLE_SALES_MANAGER)
_WORD: Final = timedelta(minutes=5)
"""How long the manager's token lives with which the agreement is made."""
_PATIENCE: Final = timedelta(seconds=30)
"""How long `sla` may take to hear of a new person and a new token."""
_LOOK_AGAIN_SECONDS: Final = 0.2


def default_files() -> list[Path]:
    """Return the files of `deploy/default`, as installed or in a checkout."""
    folder = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
    return sorted(folder.glob("*.yaml"))


def id_of_person(text: str) -> str:
    """Return a person's id, given as `kim` or `people/kim`."""
    own = text.removeprefix("people/")
    if not is_id(own):
        raise ValueError("is no id")
    return own


@dataclasses.dataclass(frozen=True, slots=True)
class _Lacking:
    """What a tenant lacks."""

    manager: str
    directory: directorypb.Directory
    """As it is, or as it begins; with the manager where there was nobody."""
    is_lonely: bool
    """Nobody but the manager is there."""
    documents: dict[Kind, Document]
    """The calendar and the agreement, as far as there is none."""

    def changes(self) -> list[Change]:
        """Return what would be done."""
        tenant = self.directory.name.removesuffix("/directory")
        changes = [Change(Kind.DIRECTORY, self.manager, "added")] if self.manager else []
        if Kind.CALENDAR in self.documents:
            own_id = self.documents[Kind.CALENDAR].own_id
            changes.append(Change(Kind.CALENDAR, f"{tenant}/calendars/{own_id}", "added"))
        if Kind.AGREEMENT in self.documents:
            own_id = self.documents[Kind.AGREEMENT].own_id
            changes.append(Change(Kind.AGREEMENT, f"{tenant}/agreements/{own_id}", "added"))
        return changes


async def begun(session: Session, manager: str, *, validate_only: bool) -> list[Change]:
    """Add what the tenant lacks and return it; again, it adds what an interrupted run left out."""
    async with LeadsClient(session.settings) as leads, SlaClient(session.settings) as sla:
        lacking = await _lacking(session, leads, sla, f"{session.parent}/people/{manager}")
        if validate_only:
            return lacking.changes()
        changes = lacking.changes()
        if lacking.manager:
            await leads.directory.apply_directory(
                directorypb.ApplyDirectoryRequest(parent=session.parent, directory=lacking.directory)
            )
        if Kind.CALENDAR in lacking.documents:
            await _make_calendar(session, sla, lacking)
        if Kind.AGREEMENT in lacking.documents:
            changes += await _make_agreement(session, leads, sla, lacking, manager)
        return changes


async def _lacking(session: Session, leads: LeadsClient, sla: SlaClient, manager: str) -> _Lacking:
    documents = {
        each.kind: each for each in read_documents(default_files(), session.settings.tenant, READERS)
    }
    directory = await _directory(leads, documents.pop(Kind.DIRECTORY))
    people = {each.name for each in directory.people if not each.inactive}
    lonely = not people
    if lonely:
        _take_on(directory, manager)
    elsewhere = f"{session.parent}/calendars/-", f"{session.parent}/agreements/-"
    calendars = slapb.ListCalendarVersionsRequest(parent=elsewhere[0], page_size=1)
    if (await sla.list_calendar_versions(calendars)).calendar_versions:
        del documents[Kind.CALENDAR]
    agreements = slapb.ListAgreementVersionsRequest(parent=elsewhere[1], page_size=1)
    if (await sla.list_agreement_versions(agreements)).agreement_versions:
        del documents[Kind.AGREEMENT]
    return _Lacking(
        manager=manager if lonely else "",
        directory=directory,
        is_lonely=lonely or people == {manager},
        documents=documents,
    )


async def _directory(leads: LeadsClient, document: Document) -> directorypb.Directory:
    """Return the tenant's directory; the default one where there is no such tenant yet."""
    default = cast("directorypb.Directory", document.message)
    try:
        return await leads.directory.get_directory(directorypb.GetDirectoryRequest(name=default.name))
    except RefusedError as refused:
        if refused.reason != "TENANT_UNKNOWN":
            raise
        return default


def _take_on(directory: directorypb.Directory, manager: str) -> None:
    """Make somebody the manager of everything that has none."""
    selling = [team.name for team in directory.teams if team.party == termspb.PARTY_SALES]
    directory.people.add(name=manager, roles=_BOTH, team=selling[0] if selling else "")
    for team in directory.teams:
        team.manager = team.manager or manager
    for queue in directory.queues:
        queue.manager = queue.manager or manager


async def _make_calendar(session: Session, sla: SlaClient, lacking: _Lacking) -> None:
    document = lacking.documents[Kind.CALENDAR]
    version = cast("slapb.CalendarVersion", document.message)
    version.time_zone = lacking.directory.time_zone or version.time_zone
    parent = f"{session.parent}/calendars/{document.own_id}"
    await sla.create_calendar_version(
        slapb.CreateCalendarVersionRequest(parent=parent, calendar_version=version)
    )


async def _make_agreement(
    session: Session, leads: LeadsClient, sla: SlaClient, lacking: _Lacking, manager: str
) -> list[Change]:
    """Propose the agreement for whoever calls; of a manager who is alone, put it in force too."""
    document = lacking.documents[Kind.AGREEMENT]
    wanted = cast("slapb.AgreementVersion", document.message)
    wanted.calendar_version = await _calendar_of(session, sla)
    parent = f"{session.parent}/agreements/{document.own_id}"
    request = slapb.ProposeAgreementRequest(parent=parent, agreement_version=wanted)
    if not lacking.is_lonely:
        await sla.propose_agreement(request)
        return []
    async with _word_of(session, leads, f"{session.parent}/people/{manager}") as speaker:
        version = await _once_known(speaker, request)
        await speaker.activate_agreement(slapb.ActivateAgreementRequest(name=version.name))
    return [Change(Kind.AGREEMENT, version.name, "activated")]


async def _calendar_of(session: Session, sla: SlaClient) -> str:
    request = slapb.ListCalendarVersionsRequest(parent=f"{session.parent}/calendars/-", page_size=1)
    return (await sla.list_calendar_versions(request)).calendar_versions[0].name


@asynccontextmanager
async def _word_of(session: Session, leads: LeadsClient, manager: str) -> AsyncIterator[SlaClient]:
    """Speak for the one manager: an agreement is never the operator's word."""
    lifetime = Duration()
    lifetime.FromTimedelta(_WORD)
    issued = await leads.directory.issue_token(
        directorypb.IssueTokenRequest(
            parent=manager, display_name="apply --defaults", lifetime_duration=lifetime
        )
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(
            leads.directory.revoke_token, directorypb.RevokeTokenRequest(name=issued.token.name)
        )
        settings = dataclasses.replace(session.settings, token=Secret(issued.bearer))
        yield await stack.enter_async_context(SlaClient(settings))


async def _once_known(speaker: SlaClient, request: slapb.ProposeAgreementRequest) -> slapb.AgreementVersion:
    """Return the proposal as soon as `sla` knows who proposes it."""
    end = wallclock.monotonic() + _PATIENCE.total_seconds()
    while True:
        try:
            return await speaker.propose_agreement(request)
        except DeniedError:
            if wallclock.monotonic() >= end:
                raise
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
