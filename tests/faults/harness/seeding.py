"""Faults seeded into a copy of the product, each to be caught by the test that names it.

A mutant replaces texts that stand exactly once in a file; where they no longer do it fits no more, and that
is reported like one that survived. The product itself is never touched.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.builders.processes import ROOT

_SECONDS: Final = 420


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Put `new` in the place of `old`, which must stand exactly once."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One seeded fault."""

    id: str
    what: str
    test: str
    """The test that must catch it."""
    edits: Sequence[Edit]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    mutant: str
    what: str
    test: str
    outcome: str
    """`caught`, `survived` or `fits no more`."""
    how: str


def copied(folder: Path) -> Path:
    """Copy what is committed, and return where it is."""
    packed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def tried(mutant: Mutant, tree: Path) -> Verdict:
    """Seed a fault into the copy, run its test, take the fault out again, and say what became of it."""
    before = {edit.path: (tree / edit.path).read_text() for edit in mutant.edits}
    mutated = dict(before)
    for edit in mutant.edits:
        if mutated[edit.path].count(edit.old) != 1 or edit.old == edit.new:
            return _verdict(mutant, "fits no more", f"{edit.path} has changed")
        mutated[edit.path] = mutated[edit.path].replace(edit.old, edit.new)
    try:
        for path, text in mutated.items():
            (tree / path).write_text(text)
        return _judged(mutant, *_ran(mutant, tree))
    finally:
        for path, text in before.items():
            (tree / path).write_text(text)


def _ran(mutant: Mutant, tree: Path) -> tuple[int, str]:
    # In little, and the tests that take minutes too: what is skipped catches nothing.
    told = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "THOROUGH": "1"}
    environ = {**os.environ, **told, **mutant.environ}
    environ.pop("FAULTS", None)
    command = [sys.executable, "-m", "pytest", mutant.test, "-x", "-q", "-p", "no:cacheprovider", "--tb=line"]
    try:
        ran = subprocess.run(
            command, cwd=tree, env=environ, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return 1, f"FAILED {mutant.test} - it did not come to an end within {_SECONDS} s"
    return ran.returncode, ran.stdout


def _judged(mutant: Mutant, status: int, said: str) -> Verdict:
    """One is caught by a failure of the test, not by a test that could not be run."""
    failures = [line.removeprefix("FAILED ") for line in said.splitlines() if line.startswith("FAILED ")]
    if status == 1 and failures:
        reasons = [line for line in said.splitlines() if re.match(r"(E  |/.*:\d+: )", line)]
        why = re.sub(r"^(E +|/\S*:\d+: )", "", reasons[0]) if reasons else failures[0].partition(" - ")[2]
        return _verdict(
            mutant, "caught", f"{failures[0].partition(' - ')[0].rpartition('::')[2]}: {why}"[:200]
        )
    if status == 0:
        return _verdict(mutant, "survived", said.strip().splitlines()[-1])
    return _verdict(mutant, "not run", said.strip()[-300:])


def _verdict(mutant: Mutant, outcome: str, how: str) -> Verdict:
    return Verdict(mutant.id, mutant.what, mutant.test, outcome, how)
