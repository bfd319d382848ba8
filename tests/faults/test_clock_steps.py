"""The wall clock of a whole process is set back and forwards (F40, F41): nothing fires early, and each once.

Everything in it is given its time, so it can be given another; the clock that never steps stays what it is.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select

from services.sla.store import schema
from smarketing import wallclock
from smarketing.sql import from_micros, open_database
from tests.faults.sla_child import CLOCK_FILE, HANDOFFS_A_LIFE, STALLED, prepare

CHILD: Final = Path(__file__).with_name("sla_child.py")
FIRED: Final = {"ClockBreached", "RungFired"}

pytestmark = pytest.mark.timeout(90)


class Shown:
    """A process that is shown the time that a file says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sla.db"
        self.file = folder / "time"
        prepare(self.path, "http://127.0.0.1:9/")
        self.set(timedelta())

    def set(self, offset: timedelta) -> None:
        """Let the wall clock be wrong by so much from now on."""
        new = self.file.with_name("new")
        new.write_text(f"{offset.total_seconds()}")
        new.replace(self.file)

    def start(self) -> "subprocess.Popen[str]":
        """Start it; it says when its handoffs are due."""
        environ = {**os.environ, CLOCK_FILE: str(self.file)}
        arguments = [sys.executable, str(CHILD), str(self.path), STALLED, "1"]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environ)

    def fired(self) -> list[tuple[str, datetime, datetime]]:
        """Return what fired, with when it was due and recorded by the clock that was shown."""
        log = schema.eventlog_tables.event_log
        query = select(log.c.payload_type, log.c.occur_time, log.c.record_time).order_by(log.c.position)
        with open_database(f"sqlite:///{self.path}") as database, database.reading() as connection:
            rows: list[Any] = list(connection.execute(query))
        told = [(row.payload_type.rsplit(".", 1)[1], row.occur_time, row.record_time) for row in rows]
        return [each for each in told if each[0] in FIRED]


def each_fired_once(shown: Shown) -> None:
    """Check that every rung and every miss is there once, and none before its instant."""
    fired = shown.fired()
    assert Counter(kind for kind, _, _ in fired) == {
        "ClockBreached": HANDOFFS_A_LIFE,
        "RungFired": HANDOFFS_A_LIFE,
    }
    assert all(recorded >= due for _, due, recorded in fired)


def test_a_wall_clock_set_back_pauses_what_is_due_until_it_is_right_again(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    with shown.start() as process:
        try:
            assert process.stdout is not None
            due = from_micros(int(process.stdout.readline()))
            shown.set(timedelta(hours=-2))
            # The true time passes the due instant, the shown one is far from it.
            while wallclock.utc_now() < due + timedelta(seconds=1.5):
                time.sleep(0.05)
            assert process.poll() is None, "it fired by a clock that was set back"
            shown.set(timedelta())
            assert process.wait(30) == 0
        finally:
            process.kill()

    each_fired_once(shown)


def test_a_wall_clock_that_jumps_forwards_fires_what_it_passed_each_once(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    began = wallclock.utc_now()
    with shown.start() as process:
        try:
            assert process.stdout is not None
            due = from_micros(int(process.stdout.readline()))
            shown.set(timedelta(minutes=10))
            assert process.wait(30) == 0
        finally:
            process.kill()

    each_fired_once(shown)
    # By the clock that was shown all of them were found minutes after they were due.
    assert due < began + timedelta(minutes=5)
    assert min(recorded for _, _, recorded in shown.fired()) > due
