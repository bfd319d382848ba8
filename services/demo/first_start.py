"""Makes the data folder: the month is played beside it, and put in its place when it is whole."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from services.demo.company import read_company
from services.demo.houses import Clock, open_houses
from services.demo.month import month
from services.demo.player import Player
from services.demo.setting_up import set_up
from services.demo.storing import Shape, Storage, home_for, storage_in

__all__ = ["MONTH", "FolderRefused", "has_month", "make_month", "owned", "play_month"]

MONTH: Final = timedelta(days=30)
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_MADE: Final = {Shape.EMBEDDED: "leads.db", Shape.POSTGRES: "postgres.home"}


class FolderRefused(Exception):
    """The data folder cannot be used; the message says what to do."""


@contextmanager
def owned(data_dir: Path) -> Iterator[None]:
    """Hold the folder against another demo.

    Raises:
        FolderRefused: another one runs on it.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with (data_dir.parent / f"{data_dir.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderRefused(
                f"Another demo runs on {data_dir}: stop it, or name another --data."
            ) from None
        yield


def has_month(data_dir: Path, shape: Shape = Shape.EMBEDDED) -> bool:
    """Whether the folder was made by an earlier start.

    Raises:
        FolderRefused: it holds something else.
    """
    if (data_dir / _MADE[shape]).is_file():
        return True
    if data_dir.exists() and any(data_dir.iterdir()):
        raise FolderRefused(
            f"{data_dir} holds something that is no demo's of this shape: name another --data."
        )
    return False


def make_month(
    data_dir: Path,
    *,
    seed: int,
    end: datetime,
    said: Callable[[float], None],
    length: timedelta = MONTH,
    shape: Shape = Shape.EMBEDDED,
) -> None:
    """Play the month up to `end`; `said` is told the share that is done.

    A start that is killed leaves a folder `….unfinished`, which the next one begins anew.
    """
    unfinished = data_dir.parent / f"{data_dir.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    home = home_for(unfinished, data_dir) if shape is Shape.POSTGRES else unfinished
    with storage_in(unfinished, shape, durable=False) as storage:
        asyncio.run(play_month(unfinished, storage, seed=seed, start=end - length, end=end, said=said))
    _to_disk(home)
    _to_disk(unfinished)
    if data_dir.exists():
        data_dir.rmdir()
    unfinished.rename(data_dir)
    _to_disk(data_dir.parent, below=False)


async def play_month(
    data_dir: Path,
    storage: Storage,
    *,
    seed: int,
    start: datetime,
    end: datetime,
    said: Callable[[float], None],
) -> None:
    """Play what happens between two instants into an empty folder."""
    company = read_company(start=start, end=end)
    clock = Clock(start)
    new_id = _ids(seed, clock)
    async with open_houses(data_dir, clock, storage=storage, new_id=new_id) as houses:
        await set_up(houses, company, data_dir, new_id=new_id)
        player = Player(
            houses,
            company,
            month(seed=seed, start=start, end=end, calendar=company.calendar),
            seed=seed,
            new_id=new_id,
            said=lambda at: said((at - start) / (end - start)),
        )
        await player.play_until(end)


def _ids(seed: int, clock: Clock) -> Callable[[], str]:
    """Return a source of ids like the library's, sortable by the instant that is played."""
    dice = Random(f"{seed}/ids")  # noqa: S311 -- ids have to differ, not to surprise

    def new_id() -> str:
        number = round(clock.now.timestamp() * 1000) << 82 | dice.getrandbits(82)
        return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))

    return new_id


def _to_disk(folder: Path, *, below: bool = True) -> None:
    """Make sure that what is in the folder survives a power cut before it gets its name."""
    for path in [*(folder.rglob("*") if below else ()), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
