"""The question before something is destroyed."""

import sys

import typer

from smarketing.cli.forms import Exit

__all__ = ["agreed"]


def agreed(question: str) -> None:
    """Go on only when a person says yes; a script has to give `--yes` instead.

    Raises:
        typer.BadParameter: nobody is there to ask.
        typer.Exit: they said no.
    """
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to ask, and this cannot be undone: give --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(Exit.REFUSED)
