"""A supervisor keeps its children running, and takes all of them along when it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from services.__main__ import addresses_from, environment_of
from services.supervisor import Child, Patience, Supervisor

# Stands in for a service: says that it lives by a file that holds its process id, and drains on SIGTERM.
OBEDIENT = """
import os, pathlib, signal, sys
mark = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
mark.write_text(str(os.getpid()))
signal.pause()
while True: signal.pause()
"""
DEAF = OBEDIENT.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
STILLBORN = "import sys; sys.exit(7)"

QUICK = Patience(first_restart=timedelta(milliseconds=10), stop=timedelta(seconds=10), deaths_before_ready=3)


@dataclass
class Nursery:
    """Supervised stand-ins and what was said of them."""

    folder: Path
    supervisor: Supervisor
    stop: asyncio.Event
    running: "asyncio.Task[int]"
    said: list[str] = field(default_factory=list)

    def process_id(self, name: str) -> int:
        mark = self.folder / name
        return int(mark.read_text() or "0") if mark.exists() else 0


def a_child(folder: Path, name: str, program: str = OBEDIENT) -> Child:
    mark = folder / name

    async def answers() -> bool:
        return mark.exists() and bool(mark.read_text())

    return Child(
        name=name,
        command=[sys.executable, "-c", program, str(mark)],
        environment=dict(os.environ),
        is_live=answers,
        is_ready=answers,
    )


@asynccontextmanager
async def a_nursery(folder: Path, *children: Child, patience: Patience = QUICK) -> AsyncIterator[Nursery]:
    said: list[str] = []
    supervisor = Supervisor(children, say=said.append, patience=patience)
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    try:
        yield Nursery(folder, supervisor, stop, running, said)
    finally:
        stop.set()
        await asyncio.wait([running])


async def until(condition, *, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- other processes set no event of ours
            await asyncio.sleep(0.01)


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


async def test_when_all_are_ready_one_line_says_so(tmp_path: Path) -> None:
    children = [a_child(tmp_path, name) for name in ("one", "two", "three")]
    async with a_nursery(tmp_path, *children) as nursery:
        await until(lambda: nursery.supervisor.all_ready)

        assert nursery.said == ["ready: one, two, three"]


async def test_the_next_starts_only_when_the_one_before_answers(tmp_path: Path) -> None:
    silent = a_child(tmp_path, "silent", "import signal; signal.pause()")
    async with a_nursery(tmp_path, silent, a_child(tmp_path, "next")) as nursery:
        await until(lambda: nursery.supervisor.process_id("silent") is not None)

        assert nursery.supervisor.process_id("next") is None
        (tmp_path / "silent").write_text("1")
        await until(lambda: nursery.process_id("next") != 0)


async def test_a_killed_child_is_restarted_and_its_death_said_in_one_line(tmp_path: Path) -> None:
    async with a_nursery(tmp_path, a_child(tmp_path, "leads"), a_child(tmp_path, "sla")) as nursery:
        await until(lambda: nursery.supervisor.all_ready)
        first, other = nursery.process_id("leads"), nursery.process_id("sla")
        (tmp_path / "leads").unlink()

        os.kill(first, signal.SIGKILL)
        await until(lambda: nursery.process_id("leads") not in {0, first})
        await until(lambda: nursery.supervisor.all_ready)

        assert nursery.process_id("sla") == other
        assert nursery.said == [
            "ready: leads, sla",
            "leads was ended by SIGKILL; restarting it in 0.01 s",
            "ready: leads, sla",
        ]


async def test_all_end_gracefully_with_the_supervisor(tmp_path: Path) -> None:
    children = [a_child(tmp_path, name) for name in ("one", "two")]
    async with a_nursery(tmp_path, *children) as nursery:
        await until(lambda: nursery.supervisor.all_ready)
        ids = [nursery.process_id("one"), nursery.process_id("two")]

        nursery.stop.set()

        assert await nursery.running == 0
        assert not any(map(is_running, ids))


async def test_a_child_that_does_not_stop_is_killed_and_the_status_says_so(tmp_path: Path) -> None:
    patience = Patience(stop=timedelta(milliseconds=300))
    async with a_nursery(tmp_path, a_child(tmp_path, "deaf", DEAF), patience=patience) as nursery:
        await until(lambda: nursery.supervisor.all_ready)
        process_id = nursery.process_id("deaf")

        nursery.stop.set()

        assert await nursery.running == 1
        assert nursery.said[-1] == "deaf did not stop in time; killing it"
        assert not is_running(process_id)


async def test_a_child_that_never_serves_is_given_up_and_the_others_are_stopped(tmp_path: Path) -> None:
    async with a_nursery(tmp_path, a_child(tmp_path, "good"), a_child(tmp_path, "bad", STILLBORN)) as nursery:
        assert await nursery.running == 1
        assert nursery.said == [
            "bad ended with status 7; restarting it in 0.01 s",
            "bad ended with status 7; restarting it in 0.02 s",
            "bad ended with status 7; it died 3 times without being ready, giving up",
        ]
        assert not is_running(nursery.process_id("good"))


async def test_the_wait_before_a_restart_is_bounded(tmp_path: Path) -> None:
    patience = Patience(
        first_restart=timedelta(milliseconds=10),
        longest_restart=timedelta(milliseconds=15),
        deaths_before_ready=4,
    )
    async with a_nursery(tmp_path, a_child(tmp_path, "bad", STILLBORN), patience=patience) as nursery:
        await nursery.running

        assert [line.rpartition(" in ")[2] for line in nursery.said[:-1]] == ["0.01 s", "0.015 s", "0.015 s"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_child_does_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "standin.py").write_text(OBEDIENT)
    mark = tmp_path / "mark"
    parent = """
import os, subprocess, sys
environment = {**os.environ, "SMARKETING_SUPERVISOR": str(os.getpid())}
command = [sys.executable, "-m", "services.supervised", "standin", sys.argv[1]]
subprocess.Popen(command, env=environment).wait()
"""
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, str(mark), env={**os.environ, "PYTHONPATH": path}
    )
    await until(lambda: mark.exists() and mark.read_text() != "")
    orphan = int(mark.read_text())

    supervisor.kill()
    await supervisor.wait()

    try:
        await until(lambda: not _lives(orphan))
    finally:
        with suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


def _lives(process_id: int) -> bool:
    """Whether the process runs; one that nobody has collected yet does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_free_ports_are_six_different_ones() -> None:
    addresses = addresses_from(0)

    assert len({each.grpc for each in addresses.values()} | {each.http for each in addresses.values()}) == 6


def test_each_service_is_told_its_own_addresses_the_data_folder_and_all_peers(tmp_path: Path) -> None:
    addresses = addresses_from(7001)

    told = environment_of("sla", data_dir=tmp_path, addresses=addresses, environ={"LANG": "C"})

    assert told == {
        "LANG": "C",
        "SMARKETING_LISTEN": "127.0.0.1:7002",
        "SMARKETING_HTTP_LISTEN": "127.0.0.1:7102",
        "SMARKETING_DATA_DIR": str(tmp_path),
        "SMARKETING_LEADS_ADDRESS": "127.0.0.1:7001",
        "SMARKETING_SLA_ADDRESS": "127.0.0.1:7002",
        "SMARKETING_REPORTS_ADDRESS": "127.0.0.1:7003",
        "SMARKETING_SUPERVISOR": str(os.getpid()),
    }
