"""Loads a server from processes of their own, and looks at everybody's processor time meanwhile."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smarketing.wallclock import new_id
from tests.bench.phases import Call, Span, calls_of, figures_of, spans_of
from tests.bench.watched import cpu_seconds, memory_mib

ROOT: Final = Path(__file__).resolve().parents[2]
_HEAD_START_SECONDS: Final = 0.1
_LOADER: Final = "loader"

_loaders: "list[subprocess.Popen[str]]" = []
"""They end with their input, which ends with this process at the latest."""

Phases = Sequence[tuple[float, float]]
"""Calls a second, and for how many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Who is loaded: where it answers, and which processes work for it, by what they are."""

    targets: Sequence[str]
    token: str = ""
    call: str = "submit"
    """`submit`, `claim`, or `empty` where nothing is kept."""
    process_ids: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen of one load."""

    calls: Sequence[Call]
    spans: Sequence[Span]
    figures: Sequence[dict[str, Any]]
    """One for each phase."""


def open_loop(loaded: Loaded, phases: Phases, *, loaders: int = 2) -> Run:
    """Let calls arrive at fixed rates, one phase after the other."""
    return _run(loaded, phases, loaders=loaders)


def closed_loop(loaded: Loaded, *, in_flight: int, seconds: float, most: int, loaders: int = 2) -> Run:
    """Keep so many calls going; `most` bounds how many requests are made for it."""
    return _run(
        loaded, [(0.0, seconds)], loaders=loaders, in_flight=in_flight // loaders, most=most // loaders
    )


def end_loaders() -> None:
    """End the processes that load; the next load starts new ones."""
    while _loaders:
        _loaders.pop().communicate()


def _run(loaded: Loaded, phases: Phases, *, loaders: int, in_flight: int = 0, most: int = 0) -> Run:
    spans = spans_of(phases)
    asked = {
        "targets": list(loaded.targets),
        "token": loaded.token,
        "call": loaded.call,
        "phases": list(phases),
        "in_flight": in_flight,
        "most": most,
        "of": loaders,
    }
    started = _started(loaders)
    for part, each in enumerate(started):
        _tell(each, json.dumps({**asked, "part": part, "run": new_id()}))
    for each in started:
        _line(each)
    start = time.monotonic() + _HEAD_START_SECONDS
    for each in started:
        _tell(each, str(start))
    groups = {**loaded.process_ids, _LOADER: [each.pid for each in started]}
    marks = _watch(groups, start, [0.0, *(span.ends for span in spans)])
    calls = [call for each in started for call in calls_of(json.loads(_line(each)))]
    memory = {f"{name}_mib": memory_mib(ids) for name, ids in loaded.process_ids.items()}
    figures = []
    for span, before, after in zip(spans, marks, marks[1:], strict=False):
        seen = figures_of(calls, span)
        ended = sum(1 for call in calls if span.holds(call.ended))
        spent = {f"{name}_cpu_us": 1e6 * (after[name] - before[name]) / max(1, ended) for name in groups}
        figures.append({**seen, **spent, **memory})
    return Run(calls, spans, figures)


def _started(count: int) -> "list[subprocess.Popen[str]]":
    """Return processes that load; they are started once, and each load is a line that they read."""
    while len(_loaders) < count:
        command = [sys.executable, "-m", "tests.bench.arrivals"]
        _loaders.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        )
    return _loaders[:count]


def _tell(loader: "subprocess.Popen[str]", line: str) -> None:
    assert loader.stdin is not None
    loader.stdin.write(f"{line}\n")
    loader.stdin.flush()


def _line(loader: "subprocess.Popen[str]") -> str:
    assert loader.stdout is not None
    line = loader.stdout.readline()
    if not line:
        _loaders.remove(loader)
        raise RuntimeError(f"a loader ended with status {loader.wait()}")
    return line


def _watch(
    groups: Mapping[str, Sequence[int]], start: float, instants: Sequence[float]
) -> list[dict[str, float]]:
    """Return the processor seconds of each group at each instant."""
    marks = []
    for instant in instants:
        time.sleep(max(0.0, start + instant - time.monotonic()))
        marks.append({name: cpu_seconds(ids) for name, ids in groups.items()})
    return marks
