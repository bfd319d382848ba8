"""How many names of a tenant's own choosing have series: the room that a process has, shared out."""

from typing import Final

__all__ = ["shown_each"]

_SHOWN: Final = {0: 8, 1: 8, 2: 5}
_SHOWN_OF_MANY: Final = 4


def shown_each(tenants: int) -> int:
    """Return how many commitments, teams and steps are named when so many tenants are shown.

    Clocks are shown by tenant, commitment, team and outcome: the product of all must leave the process
    below its 2,000 series, of which calls take half.
    """
    return _SHOWN.get(tenants, _SHOWN_OF_MANY)
