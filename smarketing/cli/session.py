"""One run of the command: who calls whom, and how answers are shown."""

import asyncio
import dataclasses
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, Self, TypeVar, cast

import orjson
import typer
from google.protobuf.message import Message
from rich.console import Console, RenderableType
from rich.table import Table

from smarketing.cli.documents import document_of
from smarketing.cli.forms import Exit, Format
from smarketing.cli.output import console_on
from smarketing.client import ClientSettings

__all__ = ["Exit", "Format", "Session", "session_of"]

T = TypeVar("T")


class _Client(Protocol):
    def __init__(self, settings: ClientSettings) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_exit: object) -> None: ...


C = TypeVar("C", bound=_Client)


@dataclasses.dataclass(slots=True)
class Session:
    """What the commands share."""

    settings: ClientSettings
    format: Format
    out: Console = dataclasses.field(default_factory=lambda: console_on(sys.stdout))
    err: Console = dataclasses.field(default_factory=lambda: console_on(sys.stderr))

    @property
    def parent(self) -> str:
        """The tenant's name."""
        return self.settings.parent

    @property
    def wants_json(self) -> bool:
        """Whether a program reads the output."""
        return self.format is Format.JSON

    def ask(self, client_type: type[C], question: Callable[[C], Awaitable[T]]) -> T:
        """Return what `question` gets from a client that is open for it alone.

        Raises:
            CallError: shown by the command, with its exit code.
        """

        async def asked() -> T:
            async with client_type(self.settings) as client:
                return await question(client)

        return asyncio.run(asked())

    def show(self, message: Message, render: Callable[[], RenderableType]) -> None:
        """Write an answer, as JSON or as a person reads it."""
        if self.wants_json:
            self.show_document(document_of(message))
        else:
            self._print(render())

    def show_list(
        self,
        field: str,
        messages: Sequence[Message],
        render: Callable[[], RenderableType],
        *,
        more: bool = False,
    ) -> None:
        """Write a list: in JSON a document with one field, and `more` when the list goes on."""
        if self.wants_json:
            self.show_document({field: [document_of(message) for message in messages], "more": more})
            return
        self._print(render())
        if more:
            self.note("There are more; raise --limit to see them.")

    def show_document(self, document: Any) -> None:
        """Write one JSON document."""
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")

    def show_line(self, document: Any) -> None:
        """Write one document of an endless list, on a line of its own, at once."""
        sys.stdout.write(orjson.dumps(document).decode() + "\n")
        sys.stdout.flush()

    def note(self, *sentences: str) -> None:
        """Tell a person something that is no part of the answer."""
        for sentence in sentences:
            self.err.print(sentence)

    def _print(self, view: RenderableType) -> None:
        # Headings above nothing look like an answer that was lost.
        if isinstance(view, Table) and not view.row_count and not view.title:
            self.note("There is nothing to show.")
        else:
            self.out.print(view)

    def name(self, collection: str, given: str) -> str:
        """Return the full name of what a person called `kim` or `people/kim`."""
        if given.startswith(("tenants/", "services/")):
            return given
        own = given if given.startswith(f"{collection}/") else f"{collection}/{given}"
        return f"{self.parent}/{own}"

    def handoff(self, given: str) -> str:
        """Return the full name of a handoff called `lead/number`, or by its own name."""
        if given.startswith("tenants/"):
            return given
        lead, _, number = given.removeprefix("leads/").replace("/handoffs/", "/").partition("/")
        if not number:
            raise typer.BadParameter(f"{given!r} is no handoff: write LEAD/NUMBER, or its whole name")
        return f"{self.parent}/leads/{lead}/handoffs/{number}"

    def assignee(self, given: str) -> str:
        """Return the full name of a person, or of a queue or team written with its collection."""
        if given.startswith(("queues/", "teams/", "people/", "systems/")):
            return f"{self.parent}/{given}"
        return self.name("people", given)

    def names(self, given: Iterable[str]) -> list[str]:
        """Return assignees by full name."""
        return [self.assignee(each) for each in given]


def session_of(ctx: typer.Context) -> Session:
    """Return the session that the root command made."""
    return cast("Session", ctx.obj)
