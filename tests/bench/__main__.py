"""`make bench`: each figure beside its floor and its rival, measured in turn in one run.

Absolute figures depend on the machine and on who else uses it; the ratios are what counts.
Everything is written to `build/bench.json`.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from smarketing.server.settings import GrpcEngine
from smarketing.wallclock import new_id, utc_now
from tests.bench.calendar import calendar
from tests.bench.imports import import_stream
from tests.bench.lists import lists
from tests.bench.metrics import metrics
from tests.bench.ours import Ours
from tests.bench.rebuild import rebuild
from tests.bench.reports import reports
from tests.bench.routing import routing
from tests.bench.score import score
from tests.bench.sweep import sweep

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
SERVERS = ("floor", "rival", "ours", "native")

Figures = dict[str, Any]


class Beside:
    """The floor or the rival, as a process that prints its port."""

    def __init__(self, kind: str, data: Path) -> None:
        command = [sys.executable, "-m", "tests.bench.floor_and_rival", kind, "--data", str(data)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        self.target = f"127.0.0.1:{int(self._process.stdout.readline())}"
        self.process_id = self._process.pid
        self.token = ""

    def prepare(self) -> None:
        """Do nothing: its port was printed when it served."""

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


def _load(shape: str, server: Beside | Ours, *, count: int, options: Sequence[str]) -> Figures:
    before = _cpu_seconds(server.process_id)
    command = [
        *(sys.executable, "-m", "tests.bench.load", shape, server.target),
        *("--run", new_id(), "--count", str(count), *options),
        *(("--token", server.token) if server.token else ()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the load on {server.target} failed: {done.stdout}{done.stderr}")
    seen: Figures = json.loads(done.stdout)
    seen["cpu_us_per_item"] = 1e6 * (_cpu_seconds(server.process_id) - before) / max(1, seen["items"])
    return seen


def _cpu_seconds(process_id: int) -> float:
    stat = Path(f"/proc/{process_id}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _servers(data: Path) -> dict[str, Beside | Ours]:
    """Start the floor, the rival and ours; ours a second time on the native engine, where it is installed."""
    servers: dict[str, Beside | Ours] = {
        "floor": Beside("echo", data),
        "rival": Beside("naive", data),
        "ours": Ours(data / "ours", GrpcEngine.GRPCIO),
    }
    if find_spec("pygrpc_native") is not None:
        servers["native"] = Ours(data / "native", GrpcEngine.NATIVE)
    for server in servers.values():
        server.prepare()
    return servers


def _compare(shape: str, plan: Mapping[str, int], options: Sequence[str]) -> Figures:
    """Load them in turn, several rounds; return the medians and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        servers = _servers(Path(folder))
        # Both of ours have the same plan.
        counts = {name: plan["ours" if name == "native" else name] for name in servers}
        rounds: dict[str, list[Figures]] = {name: [] for name in servers}
        try:
            for server in servers.values():
                _load(shape, server, count=plan["warm_up"], options=options)
            for _ in range(ROUNDS):
                for name, server in servers.items():
                    rounds[name].append(_load(shape, server, count=counts[name], options=options))
        finally:
            for server in servers.values():
                server.stop()
    medians = {
        name: {key: median(each[key] for each in runs) for key in runs[0]} for name, runs in rounds.items()
    }
    ratios = _ratios(medians["ours"], medians)
    if "native" in medians:
        ratios |= {f"native_{name}": value for name, value in _ratios(medians["native"], medians).items()}
    return {**medians, "ratios": ratios}


def _ratios(ours: Figures, medians: Mapping[str, Figures]) -> Figures:
    floor, rival = medians["floor"], medians["rival"]
    return {
        "throughput_to_rival": ours["per_second"] / rival["per_second"],
        "throughput_to_floor": ours["per_second"] / floor["per_second"],
        "p99_of_rival_to_ours": rival["p99_ms"] / ours["p99_ms"],
        "cpu_to_floor": ours["cpu_us_per_item"] / max(floor["cpu_us_per_item"], 0.1),
    }


def submit() -> Figures:
    """Durable unary submit, the full product path, 64 in flight."""
    plan = {"warm_up": 500, "floor": 12_000, "rival": 1_500, "ours": 8_000}
    figures = _compare("unary", plan, ["--in-flight", "64", "--limit-seconds", "6"])
    figures["goals"] = {
        "throughput_to_rival": 6.0,
        "throughput_to_floor": 0.6,
        "p99_of_rival_to_ours": 4.0,
        "native_throughput_to_rival": 15.0,
        "native_throughput_to_floor": 1.0,
    }
    return figures


def submit_stream() -> Figures:
    """Durable submit in a stream of batches of 250, at most four unanswered."""
    plan = {"warm_up": 500, "floor": 20_000, "rival": 2_000, "ours": 20_000}
    figures = _compare("stream", plan, ["--batch", "250"])
    figures["goals"] = {"throughput_to_rival": 8.0}
    return figures


BENCHES: dict[str, Callable[[], Figures]] = {
    "submit": submit,
    "stream": submit_stream,
    "import": import_stream,
    "routing": routing,
    "score": score,
    "lists": lists,
    "calendar": calendar,
    "metrics": metrics,
    "rebuild": rebuild,
    "reports": reports,
    "sweep": sweep,
}


def _print(name: str, figures: Figures) -> None:
    print(f"\n{name}: {(BENCHES[name].__doc__ or '').strip()}")
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
        print(f"  {ratio.replace('_', ' '):28} {value:>8.2f}{said}")


def main() -> int:
    """Run the benches asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHES), help="run one")
    chosen = parser.parse_args().only
    results: Figures = {
        "time": utc_now().isoformat(),
        "machine": {"python": platform.python_version(), "processor": platform.machine()},
    }
    for name in [chosen] if chosen else BENCHES:
        results[name] = BENCHES[name]()
        _print(name, results[name])
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    known = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(json.dumps({**known, **results}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
