"""Personal data at rest: each lead's is sealed with a key of its own, which the installation's key wraps.

Who erases a row has destroyed the key, and with it every copy of the contact. Matching needs no plain
text: it compares digests that only the installation's key can make.
"""

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.leads.store.key_ring import KeyRing
from smarketing.chance import random_bytes

__all__ = ["Sealer", "SubjectKey"]

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_DIGEST_BYTES: Final = 16


class SubjectKey:
    """One lead's key, opened: what it sealed opens with it alone, and for the same purpose alone."""

    def __init__(self, key: bytes, wrapped: bytes, bound_to: str) -> None:
        self.wrapped: Final = wrapped
        """The key as it may be kept."""
        self._cipher = AESGCM(key)
        self._bound_to = bound_to

    def seal(self, plain: bytes, *, purpose: str = "") -> bytes:
        """Return the sealed text."""
        nonce = random_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, f"{self._bound_to}{purpose}".encode())

    def unseal(self, sealed: bytes, *, purpose: str = "") -> bytes:
        """Return the plain text.

        Raises:
            cryptography.exceptions.InvalidTag: another key sealed it, or it was changed or moved.
        """
        context = f"{self._bound_to}{purpose}".encode()
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)


class Sealer:
    """Seals contacts and makes match digests, by keys derived from the installation's one."""

    def __init__(self, keys: bytes | KeyRing) -> None:
        """Take the installation's keys, or the one of which they are derived."""
        ring = keys if isinstance(keys, KeyRing) else KeyRing.of_master(keys)
        self._match_key = ring.match
        # Which of them wrapped stands in front, so that another can take its place.
        self._wrapping = {bytes([number]): AESGCM(key) for number, key in ring.wrapping.items()}
        self._number: Final = bytes([ring.number])
        self._wrap: Final = self._wrapping[self._number]

    def new_key(self, bound_to: str) -> SubjectKey:
        """Return a new lead's key; `bound_to` must be given again to open it."""
        chance = random_bytes(_KEY_BYTES + _NONCE_BYTES)
        key, nonce = chance[:_KEY_BYTES], chance[_KEY_BYTES:]
        wrapped = self._number + nonce + self._wrap.encrypt(nonce, key, bound_to.encode())
        return SubjectKey(key, wrapped, bound_to)

    def open_key(self, wrapped_key: bytes, bound_to: str) -> SubjectKey:
        """Return a lead's key.

        Raises:
            cryptography.exceptions.InvalidTag: another key wrapped it, or it was changed or moved.
        """
        return SubjectKey(self._unwrapped(wrapped_key, bound_to), wrapped_key, bound_to)

    def wrapped_anew(self, wrapped_key: bytes, bound_to: str) -> bytes | None:
        """Return a key wrapped with the installation's present one; None where it is already.

        Raises:
            cryptography.exceptions.InvalidTag: another key wrapped it, or it was changed or moved.
        """
        if wrapped_key.startswith(self._number):
            return None
        key, nonce = self._unwrapped(wrapped_key, bound_to), random_bytes(_NONCE_BYTES)
        return self._number + nonce + self._wrap.encrypt(nonce, key, bound_to.encode())

    def _unwrapped(self, wrapped_key: bytes, bound_to: str) -> bytes:
        wrap = self._wrapping.get(wrapped_key[:1])
        if wrap is None:
            raise InvalidTag
        wrapped = wrapped_key[1:]
        return wrap.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound_to.encode())

    def seal(self, plain: bytes, *, bound_to: str) -> tuple[bytes, bytes]:
        """Return the wrapped key and the sealed text; `bound_to` must be given again to open it."""
        key = self.new_key(bound_to)
        return key.wrapped, key.seal(plain)

    def unseal(self, wrapped_key: bytes, sealed: bytes, *, bound_to: str) -> bytes:
        """Return the plain text.

        Raises:
            cryptography.exceptions.InvalidTag: another key sealed it, or it was changed or moved.
        """
        return self.open_key(wrapped_key, bound_to).unseal(sealed)

    def match_digest(self, tenant: str, kind: str, value: str) -> bytes:
        """Return the digest under which a tenant recognises an e-mail address or phone number."""
        return hmac.digest(self._match_key, f"{tenant}\x00{kind}\x00{value}".encode(), "sha256")[
            :_DIGEST_BYTES
        ]

    def external_digest(self, tenant: str, source_system: str, external_id: str) -> bytes:
        """Return the digest under which a sender's own id of a submission is known."""
        return self.match_digest(tenant, "external", f"{source_system}\x00{external_id}")
