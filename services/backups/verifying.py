"""Checks a backup, or the databases of an installation that may be running."""

from contextlib import ExitStack
from pathlib import Path

from services.backups.checks import Connections, faults_of_logs, faults_of_places, faults_of_sums
from services.backups.houses import HOUSES
from services.backups.manifest import BackupFaulty, Manifest, digest_of
from smarketing.sql.snapshots import find_damage, pinned

__all__ = ["verify_backup", "verify_connections", "verify_copies"]


def verify_backup(folder: Path, manifest: Manifest) -> None:
    """Return when the files are those that were written, are undamaged, and fit together.

    Raises:
        BackupFaulty: with every fault found.
        StorageCorrupt: when SQLite finds damage.
    """
    faults = [
        f"{folder / each.file} is not the file that was backed up."
        for each in manifest.databases.values()
        if not (folder / each.file).is_file() or digest_of(folder / each.file) != each.sha256
    ]
    if faults:
        raise BackupFaulty(*faults)
    verify_copies(folder, manifest, thorough=True)


def verify_copies(folder: Path, manifest: Manifest, *, thorough: bool) -> None:
    """Return when files that nobody has open are undamaged and fit together; raises like `verify_backup`."""
    for each in manifest.databases.values():
        find_damage(folder / each.file, thorough=thorough)
    with ExitStack() as stack:
        found = {house.service: stack.enter_context(pinned(folder / house.file)) for house in HOUSES}
        verify_connections(found)


def verify_connections(connections: Connections) -> None:
    """Return when logs, places and sums are as they must be.

    Raises:
        BackupFaulty: with every fault found.
    """
    checks = (faults_of_logs, faults_of_places, faults_of_sums)
    faults = [fault for check in checks for fault in check(connections)]
    if faults:
        raise BackupFaulty(*faults)
