"""What a server of the bus does to us whose disk is full (F13): nothing but wait."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from smarketing.eventlog.feed import Feed
from smarketing.sql import Database
from tests.builders.nats_servers import NatsServer
from tests.contract.bus.carriers import ABus
from tests.contract.bus.followers import Make, running, told_the_head
from tests.contract.bus.served_log import ServedLog, seen

MEBIBYTE = 1024 * 1024


def may_mount() -> bool:
    """Whether this user may have a disk of its own, as most may within a namespace of theirs."""
    try:
        return subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(not may_mount(), reason="nobody but an administrator may mount a disk here"),
]


class SmallDisk:
    """A disk of 24 MiB that is there for whoever runs within it, as long as its keeper lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        mounts = f'mount -t tmpfs -o size=24m tmpfs "{folder}" && echo mounted && exec cat'
        self._keeper = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", mounts], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"mounted\n"

    @property
    def within(self) -> list[str]:
        """The command that runs another one where the disk is."""
        return ["nsenter", "-t", str(self._keeper.pid), "-U", "-m", "--preserve-credentials"]

    @property
    def _filler(self) -> Path:
        return Path(f"/proc/{self._keeper.pid}/root{self._folder}/filler")

    def fill(self) -> None:
        """Leave no byte, also of what was given back since."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    @property
    def is_full(self) -> bool:
        """Whether nobody can write another byte."""
        return os.statvfs(self._filler).f_bavail == 0

    def free(self) -> None:
        """Give back what filled it."""
        self._filler.unlink()

    def close(self) -> None:
        """Let it go."""
        self._keeper.communicate(timeout=10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "one")
    yield disk
    disk.close()


@pytest.fixture
def server(tmp_path: Path, disk: SmallDisk) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path, within=disk.within)
    server.start()
    yield server
    server.kill()


async def test_while_the_disk_of_the_bus_is_full_nobody_waits_and_nothing_is_lost(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    disk: SmallDisk,
    server: NatsServer,
    a_bus: ABus,
) -> None:
    carried = a_bus([server], name="small", max_bytes=8 * MEBIBYTE)
    relay = carried.start_relay()
    texts = [letter * (1 if letter < "e" else 100_000) for letter in "abcdefgh"]
    async with running(make(feed=carried.source(Feed(channel, name="small"))), seconds=60) as consumer:
        await told_the_head(consumer)
        await log.record(*texts[:4])
        await carried.when(lambda: relay.position == 4)
        disk.fill()
        was_full = disk.is_full
        await log.record(*texts[4:])
        await consumer.wait_until(8)
        # Room alone may not help: a server that met a full disk often keeps nothing more before a restart.
        disk.free()
        server.stop()
        server.start()
        await carried.when(lambda: relay.position == 8)

    assert was_full
    assert seen(follower) == [(number, text) for number, text in enumerate(texts, start=1)]
