"""`smarketing leads dispute | resolve | disputes`: marketing's word against a rejection."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.cli.leads import taken
from smarketing.cli.options import Handoff, Limit, number_of
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import session_of
from smarketing.cli.views import short
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    for command in (dispute, resolve, disputes):
        app.command(command.__name__)(command)


def dispute(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    evidence: Annotated[
        str, typer.Option(help="A link or record id that proves that it is a lead; no personal data.")
    ] = "",
) -> None:
    """Say, for marketing, that a rejection was wrong; once for each."""
    session = session_of(ctx)
    request = disputespb.DisputeRejectionRequest(name=session.handoff(handoff), evidence=evidence)
    made = session.ask(LeadsClient, lambda leads: leads.disputes.dispute_rejection(request))
    session.show(made, lambda: _view(made))


def resolve(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    answer: Annotated[
        str, typer.Argument(metavar="upheld|overturned", help="What becomes of the rejection.")
    ],
    etag: Annotated[str, typer.Option(help="Only when the dispute still has this etag.")] = "",
) -> None:
    """Answer a dispute: the rejection stands, or the handoff is offered again; either is final."""
    session = session_of(ctx)
    request = disputespb.ResolveDisputeRequest(
        name=f"{session.handoff(handoff)}/dispute",
        etag=etag,
        state=number_of(disputespb.Dispute.State, answer),
    )
    answered = session.ask(LeadsClient, lambda leads: leads.disputes.resolve_dispute(request))
    session.show(answered, lambda: _view(answered))


def disputes(
    ctx: typer.Context,
    *,
    handoff: Annotated[
        str, typer.Argument(metavar="HANDOFF", help="LEAD/NUMBER for its dispute alone.")
    ] = "",
    state: Annotated[str, typer.Option(help="Only: open, upheld, overturned.")] = "",
    limit: Limit = 50,
) -> None:
    """List disputes, the one to be answered first at the top, or show that of a handoff."""
    session = session_of(ctx)
    if handoff:
        wanted = disputespb.GetDisputeRequest(name=f"{session.handoff(handoff)}/dispute")
        shown = session.ask(LeadsClient, lambda leads: leads.disputes.get_dispute(wanted))
        session.show(shown, lambda: _view(shown))
        return
    request = disputespb.ListDisputesRequest(
        parent=session.parent,
        page_size=min(limit, 1_000),
        state=number_of(disputespb.Dispute.State, state),
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.disputes.disputes(request), limit))
    rows = [
        (
            _handoff(each),
            _state(each),
            each.reason_code,
            id_of(each.rejecting_team),
            id_of(each.person),
            when(each.answer_due_time),
        )
        for each in found
    ]
    columns = ("handoff", "state", "rejected as", "by team", "disputed by", "answer due")
    session.show_list("disputes", found, lambda: table(columns, rows), more=more)


def _handoff(dispute: disputespb.Dispute) -> str:
    return short(dispute.name.removesuffix("/dispute"))


def _state(dispute: disputespb.Dispute) -> str:
    return enum_word(disputespb.Dispute.State.DESCRIPTOR, dispute.state)


def _view(dispute: disputespb.Dispute) -> RenderableType:
    return record(
        [
            ("handoff", _handoff(dispute)),
            ("state", _state(dispute)),
            ("rejected as", dispute.reason_code),
            ("by team", id_of(dispute.rejecting_team)),
            ("disputed by", id_of(dispute.person)),
            ("disputed", when(dispute.dispute_time)),
            ("evidence", dispute.evidence),
            ("answer due", when(dispute.answer_due_time)),
            ("answered by", id_of(dispute.resolver)),
            ("answered", when(dispute.resolve_time)),
            ("etag", dispute.etag),
        ]
    )
