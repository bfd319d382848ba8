"""The installation's keys in `master.key`: what recognises people, and what wraps the keys of leads.

A file that was never rotated is 32 random bytes, of which both are derived. A rotated one is text that
holds them as they are: the key that recognises stays for ever, because digests cannot be made anew for people
who are forgotten; of those that wrap, the file holds the one in use and, during a rotation, the one before.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from smarketing.server.keys import load_or_make_key

__all__ = ["KeyRing", "load_keys", "save_keys"]

_FORMAT: Final = "smarketing.keys.v1"
_KEY_BYTES: Final = 32
_MOST_NUMBERS: Final = 255
"""A number is one byte in front of what its key wrapped; 0 is none."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys; `number` says which wraps from now on."""

    match: bytes
    wrapping: Mapping[int, bytes]
    number: int

    @staticmethod
    def of_master(master_key: bytes) -> "KeyRing":
        """Return the keys of an installation that never rotated."""
        wrap = hmac.digest(master_key, b"smarketing lead key wrap 1", "sha256")
        return KeyRing(hmac.digest(master_key, b"smarketing lead match 1", "sha256"), {1: wrap}, 1)

    @property
    def is_rotating(self) -> bool:
        """Whether something may still be wrapped with another key than the one in use."""
        return len(self.wrapping) > 1

    def with_next(self) -> "KeyRing":
        """Return the keys with a new one in use, beside those before."""
        number = self.number % _MOST_NUMBERS + 1
        return KeyRing(self.match, {**self.wrapping, number: secrets.token_bytes(_KEY_BYTES)}, number)

    def without_former(self) -> "KeyRing":
        """Return the keys without those that are in use no more."""
        return KeyRing(self.match, {self.number: self.wrapping[self.number]}, self.number)


def load_keys(path: Path) -> KeyRing:
    """Return the keys in `path`; make them when there are none.

    Raises:
        ValueError: the file holds something else.
    """
    content = path.read_bytes() if path.exists() else b""
    # A first key is 32 bytes of chance, and one of 256 begins like the file of several; their text is ASCII.
    is_first_key = len(content) == _KEY_BYTES and not content.isascii()
    if is_first_key or not content.startswith(b"{"):
        return KeyRing.of_master(load_or_make_key(path))
    try:
        told = orjson.loads(content)
        wrapping = {int(number): bytes.fromhex(key) for number, key in told["wrapping"].items()}
        ring = KeyRing(bytes.fromhex(told["match"]), wrapping, told["number"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} holds no keys; restore it from its backup") from None
    lengths = {len(key) for key in (ring.match, *ring.wrapping.values())}
    if told.get("format") != _FORMAT or lengths != {_KEY_BYTES} or ring.number not in ring.wrapping:
        raise ValueError(f"{path} holds no keys; restore it from its backup")
    return ring


def save_keys(path: Path, ring: KeyRing) -> None:
    """Put the keys in the place of those in `path`; they are on the disk when this returns, whole or not."""
    told = {
        "format": _FORMAT,
        "match": ring.match.hex(),
        "wrapping": {str(number): key.hex() for number, key in ring.wrapping.items()},
        "number": ring.number,
    }
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
