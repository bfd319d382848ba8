"""Puts a backup in the place of an installation's databases, after it was verified, and keeps those."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from services.backups.houses import HOUSES, key_files_in
from services.backups.manifest import BackupFaulty, Manifest, digest_of, read_manifest
from services.backups.taking import ERASURES
from services.backups.verifying import verify_backup, verify_copies
from smarketing.eventlog.reading import view_log_id
from smarketing.sql import migrate, open_database
from smarketing.sql.ownership import take_ownership
from smarketing.sql.snapshots import put_on_disk

__all__ = ["restore"]

_SEALING_KEYS: Final = frozenset({"master.key", "leads-webhooks.key", "sla-webhooks.key"})
"""Made anew, they would open nothing; the others only let people sign in again."""
_FILES_BESIDE: Final = ("-wal", "-shm")
_OWN_LOG: Final = text("UPDATE log_identity SET log_id = :new WHERE log_id = :old")
_PLACES: Final = text("UPDATE consumer_checkpoint SET log_id = :new WHERE log_id = :old")
_FOLDED: Final = text("UPDATE folded_log SET log_id = :new WHERE service = :service")
_FOLDED_TENANTS: Final = text("SELECT DISTINCT tenant FROM folded_tenant WHERE service = :service")
_FOLDED_TENANT: Final = text(
    "UPDATE folded_tenant SET log_id = :new WHERE service = :service AND tenant = :tenant"
)


def restore(
    backup: Path,
    data_dir: Path,
    *,
    keys: Path | None,
    nothing_lost: bool,
    now: Callable[[], datetime],
    new_log_id: Callable[[], str],
) -> Path:
    """Make `data_dir` what `backup` holds, and return the folder in which its former files are kept.

    The services must be stopped. Nothing of `data_dir` is touched before the copies were verified. What
    the logs held beyond the backup is lost, so they get new ids, by which every reader of them
    learns that it must not simply go on; with `nothing_lost` they keep theirs. Erasures since the
    backup are kept: `leads` repeats them before it answers.

    Raises:
        BackupFaulty: with every fault of the backup, of its keys, or of what became of it.
        DatabaseOwned: when a service is running.
        StorageError: when a file is damaged or the disk is full.
    """
    manifest = read_manifest(backup)
    verify_backup(backup, manifest)
    _check_keys(manifest, data_dir, keys)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    copies, kept = data_dir / "restoring", data_dir / f"before-restore-{now():%Y-%m-%dT%H-%M-%SZ}"
    with ExitStack() as stack:
        for house in HOUSES:
            stack.callback(take_ownership(data_dir / house.file).give_up)
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, copies, ignore_errors=True)
        _copy(backup, copies, manifest)
        if not nothing_lost:
            _rename_logs(copies, {name: each.log_id for name, each in manifest.databases.items()}, new_log_id)
        verify_copies(copies, manifest, thorough=False)
        kept.mkdir(mode=0o700)
        _put_in_place(copies, data_dir, kept, manifest)
        _put_keys(keys, data_dir, kept)
        _join_erasures(backup / ERASURES, data_dir / ERASURES)
    return kept


def _check_keys(manifest: Manifest, data_dir: Path, keys: Path | None) -> None:
    """Refuse a restore after which nobody could open what is sealed in it."""
    place = data_dir if keys is None else keys
    faults = [
        f"{place / name} is missing or is not the key of the backup's time: name its folder with --keys."
        for name, digest in manifest.keys.items()
        if name in _SEALING_KEYS and not ((place / name).is_file() and digest_of(place / name) == digest)
    ]
    if faults:
        raise BackupFaulty(*faults)


def _copy(backup: Path, copies: Path, manifest: Manifest) -> None:
    for house in HOUSES:
        copy = copies / house.file
        shutil.copyfile(backup / manifest.databases[house.service].file, copy)
        copy.chmod(0o600)
        # An older build's backup becomes this build's database, or is refused, before anything is replaced.
        with open_database(f"sqlite:///{copy}", check=False) as database:
            migrate(database, house.migrations)


def _rename_logs(copies: Path, log_ids: Mapping[str, str], new_log_id: Callable[[], str]) -> None:
    new = {service: new_log_id() for service in log_ids}
    for house in HOUSES:
        url = f"sqlite:///{copies / house.file}"
        with open_database(url, check=False) as database, database.writer_engine.begin() as connection:
            _rename_in(connection, house.service, log_ids, new)


def _rename_in(connection: Connection, service: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    connection.execute(_OWN_LOG, {"old": old[service], "new": new[service]})
    for followed, log_id in old.items():
        connection.execute(_PLACES, {"old": log_id, "new": new[followed]})
        if service == "reports":
            _rename_folded(connection, followed, new[followed])


def _rename_folded(connection: Connection, service: str, log_id: str) -> None:
    connection.execute(_FOLDED, {"service": service, "new": log_id})
    for (tenant,) in connection.execute(_FOLDED_TENANTS, {"service": service}).all():
        view = view_log_id(log_id, tenant)
        connection.execute(_FOLDED_TENANT, {"service": service, "tenant": tenant, "new": view})


def _put_in_place(copies: Path, data_dir: Path, kept: Path, manifest: Manifest) -> None:
    for each in manifest.databases.values():
        present, copy = data_dir / each.file, copies / each.file
        put_on_disk(copy)
        if present.exists():
            # A second name, not another place: killed between any two lines, there is still a database.
            (kept / each.file).hardlink_to(present)
        for suffix in _FILES_BESIDE:
            # Without its log gone first, the new file would be read with the old one's last changes.
            _move(Path(f"{present}{suffix}"), kept)
        copy.replace(present)
        put_on_disk(present)


def _put_keys(keys: Path | None, data_dir: Path, kept: Path) -> None:
    if keys is None:
        return
    for path in key_files_in(keys):
        content, present = keys / path, data_dir / path
        if present.exists() and present.read_bytes() == content.read_bytes():
            continue
        (kept / path).parent.mkdir(mode=0o700, exist_ok=True)
        _move(present, (kept / path).parent)
        present.parent.mkdir(mode=0o700, exist_ok=True)
        present.touch(mode=0o600)
        present.write_bytes(content.read_bytes())
        put_on_disk(present)


def _join_erasures(told: Path, known: Path) -> None:
    """Let the installation's journal name whom either names; it is what forgets them again."""
    lines = _lines(told)
    new = [line for line in lines if line not in set(_lines(known))]
    if not new:
        return
    descriptor = os.open(known, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n" if known.stat().st_size else "")
        file.writelines(f"{line}\n" for line in new)
    put_on_disk(known)


def _lines(path: Path) -> Iterable[str]:
    # A last line without an end was cut off by a crash.
    return path.read_text(encoding="ascii").split("\n")[:-1] if path.exists() else []


def _move(path: Path, folder: Path) -> None:
    if path.exists():
        path.replace(folder / path.name)
