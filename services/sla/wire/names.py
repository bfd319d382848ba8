"""Names that this service alone gives."""

from typing import Final

from smarketing.names import Pattern

LEAVE: Final = Pattern("tenants/{tenant}/people/{person}/leave/{leave}")
