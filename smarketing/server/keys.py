"""A key that a service makes for itself once, and finds again after a restart."""

import os
import secrets
from pathlib import Path

__all__ = ["load_or_make_key"]

_KEY_BYTES = 32


def load_or_make_key(path: Path) -> bytes:
    """Return the key in `path`; make one, and its folder, for their owner alone, when there is none.

    The file appears whole or not at all, and is on the disk before anything can be sealed with it:
    neither a kill nor a power cut at the first start leaves data behind that nobody can open.

    Raises:
        ValueError: the file holds something else.
    """
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} is not a key of {_KEY_BYTES} bytes; restore it from its backup")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(descriptor)
        try:
            # Linked, not renamed: of two that make it at once, the first one's stays.
            path.hardlink_to(unfinished)
        except FileExistsError:
            return
    finally:
        unfinished.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
