"""A process to be killed: appends to a log as fast as it can, serves it, follows it into another database.

Writes one line to standard output for each event that was acknowledged.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Connection, MetaData

from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.eventlog.consumer import Consumer
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.reading import ensure_identity, head
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.eventlog.tables import define_tables
from smarketing.server.draining import Draining
from smarketing.sql import Database, Writer, open_database

SUBJECTS = 7
CALLERS = 8


def prepared(path: Path) -> Database:
    """Open a database and give it its tables."""
    database = open_database(f"sqlite:///{path}")
    metadata = MetaData()
    define_tables(metadata)
    with database.writer_engine.begin() as connection:
        metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS fold (subject TEXT PRIMARY KEY, text TEXT, count INTEGER)"
        )
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS kept (content TEXT PRIMARY KEY)")
        ensure_identity(connection, new_log_id=wallclock.new_uuid)
    return database


def keep(connection: Connection, contents: Sequence[str], now: datetime) -> Sequence[str]:
    """Keep each content, and record an event of it."""
    for content in contents:
        connection.exec_driver_sql("INSERT INTO kept VALUES (?)", (content,))
    events = [
        NewEvent(
            tenant="tenants/acme",
            subject=f"tenants/acme/leads/{int(content.rpartition('-')[2]) % SUBJECTS}",
            occur_time=now,
            actor="people/kim",
            payload=StringValue(value=content),
        )
        for content in contents
    ]
    append(connection, events, now=now)
    return contents


def fold(connection: Connection, events: Sequence[eventlogpb.Event], _now: datetime) -> None:
    """Count each subject's events and chain their contents: doubling, losing or swapping one shows."""
    # Long inside the transaction, so that most kills fall between its beginning and its commit.
    time.sleep(0.005)
    for event in events:
        content = StringValue.FromString(event.payload.value).value
        connection.exec_driver_sql(
            "INSERT INTO fold VALUES (?, ?, 1) ON CONFLICT (subject) DO UPDATE"
            " SET text = text || ',' || excluded.text, count = count + 1",
            (event.subject, content),
        )


async def write(writer: Writer, name: str) -> None:
    """Append one event after the other, and say each that was acknowledged."""
    number = 0
    while True:
        content = f"{name}-{number}"
        await writer.run(keep, [content])
        os.write(sys.stdout.fileno(), f"{content}\n".encode())
        number += 1


async def main(folder: Path, name: str) -> None:
    """Run until killed, `alone` without a follower; with the name `finish` until that has everything."""
    with prepared(folder / "log.db") as log, prepared(folder / "follower.db") as follower:
        async with (
            Writer(log, now=wallclock.utc_now) as writer,
            Writer(follower, now=wallclock.utc_now) as other,
        ):
            server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
            servicer = EventLogServicer(writer, draining=Draining())
            add_EventLogServiceServicer_to_server(servicer, server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                consumer = Consumer(
                    "follower",
                    feed=Feed(channel, name="follower"),
                    writer=other,
                    apply=fold,
                    payload_types=["google.protobuf.StringValue"],
                    now=wallclock.utc_now,
                )
                following = asyncio.create_task(asyncio.Event().wait() if "alone" in name else consumer.run())
                if name == "finish":
                    _, newest = await writer.read(lambda connection: head(connection, "tenants/-"))
                    await consumer.wait_until(newest)
                else:
                    await asyncio.gather(following, *(write(writer, f"{name}-{n}") for n in range(CALLERS)))
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
