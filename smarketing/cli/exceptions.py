"""`smarketing sla exceptions request | approve | decline | list | show | counts`: excused misses."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.leads import taken
from smarketing.cli.options import All, Limit, number_of, timestamp_of
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import session_of
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Misses that are excused when the other party agrees.")

_PAGE = 1_000

Exception_ = Annotated[str, typer.Argument(metavar="EXCEPTION", help="The exception's id.")]
Etag = Annotated[str, typer.Option(help="Only when the exception still has this etag.")]


@app.command()
def request(
    ctx: typer.Context,
    *,
    reason: Annotated[str, typer.Option(help="outage, staffing, bad_data, buyer, other.")],
    clock: Annotated[str, typer.Option(help="The one clock that it is for.")] = "",
    agreement: Annotated[str, typer.Option(help="For a span: the agreement's id.")] = "",
    commitment: Annotated[str, typer.Option(help="For a span: the commitment's id.")] = "",
    start: Annotated[str, typer.Option(help="For a span: its start, with an offset.")] = "",
    end: Annotated[str, typer.Option(help="For a span: its end, not included.")] = "",
    note: Annotated[str, typer.Option(help="What else there is to say; no personal data of leads.")] = "",
) -> None:
    """Ask the other party to excuse one clock, or all of a commitment that fall due in a span of time."""
    span = (agreement, commitment, start, end)
    if bool(clock) == any(span) or (not clock and not all(span)):
        raise typer.BadParameter(
            "give --clock alone, or --agreement, --commitment, --start and --end together"
        )
    session = session_of(ctx)
    asked_for = exceptionspb.SlaException(
        clock=session.name("clocks", clock) if clock else "",
        agreement=session.name("agreements", agreement) if agreement else "",
        commitment_id=commitment,
        start_time=timestamp_of(start),
        end_time=timestamp_of(end),
        reason=number_of(exceptionspb.SlaException.Reason, reason),
        note=note,
    )
    wanted = exceptionspb.RequestExceptionRequest(parent=session.parent, exception=asked_for)
    made = session.ask(SlaClient, lambda sla: sla.exceptions.request_exception(wanted))
    session.show(made, lambda: _view(made))


@app.command()
def approve(ctx: typer.Context, *, exception: Exception_, etag: Etag = "") -> None:
    """Grant an exception, as a manager of the other party."""
    session = session_of(ctx)
    wanted = exceptionspb.ApproveExceptionRequest(name=session.name("exceptions", exception), etag=etag)
    granted = session.ask(SlaClient, lambda sla: sla.exceptions.approve_exception(wanted))
    session.show(granted, lambda: _view(granted))


@app.command()
def decline(ctx: typer.Context, *, exception: Exception_, etag: Etag = "") -> None:
    """Refuse an exception, as a manager of the other party."""
    session = session_of(ctx)
    wanted = exceptionspb.DeclineExceptionRequest(name=session.name("exceptions", exception), etag=etag)
    refused = session.ask(SlaClient, lambda sla: sla.exceptions.decline_exception(wanted))
    session.show(refused, lambda: _view(refused))


@app.command()
def show(ctx: typer.Context, exception: Exception_) -> None:
    """Show one exception with its note."""
    session = session_of(ctx)
    wanted = exceptionspb.GetExceptionRequest(name=session.name("exceptions", exception))
    found = session.ask(SlaClient, lambda sla: sla.exceptions.get_exception(wanted))
    session.show(found, lambda: _view(found))


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    state: Annotated[list[str] | None, typer.Option(help="requested, approved, declined, lapsed.")] = None,
    clock: Annotated[str, typer.Option(help="Only of this clock.")] = "",
    commitment: Annotated[str, typer.Option(help="Only of this commitment.")] = "",
    limit: Limit = 50,
    unlimited: All = False,
) -> None:
    """List exceptions, newest first."""
    session = session_of(ctx)
    most = 0 if unlimited else limit
    wanted = exceptionspb.ListExceptionsRequest(
        parent=session.parent,
        page_size=min(most or _PAGE, _PAGE),
        states=[number_of(exceptionspb.SlaException.State, word) for word in state or []],
        clock=session.name("clocks", clock) if clock else "",
        commitment_id=commitment,
    )
    found, more = session.ask(SlaClient, lambda sla: taken(sla.exceptions.exceptions(wanted), most))
    rows = [
        (
            id_of(each.name).removeprefix("exceptions/"),
            _state(each),
            each.commitment_id,
            _what(each),
            _reason(each),
            id_of(each.request_principal),
            when(each.lapse_time),
        )
        for each in found
    ]
    columns = ("exception", "state", "commitment", "of", "reason", "asked by", "lapses")
    session.show_list("exceptions", found, lambda: table(columns, rows), more=more)


@app.command()
def counts(ctx: typer.Context) -> None:
    """Count, for each commitment, what ever became of clocks and of requests."""
    session = session_of(ctx)
    wanted = exceptionspb.CountExceptionsRequest(parent=session.parent, page_size=_PAGE)
    found = session.ask(SlaClient, lambda sla: sla.exceptions.count_exceptions(wanted))
    rows = [
        (
            each.commitment_id,
            *(
                str(count)
                for count in (
                    each.met_count,
                    each.breached_count,
                    each.excused_count,
                    each.requested_count,
                    each.approved_count,
                    each.self_approved_count,
                    each.declined_count,
                    each.lapsed_count,
                )
            ),
        )
        for each in found.counts
    ]
    columns = (
        *("commitment", "met", "missed", "excused", "requested"),
        *("approved", "by themselves", "declined", "lapsed"),
    )
    session.show_list("counts", found.counts, lambda: table(columns, rows), more=bool(found.next_page_token))


def _state(exception: exceptionspb.SlaException) -> str:
    return enum_word(exceptionspb.SlaException.State.DESCRIPTOR, exception.state)


def _reason(exception: exceptionspb.SlaException) -> str:
    return enum_word(exceptionspb.SlaException.Reason.DESCRIPTOR, exception.reason)


def _what(exception: exceptionspb.SlaException) -> str:
    if exception.clock:
        return id_of(exception.clock)
    return f"{when(exception.start_time)} to {when(exception.end_time)}"


def _view(exception: exceptionspb.SlaException) -> RenderableType:
    party = termspb.Party.DESCRIPTOR
    return record(
        [
            ("exception", id_of(exception.name).removeprefix("exceptions/")),
            ("state", _state(exception)),
            ("commitment", exception.commitment_id),
            ("of", _what(exception)),
            ("reason", _reason(exception)),
            ("note", exception.note),
            (
                "asked by",
                f"{id_of(exception.request_principal)}, {enum_word(party, exception.requesting_party)}",
            ),
            ("answered by", id_of(exception.decide_principal)),
            ("to be answered by", enum_word(party, exception.deciding_party)),
            ("lapses", when(exception.lapse_time)),
            ("self-approved", "yes" if exception.self_approved else ""),
            ("etag", exception.etag),
        ]
    )
