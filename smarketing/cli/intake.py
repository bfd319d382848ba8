"""`smarketing leads submit | import`: leads come in."""

from typing import Annotated

import typer

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.imports.command import (
    FileArgument,
    MapOption,
    RejectedOption,
    RestartOption,
    StateOption,
    carry,
)
from smarketing.cli.imports.mapping import MappingKind
from smarketing.cli.imports.run import Timing, adjusted
from smarketing.cli.options import At, Money, money_option, number_of, timestamp_of
from smarketing.cli.output import record
from smarketing.cli.session import session_of
from smarketing.cli.views import short, state_of
from smarketing.client import LeadsClient
from smarketing.client.leads import LeadAnswer
from smarketing.mapping.texts import enum_word

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("submit")(submit)
    app.command("import")(import_)


def submit(
    ctx: typer.Context,
    *,
    source_system: Annotated[str, typer.Option(help="The sender, in lower case: website.")],
    external_id: Annotated[str, typer.Option(help="The sender's own id of this submission.")],
    revision: Annotated[int, typer.Option(min=0, help="Grows when the sender corrects itself.")] = 0,
    email: Annotated[str, typer.Option(help="The lead's e-mail address.")] = "",
    phone: Annotated[str, typer.Option(help="The lead's phone number.")] = "",
    given_name: Annotated[str, typer.Option(help="The lead's given name.")] = "",
    family_name: Annotated[str, typer.Option(help="The lead's family name.")] = "",
    company: Annotated[str, typer.Option(help="The lead's company.")] = "",
    source: Annotated[str | None, typer.Option(help="The sender's own word for where it came from.")] = None,
    channel: Annotated[str, typer.Option(help="The same in the closed vocabulary: paid_search.")] = "",
    campaign: Annotated[str, typer.Option(help="The campaign, in marketing's words.")] = "",
    segment: Annotated[str, typer.Option(help="The segment: smb.")] = "",
    score: Annotated[int | None, typer.Option(help="Marketing's score.")] = None,
    value: Money = "",
    at: At = "",
) -> None:
    """Submit one lead; the same one again changes nothing."""
    session = session_of(ctx)
    contact = leadspb.Contact(
        given_name=given_name, family_name=family_name, email=email, phone=phone, company=company
    )
    qualification = leadspb.Qualification(
        source=source,
        source_channel=number_of(termspb.SourceChannel, channel),
        campaign=campaign,
        segment=segment,
        score=score,
        value=money_option(value),
        inquire_time=timestamp_of(at),
    )
    submission = leadspb.Submission(
        source_system=source_system,
        external_id=external_id,
        revision=revision,
        contact=contact,
        qualification=qualification,
    )
    request = leadspb.SubmitLeadRequest(parent=session.parent, submission=submission)
    answer = session.ask(LeadsClient, lambda leads: leads.submit_lead(request))
    session.show(
        answer,
        lambda: record(
            [
                ("outcome", enum_word(leadspb.SubmitLeadResponse.Outcome.DESCRIPTOR, answer.outcome)),
                ("handoff", short(answer.handoff.name)),
                ("state", state_of(answer.handoff)),
            ]
        ),
    )


def import_(
    ctx: typer.Context,
    *,
    file: FileArgument,
    mapping: MapOption,
    historical: Annotated[
        bool,
        typer.Option("--historical/--live", help="History alerts nobody and is offered to nobody."),
    ] = True,
    still_open: Annotated[
        bool, typer.Option("--still-open", help="History that wants an owner now, instead of the archive.")
    ] = False,
    state: StateOption = None,
    rejected: RejectedOption = None,
    restart: RestartOption = False,
) -> None:
    """Import leads from a CSV file through a mapping; an interrupted import goes on where it was."""
    timing = Timing(historical=historical, still_open=still_open)
    session = session_of(ctx)
    carry(
        session,
        kind=MappingKind.LEADS,
        files=(file, mapping, state, rejected),
        restart=restart,
        timing=timing,
        prepare=lambda message: adjusted(message, timing),
        connect=LeadsClient,
        target=session.settings.leads,
        send=lambda leads, parent, messages: leads.submit_leads(parent, messages),
        outcome_of=_outcome_of,
    )


def _outcome_of(answer: LeadAnswer) -> str:
    return enum_word(leadspb.SubmitLeadResponse.Outcome.DESCRIPTOR, answer.result.outcome)
