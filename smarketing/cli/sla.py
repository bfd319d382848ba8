"""`smarketing sla clocks | explain | agreements | accept | activate`: clocks, and versions agreed on."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.leads import taken
from smarketing.cli.options import All, At, Limit, number_of, timestamp_of
from smarketing.cli.output import id_of, record, span, table, when
from smarketing.cli.session import session_of
from smarketing.cli.views import short
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word

__all__ = ["register"]

_PAGE = 1_000


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    for command in (clocks, explain, agreements, accept, activate):
        app.command(command.__name__)(command)


def clocks(
    ctx: typer.Context,
    *,
    handoff: Annotated[str, typer.Option(help="Only of LEAD/NUMBER.")] = "",
    owner: Annotated[str, typer.Option(help="Only this person's.")] = "",
    team: Annotated[str, typer.Option(help="Only this team's.")] = "",
    commitment: Annotated[str, typer.Option(help="Only of this commitment.")] = "",
    state: Annotated[
        list[str] | None, typer.Option(help="running, paused, met, breached, excused, void.")
    ] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only missed and not done yet.")] = False,
    limit: Limit = 50,
    unlimited: All = False,
) -> None:
    """List clocks, the one due first at the top."""
    session = session_of(ctx)
    most = 0 if unlimited else limit
    request = slapb.ListClocksRequest(
        parent=session.parent,
        page_size=min(most or _PAGE, _PAGE),
        states=[number_of(slapb.Clock.State, word) for word in state or []],
        handoff=session.handoff(handoff) if handoff else "",
        owner=session.assignee(owner) if owner else "",
        team=session.name("teams", team) if team else "",
        commitment_id=commitment,
        overdue_only=overdue,
    )
    found, more = session.ask(SlaClient, lambda sla: taken(sla.clocks(request), most))
    rows = [
        (
            id_of(clock.name).removeprefix("clocks/"),
            clock.commitment_id,
            short(clock.handoff),
            _state(clock),
            when(clock.due_time),
            span(clock.remaining_duration),
            id_of(clock.owner),
        )
        for clock in found
    ]
    columns = ("clock", "commitment", "handoff", "state", "due", "remaining", "owner")
    session.show_list("clocks", found, lambda: table(columns, rows), more=more)


def explain(
    ctx: typer.Context,
    *,
    clock: Annotated[str, typer.Argument(help="The clock's id.")],
    as_of: At = "",
) -> None:
    """Account for every stretch from the inquiry on: what it was, whose, and the event behind it."""
    session = session_of(ctx)
    request = slapb.ExplainClockRequest(name=session.name("clocks", clock), as_of_time=timestamp_of(as_of))
    explanation = session.ask(SlaClient, lambda sla: sla.explain_clock(request))

    def rows() -> list[tuple[str, ...]]:
        return [
            (
                when(interval.start_time),
                when(interval.end_time),
                span(interval.end_time.ToDatetime() - interval.start_time.ToDatetime()),
                enum_word(slapb.AccountedInterval.Kind.DESCRIPTOR, interval.kind),
                enum_word(termspb.Party.DESCRIPTOR, interval.accountable_party),
                interval.pause_reason or interval.event.lower().replace("_", " "),
            )
            for interval in explanation.account
        ]

    said = explanation.clock
    title = (
        f"{said.commitment_id} on {short(said.handoff)}: {_state(said)}, due {when(said.due_time)}, "
        f"{span(said.elapsed_duration)} counted"
    )
    columns = ("from", "to", "length", "kind", "whose", "since")
    session.show(explanation, lambda: table(columns, rows(), title=title))


def agreements(
    ctx: typer.Context,
    *,
    agreement: Annotated[str, typer.Argument(help="An agreement's id; all when none.")] = "-",
    limit: Limit = 50,
) -> None:
    """List versions of agreements, newest first."""
    session = session_of(ctx)
    request = slapb.ListAgreementVersionsRequest(
        parent=session.name("agreements", agreement), page_size=min(limit, _PAGE)
    )
    found, more = session.ask(SlaClient, lambda sla: taken(sla.agreement_versions(request), limit))
    rows = [
        (
            id_of(version.name).removeprefix("agreements/"),
            version.title,
            enum_word(slapb.AgreementVersion.State.DESCRIPTOR, version.state),
            enum_word(slapb.AgreementVersion.Mode.DESCRIPTOR, version.mode),
            ", ".join(enum_word(termspb.Party.DESCRIPTOR, each.party) for each in version.acceptances),
            when(version.effective_time),
        )
        for version in found
    ]
    columns = ("version", "title", "state", "mode", "accepted by", "in force from")
    session.show_list("agreement_versions", found, lambda: table(columns, rows), more=more)


def accept(
    ctx: typer.Context, version: Annotated[str, typer.Argument(help="AGREEMENT/versions/VERSION.")]
) -> None:
    """Accept a proposed version for the caller's party."""
    session = session_of(ctx)
    request = slapb.AcceptAgreementRequest(name=session.name("agreements", version))
    accepted = session.ask(SlaClient, lambda sla: sla.accept_agreement(request))
    session.show(accepted, lambda: _version_view(accepted))


def activate(
    ctx: typer.Context,
    *,
    version: Annotated[str, typer.Argument(help="AGREEMENT/versions/VERSION.")],
    effective: At = "",
) -> None:
    """Put a version that both parties accepted in force."""
    session = session_of(ctx)
    request = slapb.ActivateAgreementRequest(
        name=session.name("agreements", version), effective_time=timestamp_of(effective)
    )
    active = session.ask(SlaClient, lambda sla: sla.activate_agreement(request))
    session.show(active, lambda: _version_view(active))


def _state(clock: slapb.Clock) -> str:
    return enum_word(slapb.Clock.State.DESCRIPTOR, clock.state)


def _version_view(version: slapb.AgreementVersion) -> RenderableType:
    return record(
        [
            ("version", id_of(version.name)),
            ("state", enum_word(slapb.AgreementVersion.State.DESCRIPTOR, version.state)),
            ("in force from", when(version.effective_time)),
        ]
    )
