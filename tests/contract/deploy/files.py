"""What the files of `deploy/` run: command lines and variables, read as they stand."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[3] / "deploy"
COMPOSE: Final = sorted(DEPLOY.glob("compose*.yaml"))
KUBERNETES: Final = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS: Final = sorted(path for path in (DEPLOY / "systemd").iterdir() if path.suffix != ".conf")
SERVICES: Final = ("leads", "sla", "reports")


@dataclass(frozen=True)
class Run:
    """One process of ours that a file starts."""

    file: str
    name: str
    arguments: tuple[str, ...]
    """Behind `python -m`."""
    environ: Mapping[str, str]
    probes: tuple[tuple[str, ...], ...] = ()
    """The commands that ask whether it serves, behind `python -m`."""

    def __str__(self) -> str:
        return f"{self.file}-{self.name}"


def documents(path: Path) -> list[Any]:
    """Return the documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def runs_of_compose(path: Path) -> Iterator[Run]:
    """Return the services that run our image."""
    for name, service in documents(path)[0]["services"].items():
        if service["image"] == "smarketing" and not service.get("profiles"):
            probe = service["healthcheck"]["test"]
            assert probe[:3] == ["CMD", "python", "-m"]
            yield Run(path.name, name, tuple(service["command"]), service["environment"], (tuple(probe[3:]),))


def pods_of(path: Path) -> Iterator[tuple[str, Any]]:
    """Return the name and the pod of everything that makes pods."""
    for document in documents(path):
        if document["kind"] in {"Deployment", "StatefulSet"}:
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def runs_of_kubernetes(path: Path) -> Iterator[Run]:
    """Return the containers of the manifests' pods."""
    for _, pod in pods_of(path):
        for container in pod["containers"]:
            probes = []
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                command = container[kind]["exec"]["command"]
                assert command[:2] == ["python", "-m"]
                probes.append(tuple(command[2:]))
            environ = {each["name"]: each["value"] for each in container["env"]}
            yield Run(path.name, container["name"], tuple(container["args"]), environ, tuple(probes))


def unit(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the sections of a unit, with each of their lines."""
    sections: dict[str, list[tuple[str, str]]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            section = line[1:-1]
            sections[section] = []
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, f"{path.name}: {line}"
            sections[section].append((name, value))
    return sections


def run_of_unit(path: Path) -> Run:
    """Return what a service unit starts."""
    [command] = [value for name, value in unit(path)["Service"] if name == "ExecStart"]
    python, dash_m, *arguments = shlex.split(command)
    assert (python, dash_m) == ("/opt/smarketing/bin/python", "-m")
    return Run(path.name, path.stem, tuple(arguments), {})


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, each on one line."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]
