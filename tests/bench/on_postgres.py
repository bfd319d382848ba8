"""On a PostgreSQL that syncs: a submit beside the empty call and a naive server, one replica beside two.

Floor, rival and ours are loaded by turns from the same loaders. The rival keeps a lead, a handoff and an
event by an ORM session and a transaction a call, on sixteen connections.
"""

import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from smarketing.server.settings import GrpcEngine
from tests.bench.durable_postgres import DurablePostgres, durable_postgres
from tests.bench.loading import ROOT, Loaded, closed_loop
from tests.bench.ours import Ours
from tests.bench.shapes import POSTGRES, Running, running
from tests.bench.sizes import is_small, lasting, sized

_MOST_A_SECOND: Final = 6_000
_NAMES: Final = ("goodput_per_second", "p50_ms", "p99_ms", "server_cpu_us", "loader_cpu_us", "failed")
_IN_FLIGHT: Final = (64, 256)
_GOALS: Final = {
    "throughput_to_rival": 3.5,
    "throughput_to_floor": 0.6,
    "p99_of_rival_to_ours": 4.0,
    "native_throughput_to_rival": 8.0,
    "native_throughput_to_floor": 1.0,
}

Figures = dict[str, Any]


def submit_postgres() -> Figures:
    """Durable unary submit on PostgreSQL, the full product path, 64 and 256 in flight."""
    with TemporaryDirectory(prefix="smarketing-bench-") as folder, ExitStack() as stack:
        data = Path(folder)
        data.chmod(0o711)  # PostgreSQL may run as another account, which has to get to its own folder
        postgres = stack.enter_context(durable_postgres(data / "postgres"))
        seen = compared(_servers(data, postgres, stack))
    return {"in_flight": seen, "lines": list(_lines(seen)), **_judged(seen)}


def _servers(data: Path, postgres: DurablePostgres, stack: ExitStack) -> dict[str, Loaded]:
    servers = {"floor": _beside("echo", data, "", stack)}
    servers["rival"] = _beside("naive", data, postgres.database("rival"), stack)
    engines = {"ours": GrpcEngine.GRPCIO}
    if find_spec("pygrpc_native") is not None and not is_small():
        engines["native"] = GrpcEngine.NATIVE
    for name, engine in engines.items():
        ours = Ours(data / name, engine, database_url=postgres.database(name))
        stack.callback(ours.stop)
        ours.prepare()
        servers[name] = Running([ours], postgres).loaded
    return servers


def _beside(kind: str, data: Path, database: str, stack: ExitStack) -> Loaded:
    command = [sys.executable, "-m", "tests.bench.floor_and_rival", kind, "--data", str(data)]
    if database:
        command += ["--database", database]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    stack.callback(process.communicate)
    stack.callback(process.terminate)
    assert process.stdout is not None
    target = f"127.0.0.1:{int(process.stdout.readline())}"
    return Loaded(targets=[target], process_ids={"server": [process.pid]})


def compared(servers: Mapping[str, Loaded]) -> Figures:
    """Load them by turns; return the medians by how many calls are in flight."""
    rounds: dict[int, dict[str, list[Figures]]] = {}
    for in_flight in _IN_FLIGHT[: sized(len(_IN_FLIGHT), 1)]:
        of = rounds[in_flight] = {name: [] for name in servers}
        # The first round warms up.
        for _ in range(sized(4 if in_flight == _IN_FLIGHT[0] else 3, 1)):
            for name, server in servers.items():
                of[name].append(_loaded(server, in_flight))
    return {
        str(in_flight): {name: _medians(each[1:] or each) for name, each in of.items()}
        for in_flight, of in rounds.items()
    }


def _loaded(server: Loaded, in_flight: int) -> Figures:
    seconds = lasting(1.8, 0.2)
    most = round(_MOST_A_SECOND * seconds)
    run = closed_loop(server, in_flight=in_flight, seconds=seconds, most=most, loaders=1)
    [figures] = run.figures
    if not figures["goodput_per_second"]:
        raise RuntimeError(f"no call was answered: {figures}")
    lasted = max(call.ended for call in run.calls)
    return {**figures, "answered": len(run.calls), "lasted_seconds": lasted}


def _medians(rounds: Sequence[Figures]) -> Figures:
    names = [*_NAMES, *(name for name in ("database_cpu_us",) if name in rounds[0])]
    return {name: median(each[name] for each in rounds) for name in names}


def _judged(seen: Figures) -> Figures:
    ratios: Figures = {}
    goals: Figures = {}
    for in_flight, of in seen.items():
        for name in ("ours", "native"):
            if name not in of:
                continue
            prefix = "" if name == "ours" else "native_"
            for ratio, value in _ratios(of[name], of).items():
                ratios[f"{prefix}{ratio}_at_{in_flight}"] = value
                if f"{prefix}{ratio}" in _GOALS:
                    goals[f"{prefix}{ratio}_at_{in_flight}"] = _GOALS[f"{prefix}{ratio}"]
    return {"ratios": ratios, "goals": goals}


def _ratios(ours: Figures, of: Mapping[str, Figures]) -> Figures:
    floor, rival = of["floor"], of["rival"]
    return {
        "throughput_to_rival": ours["goodput_per_second"] / max(1, rival["goodput_per_second"]),
        "throughput_to_floor": ours["goodput_per_second"] / max(1, floor["goodput_per_second"]),
        "p99_of_rival_to_ours": rival["p99_ms"] / max(0.001, ours["p99_ms"]),
        "cpu_to_floor": ours["server_cpu_us"] / max(0.1, floor["server_cpu_us"]),
    }


def _lines(seen: Figures) -> Sequence[str]:
    return [
        f"{in_flight:>3} in flight: {name:6} {of['goodput_per_second']:>7,.0f}/s"
        f"   p50 {of['p50_ms']:>6.1f} ms   p99 {of['p99_ms']:>7.1f} ms"
        f"   {of['server_cpu_us']:>6.0f} µs CPU of the server"
        + (f", {of['database_cpu_us']:.0f} µs of the database" if "database_cpu_us" in of else "")
        + (f"; {of['failed']:.0f} FAILED" if of["failed"] else "")
        for in_flight, servers in seen.items()
        for name, of in servers.items()
    ]


# Replicas.


def replicas() -> Figures:
    """One and two replicas of `leads` on one PostgreSQL, 64 and 256 in flight over all of them in turn."""
    with running([POSTGRES], replicas=2) as started:
        both = started[POSTGRES]
        seen = turns_taken(both)
    most = max(seen)
    ratios = {
        f"two_to_one_at_{in_flight}": of["2"]["goodput_per_second"] / max(1, of["1"]["goodput_per_second"])
        for in_flight, of in seen.items()
    }
    ratios["turn_held_of_a_second_by_one"] = seen[most]["1"]["held_share"]
    ratios["turn_held_of_a_second_by_two"] = seen[most]["2"]["held_share"]
    return {"in_flight": seen, "lines": _lines_of_replicas(seen), "ratios": ratios, "goals": {}}


def turns_taken(both: Running) -> dict[str, Figures]:
    """Load one replica, then both, by turns; return the medians with what became of the turn to write."""
    alone = Running(both.replicas[:1], both.postgres)
    seen: dict[str, Figures] = {}
    for in_flight in _IN_FLIGHT[: sized(len(_IN_FLIGHT), 1)]:
        rounds: dict[str, list[Figures]] = {"1": [], "2": []}
        for _ in range(sized(4, 1)):
            for name, replicas_of in (("1", alone), ("2", both)):
                rounds[name].append(with_turns(replicas_of, in_flight))
        seen[str(in_flight)] = {
            name: {key: median(each[key] for each in (of[1:] or of)) for key in of[0]}
            for name, of in rounds.items()
        }
    return seen


def with_turns(replicas_of: Running, in_flight: int) -> Figures:
    """Load replicas once, and say what became of the turn to write meanwhile."""
    before = _turns(replicas_of.replicas)
    figures = _loaded(replicas_of.loaded, in_flight)
    after = _turns(replicas_of.replicas)
    spent = {name: after[name] - before[name] for name in after}
    count = max(1.0, spent["held_count"])
    del figures["failed_by_status"]
    return {
        **figures,
        "turns_per_second": count / figures["lasted_seconds"],
        "leads_per_turn": figures["answered"] / count,
        "held_share": spent["held_sum"] / figures["lasted_seconds"],
        "held_ms": 1000 * spent["held_sum"] / count,
        "waited_ms": 1000 * spent["waited_sum"] / count,
    }


def _turns(of: Sequence[Ours]) -> dict[str, float]:
    """Add up what the replicas say of their turns to write."""
    total = {f"{part}_{each}": 0.0 for part in ("held", "waited") for each in ("sum", "count")}
    for replica in of:
        with urllib.request.urlopen(f"http://{replica.http}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        for part in ("held", "waited"):
            for each in ("sum", "count"):
                start = f'smarketing_db_turn_seconds_{each}{{part="{part}"}} '
                total[f"{part}_{each}"] += sum(
                    float(line.removeprefix(start)) for line in lines if line.startswith(start)
                )
    return total


def _lines_of_replicas(seen: Mapping[str, Figures]) -> list[str]:
    return [
        f"{in_flight:>3} in flight, {count} replica{'s' * (count > '1')}: {of['goodput_per_second']:>6,.0f}/s"
        f"   p50 {of['p50_ms']:>6.1f} ms   p99 {of['p99_ms']:>6.1f} ms"
        f"   {of['server_cpu_us']:>5.0f} µs CPU, {of['database_cpu_us']:.0f} µs of the database;"
        f" turn: {of['turns_per_second']:.0f} a second of {of['leads_per_turn']:.1f} leads,"
        f" held {of['held_ms']:.1f} ms ({of['held_share']:.0%} of the time),"
        f" waited for {of['waited_ms']:.1f} ms; failed {of['failed']:.0f}"
        for in_flight, by_count in seen.items()
        for count, of in by_count.items()
    ]
