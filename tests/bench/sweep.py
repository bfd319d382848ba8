"""Timers: how late ten thousand clocks fire that are due in one second, and what open clocks cost a sweep.

The clocks are written straight into the tables; what fires is the sweeper itself, with everything that
belongs to a miss: event, rung, alert, message. Three stores differ in nothing but how many clocks are open.
As in the service it decides ahead what is due within the half minute; the sweeps that are compared do not.
"""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from services.sla.domain.agreement import TimeBasis
from services.sla.store import schema
from services.sla.store.archive import Archive
from services.sla.usecases.foresight import Foresight
from services.sla.usecases.sweep import Sweeper, WallGuard, sweep_batch
from smarketing import wallclock
from smarketing.delivery import NewEndpoint, Sealer, create_endpoint
from smarketing.sql import Database, Writer, open_database
from tests.builders.many_clocks import put_copies, put_first
from tests.builders.sla_engine import AN_HOUR_AFTER, AT_DUE, Engine, a_promise, some_terms

FEW, SOME, MANY = 10_000, 100_000, 1_000_000
AT_ONCE = 10_000
BATCH = 256
ROUNDS = 10
_TARGET = timedelta(hours=4)
_LEAD_TIME = timedelta(seconds=15)
"""Clocks are known hours before they are due; this is long enough to decide them ahead on a busy machine."""

Figures = dict[str, Any]


def sweep() -> Figures:
    """10,000 clocks due in one second among a million open; a sweep at 10 k, 100 k and 1 M open."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        stores = {count: _Store(Path(folder), count) for count in (FEW, SOME, MANY)}
        filled = time.perf_counter() - began
        try:
            cost = _costs(stores)
            late = asyncio.run(stores[MANY].storm())
        finally:
            for store in stores.values():
                store.database.close()
    lateness = sorted(late.lateness)
    p50, p99 = (lateness[int(len(lateness) * share)] for share in (0.5, 0.99))
    figures: Figures = {
        "filled_seconds": filled,
        "us_a_clock": cost,
        "lateness_seconds": {"p50": p50, "p99": p99, "max": lateness[-1]},
        "misses": len(lateness),
        "decided_ahead": late.decided_ahead,
        "clocks_per_second": len(lateness) / late.seconds,
    }
    return {
        **figures,
        "lines": _lines(figures),
        "ratios": {
            "a_second_to_p99_lateness": 1 / p99,
            "sweep_few_to_many_open": cost[FEW] / cost[MANY],
            "sweep_few_to_some_open": cost[FEW] / cost[SOME],
        },
        "goals": {
            "a_second_to_p99_lateness": 1.0,
            "sweep_few_to_many_open": 1 / 1.5,
            "sweep_few_to_some_open": 1 / 1.5,
        },
    }


def _lines(figures: Figures) -> list[str]:
    late = figures["lateness_seconds"]
    return [
        f"{FEW + SOME + MANY:,} clocks written in {figures['filled_seconds']:.0f} s",
        *(f"{count:>9,} open: {us:>7.0f} µs a clock" for count, us in figures["us_a_clock"].items()),
        f"{figures['misses']:,} due in one second fired once, {figures['clocks_per_second']:,.0f} a second",
        f"{figures['decided_ahead']:,} of them decided ahead",
        f"late by p50 {late['p50']:.2f} s   p99 {late['p99']:.2f} s   max {late['max']:.2f} s",
    ]


class _Store:
    """A database of its own with so many open clocks; `BATCH * ROUNDS` of them are due at `now`."""

    def __init__(self, folder: Path, count: int) -> None:
        self.database: Database = open_database(f"sqlite:///{folder / f'{count}.db'}")
        self._next = count
        # The one that is copied starts so far ahead that it is never due itself.
        self._start = wallclock.utc_now() + timedelta(days=2)
        self.engine = Engine(now=self._start, database=self.database)
        promise = a_promise(basis=TimeBasis.WALL, target=4, steps=(AT_DUE, AN_HOUR_AFTER))
        self.engine.agree(some_terms(promise), effective_time=self._start - timedelta(days=4))
        put_first(self.engine)
        due = BATCH * ROUNDS
        spacing = timedelta(milliseconds=1)
        crm = NewEndpoint(
            tenant="default", endpoint_id="crm", url="https://example.org/", display_name="", secret="none"
        )
        with self.database.writer_engine.begin() as connection:
            create_endpoint(
                connection, schema.delivery_tables, crm, sealer=Sealer(bytes(32)), now=self.engine.now
            )
            put_copies(connection, 1, due, later=-timedelta(days=1), spacing=timedelta(microseconds=10))
            put_copies(connection, due + 1, count - 1, later=spacing, spacing=spacing)
        # A day ahead of the wall clock: none of their next rungs comes while the storm lasts.
        self.engine.now = self._start - timedelta(days=1) + _TARGET + timedelta(seconds=1)

    def batch(self) -> float:
        """Sweep one batch; return the processor seconds it took."""
        began = time.process_time()
        with self.database.writer_engine.begin() as connection:
            swept = sweep_batch(connection, self.engine.archive, BATCH, now=self.engine.now)
        if swept != BATCH:
            raise RuntimeError(f"{swept} clocks were due, not {BATCH}")
        return time.process_time() - began

    async def storm(self) -> "_Watch":
        """Let the sweeper run while so many clocks become due within one second of the wall clock."""
        later = wallclock.utc_now() + _LEAD_TIME - _TARGET - self._start
        spacing = timedelta(seconds=1) / AT_ONCE
        last = self._next + AT_ONCE - 1
        with self.database.writer_engine.begin() as connection:
            put_copies(connection, self._next, last, later=later, spacing=spacing)
        archive, all_fired = Archive(), asyncio.Event()
        foresight = Foresight(archive)
        watch = _Watch(foresight)
        async with Writer(self.database, now=wallclock.utc_now) as writer:
            writer.when_committed(lambda: all_fired.set() if len(watch.lateness) >= AT_ONCE else None)
            guard = WallGuard(now=wallclock.utc_now, monotonic=wallclock.monotonic)
            sweeper = Sweeper(
                writer, archive, guard=guard, now=wallclock.utc_now, observer=watch, foresight=foresight
            )
            sweeping = asyncio.create_task(sweeper.run())
            async with asyncio.timeout(_LEAD_TIME.total_seconds() + 60):
                await all_fired.wait()
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            # Whatever would fire twice does so now.
            await sweeper.sweep()
        if len(watch.lateness) != AT_ONCE:
            raise RuntimeError(f"{len(watch.lateness)} misses of {AT_ONCE} clocks")
        return watch


class _Watch:
    """Notes how late each miss was found, how much was decided ahead, and how long the work took."""

    def __init__(self, foresight: Foresight) -> None:
        self._foresight = foresight
        self.lateness: list[float] = []
        self.seconds = 0.0
        self.decided_ahead = 0

    def timer_fired(self, kind: str, lateness_seconds: float) -> None:
        """Note a miss; its rung fires with it."""
        if kind == "breach":
            self.lateness.append(lateness_seconds)

    def swept(self, seconds: float) -> None:
        """Add up the time at work."""
        self.seconds += seconds

    def turned(self) -> None:
        """Note how much is decided ahead, as long as nothing fired."""
        if not self.lateness:
            self.decided_ahead = max(self.decided_ahead, len(self._foresight))

    def clock_stepped_back(self) -> None:
        """Refuse to measure by such a clock."""
        raise RuntimeError("the wall clock was set back")


def _costs(stores: dict[int, _Store]) -> dict[int, float]:
    """Sweep the stores in turn, so that whatever else the machine does slows all; return µs a clock."""
    seconds: dict[int, list[float]] = {count: [] for count in stores}
    for _ in range(ROUNDS):
        for count, store in stores.items():
            seconds[count].append(store.batch())
    return {count: 1e6 * median(each[1:]) / BATCH for count, each in seconds.items()}
