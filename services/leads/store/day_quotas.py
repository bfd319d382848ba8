"""How many leads tenants with a quota took in today, within one transaction."""

from typing import Final

from sqlalchemy import Connection

from services.leads.store.schema import SCHEMA
from services.leads.store.totals import Total
from smarketing.sql import FindRows

__all__ = ["DayQuotas"]

_LEADS_OF_DAY: Final = "leads_of_day"
"""The total, labelled with the tenant's dates; of tenants without a quota nothing is counted."""
_FIND_TOTAL: Final = FindRows(
    SCHEMA.leads.business_total, key=["tenant", "total", "label"], columns=["amount"]
)


class DayQuotas:
    """Reads each count once, and keeps what this transaction adds to it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._before: dict[Total, int] = {}
        self.taken: Final[dict[Total, int]] = {}
        """To be added to the totals."""

    def take(self, tenant: str, day: str, *, most: int) -> bool:
        """Count one lead more of the tenant's day; whether there was one left."""
        total = (tenant, _LEADS_OF_DAY, day)
        if total not in self._before:
            found = _FIND_TOTAL.find(self._connection, [total])
            self._before[total] = int(found[0][0]) if found else 0
        taken = self.taken.get(total, 0)
        if self._before[total] + taken >= most:
            return False
        self.taken[total] = taken + 1
        return True
