"""The sla service is killed between a rung's commit and its delivery, and between delivery and its record.

None is lost, and what comes again comes under the same id with the same body. A few kills of each in
`make test`, a hundred of each with FAULTS=full.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from sqlalchemy import select

from services.sla.store import schema
from services.sla.store.rows import alert_of
from smarketing.delivery.tables import MessageState
from smarketing.sql import open_database
from tests.builders.webhooks import Receiver
from tests.faults.sla_child import AT_COMMIT, BY_RECEIVER, CALM, HANDOFFS_A_LIFE, SECRET, prepare

FULL: Final = os.environ.get("FAULTS") == "full"
KILLS: Final = 100 if FULL else 3
"""Of each kind."""
CHILD: Final = Path(__file__).with_name("sla_child.py")

pytestmark = [
    pytest.mark.timeout(1_500 if FULL else 120),
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes"),
]


class Lives:
    """One process after the other on the same database, each with handoffs of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sla.db"
        self.begun = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.kill_at: str | None = None
        self.heard: set[str] = set()
        self.verified = 0

    def start(self, how: str) -> None:
        """Begin the next life."""
        first = 1 + self.begun * HANDOFFS_A_LIFE
        arguments = [sys.executable, str(CHILD), str(self.path), how, str(first)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        self.begun += how != CALM

    def answer(self, receiver: Receiver) -> str:
        """Say yes to a message; when it is time to kill, to a new one too late or just in time."""
        # At once: a signature is good for a few minutes.
        self.verified += receiver.received[-1].verified_with(SECRET) is not None
        message = receiver.received[-1].message_id
        is_new = message not in self.heard
        self.heard.add(message)
        if self.kill_at == "before-answer" and is_new:
            self.kill()
        if self.kill_at == "after-answer" and is_new:
            # The answer is on its way when it is killed: it was heard, or not.
            asyncio.get_running_loop().call_later(0.0005, self.kill)
        return "200 OK"

    def kill(self) -> None:
        """Kill the process that was started last."""
        self.kill_at = None
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Wait for the end of the process and return how it ended."""
        assert self.process is not None
        give_up = time.monotonic() + 60
        while self.process.poll() is None:
            if time.monotonic() > give_up:
                self.process.kill()
                raise AssertionError("the process did not come to its end")
            await asyncio.sleep(0.01)
        return self.process.returncode


async def test_a_kill_around_a_delivery_loses_no_rung_and_repeats_it_only_under_its_own_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lives = Lives(tmp_path)
    receiver = Receiver()
    receiver.answer = lambda _number: lives.answer(receiver)
    async with receiver:
        prepare(lives.path, receiver.url)
        try:
            for number in range(KILLS):
                lives.start(AT_COMMIT)
                assert await lives.ended() == -signal.SIGKILL
                # Half of them die before they can hear the answer, half about when they do.
                lives.kill_at = "after-answer" if number % 2 else "before-answer"
                lives.start(BY_RECEIVER)
                assert await lives.ended() == -signal.SIGKILL
            lives.start(CALM)
            assert await lives.ended() == 0
        finally:
            if lives.process is not None and lives.process.poll() is None:
                lives.process.kill()

    found = _Found(lives.path)
    handoffs = 2 * KILLS * HANDOFFS_A_LIFE
    assert found.said == {"ClockBreached": handoffs, "RungFired": handoffs}
    assert found.said_twice == []
    assert len(found.alerts) == handoffs
    assert found.states == {MessageState.DELIVERED}

    bodies = defaultdict(set)
    for each in receiver.received:
        bodies[each.message_id].add(each.body)
    assert lives.verified == len(receiver.received)
    # Each id stands for one content for ever, and everybody's endpoint heard of each alert.
    assert {len(each) for each in bodies.values()} == {1}
    assert {each for each in bodies if each.startswith("alert-")} == {
        alert.message_id for alert in found.alerts
    }
    # The person was told of each alert, by one message and no other.
    told = Counter(
        item["alert"]
        for each, (body,) in bodies.items()
        if each.startswith("notice-")
        for item in orjson.loads(body)["alerts"]
    )
    assert told == {alert.name: 1 for alert in found.alerts}

    repeats = len(receiver.received) - len(bodies)
    # Whoever dies before the answer has certainly recorded nothing; and each death, of either kind, may
    # interrupt one message to each of the two endpoints.
    assert (KILLS + 1) // 2 <= repeats <= 2 * 2 * KILLS
    with capsys.disabled():
        sys.stdout.write(
            f"\n{KILLS} kills between commit and delivery, {KILLS} between delivery and its record:"
            f" {handoffs} rungs, {len(bodies)} messages, lost 0, repeated under the same id {repeats}\n"
        )


class _Found:
    """What the database holds in the end."""

    def __init__(self, path: Path) -> None:
        log, message = schema.eventlog_tables.event_log, schema.delivery_tables.message
        with open_database(f"sqlite:///{path}") as database, database.reading() as connection:
            rows: list[Any] = list(connection.execute(select(log.c.subject, log.c.payload_type)))
            said = Counter((row.subject, row.payload_type.rsplit(".", 1)[1]) for row in rows)
            self.alerts = [alert_of(dict(row)) for row in connection.execute(select(schema.alert)).mappings()]
            self.states = {row.state for row in connection.execute(select(message.c.state))}
        fired = {key: count for key, count in said.items() if key[1] in {"ClockBreached", "RungFired"}}
        self.said = Counter(kind for _, kind in fired)
        self.said_twice = [key for key, count in fired.items() if count > 1]
