"""A device that fails, as strace makes one: what is not on the disk is not called kept (F14)."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from tests.builders.processes import ROOT
from tests.faults.test_disk import count

WRITES: Final = 12
KEEPS_AND_SAYS: Final = dedent(f"""
    import asyncio, os, sys
    from datetime import UTC, datetime
    from smarketing.sql import StorageFault, StorageUnavailable, Writer, open_database

    def keep(connection, numbers, now):
        for number in numbers:
            connection.exec_driver_sql("INSERT INTO kept VALUES (?, zeroblob(3000))", (number,))
        return numbers

    async def main():
        with open_database(sys.argv[1]) as database:
            with database.writer_engine.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE kept (number INTEGER, content BLOB)")
            async with Writer(database, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as writer:
                for number in range({WRITES}):
                    try:
                        await writer.run(keep, [number])
                        os.write(1, f"kept {{number}}\\n".encode())
                    except StorageUnavailable as refused:
                        assert refused.fault is StorageFault.INPUT_OUTPUT
                        os.write(1, f"refused {{number}}\\n".encode())

    asyncio.run(main())
""")

CALL: Final = re.compile(
    r"(?P<name>fsync|fdatasync|pwrite64|write)\(\d+<(?P<file>[^>]*)>(?P<rest>.*)\) += (?P<answer>-?\d+)"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the system that was seen."""

    name: str
    file: str
    offset: int
    said: str
    failed: bool

    @property
    def is_of_the_log(self) -> bool:
        return self.file.endswith("-wal")

    @property
    def is_sync(self) -> bool:
        return self.name in ("fsync", "fdatasync") and self.is_of_the_log


@dataclass(frozen=True, slots=True)
class Ran:
    """What a process did while its device failed."""

    calls: list[Call]
    log: str

    def said(self, word: str) -> list[int]:
        answers = (re.match(r'.*"(\w+) (\d+)', call.said) for call in self.calls if call.name == "write")
        return [int(found[2]) for found in answers if found and found[1] == word]


def ran(path: Path, *, failing: str, when: str) -> Ran:
    """Let a process write on a device on which calls fail, from the first or the n-th `when` on."""
    trace = path.with_name("trace")
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,fdatasync,pwrite64,write"]
    command += ["-e", f"inject={failing}:error=EIO:when={when}"]
    command += [sys.executable, "-c", KEEPS_AND_SAYS, f"sqlite:///{path}"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return Ran(list(calls_of(trace)), done.stdout)


def calls_of(trace: Path) -> Iterator[Call]:
    for line in trace.read_text().splitlines():
        found = CALL.search(line)
        if found is not None:
            offset = int(found["rest"].rpartition(", ")[2]) if found["name"] == "pwrite64" else 0
            yield Call(found["name"], found["file"], offset, line, found["answer"] == "-1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.mark.needs("strace")
def test_a_write_whose_sync_failed_is_refused_and_the_next_sync_is_of_pages_written_anew(path: Path) -> None:
    process = ran(path, failing="fsync,fdatasync", when="8")

    # Each thread's eighth fails: the writer's first, and at the very end the one that closes the file.
    failed = next(number for number, call in enumerate(process.calls) if call.is_sync and call.failed)
    after = process.calls[failed + 1 :]
    following = next(number for number, call in enumerate(after) if call.is_sync)
    lost = offsets_since_the_last_sync(process.calls[:failed])
    # The kernel reports a failure once, and then holds what it did not write for written.
    assert lost <= {call.offset for call in after[:following] if call.is_of_the_log} != set()
    [refused] = process.said("refused")
    assert process.said("kept") == [number for number in range(WRITES) if number != refused]
    assert count(path) == WRITES - 1
    assert "transaction_refused" in process.log


def offsets_since_the_last_sync(calls: list[Call]) -> set[int]:
    """Return where the write-ahead log was written since it was last synced."""
    found: set[int] = set()
    for call in calls:
        if call.is_sync:
            found = set()
        elif call.name == "pwrite64" and call.is_of_the_log:
            found.add(call.offset)
    return found


@pytest.mark.needs("strace")
def test_a_device_that_syncs_no_more_is_answered_by_refusals_alone(path: Path) -> None:
    process = ran(path, failing="fsync,fdatasync", when="8+")

    kept = process.said("kept")
    assert process.said("refused") == list(range(len(kept), WRITES)) != []
    assert 0 < len(kept) < WRITES


@pytest.mark.needs("strace")
def test_a_write_that_the_device_does_not_take_is_refused_and_the_next_one_is_whole(path: Path) -> None:
    process = ran(path, failing="pwrite64", when="40")

    [refused] = process.said("refused")
    assert process.said("kept") == [number for number in range(WRITES) if number != refused]
    assert count(path) == WRITES - 1
