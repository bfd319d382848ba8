"""Writes docs/commands.md from the commands themselves.

python scripts/commands_doc.py            # write it
python scripts/commands_doc.py --check    # end with 1 when it is not current
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from smarketing.cli.app import app

TARGET = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """\
# Every command

<!-- Written by scripts/commands_doc.py; change the command, not this file. -->

What all of them share, how names are written and what comes out is in [cli.md](cli.md).
What may be left out stands in brackets; `smarketing COMMAND --help` tells what each option means."""


def commands(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command that can be called, with its words."""
    if command is None:
        command = typer.main.get_command(app)
    nouns = getattr(command, "nouns", None)
    if nouns is not None:
        for name, noun in nouns.items():
            yield from commands(noun.load(name), (name,))
        return
    below = getattr(command, "commands", None)
    if below is None or getattr(command, "invoke_without_command", False):
        yield " ".join(words), command
    for name, each in (below or {}).items():
        if not each.hidden:
            yield from commands(each, (*words, name))


def page() -> str:
    """Return the page."""
    noun, lines = "", [HEAD]
    for words, command in commands():
        if words.split()[0] != noun:
            noun = words.split()[0]
            lines += ["", f"## {noun}", "", "| command | does | options |", "| --- | --- | --- |"]
        shown = [each for each in command.params if each.name != "help"]
        options = " ".join(f"`{_option(each)}`" for each in shown if each.param_type_name == "option")
        arguments = [_argument(each) for each in shown if each.param_type_name == "argument"]
        lines.append(f"| `{' '.join([words, *arguments])}` | {_sentence(command)} | {options} |")
    return "\n".join(lines) + "\n"


def _sentence(command: Any) -> str:
    text = " ".join((command.callback.__doc__ or "").split())
    return text.replace("|", "or").removesuffix(".")


def _option(option: Any) -> str:
    return "/".join([*option.opts[:1], *option.secondary_opts])


def _argument(argument: Any) -> str:
    word = (argument.metavar or argument.name.upper()).replace("|", "/")
    word += "…" if argument.nargs == -1 else ""
    return word if argument.required else f"[{word}]"


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv[1:]:
        return int(TARGET.read_text(encoding="utf-8") != text)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
