"""Chance for ids, keys and nonces, drawn from the system in larger parts.

Each draw of its own gives up the interpreter's lock, and a lead needs five. No byte is given out twice: each
thread has a part of its own, and a forked process begins with none.
"""

import os
import threading
from typing import Final

__all__ = ["random_bytes"]

_PART_BYTES: Final = 4096


class _Part(threading.local):
    kept: bytes = b""
    used: int = 0


_part: Final = _Part()
os.register_at_fork(after_in_child=lambda: _part.__dict__.clear())


def random_bytes(count: int) -> bytes:
    """Return so many bytes that nobody can foretell, as `os.urandom` does."""
    if count > _PART_BYTES:
        return os.urandom(count)
    first = _part.used
    behind = first + count
    if behind > len(_part.kept):
        _part.kept = os.urandom(_PART_BYTES)
        first, behind = 0, count
    _part.used = behind
    return _part.kept[first:behind]
