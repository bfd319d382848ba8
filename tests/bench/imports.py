"""A stream of 100,000 leads, beside the bare insert of the rows it left, and beside one lead a transaction.

The rows are read back from the service's own database and written again into a fresh one with the same
tables, indexes and durability, by multi-row statements and nothing else: what any import must spend.

    python -m tests.bench.imports TARGET --token … --count …     # the load alone, in a process of its own
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import grpc.aio

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.sql import Database, migrate, open_database
from smarketing.sql.engine import sqlite_driver
from smarketing.wallclock import new_id, new_uuid
from tests.bench.ours import Ours
from tests.bench.requests import submission

ROOT = Path(__file__).resolve().parents[2]
LEADS = 100_000
BATCH = 500
UNANSWERED = 4
ONE_BY_ONE = 1_500
NAIVE = 2_500
BARE_ROUNDS = 3
MARKS = (10, 50, 100)
"""Percent of the import at which the memory is looked at."""
_METHOD = "/smarketing.api.leads.v1.LeadService/SubmitLeads"
_MIB = 1024.0

Figures = dict[str, Any]


def import_stream() -> Figures:
    """Client stream of 100,000 leads, the full path, in batches of 500, at most four unanswered."""
    with TemporaryDirectory() as folder:
        data = Path(folder)
        ours = Ours(data / "ours")
        try:
            ours.prepare()
            _streamed(ours.target, ours.token, process_id=ours.process_id, count=BATCH * 4)
            cpu = _cpu_seconds(ours.process_id)
            streamed = _streamed(ours.target, ours.token, process_id=ours.process_id, count=LEADS)
            cpu = _cpu_seconds(ours.process_id) - cpu
            single = _one_by_one(ours)
        finally:
            ours.stop()
        (bare, bare_cpu), (bare_single, _) = _bare(data, BATCH), _bare(data, 1)
        naive = _naive(data)
    per_second = streamed["per_second"]
    memory = streamed["memory_mib"]
    return {
        **streamed,
        "cpu_us_a_lead": 1e6 * cpu / LEADS,
        "bare_per_second": bare,
        "bare_one_a_transaction_per_second": bare_single,
        "naive_one_a_transaction_per_second": naive,
        "ours_one_a_call_per_second": single,
        "lines": [
            f"stream {per_second:,.0f} leads/s, {1e6 * cpu / LEADS:.0f} µs CPU of the server a lead",
            f"bare insert, {BATCH} leads a transaction: {bare:,.0f} leads/s, {bare_cpu:.0f} µs CPU",
            f"bare insert of the same rows, one lead a transaction: {bare_single:,.0f} leads/s",
            f"rival, one lead a transaction: {naive:,.0f} leads/s",
            f"ours, one lead a call and a transaction: {single:,.0f} leads/s",
            "memory of the server at " + ", ".join(f"{mark} %: {memory[mark]:.0f} MiB" for mark in MARKS),
        ],
        "ratios": {
            "to_one_lead_a_transaction": per_second / naive,
            "to_bare_multi_row_insert": per_second / bare,
            "to_ours_one_by_one": per_second / single,
            "to_bare_one_a_transaction": per_second / bare_single,
            # Steadier than the above where others use the machine.
            "cpu_of_bare_to_ours": bare_cpu / (1e6 * cpu / LEADS),
            "memory_at_half_to_end": memory[50] / memory[100],
        },
        # Flat: what is held at the end is within a tenth of what was held half way.
        "goals": {
            "to_one_lead_a_transaction": 8.0,
            "to_bare_multi_row_insert": 0.4,
            "memory_at_half_to_end": 0.9,
        },
    }


def _streamed(target: str, token: str, *, count: int, process_id: int = 0) -> Figures:
    """Send one stream from a process of its own; look at the server's memory as it goes."""
    command = [
        *(sys.executable, "-m", "tests.bench.imports", target),
        *("--count", str(count), *(("--token", token) if token else ())),
    ]
    loading = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert loading.stdout is not None
    memory: dict[int, float] = {}
    seen: Figures = {}
    for line in loading.stdout:
        seen = json.loads(line)
        if process_id and "percent" in seen:
            memory[seen["percent"]] = _memory_mib(process_id)
    if loading.wait() != 0:
        raise RuntimeError(f"the import into {target} failed")
    return {**seen, "memory_mib": memory}


def _one_by_one(ours: Ours) -> float:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench.load", "unary", ours.target, "--token", ours.token),
            *("--run", new_id(), "--count", str(ONE_BY_ONE), "--in-flight", "1"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    per_second: float = json.loads(done.stdout)["per_second"]
    return per_second


def _naive(data: Path) -> float:
    command = [sys.executable, "-m", "tests.bench.floor_and_rival", "naive", "--data", str(data)]
    rival = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert rival.stdout is not None
        target = f"127.0.0.1:{int(rival.stdout.readline())}"
        return float(_streamed(target, "", count=NAIVE)["per_second"])
    finally:
        rival.terminate()
        rival.wait(10)


# What the import left, once more.

_PARTS = {
    "lead_person": "lead",
    "lead_match": "lead",
    "handoff": "lead",
    "submission": "lead",
    "event_log": "position",
}
"""Tables that grow with each lead, in the order in which leads came."""


def _bare(data: Path, leads: int) -> tuple[float, float]:
    """Write the last leads' rows again, so many a transaction; return leads a second and µs of CPU each."""
    count = 20_000 if leads > 1 else 2_000
    source = sqlite_driver().connect(str(next((data / "ours").glob("*.db"))))
    taken = {table: _last(source, table, order, count) for table, order in _PARTS.items()}
    source.close()
    return median(
        _written(data / f"bare-{leads}-{number}.db", taken, count, leads) for number in range(BARE_ROUNDS)
    )


def _last(source: Any, table: str, order: str, count: int) -> list[tuple[Any, ...]]:
    """Return the rows of the last leads of the stream, those of one lead side by side."""
    [(leads,)] = source.execute("SELECT count(*) FROM lead_person")
    [(rows,)] = source.execute(f"SELECT count(*) FROM {table}")
    each = max(1, round(rows / leads))
    found = source.execute(f"SELECT * FROM {table} ORDER BY {order} DESC LIMIT {count * each}")
    return list(found)[::-1]


def _written(
    path: Path, taken: dict[str, list[tuple[Any, ...]]], count: int, leads: int
) -> tuple[float, float]:
    with open_database(f"sqlite:///{path}") as database:
        migrate(database, "services.leads.store.migrations")
        cpu = time.process_time()
        seconds = _insert_all(database, taken, count, leads)
        cpu = time.process_time() - cpu
    return count / seconds, 1e6 * cpu / count


def _insert_all(database: Database, taken: dict[str, list[tuple[Any, ...]]], count: int, leads: int) -> float:
    began = time.perf_counter()
    with database.writer_engine.connect() as connection:
        for start in range(0, count, leads):
            with connection.begin():
                driver: Any = connection.connection.driver_connection
                for table, rows in taken.items():
                    each = len(rows) // count
                    part = rows[start * each : (start + leads) * each]
                    for sql, values in _statements(table, part):
                        driver.execute(sql, values)
    return time.perf_counter() - began


def _statements(table: str, rows: list[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
    if not rows:
        return
    row = f"({', '.join('?' * len(rows[0]))})"
    widest = 500
    for start in range(0, len(rows), widest):
        part = rows[start : start + widest]
        values = [value for each in part for value in each]
        yield f"INSERT INTO {table} VALUES {', '.join([row] * len(part))}", values


def _cpu_seconds(process_id: int) -> float:
    stat = Path(f"/proc/{process_id}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _memory_mib(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status")
    if not status.exists():
        return 0.0
    [kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS:")]
    return int(kib) / _MIB


# The load.


def _batches(run: str, count: int) -> Iterator[bytes]:
    for start in range(0, count, BATCH):
        yield leadspb.SubmitLeadsRequest(
            parent="tenants/default",
            request_id=new_uuid(),
            submissions=[submission(run, number) for number in range(start, min(start + BATCH, count))],
        ).SerializeToString()


async def _stream(target: str, token: str, requests: list[bytes]) -> float:
    metadata = (("authorization", f"Bearer {token}"),) if token else None
    async with grpc.aio.insecure_channel(target) as channel:
        await channel.channel_ready()
        call = channel.stream_stream(_METHOD)(metadata=metadata)
        window = asyncio.Semaphore(UNANSWERED)
        began = time.perf_counter()

        async def send() -> None:
            for request in requests:
                await window.acquire()
                await call.write(request)
            await call.done_writing()

        sending = asyncio.create_task(send())
        answered = 0
        async for _response in call:
            answered += 1
            window.release()
            for mark in MARKS:
                if 100 * (answered - 1) < mark * len(requests) <= 100 * answered:
                    print(json.dumps({"percent": mark}), flush=True)
        await sending
        if answered != len(requests):
            raise RuntimeError(f"{len(requests) - answered} batches were not answered")
        return time.perf_counter() - began


def main() -> int:
    """Send one stream and print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--token", default="")
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    requests = list(_batches(new_id(), given.count))
    seconds = asyncio.run(_stream(given.target, given.token, requests))
    print(json.dumps({"seconds": seconds, "per_second": given.count / seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
