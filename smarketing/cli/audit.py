"""`smarketing audit list | verify`: who asked for what, and whether the record is whole."""

from typing import Annotated

import typer

from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit, number_of
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.services import Service, ServiceOption, ask_service
from smarketing.cli.session import Exit, session_of
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The audit trail.")


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    service: ServiceOption = Service.LEADS,
    outcome: Annotated[str, typer.Option(help="applied, replayed, refused, denied.")] = "",
    principal: Annotated[str, typer.Option(help="Only this one's: a person's id, or systems/ID.")] = "",
    limit: Limit = 50,
) -> None:
    """List entries, newest first."""
    session = session_of(ctx)
    request = auditpb.ListAuditEntriesRequest(
        parent=session.parent,
        page_size=min(limit, 1_000),
        outcome=number_of(auditpb.AuditEntry.Outcome, outcome),
        principal=session.assignee(principal) if principal else "",
    )
    found, more = ask_service(
        session, service, lambda client: taken(client.audit.audit_entries(request), limit)
    )
    rows = [
        (
            str(entry.sequence),
            when(entry.record_time),
            id_of(entry.principal),
            entry.method.rpartition("/")[2],
            id_of(entry.resource),
            enum_word(auditpb.AuditEntry.Outcome.DESCRIPTOR, entry.outcome),
            entry.reason,
        )
        for entry in found
    ]
    columns = ("no", "recorded", "who", "method", "resource", "outcome", "reason")
    session.show_list("audit_entries", found, lambda: table(columns, rows), more=more)


@app.command()
def verify(ctx: typer.Context, service: ServiceOption = Service.LEADS) -> None:
    """Recompute the hash chain; ends with 1 when it is broken."""
    session = session_of(ctx)
    request = auditpb.VerifyAuditRequest(parent=session.parent)
    answer = ask_service(session, service, lambda client: client.audit.verify_audit(request))
    session.show(
        answer,
        lambda: record(
            [
                ("intact", "yes" if answer.intact else "no"),
                ("entries", str(answer.entries_checked)),
                ("broken at", str(answer.first_broken_sequence or "")),
            ]
        ),
    )
    if not answer.intact:
        raise typer.Exit(Exit.REFUSED)
