"""`smarketing export`: everything of a tenant, to a folder of files with one JSON document a line."""

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from smarketing import wallclock
from smarketing.cli.exporting import EXPORTED, Everything, Store
from smarketing.cli.output import table
from smarketing.cli.session import Session, session_of

__all__ = ["run"]

_FORMAT = "smarketing.tenant.v1"


def run(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(file_okay=False, help="A folder that is not there yet.")],
    *,
    personal: Annotated[
        bool,
        typer.Option("--personal", help="With the personal data of leads, each noted on the audit trail."),
    ] = False,
) -> None:
    """Write everything of the tenant to a folder, for its operators; docs/export.md lists the files."""
    session = session_of(ctx)
    if folder.exists():
        raise typer.BadParameter(
            f"{folder} is there already: an export is made anew, into a folder of its own"
        )
    folder.mkdir(mode=0o700, parents=True)
    store = Store(folder)
    positions = asyncio.run(_exported(session, store, personal=personal))
    manifest = {
        "format": _FORMAT,
        "tenant": session.parent,
        "version": version("smarketing"),
        "export_time": wallclock.utc_now().isoformat(),
        "personal": personal,
        "logs": positions,
        "files": store.written,
    }
    # Written last: a folder without it is an export that was cut off.
    store.manifest(manifest)
    _show(session, manifest)


async def _exported(session: Session, store: Store, *, personal: bool) -> dict[str, Any]:
    async with Everything(session.settings) as everything:
        await everything.small(store)
        for name, documents in everything.lists():
            await store.fill(name, documents)
        await everything.handoffs(store, personal=personal)
        # Last, so that whatever a list told is in the logs too.
        return {service: await everything.events(store, service) for service in EXPORTED}


def _show(session: Session, manifest: dict[str, Any]) -> None:
    if session.wants_json:
        session.show_document(manifest)
        return
    rows = [(name, str(each["count"]), str(each["size_bytes"])) for name, each in manifest["files"].items()]
    session.out.print(table(("file", "documents", "bytes"), rows))
    ends = ", ".join(f"{service} {each['position']}" for service, each in manifest["logs"].items())
    session.note(f"Logs up to {ends}.")
