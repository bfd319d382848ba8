"""Every call can be made from the command line, every command is on the page, and help is cheap."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import smarketing.api
import smarketing.cli
from smarketing.cli import beginning
from smarketing.cli.app import app

ROOT = Path(__file__).parents[4]
CLI = "smarketing.cli"

NOT_ON_THE_COMMAND_LINE = {
    "LeadService.LogFollowUps": "a stream of dialling and mail systems; `leads log` says one",
}
"""Calls that no command makes, and why."""


def below(command: Any) -> Iterator[Any]:
    """Yield a command and all commands below it."""
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from below(each)


def every_command() -> Iterator[Any]:
    """Yield every command of every noun."""
    for name, noun in typer.main.get_command(app).nouns.items():  # type: ignore[attr-defined] # our own group
        yield from below(noun.load(name))


def every_call() -> Iterator[tuple[str, Any]]:
    """Yield every RPC of the contract, by service and name."""
    for found in pkgutil.walk_packages(smarketing.api.__path__, "smarketing.api."):
        if found.name.endswith("_pb2"):
            module: Any = importlib.import_module(found.name)
            for service in module.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    yield f"{service.name}.{method.name}", method


@cache
def source_of(name: str) -> ast.Module:
    module: ModuleType = importlib.import_module(name)
    assert module.__file__ is not None
    return ast.parse(Path(module.__file__).read_text(encoding="utf-8"))


def modules_behind(commands: Iterator[Any]) -> set[str]:
    """Return the modules of the command line that these commands reach."""
    waiting = [each.callback.__module__ for each in commands if each.callback is not None]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached or not name.startswith(f"{CLI}."):
            continue
        reached.add(name)
        found = ast.walk(source_of(name))
        waiting += [node.module for node in found if isinstance(node, ast.ImportFrom) and node.module]
    return reached


def words_in(modules: set[str]) -> set[str]:
    return {
        node.attr for name in modules for node in ast.walk(source_of(name)) if isinstance(node, ast.Attribute)
    }


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_call_is_made_by_a_command_or_is_named_with_a_reason() -> None:
    words = words_in(modules_behind(every_command()))

    # A command names the request, or for a stream of the client's the method that makes it.
    unreached = {
        name for name, method in every_call() if not {method.input_type.name, snake(method.name)} & words
    }

    assert unreached == set(NOT_ON_THE_COMMAND_LINE)


def test_every_command_says_what_it_does_and_what_each_option_means() -> None:
    silent = []
    for command in every_command():
        if not (command.help or getattr(command.callback, "__doc__", None)):
            silent.append(command.name)
        silent += [
            f"{command.name} {param.opts[0]}"
            for param in command.params
            if param.param_type_name == "option" and not param.help
        ]

    assert silent == []


def test_no_two_options_of_a_command_are_the_shared_ones() -> None:
    """The root takes `--tenant` and its like out of the whole line: a command's own would never be seen."""
    shared = {"--format", "--tenant", "--timeout", "--token-file"}
    hidden = [
        f"{command.name} {opt}"
        for command in every_command()
        for param in command.params
        for opt in param.opts
        if opt in shared
    ]

    assert hidden == []


def test_the_page_of_commands_is_current() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "commands_doc.py", "--check"], cwd=ROOT, check=False
    )

    assert ran.returncode == 0, "python scripts/commands_doc.py"


def test_the_guide_names_every_noun() -> None:
    guide = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

    nouns = typer.main.get_command(app).nouns  # type: ignore[attr-defined] # our own group
    assert [noun for noun in nouns if f"`{noun}" not in guide] == []


@pytest.mark.parametrize("heavy", ["grpc", "google.protobuf", "yaml", "smarketing.client"])
def test_help_reads_nothing_heavy(heavy: str) -> None:
    loaded = loaded_by_help()

    assert "smarketing.cli.app" in loaded
    assert heavy not in loaded


@cache
def loaded_by_help() -> frozenset[str]:
    program = (
        "import sys\n"
        "from smarketing.cli.app import app\n"
        "try:\n"
        "    app(['--help'], prog_name='smarketing')\n"
        "except SystemExit:\n"
        "    print('\\x00'.join(['', *sys.modules]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return frozenset(ran.stdout.split("\x00")[1:]) | {name.strip() for name in ran.stdout.split("\x00")}


def test_the_files_for_a_new_tenant_are_in_the_package_where_they_are_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packaged = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    looked_for = beginning.__file__.removeprefix(f"{ROOT}/").replace("beginning.py", "default_files")

    assert packaged == {"deploy/default": looked_for}
    assert {file.name for file in beginning.default_files()} == {
        "agreement.yaml",
        "calendar.yaml",
        "directory.yaml",
    }
