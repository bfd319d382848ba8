"""Where a page begins, as it stands in page tokens: instants as microseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.leads.store.walks import Key

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NEVER: Final = ""


def key_for_token(key: Key) -> list[str | int]:
    """Return the key as a page token holds it."""
    return [_plain(part) for part in key]


def key_in_token(plain: tuple[str | int, ...] | None) -> Key | None:
    """Return the key that a page token holds; None for the first page."""
    if plain is None:
        return None
    first, *rest = plain
    if isinstance(first, int):
        return (_EPOCH + first * _MICROSECOND, *rest)
    return (None if first == _NEVER else first, *rest)


def _plain(part: Any) -> str | int:
    if isinstance(part, datetime):
        return (part - _EPOCH) // _MICROSECOND
    plain: str | int = _NEVER if part is None else part
    return plain
