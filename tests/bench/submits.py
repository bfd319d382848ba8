"""A submitted lead beside the empty call and a naive server on SQLite, one by one and in a stream."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from smarketing.server.settings import GrpcEngine
from smarketing.wallclock import new_id
from tests.bench.ours import Ours
from tests.bench.watched import cpu_seconds

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3

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
    before = cpu_seconds([server.process_id])
    command = [
        *(sys.executable, "-m", "tests.bench.load", shape, server.target),
        *("--run", new_id(), "--count", str(count), *options),
        *(("--token", server.token) if server.token else ()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the load on {server.target} failed: {done.stdout}{done.stderr}")
    seen: Figures = json.loads(done.stdout)
    seen["cpu_us_per_item"] = 1e6 * (cpu_seconds([server.process_id]) - before) / max(1, seen["items"])
    return seen


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
