"""What every call of ours passes through, by processor time, beside the same empty call on the bare engine.

That is authentication, admission, the deadline, field checks, errors, metrics and `traceparent`. The log
line a call (`SMARKETING_ACCESS_LOG`) and OpenTelemetry are not among them.
"""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any, Final

from smarketing.server.settings import GrpcEngine
from tests.bench.loading import ROOT, Loaded, closed_loop
from tests.bench.sizes import is_small, lasting, sized

GOALS: Final = {GrpcEngine.GRPCIO: 1.3, GrpcEngine.NATIVE: 3.0}
"""Times of the bare engine's processor time a call."""
ROUNDS: Final = 3
IN_FLIGHT: Final = 64
_KINDS: Final = ("bare", "edge")
_MOST_A_SECOND: Final = 40_000

Figures = dict[str, Any]


def interceptors() -> Figures:
    """The empty call behind everything that calls pass through, and on the bare engine, by turns."""
    engines = [each for each in GOALS if each is GrpcEngine.GRPCIO or find_spec("pygrpc_native")]
    if is_small():
        engines = engines[:1]
    seen = {str(engine): _measured(engine) for engine in engines}
    ratios = {
        f"{engine}_to_bare_cpu": of["edge"]["server_cpu_us"] / of["bare"]["server_cpu_us"]
        for engine, of in seen.items()
    }
    # A goal is met by what is at least 1, so what is allowed stands over what it costs.
    allowed = {
        f"{engine}_allowed_to_cost": GOALS[GrpcEngine(engine)] / ratios[f"{engine}_to_bare_cpu"]
        for engine in seen
    }
    return {
        "engines": seen,
        "lines": [_line(engine, kind, of[kind]) for engine, of in seen.items() for kind in _KINDS],
        "ratios": ratios | allowed,
        "goals": dict.fromkeys(allowed, 1.0),
    }


def _line(engine: str, kind: str, of: Figures) -> str:
    return (
        f"{engine:7} {kind}  {of['goodput_per_second']:>8,.0f} calls/s   p99 {of['p99_ms']:>6.1f} ms"
        f"   {of['server_cpu_us']:>6.1f} µs CPU a call, loader {of['loader_cpu_us']:.1f} µs"
    )


def _measured(engine: GrpcEngine) -> Figures:
    servers = {kind: _Server(kind, engine) for kind in _KINDS}
    rounds: dict[str, list[Figures]] = {kind: [] for kind in _KINDS}
    seconds = lasting(1.5, 0.15)
    try:
        for _ in range(sized(ROUNDS + 1, 1)):
            for kind, server in servers.items():
                rounds[kind].append(server.measured(seconds))
    finally:
        for server in servers.values():
            server.stop()
    names = ("goodput_per_second", "p50_ms", "p99_ms", "server_cpu_us", "loader_cpu_us")
    # The first round warms up.
    return {
        kind: {name: median(each[name] for each in of[-ROUNDS:]) for name in names}
        for kind, of in rounds.items()
    }


class _Server:
    """A process that prints its port and token."""

    def __init__(self, kind: str, engine: GrpcEngine) -> None:
        command = [sys.executable, "-m", "tests.bench.edge_server", kind, engine]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def measured(self, seconds: float) -> Figures:
        """Load it for so long."""
        if not hasattr(self, "_loaded"):
            self._loaded = self._served()
        most = round(_MOST_A_SECOND * seconds)
        [figures] = closed_loop(
            self._loaded, in_flight=IN_FLIGHT, seconds=seconds, most=most, loaders=1
        ).figures
        if figures["failed"] or not figures["goodput_per_second"]:
            raise RuntimeError(f"calls failed: {figures}")
        return figures

    def _served(self) -> Loaded:
        assert self._process.stdout is not None
        port, _, token = self._process.stdout.readline().strip().partition(" ")
        ids: dict[str, Sequence[int]] = {"server": [self._process.pid]}
        return Loaded(targets=[f"127.0.0.1:{port}"], token=token, call="empty", process_ids=ids)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate(timeout=30)
