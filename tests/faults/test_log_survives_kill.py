"""A process that appends and follows is killed at random moments (F1 and F3 in small; promises P1 to P4)."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from smarketing.eventlog.checkpoints import find_checkpoint
from smarketing.eventlog.reading import read
from smarketing.sql import Database, open_database
from tests.faults.log_child import SUBJECTS

CHILD = Path(__file__).with_name("log_child.py")
FULL = os.environ.get("FAULTS") == "full"
KILLS = 40 if FULL else 8
SEED = 20_260_504

pytestmark = pytest.mark.timeout(120)

_Event = tuple[int, str, int, str]
"""Position, subject, version and content."""


def _start(folder: Path, name: str, acknowledged: Path, failpoints: str = "") -> subprocess.Popen[bytes]:
    with acknowledged.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), name],
            stdout=output,
            stderr=subprocess.DEVNULL if failpoints else None,
            env={**os.environ, "FAILPOINTS": failpoints},
        )


def _wait_for_growth(path: Path, process: subprocess.Popen[bytes]) -> None:
    before = path.stat().st_size
    give_up = time.monotonic() + 30
    while path.stat().st_size == before:
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < give_up, "nothing was acknowledged"
        time.sleep(0.002)


def _wait_until(reached: Path, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 30
    while not reached.exists():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < give_up, "it never came to the place"
        time.sleep(0.002)


def _log(folder: Path) -> list[_Event]:
    """Return position, subject, version and content of every event, read page by page."""
    found: list[_Event] = []
    with open_database(f"sqlite:///{folder}/log.db") as database:
        while True:
            with database.reading() as connection:
                page = read(connection, "tenants/-", after=len(found), limit=5000)
            if not page.events:
                assert page.head_position == len(found)
                return found
            found += [
                (e.position, e.subject, e.subject_version, StringValue.FromString(e.payload.value).value)
                for e in page.events
            ]


def _digest(events: list[_Event]) -> bytes:
    return hashlib.sha256(repr(events).encode()).digest()


def _followed(database: Database) -> tuple[dict[str, tuple[str, int]], Any]:
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT subject, text, count FROM fold").all()
        return {row[0]: (row[1], row[2]) for row in rows}, find_checkpoint(connection, "follower")


def _folded(events: list[_Event]) -> dict[str, tuple[str, int]]:
    contents: dict[str, list[str]] = {}
    for _, subject, _, content in events:
        contents.setdefault(subject, []).append(content)
    return {subject: (",".join(own), len(own)) for subject, own in contents.items()}


def test_a_log_and_its_follower_survive_being_killed_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    acknowledged = tmp_path / "acknowledged"
    acknowledged.touch()
    known: tuple[int, bytes] = (0, _digest([]))
    for kill in range(KILLS):
        process = _start(tmp_path, f"{kill}", acknowledged)
        _wait_for_growth(acknowledged, process)
        time.sleep(chance.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

        events = _log(tmp_path)
        # What was read before stands where it stood.
        assert _digest(events[: known[0]]) == known[1]
        known = (len(events), _digest(events))
        with open_database(f"sqlite:///{tmp_path}/follower.db") as database:
            fold, checkpoint = _followed(database)
        done = checkpoint.position if checkpoint is not None else 0
        assert fold == _folded(events[:done]), (
            "the follower's state is not the fold of the log at its checkpoint"
        )

    events, answered = _brought_to_an_end(tmp_path, acknowledged)
    print(f"{KILLS} kills, {len(events)} events, {len(answered)} acknowledged, 0 lost")  # noqa: T201 -- the figure of the run


@pytest.mark.parametrize(
    "place", ["outbox.after_append", "writer.before_commit", "writer.after_commit", "consumer.after_apply"]
)
def test_a_process_killed_at_a_named_place_keeps_what_it_acknowledged_and_half_of_nothing(
    place: str, tmp_path: Path
) -> None:
    acknowledged = tmp_path / "acknowledged"
    acknowledged.touch()
    alone = "" if place.startswith("consumer") else "alone-"
    for visit in (12, 30) if FULL else (12,):
        hold = tmp_path / f"hold-{visit}"
        hold.touch()
        process = _start(tmp_path, f"{alone}{visit}", acknowledged, f"{place}=pause:{hold}@{visit}")
        try:
            _wait_until(tmp_path / f"hold-{visit}.reached", process)
            # Whoever answers before it is time has the time to do so.
            time.sleep(0.1)
        finally:
            process.kill()
            assert process.wait() == -signal.SIGKILL

    _brought_to_an_end(tmp_path, acknowledged)


def _brought_to_an_end(folder: Path, acknowledged: Path) -> tuple[list[_Event], list[str]]:
    """Let the follower read everything, check what is promised, and return the log and what was answered."""
    finish = _start(folder, "finish", acknowledged)
    assert finish.wait(60) == 0

    events = _log(folder)
    contents = [content for _, _, _, content in events]
    answered = acknowledged.read_text().split()
    assert [position for position, _, _, _ in events] == list(range(1, len(events) + 1))
    assert len(set(contents)) == len(contents)
    assert set(answered) <= set(contents), "an acknowledged event was lost"
    for subject in {subject for _, subject, _, _ in events}:
        versions = [version for _, own, version, _ in events if own == subject]
        assert versions == list(range(1, len(versions) + 1))
    with open_database(f"sqlite:///{folder}/follower.db") as database:
        fold, checkpoint = _followed(database)
    assert (fold, checkpoint.position) == (_folded(events), len(events))
    assert len(fold) == SUBJECTS
    with open_database(f"sqlite:///{folder}/log.db") as database, database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT content FROM kept").scalars().all()
    assert sorted(kept) == sorted(contents), "something is kept without its event, or said without being kept"
    return events, answered
