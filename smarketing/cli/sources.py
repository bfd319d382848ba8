"""`smarketing sources …` and `smarketing write-backs …`: webhooks in, and what is told back."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing import names
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit
from smarketing.cli.output import id_of, plain, record, table, when
from smarketing.cli.session import session_of
from smarketing.client.leads import LeadsClient

__all__ = ["app", "write_backs"]

app = typer.Typer(no_args_is_help=True, help="Systems that send webhooks, and what was set aside of them.")
write_backs = typer.Typer(no_args_is_help=True, help="Addresses that are told what became of leads.")

_SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="Its id, or its whole name.")]
_WriteBackArgument = Annotated[str, typer.Argument(metavar="WRITE_BACK", help="Its id, or its whole name.")]
_SecretFile = Annotated[
    Path | None, typer.Option(help="File with the vendor's secret; one is made without it.", dir_okay=False)
]
_TokenFile = Annotated[
    Path | None, typer.Option("--api-token-file", help="File with the token of the vendor's API.")
]


@app.command()
def create(
    ctx: typer.Context,
    system: Annotated[str, typer.Argument(help="Id of the directory's system as which it acts.")],
    mapping: Annotated[str, typer.Argument(help="hubspot, mautic, typeform, generic …")],
    *,
    secret_file: _SecretFile = None,
    api_token_file: _TokenFile = None,
    verify_token: Annotated[str, typer.Option(help="What Meta asks the address for.")] = "",
    public_url: Annotated[str, typer.Option(help="The address as the vendor calls it.")] = "",
    api_url: Annotated[str, typer.Option(help="Where the fetch step asks instead of the vendor.")] = "",
    display_name: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Register a source; a secret that was made is shown this once."""
    session = session_of(ctx)
    request = intakepb.CreateSourceRequest(
        parent=session.parent,
        source=intakepb.Source(
            system=f"{session.parent}/systems/{system}",
            mapping=mapping,
            public_url=public_url,
            api_url=api_url,
            display_name=display_name,
        ),
        secret=_text_in(secret_file),
        api_token=_text_in(api_token_file),
        verify_token=verify_token,
    )
    answer = session.ask(LeadsClient, lambda leads: leads.intake.create_source(request))
    session.show(answer, lambda: _source(answer.source, answer.secret))


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = 50) -> None:
    """List sources, newest first, removed ones included."""
    session = session_of(ctx)
    request = intakepb.ListSourcesRequest(parent=session.parent, page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.intake.sources(request), limit))
    rows = [
        (id_of(each.name), id_of(each.system), each.mapping, when(each.create_time), when(each.delete_time))
        for each in found
    ]
    columns = ("source", "system", "mapping", "made", "removed")
    session.show_list("sources", found, lambda: table(columns, rows), more=more)


@app.command()
def rotate(ctx: typer.Context, source: _SourceArgument, *, secret_file: _SecretFile = None) -> None:
    """Give a source another secret; the one before stays valid for a day."""
    session = session_of(ctx)
    name = _name(session.parent, "sources", source)
    request = intakepb.RotateSourceSecretRequest(name=name, secret=_text_in(secret_file))
    answer = session.ask(LeadsClient, lambda leads: leads.intake.rotate_source_secret(request))
    session.show(answer, lambda: _source(answer.source, answer.secret))


@app.command()
def delete(ctx: typer.Context, source: _SourceArgument) -> None:
    """Remove a source: its webhooks are refused from now on."""
    session = session_of(ctx)
    request = intakepb.DeleteSourceRequest(name=_name(session.parent, "sources", source))
    answer = session.ask(LeadsClient, lambda leads: leads.intake.delete_source(request))
    session.show(answer, lambda: _source(answer, ""))


@app.command("set-aside")
def set_aside(ctx: typer.Context, source: _SourceArgument, limit: Limit = 50) -> None:
    """List what a source sent and nothing was made of, oldest first."""
    session = session_of(ctx)
    parent = _name(session.parent, "sources", source)
    request = intakepb.ListSetAsideRequest(parent=parent, page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.intake.set_aside(request), limit))
    rows = [
        (
            each.name.rpartition("/")[2],
            plain(each.type),
            each.reason,
            each.description,
            when(each.create_time),
            when(each.next_attempt_time),
        )
        for each in found
    ]
    columns = ("item", "type", "reason", "why", "came", "next attempt")
    session.show_list("set_aside", found, lambda: table(columns, rows), more=more)


@app.command()
def replay(
    ctx: typer.Context,
    source: _SourceArgument,
    items: Annotated[list[str] | None, typer.Argument(help="Those to try; the oldest 100 without.")] = None,
) -> None:
    """Try again what was set aside, with the mapping as it is now."""
    session = session_of(ctx)
    parent = _name(session.parent, "sources", source)
    request = intakepb.ReplaySetAsideRequest(
        parent=parent, names=[f"{parent}/setAside/{item.rpartition('/')[2]}" for item in items or []]
    )
    answer = session.ask(LeadsClient, lambda leads: leads.intake.replay_set_aside(request))
    session.show(
        answer, lambda: record([("tried", str(answer.tried_count)), ("taken", str(answer.taken_count))])
    )


@write_backs.command("create")
def create_write_back(
    ctx: typer.Context,
    source_system: Annotated[str, typer.Argument(help="Whose leads it is told of.")],
    url: Annotated[str, typer.Argument(help="Where to: https:// and on the public internet.")],
    *,
    display_name: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Register an address; its secret is shown this once."""
    session = session_of(ctx)
    request = intakepb.CreateWriteBackRequest(
        parent=session.parent,
        write_back=intakepb.WriteBack(source_system=source_system, url=url, display_name=display_name),
    )
    answer = session.ask(LeadsClient, lambda leads: leads.intake.create_write_back(request))
    session.show(answer, lambda: _write_back(answer.write_back, answer.secret))


@write_backs.command("list")
def list_write_backs(ctx: typer.Context, limit: Limit = 50) -> None:
    """List write-backs, newest first, removed ones included."""
    session = session_of(ctx)
    request = intakepb.ListWriteBacksRequest(parent=session.parent, page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.intake.write_backs(request), limit))
    rows = [
        (
            id_of(each.name),
            each.source_system,
            plain(each.url),
            str(each.pending_count),
            str(each.dead_letter_count),
            when(each.last_success_time),
            when(each.delete_time),
        )
        for each in found
    ]
    columns = ("write-back", "source system", "url", "waiting", "given up", "last told", "removed")
    session.show_list("write_backs", found, lambda: table(columns, rows), more=more)


@write_backs.command("delete")
def delete_write_back(ctx: typer.Context, write_back: _WriteBackArgument) -> None:
    """Remove a write-back and cancel what waits for it."""
    session = session_of(ctx)
    request = intakepb.DeleteWriteBackRequest(name=_name(session.parent, "writeBacks", write_back))
    answer = session.ask(LeadsClient, lambda leads: leads.intake.delete_write_back(request))
    session.show(answer, lambda: _write_back(answer, ""))


@write_backs.command("replay")
def replay_write_back(ctx: typer.Context, write_back: _WriteBackArgument) -> None:
    """Send again what was given up."""
    session = session_of(ctx)
    request = intakepb.ReplayWriteBackRequest(name=_name(session.parent, "writeBacks", write_back))
    answer = session.ask(LeadsClient, lambda leads: leads.intake.replay_write_back(request))
    session.show(answer, lambda: record([("sent again", str(answer.replayed_count))]))


def _source(source: intakepb.Source, secret: str) -> RenderableType:
    return record(
        [
            ("source", id_of(source.name)),
            ("system", id_of(source.system)),
            ("mapping", source.mapping),
            ("path", source.path),
            ("secret", secret or "as it is"),
        ]
    )


def _write_back(write_back: intakepb.WriteBack, secret: str) -> RenderableType:
    return record(
        [
            ("write-back", id_of(write_back.name)),
            ("source system", write_back.source_system),
            ("url", plain(write_back.url)),
            ("secret", secret or "as it is"),
        ]
    )


def _name(parent: str, collection: str, given: str) -> str:
    name = given if given.startswith("tenants/") else f"{parent}/{collection}/{given.rpartition('/')[2]}"
    if not (names.SOURCE.matches(name) or names.WRITE_BACK.matches(name)):
        raise typer.BadParameter(f"{given!r} is no id")
    return name


def _text_in(file: Path | None) -> str:
    return "" if file is None else file.read_text(encoding="utf-8").strip()
