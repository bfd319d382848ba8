"""Runs the fault rows at full count, in parts that can be resumed, and prints one table of them.

`make faults` goes on where it was interrupted and begins anew when the commit is another one;
AGAIN=1 begins anew in any case, ONLY=F1 runs the parts of one row, MUTANTS=1 tries the mutants alone.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from tests.builders.processes import ROOT
from tests.faults.harness.mutants import MISSING, MUTANTS
from tests.faults.harness.report import FOLDER, Row, commit, rows, table, versions
from tests.faults.harness.rows import DIVIDED, IMPORT, ROLLING, ROWS, SECOND_SHAPE
from tests.faults.harness.seeding import Verdict, copied, tried

_APART: Final = ("test_kills.py", SECOND_SHAPE, IMPORT, ROLLING, DIVIDED)
_PART_SECONDS: Final = 9 * 60
_STATE: Final = FOLDER / "state.json"


@dataclass(frozen=True, slots=True)
class Part:
    """So much of a row as runs within nine minutes."""

    name: str
    tests: Sequence[str]
    environ: dict[str, str] = field(default_factory=dict)
    writes_row: bool = False
    """Whether the tests write their own row."""


def kill_parts() -> list[Part]:
    """Return the parts of F1 to F4: fifty kills each, of all three at once twenty-five."""
    found = []
    for row, count in (("F1", 4), ("F2", 4), ("F3", 4), ("F4", 2)):
        for number in range(1, count + 1):
            test = f"tests/faults/test_kills.py::test_services_killed_again_and_again[{row}]"
            environ = {"FAULTS": "full", "FAULTS_PART": f"{number} of {count}"}
            found.append(Part(f"{row} {number} of {count}", [test], environ, writes_row=True))
    return found


def second_shape_parts() -> list[Part]:
    """Return the parts of the rows that are played on PostgreSQL and NATS, and the import there."""
    environ = {"FAULTS": "full"}
    found = []
    for row in ROWS:
        beside = [test for test in (IMPORT, ROLLING, DIVIDED) if test in row.tests]
        if row.is_on_the_second_shape:
            name = f"{row.id} 1 of 2" if beside else row.id
            test = f"{SECOND_SHAPE}::test_the_second_shape_loses_nothing_and_doubles_nothing[{row.id}]"
            found.append(Part(name, [test], environ, writes_row=True))
        found += [Part(f"{row.id} 2 of 2", [test], environ, writes_row=True) for test in beside]
    return found


def all_parts() -> list[Part]:
    """Return every part, in the order in which they run."""
    plain = []
    for row in ROWS:
        # What strikes under load is in parts of its own.
        tests = [test for test in row.tests if not test.endswith(_APART)]
        if tests:
            alone = not row.is_killing and not row.is_on_the_second_shape
            own_row = any("test_calls_given_up" in test for test in tests)
            name = row.id if alone else f"{row.id} besides"
            plain.append(Part(name, tests, {"FAULTS": "full"}, writes_row=own_row))
    return kill_parts() + second_shape_parts() + plain


def main() -> int:
    """Run what was not run yet; return 1 when anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name begins so, such as F1 or F4")
    parser.add_argument("--again", action="store_true", help="begin anew")
    parser.add_argument("--mutants", action="store_true", help="seed faults into a copy, and nothing else")
    parser.add_argument(
        "--plan", action="store_true", help="print which test shows which row, and run nothing"
    )
    parser.add_argument("--table", action="store_true", help="print what was found so far, and run nothing")
    options = parser.parse_args()
    if options.plan:
        _say(plan_table())
        return 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    state = _state(again=options.again)
    if options.mutants:
        _run_mutants(state, options.only)
    elif not options.table:
        _run_parts(state, options.only)
    _say(f"\ncommit {state['commit']}, {versions()}\n\n{table(rows())}\n{mutant_table(_verdicts(state))}")
    survived = [each for each in _verdicts(state) if each.outcome != "caught"]
    return 1 if survived or any(row.failed for row in rows()) or state["failed"] else 0


def _state(*, again: bool) -> dict[str, Any]:
    fresh = {"commit": commit(), "done": [], "failed": [], "mutants": []}
    if again or not _STATE.exists():
        return _begun_anew(fresh)
    state: dict[str, Any] = orjson.loads(_STATE.read_bytes())
    return state if state["commit"] == fresh["commit"] else _begun_anew(fresh)


def _begun_anew(state: dict[str, Any]) -> dict[str, Any]:
    for path in FOLDER.glob("row-*.json"):
        path.unlink()
    return state


def _keep(state: dict[str, Any]) -> None:
    _STATE.write_bytes(orjson.dumps(state, option=orjson.OPT_INDENT_2))


def _run_parts(state: dict[str, Any], only: str) -> None:
    for part in all_parts():
        if part.name in state["done"] or not _is_wanted(part.name, only):
            continue
        _say(f"\n{part.name}: {' '.join(part.tests)}\n")
        began, kept = time.monotonic(), _rows_kept()
        status = _run(part)
        if not part.writes_row or (status != 0 and _rows_kept() == kept):
            # A part that was ended before its judgement says so, instead of nothing.
            broken = {"tests": 0 if status == 0 else 1}
            note = f"{len(part.tests)} files or tests, {time.monotonic() - began:.0f} s"
            Row(row=part.name, violations=broken, note=note, commit=state["commit"]).keep()
        state["done"].append(part.name)
        if status != 0:
            state["failed"].append(part.name)
        _keep(state)


def _rows_kept() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in FOLDER.glob("row-*.json")}


def _is_wanted(name: str, only: str) -> bool:
    return not only or name == only or name.startswith(f"{only} ")


def _run(part: Part) -> int:
    seed = os.environ.get("FAULTS_SEED") or str(random.SystemRandom().randrange(1, 1 << 32))
    command = [sys.executable, "-m", "pytest", *part.tests, "-q", "-s", "--timeout", str(_PART_SECONDS)]
    environ = {**os.environ, "FAULTS_SEED": seed, **part.environ}
    try:
        return subprocess.run(
            command, cwd=ROOT, env=environ, check=False, timeout=_PART_SECONDS + 60
        ).returncode
    except subprocess.TimeoutExpired:
        return 1


def _run_mutants(state: dict[str, Any], only: str) -> None:
    done = {each["mutant"] for each in state["mutants"]}
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        for mutant in MUTANTS:
            if mutant.id in done or not _is_wanted(mutant.id, only):
                continue
            verdict = tried(mutant, tree)
            _say(f"{verdict.mutant} {verdict.outcome}: {verdict.what}; {verdict.how}\n")
            state["mutants"].append(asdict(verdict))
            _keep(state)


def _verdicts(state: dict[str, Any]) -> list[Verdict]:
    found = [Verdict(**each) for each in state["mutants"]]
    order = {mutant.id: number for number, mutant in enumerate(MUTANTS)}
    return sorted(found, key=lambda verdict: order[verdict.mutant])


def mutant_table(verdicts: Sequence[Verdict]) -> str:
    """Return the track record as a table of Markdown."""
    if not verdicts:
        return ""
    lines = [
        f"| {each.mutant} | {each.what} | {each.outcome} | `{each.test.removeprefix('tests/')}`"
        f" | {_plain(each.how)} |\n"
        for each in verdicts
    ]
    caught = sum(each.outcome == "caught" for each in verdicts)
    missing = "".join(f"{name} is not here: {why}.\n" for name, why in MISSING.items())
    head = "| mutant | what it does | | test | how |\n| --- | --- | --- | --- | --- |\n"
    return f"{head}{''.join(lines)}\nMutants caught: {caught} of {len(verdicts)} seeded.\n{missing}"


def plan_table() -> str:
    """Return which test shows what, and what is missing, as a table of Markdown."""
    lines = []
    for row in ROWS:
        tests = ", ".join(f"`{_short(test)}`" for test in row.tests) or "–"
        lines.append(
            f"| {row.id} | {row.fault} | {tests} | {', '.join(row.mutants) or '–'} | {row.missing or '–'} |\n"
        )
    head = "| row | fault | shown by | seen to fail on | missing |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(lines)


def _short(test: str) -> str:
    """Return a test without what all have in front."""
    return test.removeprefix("tests/")


def _plain(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
