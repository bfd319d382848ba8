"""A consumer of the leads log over gRPC: how fast it takes in what waits, and how soon a single event.

The consumer is the services' own, with its checkpoint, on a SQLite file that syncs; what it does with an
event is to keep a row of it. What `reports` does with an event is measured by `rebuild`.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory
from typing import Any, Final

import grpc.aio
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text

import smarketing.api.leads.v1 as leads_v1
from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.consumer import Consumer, UnobservedConsumer
from smarketing.eventlog.feed import CHANNEL_OPTIONS, Feed
from smarketing.eventlog.tables import define_tables
from smarketing.sql import Database, Writer, open_database
from smarketing.wallclock import new_id
from tests.bench.loading import ROOT, Loaded, open_loop
from tests.bench.ours import Ours
from tests.bench.phases import percentile
from tests.bench.sizes import lasting, sized
from tests.bench.watched import cpu_seconds

GOAL_PER_SECOND: Final = 20_000.0
GOAL_LAG_MS: Final = 100.0
BATCH: Final = 2_000
ALONE_PER_SECOND: Final = 20.0
ROUNDS: Final = 3

Figures = dict[str, Any]


def events() -> Figures:
    """All that waits in a log taken in durably over gRPC, and single events as they come."""
    with TemporaryDirectory() as folder:
        ours = Ours(Path(folder) / "ours")
        try:
            ours.prepare()
            fill(ours, sized(20_000, 250))
            seen = asyncio.run(followed(ours, Path(folder)))
        finally:
            ours.stop()
    return {**seen, "lines": _lines(seen), **_judged(seen)}


def fill(ours: Ours, leads: int) -> None:
    """Submit so many leads in a stream of batches."""
    command = [
        *(sys.executable, "-m", "tests.bench.load", "stream", ours.target, "--token", ours.token),
        *("--run", new_id(), "--count", str(leads)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    if json.loads(done.stdout)["items"] != leads:
        raise RuntimeError("not every lead was taken")


async def followed(ours: Ours, folder: Path) -> Figures:
    """Take the log in several times, and then single events."""
    rounds = [
        await _taken_in(ours, folder / f"{number}.db", last=number == 0)
        for number in range(sized(ROUNDS, 1))[::-1]
    ]
    best = sorted(rounds, key=lambda each: each["per_second"])[len(rounds) // 2]
    return {**best, **rounds[-1]["alone"]}


async def _taken_in(ours: Ours, path: Path, *, last: bool) -> Figures:
    """Follow the log from its first event to its head; the last one goes on with single events."""
    observer = _Delays()
    with open_database(f"sqlite:///{path}") as database:
        noted = _schema(database)
        async with (
            Writer(database, now=wallclock.utc_now) as writer,
            grpc.aio.insecure_channel(ours.target, options=list(CHANNEL_OPTIONS)) as channel,
        ):
            credentials = (("authorization", f"Bearer {ours.operator_token}"),)
            consumer = Consumer(
                "bench",
                feed=Feed(channel, name="bench", metadata=lambda: credentials),
                writer=writer,
                apply=noted,
                payload_types=_all_messages(),
                now=wallclock.utc_now,
                batch_events=BATCH,
                observer=observer,
            )
            head = await _head(channel, credentials)
            began, spent, theirs = time.perf_counter(), time.process_time(), cpu_seconds([ours.process_id])
            following = asyncio.create_task(consumer.run())
            await consumer.wait_until(head)
            seconds, spent = time.perf_counter() - began, time.process_time() - spent
            theirs = cpu_seconds([ours.process_id]) - theirs
            figures = {
                "events": head,
                "per_second": head / seconds,
                "cpu_us_an_event": 1e6 * spent / head,
                "feed_cpu_us_an_event": 1e6 * theirs / head,
                "alone": await _alone(ours, observer) if last else {},
            }
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    return figures


async def _alone(ours: Ours, observer: "_Delays") -> Figures:
    """Submit leads one by one and return how long their events took to be committed at the consumer."""
    observer.delays.clear()
    loaded = Loaded(targets=[ours.target], token=ours.token, process_ids={})
    phases = [(ALONE_PER_SECOND, lasting(15.0, 0.3)), (0.0, lasting(1.0, 0.5))]
    run = await asyncio.to_thread(open_loop, loaded, phases, loaders=1)
    if run.figures[0]["failed"]:
        raise RuntimeError(f"submits failed: {run.figures[0]}")
    ordered = sorted(observer.delays)
    return {
        "singles": len(ordered),
        "lag_p50_ms": 1000 * percentile(ordered, 0.5),
        "lag_p99_ms": 1000 * percentile(ordered, 0.99),
    }


class _Delays(UnobservedConsumer):
    """Remembers how long after its record each batch was committed."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    def batch_applied(self, consumer: str, delay_seconds: float) -> None:  # noqa: ARG002 -- the observer's signature
        """Note it."""
        self.delays.append(delay_seconds)


def _all_messages() -> list[str]:
    """Return the full names of all that an event of `leads` may carry: each is kept alike."""
    modules = (
        import_module(f"{leads_v1.__name__}.{each.name}")
        for each in iter_modules(leads_v1.__path__)
        if each.name.endswith("_pb2")
    )
    return [
        message.full_name
        for module in modules
        for message in module.DESCRIPTOR.message_types_by_name.values()
    ]


def _schema(database: Database) -> Any:
    metadata = MetaData()
    define_tables(metadata)
    Table(
        "noted",
        metadata,
        Column("position", Integer, primary_key=True),
        Column("subject", Text),
        Column("size", Integer),
    )
    with database.writer_engine.begin() as connection:
        metadata.create_all(connection)

    def apply(connection: Connection, events: Sequence[eventlogpb.Event], _now: datetime) -> None:
        rows = [(each.position, each.subject, each.ByteSize()) for each in events]
        connection.exec_driver_sql("INSERT INTO noted VALUES (?, ?, ?)", rows)

    return apply


async def _head(channel: grpc.aio.Channel, credentials: Sequence[tuple[str, str]]) -> int:
    feed = Feed(channel, name="bench-head", metadata=lambda: credentials)
    return (await feed.read(log_id="", after=0, limit=1)).head_position


def _lines(seen: Figures) -> list[str]:
    consumer, feed = seen["cpu_us_an_event"], seen["feed_cpu_us_an_event"]
    waited = f"{seen['events']:,} events that waited: {seen['per_second']:,.0f} a second"
    alone = f"{seen['singles']} commits of single events, after they were recorded"
    return [
        f"{waited}, {consumer:.1f} µs CPU of the consumer, {feed:.1f} of the feed",
        f"{alone}: p50 {seen['lag_p50_ms']:.1f} ms, p99 {seen['lag_p99_ms']:.1f} ms",
    ]


def _judged(seen: Figures) -> Figures:
    ratios = {
        "consumer_to_twenty_thousand": seen["per_second"] / GOAL_PER_SECOND,
        "hundred_ms_to_p99_of_the_lag": GOAL_LAG_MS / max(seen["lag_p99_ms"], 0.001),
    }
    return {"ratios": ratios, "goals": dict.fromkeys(ratios, 1.0)}
