"""The root command: its options may stand anywhere, nouns are read when called, no failure is a trace."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from smarketing.cli.forms import Exit

__all__ = ["Noun", "RootGroup"]

_ANYWHERE = ("--format", "--tenant", "--timeout", "--token-file")
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Noun:
    """One word behind `smarketing`: what it is, and where its commands are."""

    help: str
    place: str
    """`module:attribute` of a `typer.Typer`, or of a function that is the command."""

    def load(self, name: str) -> Any:
        """Return the command with all that is below it."""
        module, _, attribute = self.place.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(name)(found)
            return typer.main.get_command(alone)
        command = typer.main.get_group(found)
        command.name, command.help = name, self.help
        return command


class RootGroup(TyperGroup):
    """Takes the shared options out of the whole line, and turns failures into sentences and exit codes."""

    nouns: ClassVar[Mapping[str, Noun]] = {}
    """What there is, in the order of the help. Their modules are read when one is called, not before."""

    def list_commands(self, _ctx: Any) -> list[str]:
        """Return the nouns."""
        return list(self.nouns)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """Return a noun as the help shows it; nothing below it is read."""
        noun = self.nouns.get(cmd_name)
        return None if noun is None else TyperGroup(name=cmd_name, help=noun.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the noun that the line names, with all that is below it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and self.nouns[str(command.name)].load(str(name)), rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the shared options to the front, where the root command reads them."""
        shared, own = _parted(args)
        ctx.meta["command"] = _named(own)
        return super().parse_args(ctx, shared + own)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        import asyncio

        from smarketing.cli.errors import exit_code_of, show_call_error
        from smarketing.cli.imports.journal import JournalMismatch
        from smarketing.cli.imports.table import TableFaulty
        from smarketing.client import CallError, InsecureTarget
        from smarketing.mapping.yamltext import FileFaulty

        try:
            return super().invoke(ctx)
        except CallError as error:
            show_call_error(ctx.obj, ctx.meta["command"], error)
            raise typer.Exit(exit_code_of(error)) from None
        except (FileFaulty, TableFaulty, JournalMismatch, InsecureTarget) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(Exit.USAGE) from None
        except OSError as error:
            typer.echo(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), err=True)
            raise typer.Exit(Exit.USAGE) from None
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise typer.Exit(_INTERRUPTED) from None


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
