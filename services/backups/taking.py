"""Takes a backup of services that go on working."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.backups.checks import Connections, faults_of_places
from services.backups.houses import HOUSES, key_files_in
from services.backups.manifest import MANIFEST, BackupFaulty, Manifest, Stored, digest_of
from services.backups.verifying import verify_copies
from smarketing.eventlog.reading import head
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import schema_revision
from smarketing.sql.snapshots import copied, pinned, put_on_disk

__all__ = ["ERASURES", "Taken", "take_backup"]

ERASURES: Final = "erasures.log"
_TRIES: Final = 20

Taken = tuple[Path, Manifest]


def take_backup(data_dir: Path, target: Path, *, keys: Path | None, now: Callable[[], datetime]) -> Taken:
    """Copy the three databases of `data_dir` to a new folder in `target`, all of one instant.

    The services may be running, and are not disturbed. `keys` is another folder, which is given the keys
    and tokens: whoever has both reads the personal data in the backup. What is returned was verified.

    Raises:
        BackupFaulty: when the databases do not fit together, or the copy is faulty; none is left behind.
        StorageError: when a database is missing or damaged.
    """
    take_time = now()
    name = f"{take_time:%Y-%m-%dT%H-%M-%SZ}"
    if keys is not None and keys.resolve().is_relative_to(target.resolve()):
        raise BackupFaulty(f"{keys} lies in {target}: keep keys apart from what they open.")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = target / f"{name}.unfinished"
    unfinished.mkdir(mode=0o700)
    try:
        manifest = _filled(unfinished, data_dir, take_time)
        verify_copies(unfinished, manifest, thorough=False)
        manifest.write(unfinished / MANIFEST)
        put_on_disk(unfinished / MANIFEST)
        finished = unfinished.rename(target / name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    if keys is not None:
        _copy_keys(data_dir, keys / name)
    return finished, manifest


@contextmanager
def pinned_together(data_dir: Path) -> Iterator[Connections]:
    """Give connections to the databases of `data_dir` that see states which fit together.

    Nothing stops the services meanwhile: when one took in an event between two of the connections, they
    are made anew.

    Raises:
        BackupFaulty: when they never fit: a consumer knows more than the log that it follows.
    """
    missing = [data_dir / house.file for house in HOUSES if not (data_dir / house.file).is_file()]
    if missing:
        told = ", ".join(map(str, missing))
        raise BackupFaulty(f"{told}: not there. PostgreSQL has backups of its own, see docs/deployment.md.")
    faults: list[str] = []
    for _ in range(_TRIES):
        with ExitStack() as stack:
            # Who only reads the others comes first, and so is never ahead of them.
            found = {
                house.service: stack.enter_context(pinned(data_dir / house.file))
                for house in reversed(HOUSES)
            }
            faults = faults_of_places(found)
            if not faults:
                yield found
                return
    raise BackupFaulty("The databases do not belong together.", *faults)


def _filled(folder: Path, data_dir: Path, take_time: datetime) -> Manifest:
    databases = {}
    with pinned_together(data_dir) as connections:
        for house in HOUSES:
            connection, copy = connections[house.service], folder / house.file
            copied(connection, copy)
            log_id, end = head(connection, WHOLE_LOG)
            databases[house.service] = Stored(
                file=house.file,
                size_bytes=copy.stat().st_size,
                sha256=digest_of(copy),
                schema=schema_revision(connection),
                log_id=log_id,
                head_position=end,
            )
    if (data_dir / ERASURES).exists():
        shutil.copyfile(data_dir / ERASURES, folder / ERASURES)
        put_on_disk(folder / ERASURES)
    keys = {str(path): digest_of(data_dir / path) for path in key_files_in(data_dir)}
    return Manifest(
        take_time=take_time.isoformat(), version=version("smarketing"), databases=databases, keys=keys
    )


def _copy_keys(data_dir: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True)
    for path in key_files_in(data_dir):
        copy = folder / path
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        copy.touch(mode=0o600)
        copy.write_bytes((data_dir / path).read_bytes())
        put_on_disk(copy)
