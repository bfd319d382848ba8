"""Personal data at rest: each lead's is sealed with a key of its own, which the installation's key wraps.

Who erases a row has destroyed the key, and with it every copy of the contact. Matching needs no plain
text: it compares digests that only the installation's key can make.
"""

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Sealer"]

_KEY_NUMBER: Final = b"\x01"
"""Which of the installation's keys wrapped: it stands in front, so that another can take its place."""
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_DIGEST_BYTES: Final = 16


class Sealer:
    """Seals contacts and makes match digests, by keys derived from the installation's one."""

    def __init__(self, master_key: bytes) -> None:
        self._wrap = AESGCM(hmac.digest(master_key, b"smarketing lead key wrap 1", "sha256"))
        self._match_key = hmac.digest(master_key, b"smarketing lead match 1", "sha256")

    def seal(self, plain: bytes, *, bound_to: str) -> tuple[bytes, bytes]:
        """Return the wrapped key and the sealed text; `bound_to` must be given again to open it."""
        chance = os.urandom(_KEY_BYTES + 2 * _NONCE_BYTES)
        key = chance[:_KEY_BYTES]
        wrap_nonce, nonce = (
            chance[_KEY_BYTES : _KEY_BYTES + _NONCE_BYTES],
            chance[_KEY_BYTES + _NONCE_BYTES :],
        )
        context = bound_to.encode()
        wrapped = _KEY_NUMBER + wrap_nonce + self._wrap.encrypt(wrap_nonce, key, context)
        return wrapped, nonce + AESGCM(key).encrypt(nonce, plain, context)

    def unseal(self, wrapped_key: bytes, sealed: bytes, *, bound_to: str) -> bytes:
        """Return the plain text.

        Raises:
            cryptography.exceptions.InvalidTag: another key sealed it, or it was changed or moved.
        """
        if not wrapped_key.startswith(_KEY_NUMBER):
            raise InvalidTag
        context, wrapped = bound_to.encode(), wrapped_key[len(_KEY_NUMBER) :]
        key = self._wrap.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)

    def match_digest(self, tenant: str, kind: str, value: str) -> bytes:
        """Return the digest under which a tenant recognises an e-mail address or phone number."""
        return hmac.digest(self._match_key, f"{tenant}\x00{kind}\x00{value}".encode(), "sha256")[
            :_DIGEST_BYTES
        ]
