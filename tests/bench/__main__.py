"""`make bench`: each figure beside its floor and its rival, measured in turn in one run.

Absolute figures depend on the machine and on who else uses it; the ratios are what counts.
Everything is written to `build/bench.json`. `BENCH_SIZE=small` runs what only shows that it still works,
and writes `build/bench-small.json`.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from smarketing.wallclock import utc_now
from tests.bench.sizes import is_small

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("floor", "rival", "ours", "native")

Figures = dict[str, Any]

BENCHES = {
    "submit": "submits:submit",
    "submit-postgres": "on_postgres:submit_postgres",
    "stream": "submits:submit_stream",
    "import": "imports:import_stream",
    "interceptors": "interceptors:interceptors",
    "accept": "accept:accept",
    "open-loop": "open_loop:open_loop_load",
    "replicas": "on_postgres:replicas",
    "partitions": "partitions:partitions",
    "growth": "growth:growth",
    "events": "events:events",
    "routing": "routing:routing",
    "score": "score:score",
    "lists": "lists:lists",
    "calendar": "calendar:calendar",
    "metrics": "metrics:metrics",
    "rebuild": "rebuild:rebuild",
    "reports": "reports:reports",
    "sweep": "sweep:sweep",
}
"""By name: the module of this package, and its function. Only what is run is imported."""


def bench(name: str) -> Callable[[], Figures]:
    """Return the measurement of a name."""
    module, _, function = BENCHES[name].partition(":")
    found: Callable[[], Figures] = getattr(import_module(f"tests.bench.{module}"), function)
    return found


def print_figures(name: str, of: Callable[[], Figures], figures: Figures) -> None:
    """Print what was measured, the ratios and their goals last."""
    print(f"\n{name}: {(of.__doc__ or '').strip()}")
    for each in SERVERS:
        if each not in figures:
            continue
        seen = figures[each]
        print(
            f"  {each:6} {seen['per_second']:>10,.0f} leads/s   p50 {seen['p50_ms']:>8.1f} ms"
            f"   p99 {seen['p99_ms']:>8.1f} ms   {seen['cpu_us_per_item']:>7.0f} µs CPU a lead"
        )
    for line in figures.get("lines", ()):
        print(f"  {line}")
    for ratio, value in figures["ratios"].items():
        goal = figures["goals"].get(ratio)
        said = "" if goal is None else f"   (goal {goal:g}: {'met' if value >= goal else 'missed'})"
        print(f"  {ratio.replace('_', ' '):36} {value:>8.2f}{said}")


def measured(name: str) -> Figures:
    """Run one measurement; note when, for how long, and how busy the machine was before."""
    run, began, load = bench(name), time.monotonic(), os.getloadavg()[0]
    when = utc_now().isoformat()
    figures = run()
    seconds = time.monotonic() - began
    print_figures(name, run, figures)
    print(f"  {seconds:.0f} s; load of the machine before it {load:.1f}")
    return {**figures, "time": when, "seconds": seconds, "load_before": load}


def main() -> int:
    """Run the benches asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHES), help="run one")
    chosen = parser.parse_args().only
    results: Figures = {
        "time": utc_now().isoformat(),
        "machine": {
            "python": platform.python_version(),
            "processor": platform.machine(),
            "processors": os.cpu_count(),
        },
    }
    for name in [chosen] if chosen else BENCHES:
        results[name] = measured(name)
    target = ROOT / "build" / ("bench-small.json" if is_small() else "bench.json")
    target.parent.mkdir(exist_ok=True)
    known = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(json.dumps({**known, **results}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
