"""`smarketing directory get | offboard`: who there is, and who leaves."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.output import id_of, record, table
from smarketing.cli.session import session_of
from smarketing.cli.sure import agreed
from smarketing.cli.views import short
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.command()
def get(ctx: typer.Context) -> None:
    """Show the directory as it is; change it with `smarketing apply`."""
    session = session_of(ctx)
    request = directorypb.GetDirectoryRequest(name=f"{session.parent}/directory")
    found = session.ask(LeadsClient, lambda leads: leads.directory.get_directory(request))
    session.show(found, lambda: _view(found))


@app.command()
def offboard(
    ctx: typer.Context,
    *,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Who leaves: their id.")],
    to: Annotated[
        str, typer.Option(help="Who gets everything: a person's id, or queues/ID; else it is routed.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would move.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Hand over everything of somebody who leaves, and revoke their tokens; again, it goes on."""
    session = session_of(ctx)
    request = tenancypb.OffboardPersonRequest(
        name=session.name("people", person),
        assignee=session.assignee(to) if to else "",
        validate_only=True,
    )
    looked = session.ask(LeadsClient, lambda leads: leads.tenants.offboard_person(request))
    if dry_run:
        session.show(looked, lambda: _moves_view(looked))
        return
    if not yes:
        session.err.print(_moves_view(looked))
        agreed(f"Hand over {looked.move_count} handoffs, and end {len(looked.tokens)} tokens for good?")
    request.validate_only = False
    done = session.ask(LeadsClient, lambda leads: leads.tenants.offboard_person(request))
    session.show(done, lambda: _moves_view(done))


def _moves_view(answer: tenancypb.OffboardPersonResponse) -> RenderableType:
    rows = [(short(each.handoff), id_of(each.assignee) or "routed like new") for each in answer.moves]
    totals = record(
        [("handoffs", str(answer.move_count)), ("tokens", ", ".join(id_of(each) for each in answer.tokens))]
    )
    return Group(totals, table(("handoff", "goes to"), rows))


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
