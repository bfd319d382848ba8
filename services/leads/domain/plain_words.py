"""Words that stand in events in plain, for ever: without the addresses of people that senders leave there."""

import re
from typing import Final

__all__ = ["content_words", "page_address", "without_addresses"]

HIDDEN: Final = "***"
"""Stands for an address."""
_SIGN: Final = r"[^\s/?#&=:;,<>()\[\]\"']"
_AT: Final = re.compile(f"{_SIGN}{{1,200}}(?:@|%40){_SIGN}{{1,255}}", re.IGNORECASE)
"""Bounded, so that no text takes longer than its length is worth."""


def without_addresses(words: str) -> str:
    """Return the words with `***` in the place of each e-mail address, also of one encoded for a URL."""
    if "@" not in words and "%40" not in words:
        return words
    return _AT.sub(HIDDEN, words)


def page_address(address: str) -> str:
    """Return a page's address without query and fragment, where forms put what people typed."""
    return without_addresses(address.partition("?")[0].partition("#")[0])


def content_words(content: str) -> str:
    """Return what somebody looked at: a page without its query, or a title; neither with addresses."""
    is_page = "://" in content or content.startswith("/")
    return page_address(content) if is_page else without_addresses(content)
