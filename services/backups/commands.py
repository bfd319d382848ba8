"""`python -m services backup | restore | verify | refold`: an operator's commands on the data folder."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.backups.manifest import MANIFEST, BackupFaulty, Manifest, read_manifest
from services.backups.refolding import refold, refold_now
from services.backups.restoring import restore
from services.backups.taking import pinned_together, take_backup
from services.backups.verifying import verify_backup, verify_connections
from smarketing import wallclock
from smarketing.sql import DatabaseOwned, DatabaseUnsupported, SchemaTooNew, StorageError

__all__ = ["COMMANDS", "main"]

_FAULTY: Final = 1


def main(command: str, arguments: Sequence[str]) -> int:
    """Run one of `COMMANDS` and return the exit status: 1, with each fault on a line, when it refused."""
    try:
        _say(COMMANDS[command](arguments))
    except BackupFaulty as faulty:
        for fault in faulty.faults:
            _complain(command, fault)
        return _FAULTY
    except DatabaseOwned as owned:
        _complain(command, f"{owned}; stop the services first.")
        return _FAULTY
    except (DatabaseUnsupported, SchemaTooNew, StorageError, OSError) as error:
        _complain(command, str(error))
        return _FAULTY
    return 0


def _backup(arguments: Sequence[str]) -> str:
    parser = _parser("backup", "Copy the three databases as they are at one instant, and check the copy.")
    parser.add_argument("target", type=Path, help="folder that gets a new folder with the backup")
    parser.add_argument(
        "--keys", type=Path, help="another folder, for keys and tokens: they open what a backup holds sealed"
    )
    options = parser.parse_args(arguments)
    folder, manifest = take_backup(options.data, options.target, keys=options.keys, now=wallclock.utc_now)
    return f"{folder}\n{_told(manifest)}"


def _restore(arguments: Sequence[str]) -> str:
    parser = _parser("restore", "Put a backup in the place of the databases; the services must be stopped.")
    parser.add_argument("backup", type=Path, help=f"folder with the backup's {MANIFEST}")
    parser.add_argument(
        "--keys", type=Path, help="folder with the keys of the backup's time, where those here are others"
    )
    parser.add_argument(
        "--nothing-lost",
        action="store_true",
        help="the backup holds all that there ever was, as for a move: readers of the logs just go on",
    )
    options = parser.parse_args(arguments)
    kept = restore(
        options.backup,
        options.data,
        keys=options.keys,
        nothing_lost=options.nothing_lost,
        now=wallclock.utc_now,
        new_log_id=wallclock.new_uuid,
    )
    return f"restored {options.backup} to {options.data}\nwhat was there before is in {kept}"


def _verify(arguments: Sequence[str]) -> str:
    parser = _parser("verify", "Check a backup, or without one the databases, also while they are in use.")
    parser.add_argument("backup", type=Path, nargs="?", help=f"folder with the backup's {MANIFEST}")
    options = parser.parse_args(arguments)
    if options.backup is not None:
        manifest = read_manifest(options.backup)
        verify_backup(options.backup, manifest)
        return f"{options.backup} is whole\n{_told(manifest)}"
    with pinned_together(options.data) as connections:
        verify_connections(connections)
    return f"{options.data} is whole"


def _refold(arguments: Sequence[str]) -> str:
    parser = _parser("refold", "Let reports read both logs from their beginning; reports must be stopped.")
    parser.add_argument(
        "--now", action="store_true", help="read them at once, from the files of leads and sla in the folder"
    )
    options = parser.parse_args(arguments)
    if options.now:
        return f"reports is made anew from {refold_now(options.data)} events"
    refold(options.data)
    return "reports reads both logs from their beginning when it starts"


COMMANDS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "backup": _backup,
    "restore": _restore,
    "verify": _verify,
    "refold": _refold,
}
"""Name → what it does; returns what to tell."""


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services {command}", description=description)
    parser.add_argument("--data", type=Path, default=Path("data"), help="the installation's data folder")
    return parser


def _told(manifest: Manifest) -> str:
    ends = (f"{name} up to {each.head_position}" for name, each in manifest.databases.items())
    return f"taken {manifest.take_time}: {', '.join(ends)}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _complain(command: str, fault: str) -> None:
    sys.stderr.write(f"{command}: {fault}\n")
