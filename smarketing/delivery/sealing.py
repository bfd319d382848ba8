"""Secrets at rest: sealed with a key that lies outside the database."""

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class SealBroken(Exception):
    """What was sealed was changed, or sealed with another key or for another purpose."""


class Sealer:
    """Seals and opens small secrets with AES-256-GCM.

    `purpose` is bound to the seal: what was sealed for one endpoint does not open for another.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Return the sealed form: a fresh nonce and the ciphertext behind it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return the secret.

        Raises:
            SealBroken: when it does not open.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except InvalidTag as error:
            raise SealBroken("the secret was sealed with another key, or changed") from error


def load_or_create_sealer(path: Path) -> Sealer:
    """Return a sealer with the key of a file, which is made on first use, readable by its owner alone.

    Raises:
        ValueError: when the file does not hold a key.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} holds no key of {_KEY_BYTES} bytes: restore it from its backup")
    return Sealer(key)
