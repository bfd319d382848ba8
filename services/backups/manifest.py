"""What a backup says of itself: which files belong to it, and how far each log was."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["MANIFEST", "BackupFaulty", "Manifest", "Stored", "digest_of", "read_manifest"]

MANIFEST: Final = "manifest.json"
_FORMAT: Final = "smarketing.backup.v1"
_CHUNK: Final = 1024 * 1024


class BackupFaulty(Exception):
    """A backup, or what was restored from it, is not what it has to be; `faults` are sentences."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One service's database in a backup."""

    file: str
    size_bytes: int
    sha256: str
    schema: str
    log_id: str
    head_position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Written last: a folder without one is no backup."""

    take_time: str
    version: str
    databases: Mapping[str, Stored]
    keys: Mapping[str, str]
    """Path of a key's file in the data folder → its SHA-256, which tells which key opens this backup."""

    def write(self, path: Path) -> None:
        """Write it to a new file."""
        path.write_text(json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Return what the backup in `folder` says of itself.

    Raises:
        BackupFaulty: when there is none, or none that this build can read.
    """
    path = folder / MANIFEST
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if told.pop("format") != _FORMAT:
            raise BackupFaulty(f"{path} is of a format that this build does not know.")
        databases = {service: Stored(**each) for service, each in told.pop("databases").items()}
        return Manifest(databases=databases, **told)
    except FileNotFoundError:
        raise BackupFaulty(f"{folder} is no backup: it has no {MANIFEST}, which is written last.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupFaulty(f"{path} cannot be read: {error}") from None


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
