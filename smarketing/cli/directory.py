"""`smarketing directory get` and `smarketing tokens issue | list | revoke`: who there is."""

from collections.abc import Iterable
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from rich.console import Group

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit, read
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import session_of
from smarketing.client import LeadsClient
from smarketing.mapping.texts import duration_of, enum_word

__all__ = ["app", "tokens"]

app = typer.Typer(no_args_is_help=True, help="Teams, people, systems, queues and routing.")
tokens = typer.Typer(no_args_is_help=True, help="Tokens of people and systems.")

Principal = Annotated[str, typer.Argument(help="A person's id, or systems/ID.")]


@app.callback()
def directory() -> None:
    """Keep `get` a command of its own although it is the only one."""


@app.command()
def get(ctx: typer.Context) -> None:
    """Show the directory as it is; change it with `smarketing apply`."""
    session = session_of(ctx)
    request = directorypb.GetDirectoryRequest(name=f"{session.parent}/directory")
    found = session.ask(LeadsClient, lambda leads: leads.directory.get_directory(request))
    session.show(found, lambda: _view(found))


@tokens.command()
def issue(
    ctx: typer.Context,
    *,
    principal: Principal,
    display_name: Annotated[str, typer.Option("--for", help="What it is for.")] = "",
    lifetime: Annotated[str, typer.Option(help="How long it works: 90d; until revoked when not given.")] = "",
) -> None:
    """Make a token; its text is shown this once, alone where it goes to a file."""
    session = session_of(ctx)
    duration: Duration | None = None
    if lifetime:
        duration = Duration()
        duration.FromTimedelta(read(duration_of, lifetime))
    request = directorypb.IssueTokenRequest(
        parent=session.assignee(principal), display_name=display_name, lifetime_duration=duration
    )
    issued = session.ask(LeadsClient, lambda leads: leads.directory.issue_token(request))
    if not issued.bearer:
        session.note("The answer with the token's text was lost. Revoke the token and issue another.")
    if not session.wants_json and not session.out.is_terminal:
        # What `> file` writes is what SMARKETING_TOKEN_FILE reads.
        session.out.print(issued.bearer, soft_wrap=True, markup=False, highlight=False)
        return
    session.show(
        issued,
        lambda: record(
            [
                ("token", id_of(issued.token.name)),
                ("text", issued.bearer),
                ("expires", when(issued.token.expire_time) or "never"),
            ]
        ),
    )


@tokens.command("list")
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


@tokens.command()
def revoke(
    ctx: typer.Context, token: Annotated[str, typer.Argument(help="people/ID/tokens/ID, as `list` shows it.")]
) -> None:
    """End a token; every service refuses it within 5 s."""
    session = session_of(ctx)
    request = directorypb.RevokeTokenRequest(name=session.assignee(token))
    ended = session.ask(LeadsClient, lambda leads: leads.directory.revoke_token(request))
    session.show(ended, lambda: record([("token", id_of(ended.name)), ("revoked", when(ended.revoke_time))]))


def _view(found: directorypb.Directory) -> Group:
    settings = record(
        [
            ("time zone", found.time_zone),
            ("country", found.region_code),
            ("currency", found.currency_code),
            ("fallback queue", id_of(found.routing.fallback_queue)),
            ("etag", found.etag),
        ]
    )
    people = [
        (id_of(each.name), each.display_name, _roles(each.roles), id_of(each.team), _gone(each.inactive))
        for each in found.people
    ]
    systems = [
        (
            id_of(each.name),
            each.display_name,
            _roles(each.roles),
            ", ".join(map(id_of, each.teams)),
            _gone(each.inactive),
        )
        for each in found.systems
    ]
    teams = [
        (
            id_of(each.name),
            each.display_name,
            enum_word(termspb.Party.DESCRIPTOR, each.party),
            id_of(each.manager),
            _gone(each.inactive),
        )
        for each in found.teams
    ]
    queues = [
        (id_of(each.name), each.display_name, id_of(each.team), id_of(each.manager), _gone(each.inactive))
        for each in found.queues
    ]
    rules = [
        (rule.rule_id, ", ".join(f"{id_of(each.person)} × {each.weight or 1}" for each in rule.members))
        for rule in found.routing.rules
    ]
    return Group(
        settings,
        table(("team", "name", "party", "manager", ""), teams),
        table(("person", "name", "roles", "team", ""), people),
        table(("system", "name", "roles", "teams", ""), systems),
        table(("queue", "name", "team", "manager", ""), queues),
        table(("rule", "members"), rules),
    )


def _roles(roles: Iterable[int]) -> str:
    return ", ".join(enum_word(directorypb.Role.DESCRIPTOR, role) for role in roles)


def _gone(inactive: bool) -> str:
    return "inactive" if inactive else ""
