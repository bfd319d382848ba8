"""What reports keeps of agreements, calendars and tenants: names, promises, zones."""

from typing import NamedTuple

from services.reports.domain.periods import Micros
from smarketing.businesstime import Calendar

__all__ = ["AgreementKnown", "CalendarKnown", "Commitment", "MarketingQuota", "StagesSet", "TenantSet"]


class TenantSet(NamedTuple):
    """A tenant's days are those of this zone from now on, past ones included."""

    tenant: str
    time_zone: str
    currency_code: str


class StagesSet(NamedTuple):
    """A tenant's opportunities go through these stages from now on, in this order."""

    tenant: str
    stages: tuple[str, ...]


class Commitment(NamedTuple):
    """One promise, as a version of an agreement words it."""

    commitment_id: str
    title: str
    parties: str
    """As in a clock: `,marketing,sales,`."""
    kind: str
    objective_basis_points: int


class AgreementKnown(NamedTuple):
    """A version of an agreement is now like this."""

    tenant: str
    agreement_version: str
    state: str
    calendar_version: str
    effective_time: Micros | None
    commitments: tuple[Commitment, ...]


class MarketingQuota(NamedTuple):
    """How much value a version of an agreement wants marketing to hand over; its fields are columns."""

    agreement_version: str
    tenant: str
    state: str
    calendar_version: str
    effective_time: Micros | None
    period: str
    """`month`, `quarter` or `year`."""
    currency: str
    minor_units: int


class CalendarKnown(NamedTuple):
    """A version of a calendar was made; it never changes."""

    calendar_version: str
    calendar: Calendar
