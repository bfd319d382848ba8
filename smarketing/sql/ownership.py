"""One owning process per database file, and what can be known of the room around it."""

import fcntl
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

from smarketing.sql.errors import DatabaseOwned, DatabaseUnsupported, StorageFault, StorageUnavailable

_REMOTE_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs"}
)
_MARGIN_BYTES: Final = 64 * 1024


class Ownership:
    """The right to open one database file, held until it is given up or the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def give_up(self) -> None:
        """Let another process open the file; harmless the second time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def take_ownership(path: Path) -> Ownership:
    """Become the one owner of the database file `path`, by a lock on `{path}.lock` beside it.

    The operating system frees the lock when the process ends, however it ends.

    Raises:
        DatabaseOwned: when another process, or another part of this one, owns it.
        DatabaseUnsupported: when the file lies on a network file system, whose locks cannot be trusted.
        StorageUnavailable: when the lock file cannot be made.
    """
    kind = _file_system_of(path.parent)
    if kind in _REMOTE_FILE_SYSTEMS:
        raise DatabaseUnsupported(f"{path} lies on a network file system ({kind}): use a local disk")
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageUnavailable(StorageFault.READ_ONLY) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise DatabaseOwned(str(path), owner) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()}\n".encode(), 0)
    return Ownership(descriptor)


def make_private(path: Path) -> None:
    """Make the file for its owner's eyes alone, unless it exists; SQLite's other files take its mode."""
    # Whatever else is wrong with the path, SQLite says when it opens it.
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def free_room(path: Path) -> int:
    """Return by how many bytes the database's files may still grow, less a margin; 0 or less is full."""
    room = _disk_room(path.parent)
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY:
        largest = max((_size(Path(f"{path}{suffix}")) for suffix in ("", "-wal")), default=0)
        room = min(room, limit - largest)
    return room - _MARGIN_BYTES


def _disk_room(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _file_system_of(folder: Path) -> str:
    """Return the type of the file system that holds `folder`; empty where the system does not tell."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    mounts = [(Path(fields[1]), fields[2]) for fields in map(str.split, lines) if len(fields) > 2]
    folder = folder.resolve()
    holding = [(len(point.parts), kind) for point, kind in mounts if folder.is_relative_to(point)]
    # The deepest mount holds the folder; of several on one point the last one is visible.
    return max(reversed(holding), key=lambda mount: mount[0])[1] if holding else ""
