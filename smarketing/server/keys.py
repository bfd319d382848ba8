"""A key that a service makes for itself once, and finds again after a restart."""

import os
import secrets
from pathlib import Path

__all__ = ["load_or_make_key"]

_KEY_BYTES = 32


def load_or_make_key(path: Path) -> bytes:
    """Return the key in `path`; make one, readable by its owner alone, when there is none.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
    else:
        key = secrets.token_bytes(_KEY_BYTES)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(descriptor)
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} is not a key of {_KEY_BYTES} bytes; move it away to have a new one made")
    return key
