"""`smarketing tokens issue | list | rotate | revoke`: tokens of people and systems."""

from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit, read
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import Session, session_of
from smarketing.client import LeadsClient
from smarketing.mapping.texts import duration_of

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

Principal = Annotated[str, typer.Argument(metavar="PRINCIPAL", help="A person's id, or systems/ID.")]
Token = Annotated[str, typer.Argument(metavar="TOKEN", help="people/ID/tokens/ID, as `list` shows it.")]
Lifetime = Annotated[str, typer.Option(help="How long it works: 90d; until revoked when not given.")]


@app.command()
def issue(
    ctx: typer.Context,
    *,
    principal: Principal,
    display_name: Annotated[str, typer.Option("--for", help="What it is for.")] = "",
    lifetime: Lifetime = "",
) -> None:
    """Make a token; its text is shown this once, alone where it goes to a file."""
    session = session_of(ctx)
    request = directorypb.IssueTokenRequest(
        parent=session.assignee(principal), display_name=display_name, lifetime_duration=_duration(lifetime)
    )
    issued = session.ask(LeadsClient, lambda leads: leads.directory.issue_token(request))
    _show(session, issued)


@app.command("list")
def list_(ctx: typer.Context, principal: Principal, limit: Limit = 50) -> None:
    """List the tokens of a person or system, ended ones included."""
    session = session_of(ctx)
    request = directorypb.ListTokensRequest(parent=session.assignee(principal), page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.directory.tokens(request), limit))
    rows = [
        (
            id_of(token.name),
            token.display_name,
            when(token.create_time),
            when(token.expire_time),
            when(token.revoke_time),
        )
        for token in found
    ]
    columns = ("token", "for", "made", "expires", "revoked")
    session.show_list("tokens", found, lambda: table(columns, rows), more=more)


@app.command()
def rotate(
    ctx: typer.Context,
    *,
    token: Token,
    overlap: Annotated[str, typer.Option(help="How long the old one still works: 0s to 30d.")] = "24h",
    lifetime: Lifetime = "",
) -> None:
    """Make a token in the place of one; its text is shown this once, alone where it goes to a file."""
    session = session_of(ctx)
    request = tenancypb.RotateTokenRequest(
        name=session.assignee(token),
        overlap_duration=_duration(overlap),
        lifetime_duration=_duration(lifetime),
    )
    rotated = session.ask(LeadsClient, lambda leads: leads.tenants.rotate_token(request))
    _show(session, rotated)


@app.command()
def revoke(ctx: typer.Context, token: Token) -> None:
    """End a token; every service refuses it within 5 s."""
    session = session_of(ctx)
    request = directorypb.RevokeTokenRequest(name=session.assignee(token))
    ended = session.ask(LeadsClient, lambda leads: leads.directory.revoke_token(request))
    session.show(ended, lambda: record([("token", id_of(ended.name)), ("revoked", when(ended.revoke_time))]))


def _duration(text: str) -> Duration | None:
    if not text:
        return None
    duration = Duration()
    duration.FromTimedelta(read(duration_of, text))
    return duration


def _show(session: Session, made: directorypb.IssueTokenResponse | tenancypb.RotateTokenResponse) -> None:
    if not made.bearer:
        session.note("The answer with the token's text was lost. Revoke the token and issue another.")
    if not session.wants_json and not session.out.is_terminal:
        # What `> file` writes is what SMARKETING_TOKEN_FILE reads.
        session.out.print(made.bearer, soft_wrap=True, markup=False, highlight=False)
        return
    replaced = made.previous if isinstance(made, tenancypb.RotateTokenResponse) else None
    session.show(
        made,
        lambda: record(
            [
                ("token", id_of(made.token.name)),
                ("text", made.bearer),
                ("expires", when(made.token.expire_time) or "never"),
                ("the one before ends", "" if replaced is None else when(replaced.expire_time)),
            ]
        ),
    )
