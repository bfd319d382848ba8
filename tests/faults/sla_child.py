"""A process to be killed: fires timers, writes messages of it and delivers them, as the service does.

Adds handoffs that are due at once, and goes on until it is killed; `calm` until nothing is left to do.
"""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, select

from services.sla.domain.agreement import TimeBasis
from services.sla.domain.notice import Channel, ChannelWay
from services.sla.store import schema
from services.sla.store.archive import Archive
from services.sla.store.due import due_clocks
from services.sla.store.notices import put_channel
from services.sla.usecases.foresight import Foresight
from services.sla.usecases.notices import Notifier, Telling
from services.sla.usecases.sweep import Sweeper, WallGuard
from smarketing import wallclock
from smarketing.delivery import (
    AddressPolicy,
    NewEndpoint,
    Sealer,
    Sender,
    SenderSettings,
    create_endpoint,
    personal_webhook,
)
from smarketing.sql import Writer, open_database, to_micros
from tests.builders.many_clocks import FIRST, put_copies, put_first
from tests.builders.sla_engine import AN_HOUR_AFTER, AT_DUE, REP, Engine, a_promise, some_terms

HANDOFFS_A_LIFE = 3
STALLED_AHEAD = timedelta(seconds=1.5)
SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()
SEALER = Sealer(bytes(32))
CLOCK_FILE = "CLOCK_IS_OFF_BY"
"""Environment variable that names a file: by how many seconds the wall clock is wrong."""
CALM = "calm"
AT_COMMIT = "at-commit"
"""It kills itself when a rung's commit is done, before anything else can happen."""
BY_RECEIVER = "by-receiver"
"""Whoever hears from it kills it."""
STALLED = "stalled"
"""It says when its handoffs are due, some time ahead, and ends when they were missed."""


def prepare(path: Path, url: str) -> None:
    """Write an agreement, a handoff to copy, and where to send what: a tenant's endpoint, a person's own."""
    with open_database(f"sqlite:///{path}") as database:
        # What is copied starts so far ahead that it is never due itself.
        engine = Engine(now=wallclock.utc_now() + timedelta(days=2), database=database)
        terms = some_terms(a_promise(basis=TimeBasis.WALL, steps=(AT_DUE, AN_HOUR_AFTER)))
        engine.agree(terms, effective_time=engine.now - timedelta(days=4))
        put_first(engine)
        new = NewEndpoint(tenant="default", endpoint_id="crm", url=url, display_name="", secret=SECRET)
        channel = Channel(
            tenant="default",
            person=REP,
            way=ChannelWay.WEBHOOK,
            endpoint_id="rep-webhook",
            update_time=engine.now,
        )
        with database.writer_engine.begin() as connection:
            create_endpoint(connection, schema.delivery_tables, new, sealer=SEALER, now=engine.now)
            put_channel(connection, channel, personal_webhook(url, SECRET), sealer=SEALER, now=engine.now)


def add_due(connection: Connection, first: int, count: int, at: datetime) -> None:
    """Write so many handoffs whose first follow-up is due at an instant."""
    clock = schema.clock
    due = connection.execute(select(clock.c.due_time).where(clock.c.handoff == FIRST)).scalar_one()
    put_copies(connection, first, first + count - 1, later=at - due, spacing=timedelta())


class Mortal:
    """Notes that a timer fired, and ends the process once that is committed."""

    def __init__(self, *, dies: bool) -> None:
        self._dies = dies
        self._fired = False

    def timer_fired(self, kind: str, lateness_seconds: float) -> None:
        """Note it."""
        assert (kind, lateness_seconds >= 0) in {("rung", True), ("breach", True)}
        self._fired = True

    def committed(self) -> None:
        """Die, the way a process dies that is killed."""
        if self._dies and self._fired:
            os.kill(os.getpid(), signal.SIGKILL)

    def swept(self, seconds: float) -> None:
        """Pass over."""

    def turned(self) -> None:
        """Pass over."""

    def clock_stepped_back(self) -> None:
        """Refuse to be tested by such a clock, unless that is the test."""
        if CLOCK_FILE not in os.environ:
            raise RuntimeError("the wall clock was set back")


def shown_now() -> datetime:
    """Return what the wall clock shows: the time, and the seconds in the file that the environment names."""
    named = os.environ.get(CLOCK_FILE)
    seconds = float(Path(named).read_text()) if named else 0.0
    return wallclock.utc_now() + timedelta(seconds=seconds)


def left_to_do(connection: Connection) -> int:
    """Count what is due, what waits to be told and what is to be sent."""
    message, notice = schema.delivery_tables.message, schema.alert_notice
    waiting = select(func.count()).where(message.c.next_attempt_time.is_not(None))
    told = select(func.count()).select_from(notice)
    due = due_clocks(connection, now=wallclock.utc_now(), limit=10)
    return len(due) + sum(connection.execute(query).scalar_one() for query in (waiting, told))


def not_missed_yet(connection: Connection) -> int:
    """Count how many of a life's handoffs are still to be missed."""
    missed = select(func.count()).where(schema.clock.c.breach_time.is_not(None))
    return HANDOFFS_A_LIFE - int(connection.execute(missed).scalar_one())


GOES_ON: Final[dict[str, Callable[[Connection], int]]] = {CALM: left_to_do, STALLED: not_missed_yet}
"""How much is left, for those who come to an end by themselves."""


async def main(path: Path, how: str, first: int) -> None:
    """Live."""
    due = shown_now() + (STALLED_AHEAD if how == STALLED else timedelta())

    def add(connection: Connection, requests: Sequence[None], _now: datetime) -> list[None]:
        add_due(connection, first, HANDOFFS_A_LIFE, due)
        return [None] * len(requests)

    with open_database(f"sqlite:///{path}") as database:
        archive, mortal = Archive(), Mortal(dies=how == AT_COMMIT)
        async with Writer(database, now=shown_now) as writer:
            # First of all that listen: the others have not seen the commit when it kills.
            writer.when_committed(mortal.committed)
            running = [asyncio.create_task(task) for task in tasks_of(writer, archive, mortal)]
            if how != CALM:
                await writer.run(add, [None])
            if how == STALLED:
                os.write(sys.stdout.fileno(), f"{to_micros(due)}\n".encode())
            left = GOES_ON.get(how)
            while left is None or await writer.read(left) > 0:  # noqa: ASYNC110 -- nothing tells of it
                await asyncio.sleep(0.02)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def tasks_of(writer: Writer, archive: Archive, mortal: Mortal) -> list[Coroutine[Any, Any, None]]:
    """Return what fires, what tells and what sends."""
    now = shown_now
    guard = WallGuard(now=now, monotonic=wallclock.monotonic)
    settings = SenderSettings(addresses=AddressPolicy(allow_loopback=True))
    telling = Telling(window=timedelta(0))
    foresight = Foresight(archive)
    return [
        Sweeper(writer, archive, guard=guard, now=now, observer=mortal, foresight=foresight).run(),
        Notifier(writer, archive, telling=telling, now=now).run(),
        Sender(writer, schema.delivery_tables, sealer=SEALER, now=now, settings=settings).run(),
    ]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
