"""A log that waits is taken in by one process, and by two that divide it, on a PostgreSQL that syncs.

Four companies have handed leads over while `sla` and `reports` were away. A database is copied from the one
of before for each run; the clock starts with the first event taken in, when all processes are there.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import psycopg

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import LeadsClient
from smarketing.eventlog.partitions import partitions as parts_of
from smarketing.wallclock import new_uuid
from tests.bench.durable_postgres import DurablePostgres, durable_postgres
from tests.bench.loading import ROOT
from tests.bench.ours import free_port
from tests.bench.requests import submission
from tests.bench.sizes import sized
from tests.bench.watched import cpu_seconds
from tests.builders.processes import an_installation, waited_for
from tests.e2e.company import Company, settled_in

_TENANTS: Final = ("default", "lyon", "bern", "ulm", "kiel", "graz")
"""By turns of either half."""
_LEADS: Final = 1_000
"""Of each tenant."""
_ROUNDS: Final = 3
_COUNTS: Final = (1, 2)
_IN_FLIGHT: Final = 64
_LONGEST_SECONDS: Final = 300.0

Figures = dict[str, Any]


def partitions() -> Figures:
    """Events of several tenants that wait, taken in by one process and by two that divide them."""
    with TemporaryDirectory(prefix="smarketing-bench-") as folder, ExitStack() as stack:
        data = Path(folder)
        data.chmod(0o711)  # PostgreSQL may run as another account, which has to get to its own folder
        postgres = stack.enter_context(durable_postgres(data / "postgres"))
        house = _House(data, postgres, postgres.database("made"))
        head = house.prepare()
        seen = {service: _compared(house, service, head) for service in ("sla", "reports")}
    ratios = {
        f"{service}_two_to_one": of["2"]["per_second"] / of["1"]["per_second"] for service, of in seen.items()
    }
    return {"events": head, "services": seen, "lines": list(_lines(seen)), "ratios": ratios, "goals": {}}


def _compared(house: "_House", service: str, head: int) -> dict[str, Figures]:
    rounds: dict[str, list[Figures]] = {str(count): [] for count in _COUNTS}
    for _ in range(sized(_ROUNDS, 1)):
        for count in _COUNTS:
            rounds[str(count)].append(house.taken_in(service, count, head))
    return {count: {key: median(each[key] for each in of) for key in of[0]} for count, of in rounds.items()}


def _lines(seen: dict[str, dict[str, Figures]]) -> Iterator[str]:
    for service, of in seen.items():
        for count, figures in of.items():
            yield (
                f"{service:8} {count} process{'es' if count != '1' else '  '}"
                f" {figures['per_second']:>8,.0f} events/s, {figures['cpu_us']:.0f} µs CPU an event"
                f" and {figures['database_cpu_us']:.0f} of the database"
            )


class _House:
    """The services' folder, and their database from before anything waited, from which others are made."""

    def __init__(self, data: Path, postgres: DurablePostgres, url: str) -> None:
        self._data, self._postgres, self._url = data, postgres, url
        self._numbers = iter(range(1, 1_000))
        self._addresses = {name: f"127.0.0.1:{free_port()}" for name in ("leads", "sla")}

    def prepare(self) -> int:
        """Settle the companies in, keep a copy, and have leads handed over; return the head of the log."""
        with an_installation(self._data / "house", {"SMARKETING_DATABASE_URL": self._url}) as house:
            companies = [asyncio.run(self._settled(house, tenant)) for tenant in _TENANTS[: sized(6, 2)]]
        self._postgres.execute("CREATE DATABASE before TEMPLATE made")
        with self._running("leads", self._url, self._addresses["leads"]):
            for company in companies:
                company.installation.addresses["leads"]["grpc"] = self._addresses["leads"]
                waited_for(lambda: house.is_ready("leads"), seconds=60)
                asyncio.run(_hand_over(company, sized(_LEADS, 5)))
        return int(
            self._asked(self._url, "SELECT position FROM leads.log_head WHERE view = 'tenants/-'")[0][0]
        )

    async def _settled(self, house: Any, tenant: str) -> Company:
        folder = self._data / tenant
        folder.mkdir()
        return await settled_in(house, tenant, folder)

    def taken_in(self, service: str, count: int, head: int) -> Figures:
        """Start so many processes of a service on a new database; return how they took in what waits."""
        name = f"run_{next(self._numbers)}"
        self._postgres.execute(f"CREATE DATABASE {name} OWNER smarketing TEMPLATE before")
        url = self._url.replace("/made", f"/{name}")
        with ExitStack() as stack:
            started = [
                stack.enter_context(
                    self._running(service, url, f"127.0.0.1:{free_port()}", SMARKETING_PARTITIONS=str(count))
                )
                for _ in range(count)
            ]
            waited_for(lambda: self._sharing(url, service, count) == count, seconds=60)
            begun, cpu = self._place(url, service, count), cpu_seconds(started)
            database_cpu = cpu_seconds(self._postgres.process_ids)
            stack.enter_context(self._running("leads", self._url, self._addresses["leads"]))
            idle = [time.perf_counter()]

            def moved() -> bool:
                seen = time.perf_counter()
                if self._place(url, service, count) > begun:
                    return True
                idle.append(seen)
                return False

            waited_for(moved, seconds=60)
            waited_for(lambda: self._place(url, service, count) >= head, seconds=_LONGEST_SECONDS)
            seconds = time.perf_counter() - idle[-1]
            events = head - begun
            return {
                "per_second": events / seconds,
                "cpu_us": 1e6 * (cpu_seconds(started) - cpu) / events,
                "database_cpu_us": 1e6 * (cpu_seconds(self._postgres.process_ids) - database_cpu) / events,
            }

    def _sharing(self, url: str, service: str, count: int) -> int:
        """Return how many processes hold leases by which they follow."""
        leases = "background" if count == 1 else f"partition-of-{count}/%"
        [[holders]] = self._asked(
            url,
            f"SELECT count(DISTINCT holder) FROM {service}.lease WHERE task LIKE %s AND until_time > now()",
            leases,
        )
        return int(holders)

    def _place(self, url: str, service: str, count: int) -> int:
        names = [part.member_of(f"{service}.leads") for part in parts_of(count)]
        found = self._asked(
            url,
            f"SELECT position FROM {service}.consumer_checkpoint WHERE consumer = ANY(%s)",
            names,
        )
        return min((int(row[0]) for row in found), default=0) if len(found) == count else 0

    def _asked(self, url: str, query: str, *values: object) -> list[Any]:
        with psycopg.connect(url.partition("?schema")[0], autocommit=True) as connection:
            return connection.execute(query, values or None).fetchall()  # type: ignore[arg-type] # our own text

    @contextmanager
    def _running(self, service: str, url: str, listen: str, **told: str) -> Iterator[int]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")},
            "SMARKETING_DATA_DIR": str(self._data / "house"),
            "SMARKETING_DATABASE_URL": url,
            "SMARKETING_LISTEN": listen,
            "SMARKETING_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
            "SMARKETING_LEADS_ADDRESS": self._addresses["leads"],
            "SMARKETING_SLA_ADDRESS": self._addresses["sla"],
            "SMARKETING_TENANT_CALLS_PER_SECOND": "1000000",
            "SMARKETING_LOG_LEVEL": "WARNING",
            **told,
        }
        with (self._data / f"{service}.log").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                env=environment,
                cwd=ROOT,
                stdout=said,
                stderr=said,
            )
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _hand_over(company: Company, count: int) -> None:
    numbers: Iterator[int] = iter(range(count))
    async with LeadsClient(company.of("website")) as client:

        async def submit() -> None:
            for number in numbers:
                await client.submit_lead(
                    leadspb.SubmitLeadRequest(
                        parent=company.name, request_id=new_uuid(), submission=submission("wait", number)
                    )
                )

        await asyncio.gather(*(submit() for _ in range(_IN_FLIGHT)))
