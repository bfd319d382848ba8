"""The first day: the company's directory, tokens, calendar, agreement and leave, by those who may."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from services.demo.company import (
    AUDITOR,
    DIALLER,
    LEADER,
    MARKETING_MANAGER,
    ON_LEAVE,
    REPS,
    SALES_MANAGER,
    TENANT,
    WEBSITE,
    Company,
)
from services.demo.houses import Houses
from services.leads.usecases.bootstrap import bootstrap, token_file
from services.leads.usecases.directory import ApplyDirectory, IssueToken, apply, issue
from services.leads.wire import directory as directory_wire
from services.sla.domain.agreement import Party
from services.sla.domain.almanac import Leave
from services.sla.rpc.refusals import reason_of
from services.sla.store.commands import unit_of
from services.sla.usecases.agreements import Accept, Activate, Propose, accept, activate, propose
from services.sla.usecases.calendars import MakeCalendar, RecordLeave, make_calendars, record_leave
from services.sla.wire.agreements import agreement_message
from services.sla.wire.calendars import calendar_message, leave_message
from smarketing.server.auth import issue_token
from smarketing.server.commands import Call, Command

__all__ = ["OPERATOR", "call_of", "set_up", "take_leave"]

OPERATOR: Final = "tenants/-/systems/operator"
_PRINCIPALS: Final = (MARKETING_MANAGER, SALES_MANAGER, *REPS, LEADER, AUDITOR, WEBSITE, DIALLER)


def call_of(principal: str, method: str, wanted: object, request_id: str, *, resource: str = "") -> Call:
    """Return the call by which somebody would ask for this."""
    return Call(
        tenant="default",
        principal=principal,
        on_behalf_of="",
        method=method,
        request_id=request_id,
        fingerprint=sha256(repr(wanted).encode()).digest(),
        resource=resource or TENANT,
        traceparent="",
    )


async def set_up(houses: Houses, company: Company, data_dir: Path, *, new_id: Callable[[], str]) -> None:
    """Make the installation, the company, its tokens, and the agreement that both managers accept."""
    await bootstrap(houses.directories, data_dir)
    await _apply_directory(houses, company, new_id())
    for principal in _PRINCIPALS:
        await _issue(houses, principal, data_dir, new_id())
    await houses.sla_reads()
    made = MakeCalendar(
        tenant="default",
        id=company.calendar_id,
        title=company.calendar_title,
        calendar=company.calendar,
        actor=SALES_MANAGER,
    )
    await _ask_sla(houses, (make_calendars, calendar_message), SALES_MANAGER, made, new_id())
    await _agree(houses, company, new_id)
    await houses.leads_reads()


async def take_leave(houses: Houses, leave: tuple[datetime, datetime], request_id: str) -> None:
    """Let one rep say when they are away."""
    wanted = RecordLeave(
        leave=Leave(tenant="default", person=ON_LEAVE, id="week-off", start_time=leave[0], end_time=leave[1]),
        actor=ON_LEAVE,
        only_for=ON_LEAVE,
    )
    await _ask_sla(houses, (record_leave, leave_message), ON_LEAVE, wanted, request_id)


async def _apply_directory(houses: Houses, company: Company, request_id: str) -> None:
    wanted = ApplyDirectory(wanted=company.directory, actor=OPERATOR)
    call = call_of(OPERATOR, "/smarketing.api.leads.v1.DirectoryService/ApplyDirectory", wanted, request_id)
    outcome = await houses.directories.command(
        apply,
        Command(wanted, call),
        render=lambda applied: directory_wire.applied(applied.directory, applied.changes),
    )
    if isinstance(outcome, Exception):
        raise outcome


async def _issue(houses: Houses, principal: str, data_dir: Path, request_id: str) -> None:
    issued = issue_token()
    wanted = IssueToken(
        principal=principal,
        token_id=issued.token_id,
        secret_hash=issued.secret_hash,
        display_name="Made by the demo",
        actor=OPERATOR,
    )
    call = call_of(
        OPERATOR,
        "/smarketing.api.leads.v1.DirectoryService/IssueToken",
        wanted,
        request_id,
        resource=principal,
    )
    outcome = await houses.directories.command(issue, Command(wanted, call), render=directory_wire.token_to)
    if isinstance(outcome, Exception):
        raise outcome
    file = token_file(data_dir, principal.rpartition("/")[2])
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(issued.text + "\n")


async def _agree(houses: Houses, company: Company, new_id: Callable[[], str]) -> None:
    """Let marketing propose, sales accept, and the agreement be in force from now on."""
    proposed = Propose(
        tenant="default",
        agreement=company.agreement_id,
        terms=company.terms,
        principal=MARKETING_MANAGER,
        parties=(Party.MARKETING,),
    )
    accord = await _ask_sla(houses, (propose, agreement_message), MARKETING_MANAGER, proposed, new_id())
    accepted = Accept(name=accord.name, etag="", principal=SALES_MANAGER, parties=(Party.SALES,))
    await _ask_sla(houses, (accept, agreement_message), SALES_MANAGER, accepted, new_id())
    activated = Activate(name=accord.name, etag="", principal=SALES_MANAGER, effective_time=None)
    await _ask_sla(houses, (activate, agreement_message), SALES_MANAGER, activated, new_id())


async def _ask_sla(
    houses: Houses,
    asking: tuple[Callable[..., Sequence[Any]], Callable[[Any], Any]],
    principal: str,
    wanted: Any,
    request_id: str,
) -> Any:
    """Return what the use case answered; `asking` is it, and what renders its answer."""
    use_case, render = asking
    answers: list[Any] = []

    def kept(*arguments: Any, **parts: Any) -> Sequence[Any]:
        answered = use_case(*arguments, **parts)
        answers.extend(answered)
        return answered

    unit = unit_of(houses.archive, kept, render, reason_of)
    method = f"/smarketing.api.sla.v1.SlaService/{type(wanted).__name__}"
    await houses.run_sla(unit, Command(wanted, call_of(principal, method, wanted, request_id)))
    return answers[-1]
