"""Page tokens that nobody can read, forge, or use for another list than their own."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final, cast

import orjson
from google.protobuf.message import Message

from smarketing.server.errors import Refusal, field_invalid
from smarketing.server.fingerprints import Fingerprinter

__all__ = ["DEFAULT_PAGE_SIZE", "LARGEST_PAGE_SIZE", "PageTokens", "page_size_of"]

DEFAULT_PAGE_SIZE: Final = 50
LARGEST_PAGE_SIZE: Final = 1000

_SEAL_BYTES: Final = 16
_list_of = Fingerprinter(without=["page_size", "page_token"])

Key = Sequence[str | int]
"""Where a page begins: the sort key of the last row before it."""


class PageTokens:
    """Makes and reads a service's page tokens; `secret` outlives restarts and is shared by replicas."""

    def __init__(self, secret: bytes) -> None:
        self._seal_key = hashlib.sha256(b"page token seal" + secret).digest()
        self._mask_key = hashlib.sha256(b"page token mask" + secret).digest()

    def issue(self, request: Message, after: Key) -> str:
        """Return the token of the page that follows the row `after`, for the list that `request` asks for."""
        plain = orjson.dumps(list(after))
        seal = self._seal(request, plain)
        return base64.urlsafe_b64encode(seal + self._masked(seal, plain)).decode().rstrip("=")

    def read(self, request: Message) -> tuple[str | int, ...] | None:
        """Return the key in the request's `page_token`; `None` when it asks for the first page.

        Raises:
            Refusal: PAGE_TOKEN_INVALID, also when any other field differs from the request it was issued to.
        """
        token = cast("Any", request).page_token
        if not token:
            return None
        try:
            sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError) as error:
            raise _invalid() from error
        seal, masked = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        plain = self._masked(seal, masked)
        if not hmac.compare_digest(seal, self._seal(request, plain)):
            raise _invalid()
        return tuple(orjson.loads(plain))

    def _seal(self, request: Message, plain: bytes) -> bytes:
        return hmac.digest(self._seal_key, _list_of(request) + plain, "sha256")[:_SEAL_BYTES]

    def _masked(self, seal: bytes, text: bytes) -> bytes:
        # Keyed by the seal, so that equal keys in different lists look different.
        stream = hashlib.shake_256(self._mask_key + seal).digest(len(text))
        return bytes(one ^ other for one, other in zip(text, stream, strict=True))


def page_size_of(request: Message) -> int:
    """Return how many rows to list: 0 means 50, at most 1,000.

    Raises:
        Refusal: FIELD_INVALID, when negative.
    """
    wanted: int = cast("Any", request).page_size
    if wanted < 0:
        raise field_invalid("page_size", "0 or more")
    return min(wanted or DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE)


def _invalid() -> Refusal:
    return field_invalid(
        "page_token",
        "the token of the response before, with the other fields unchanged",
        reason="PAGE_TOKEN_INVALID",
    )
