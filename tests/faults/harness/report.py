"""What a row found, kept in a file, and the one table that all rows together make."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import orjson

from tests.builders.processes import ROOT

FOLDER: Final = ROOT / "build" / "faults"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table."""

    row: str
    """The F-number, with what tells parts of it apart."""
    shape: str = "embedded"
    seed: int = 0
    operations: int = 0
    load: str = ""
    """Rate, and its share of the peak measured before."""
    faults: Mapping[str, int] = field(default_factory=dict)
    hits: int = 0
    """Faults that fell while a call was on its way or an event was being applied."""
    violations: Mapping[str, int] = field(default_factory=dict)
    """How often each invariant was broken; one that is not named was not looked at."""
    recovery: Sequence[float] = ()
    lateness: Sequence[float] = ()
    blows: Sequence[Mapping[str, Any]] = ()
    """Each of them with its time, for whoever has to find out what happened."""
    note: str = ""
    commit: str = ""
    date: str = ""

    @property
    def injected(self) -> int:
        """Faults of all kinds."""
        return sum(self.faults.values())

    @property
    def failed(self) -> bool:
        """Whether anything was broken, or nothing was hit."""
        return sum(self.violations.values()) > 0 or (self.injected > 0 and self.hits == 0)

    def keep(self) -> Path:
        """Write it where the table is made from."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"row-{self.row.replace(' ', '_').replace('/', '-')}-{self.shape}.json"
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
        return path

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read what was kept."""
        return cls(**orjson.loads(path.read_bytes()))


def percentiles(values: Sequence[float]) -> str:
    """Return p50/p99/max in seconds, or a dash."""
    if not values:
        return "–"
    ordered = sorted(values)
    nearest = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99)]
    return " / ".join(f"{value:.2f}" for value in (*nearest, ordered[-1]))


def rows(folder: Path = FOLDER) -> list[Row]:
    """Return every row that was kept, in order."""
    return sorted((Row.of(path) for path in folder.glob("row-*.json")), key=lambda row: _order(row.row))


def _order(row: str) -> tuple[int, str]:
    found = re.match(r"F(\d+)", row)
    return int(found[1]) if found else 0, row


def table(found: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown, with what they add up to underneath."""
    head = (
        "| row | shape | seed | operations | load | faults | hit something | broken | 3/n"
        " | recovery s p50 / p99 / max | lateness s p50 / p99 / max | |\n" + "| --- " * 12 + "|\n"
    )
    lines = [_line(row) for row in found]
    operations, faults = sum(row.operations for row in found), sum(row.injected for row in found)
    broken: Counter[str] = Counter()
    for row in found:
        broken.update(row.violations)
    total = (
        f"\n{len(found)} rows, {operations} operations, {faults} faults,"
        f" {sum(row.hits for row in found)} of them while something was under way,"
        f" {sum(broken.values())} violations, 3/n = {_bound(faults)};"
        f" rows failed: {', '.join(row.row for row in found if row.failed) or 'none'}.\n"
        f"By invariant: {', '.join(f'{name} {count}' for name, count in _by_number(broken))}.\n"
    )
    return head + "".join(lines) + total


def _line(row: Row) -> str:
    faults = ", ".join(f"{count} {kind}" for kind, count in row.faults.items())
    broken = {name: count for name, count in row.violations.items() if count}
    cells: list[Any] = [
        row.row,
        row.shape,
        row.seed or "–",
        row.operations or "–",
        row.load or "–",
        faults or "–",
        f"{row.hits} of {row.injected}",
        ", ".join(f"{name} {count}" for name, count in broken.items()) or f"0 of {len(row.violations)}",
        _bound(row.injected),
        percentiles(row.recovery),
        percentiles(row.lateness),
        f"failed {row.note}".strip() if row.failed else row.note or "passed",
    ]
    return f"| {' | '.join(map(str, cells))} |\n"


def _bound(faults: int) -> str:
    return f"{3 / faults:.2g}" if faults else "–"


def _by_number(broken: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(
        broken.items(), key=lambda item: int(item[0].lstrip("I") or 0) if item[0][1:].isdigit() else 99
    )


def commit() -> str:
    """Return the commit that is tested, with a plus when files differ; FAULTS_COMMIT names it without git."""
    named = os.environ.get("FAULTS_COMMIT")
    if named:
        return named
    head = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, capture_output=True, check=False)
    return f"{head.stdout.strip() or 'unknown'}{'+' if changed.returncode else ''}"


def versions() -> str:
    """Return what the figures depend on."""
    import pysqlite3.dbapi2 as sqlite

    packages = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "protobuf", "sqlalchemy"))
    return f"Python {sys.version.split()[0]}, SQLite {sqlite.sqlite_version}, {packages}"
