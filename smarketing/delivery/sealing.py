"""Secrets at rest: sealed with a key that lies outside the database."""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


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
