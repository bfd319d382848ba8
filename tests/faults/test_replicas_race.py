"""Several replicas race for the same misses, one stalls and comes back: none is doubled, none lost.

A SQLite file has one owner, and a second process is refused: so the replicas are threads here, each with
its own caches and its own reading of what is due. Each decides from what it has read, and all wait for one
another at a barrier before they write: the transactions that meet there are those of separate replicas.
Two hundred misses in `make test`, ten thousand with FAULTS=full.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select

from services.sla.domain.agreement import TimeBasis
from services.sla.store import schema
from services.sla.store.archive import Archive
from services.sla.store.due import due_clocks
from services.sla.store.tx import ClockMoved, SlaTx
from services.sla.usecases.settle import settle
from smarketing import wallclock
from smarketing.delivery import NewEndpoint, Sealer, create_endpoint
from smarketing.sql import Database, from_micros, open_database
from smarketing.sql.errors import DatabaseOwned
from tests.builders.many_clocks import put_copies, put_first
from tests.builders.sla_engine import AN_HOUR_AFTER, AT_DUE, Engine, a_promise, some_terms
from tests.faults.sla_child import HANDOFFS_A_LIFE, STALLED, prepare

FULL: Final = os.environ.get("FAULTS") == "full"
MISSES: Final = 10_000 if FULL else 200
BATCH: Final = 256 if FULL else 64
PATIENCE_SECONDS: Final = 120.0

pytestmark = pytest.mark.timeout(900 if FULL else 90)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return an engine with so many clocks that have just been missed, and somebody to tell of them."""
    engine = Engine(database=open_database(f"sqlite:///{tmp_path}/sla.db"))
    engine.agree(some_terms(a_promise(basis=TimeBasis.WALL, steps=(AT_DUE, AN_HOUR_AFTER))))
    start = engine.now
    engine.now = start + timedelta(days=1)
    put_first(engine)
    new = NewEndpoint(
        tenant="default", endpoint_id="crm", url="https://example.org/", display_name="", secret="none"
    )
    with engine.database.writer_engine.begin() as connection:
        create_endpoint(connection, schema.delivery_tables, new, sealer=Sealer(bytes(32)), now=engine.now)
        put_copies(connection, 1, MISSES, later=-timedelta(days=1), spacing=timedelta(milliseconds=1))
    engine.now = start + timedelta(hours=4, minutes=1)
    yield engine
    engine.database.close()


class Replica:
    """Reads what is due and decides it, then writes it: with time in between."""

    def __init__(self, database: Database, now: datetime) -> None:
        self._database = database
        self._archive = Archive()
        self._now = now
        self._tx: SlaTx | None = None
        self.settled = self.wasted = 0
        self._clocks = 0

    def decide(self) -> int:
        """Read and decide a batch; return how many clocks it has."""
        with self._database.reading() as connection:
            self._tx = SlaTx(connection, self._archive, now=self._now)
            due = due_clocks(connection, now=self._now, limit=BATCH)
            settle(self._tx, [handoff for _, handoff in due])
        self._clocks = len(due)
        return self._clocks

    def write(self) -> None:
        """Write what was decided, unless somebody else did."""
        assert self._tx is not None
        try:
            with self._database.writer_engine.begin() as connection:
                self._tx.connection = connection
                self._tx.flush()
        except ClockMoved:
            self.wasted += self._clocks
        else:
            self.settled += self._clocks

    def race(self, barrier: threading.Barrier) -> None:
        """Settle all there is, each batch at the same moment as all others."""
        try:
            while self.decide():
                barrier.wait(PATIENCE_SECONDS)
                self.write()
                # All look at what is left at the same time, too.
                barrier.wait(PATIENCE_SECONDS)
        except BaseException:
            # The others need not wait for one who fails.
            barrier.abort()
            raise


def fired(database: Database) -> Counter[tuple[str, str]]:
    """Return how often each clock was said to be missed, and each rung to have fired."""
    log = schema.eventlog_tables.event_log
    with database.reading() as connection:
        rows = connection.execute(select(log.c.subject, log.c.payload_type)).all()
    said = Counter((subject, kind.rsplit(".", 1)[1]) for subject, kind in rows)
    return Counter({key: n for key, n in said.items() if key[1] in {"ClockBreached", "RungFired"}})


def messages(engine: Engine) -> int:
    """Count the messages in the queue; each has an id of its own."""
    with engine.database.reading() as connection:
        query = select(func.count()).select_from(schema.delivery_tables.message)
        return int(connection.execute(query).scalar_one())


def assert_each_once(engine: Engine) -> None:
    """Check that each clock has one miss, one rung, one alert and one message."""
    found = fired(engine.database)
    assert set(found.values()) == {1}
    assert Counter(kind for _, kind in found) == {"ClockBreached": MISSES, "RungFired": MISSES}
    assert len({alert.clock for alert in engine.alerts()}) == len(engine.alerts()) == MISSES
    assert messages(engine) == MISSES


@pytest.mark.parametrize("replicas", [2, 5])
def test_replicas_that_write_the_same_misses_at_once_record_each_once(
    engine: Engine, replicas: int, capsys: pytest.CaptureFixture[str]
) -> None:
    racing = [Replica(engine.database, engine.now) for _ in range(replicas)]
    barrier = threading.Barrier(replicas)
    with ThreadPoolExecutor(replicas) as threads:
        for each in [threads.submit(replica.race, barrier) for replica in racing]:
            each.result(10 * PATIENCE_SECONDS)

    assert_each_once(engine)
    assert sum(each.settled for each in racing) == MISSES
    # They did race: of all that decided a clock, one wrote it.
    assert sum(each.wasted for each in racing) == (replicas - 1) * MISSES
    with capsys.disabled():
        sys.stdout.write(
            f"\n{replicas} replicas, {MISSES} misses: doubled 0, lost 0 (3/n = {3 / MISSES:.1e});"
            f" decided in vain {(replicas - 1) * MISSES}\n"
        )


def test_a_replica_that_stalls_before_it_writes_does_no_harm_when_it_returns(engine: Engine) -> None:
    stalled = Replica(engine.database, engine.now)
    assert stalled.decide() == BATCH
    # Meanwhile another one settles everything, and an hour later the next rung.
    while engine.sweep(limit=BATCH):
        pass
    assert_each_once(engine)
    before = engine.log()
    engine.advance(hours=1)
    stalled.write()

    assert (stalled.settled, stalled.wasted) == (0, BATCH)
    assert engine.log() == before
    assert_each_once(engine)


@pytest.mark.skipif(sys.platform != "linux", reason="stops a process")
def test_a_process_that_is_stopped_past_the_due_instant_keeps_others_out_and_then_fires_each_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sla.db"
    prepare(path, "http://127.0.0.1:9/")
    child = Path(__file__).with_name("sla_child.py")
    arguments = [sys.executable, str(child), str(path), STALLED, "1"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            due = from_micros(int(process.stdout.readline()))
            os.kill(process.pid, signal.SIGSTOP)
            while wallclock.utc_now() < due + timedelta(seconds=1):
                time.sleep(0.05)
            with pytest.raises(DatabaseOwned):
                open_database(f"sqlite:///{path}")
            returned = wallclock.utc_now()
            os.kill(process.pid, signal.SIGCONT)
            assert process.wait(60) == 0
        finally:
            process.kill()

    clock = schema.clock
    missed = select(clock.c.breach_time, clock.c.detect_time).where(clock.c.breach_time.is_not(None))
    with open_database(f"sqlite:///{path}") as database:
        assert Counter(fired(database).values()) == {1: 2 * HANDOFFS_A_LIFE}  # the rung at due, and the miss
        with database.reading() as connection:
            found = connection.execute(missed).all()
    assert {row.breach_time for row in found} == {due}
    assert all(row.detect_time >= returned for row in found)
