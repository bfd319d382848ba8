"""Names that this service alone gives."""

from typing import Final

from smarketing.names import Pattern

LEAVE: Final = Pattern("tenants/{tenant}/people/{person}/leave/{leave}")
EXCEPTION: Final = Pattern("tenants/{tenant}/exceptions/{exception}")
ALERT_CHANNEL: Final = Pattern("tenants/{tenant}/people/{person}/alertChannels/{alert_channel}")

_MOST_DIGITS: Final = 9


def version_number(text: str) -> int | None:
    """Return the number of a version, where it is spelled the one way it can be; None for anything else."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MOST_DIGITS:
        return int(text)
    return None
