"""The root command: its options may stand anywhere, and no failure shows a traceback."""

import asyncio
from typing import Any

import typer
from typer.core import TyperGroup

from smarketing.cli.errors import exit_code_of, show_call_error
from smarketing.cli.imports.journal import JournalMismatch
from smarketing.cli.imports.table import TableFaulty
from smarketing.cli.session import Exit, Session
from smarketing.client import CallError, InsecureTarget
from smarketing.mapping.yamltext import FileFaulty

__all__ = ["RootGroup"]

_ANYWHERE = ("--format", "--tenant", "--timeout", "--token-file")
_INTERRUPTED = 130


class RootGroup(TyperGroup):
    """Takes the shared options out of the whole line, and turns failures into sentences and exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the shared options to the front, where the root command reads them."""
        shared, own = _parted(args)
        ctx.meta["command"] = _named(own)
        return super().parse_args(ctx, shared + own)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CallError as error:
            show_call_error(_session_of(ctx), ctx.meta["command"], error)
            raise typer.Exit(exit_code_of(error)) from None
        except (FileFaulty, TableFaulty, JournalMismatch, InsecureTarget) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(Exit.USAGE) from None
        except OSError as error:
            typer.echo(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), err=True)
            raise typer.Exit(Exit.USAGE) from None
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise typer.Exit(_INTERRUPTED) from None


def _session_of(ctx: Any) -> Session:
    session = ctx.obj
    assert isinstance(session, Session)  # noqa: S101 - nothing calls a service before there is one
    return session


def _parted(args: list[str]) -> tuple[list[str], list[str]]:
    shared: list[str] = []
    own: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            own += [arg, *rest]
        elif arg in _ANYWHERE:
            shared += [arg, *(value for value in [next(rest, None)] if value is not None)]
        elif arg.startswith(tuple(f"{option}=" for option in _ANYWHERE)):
            shared.append(arg)
        else:
            own.append(arg)
    return shared, own


def _named(args: list[str]) -> str:
    """Return the words before the first option: options may hold what belongs in no message."""
    words: list[str] = []
    for arg in args:
        if arg.startswith("-"):
            break
        words.append(arg)
    return " ".join(words)
