"""An installation that people worked with, stopped, and the backup that was taken of it before it was."""

import asyncio
import contextlib
import io
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.type import date_pb2 as datepb

from services.__main__ import main
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import LeadsClient, ReportsClient
from tests.builders.processes import Finished, Installation, an_installation, until
from tests.e2e.company import Company, settled_in


@dataclass(frozen=True)
class LivedIn:
    """What is left once the services are stopped."""

    data_dir: Path
    backup: Path
    keys: Path
    head_then: int
    """Of the leads log, when the backup was about to be taken."""
    head_at_the_end: int
    events: list[tuple[int, str, str, bytes]]
    """All events of the leads log at the end."""
    tokens: dict[str, str]
    folder: Path
    """Holds the exports, each in a folder of the name below."""
    exported: dict[str, Finished]
    """As the operator, without personal data and with it, and as somebody who may not."""


def a_life(folder: Path) -> LivedIn:
    """Submit leads, take a backup while more of them come in, let the rest come in, and stop."""
    data_dir = folder / "data"
    with an_installation(data_dir) as installation:
        return asyncio.run(_lived(installation, folder))


def commanded(command: str, *arguments: str | Path) -> Finished:
    """Run one of the operator's commands to its end, as `python -m services` does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([command, *map(str, arguments)])
    return Finished(status, out.getvalue(), err.getvalue())


def rows(path: Path, sql: str) -> list[Any]:
    """Return what a database of nobody's holds."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def change(path: Path, *statements: str) -> None:
    """Do to a database what nobody may do to it."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


async def submitted(company: Company, first: int, count: int) -> None:
    """Hand over so many leads, one call each."""
    async with LeadsClient(company.of("website")) as website:
        for number in range(first, first + count):
            submission = leadspb.Submission(
                source_system="website",
                external_id=str(number),
                contact=leadspb.Contact(given_name="Ada", email=f"ada.{number}@example.com"),
            )
            await website.submit_lead(leadspb.SubmitLeadRequest(parent=company.name, submission=submission))


async def folded(company: Company, leads: int) -> int:
    """Return how many handoffs reports counts, once it counts so many."""
    request = reportspb.GetFunnelRequest(parent=company.name)

    async def counted() -> int:
        async with ReportsClient(company.of("mara")) as reports:
            funnel = await reports.get_funnel(request)
        return sum(row.submitted_count for row in funnel.rows)

    return await until(counted, lambda count: count >= leads)


async def events_of(company: Company) -> list[tuple[int, str, str, bytes]]:
    """Return the whole leads log."""
    found: list[tuple[int, str, str, bytes]] = []
    async with LeadsClient(company.operator) as leads:
        while True:
            after = found[-1][0] if found else 0
            request = eventlogpb.ReadEventsRequest(parent="tenants/-", after_position=after, limit=500)
            page = await leads.events.read_events(request)
            if not page.events:
                return found
            found += [(e.position, e.subject, e.payload.type_url, e.payload.value) for e in page.events]


async def _lived(installation: Installation, folder: Path) -> LivedIn:
    (folder / "files").mkdir()
    company = await settled_in(installation, "default", folder / "files")
    await submitted(company, 0, 30)
    head_then = len(await events_of(company))
    backing = asyncio.to_thread(
        commanded,
        *("backup", "--data", installation.data_dir),
        *(folder / "backups", "--keys", folder / "keys"),
    )
    ran, _ = await asyncio.gather(backing, submitted(company, 30, 60))
    assert ran.status == 0, ran.err
    await submitted(company, 90, 10)
    await folded(company, 100)
    await _worked(company)
    ran_exports = await asyncio.gather(
        installation.smarketing("export", folder / "plain", token=installation.operator),
        installation.smarketing("export", folder / "personal", "--personal", token=installation.operator),
        installation.smarketing("export", folder / "denied", token=company.tokens["rosa"]),
    )
    exported = dict(zip(("plain", "personal", "denied"), ran_exports, strict=True))
    events = await events_of(company)
    [backup] = (folder / "backups").iterdir()
    [keys] = (folder / "keys").iterdir()
    return LivedIn(
        installation.data_dir,
        backup,
        keys,
        head_then,
        len(events),
        events,
        dict(company.tokens),
        folder,
        exported,
    )


async def _worked(company: Company) -> None:
    """Let a rep work a few of the leads, and somebody record what a campaign cost."""
    async with LeadsClient(company.of("rosa")) as rosa, ReportsClient(company.of("mara")) as mara:
        page = await rosa.list_handoffs(
            leadspb.ListHandoffsRequest(parent=f"{company.name}/leads/-", page_size=5)
        )
        for handoff in page.handoffs:
            offer = handoff.offer
            accepted = leadspb.AcceptOfferRequest(name=offer.name, fencing_token=offer.fencing_token)
            await rosa.accept_offer(accepted)
            call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL, contact=True)
            await rosa.log_follow_up(leadspb.LogFollowUpRequest(parent=handoff.name, follow_up=call))
        day = datepb.Date(year=2026, month=11, day=2)
        cost = inputspb.Input(
            source_system="finance",
            external_id="1",
            start_date=day,
            end_date=datepb.Date(year=2026, month=11, day=3),
            cost=inputspb.Cost(
                type=inputspb.Cost.TYPE_MEDIA, amount=termspb.Money(currency_code="EUR", minor_units=100)
            ),
        )
        async for answers in mara.record_inputs(company.name, [cost]):
            for answer in answers:
                if answer.refusal is not None:
                    raise answer.refusal
