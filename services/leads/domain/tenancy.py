"""Tenants: how they begin, how much they may use, and what of that is refused."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from services.leads.domain.directory import (
    Directory,
    Party,
    Queue,
    Routing,
    Team,
    TenantQuota,
    TenantSettings,
)
from services.leads.domain.errors import Fault, LeadError
from smarketing.businesstime.zones import load_zone

_MOST_CALLS: Final = 100_000
_MOST_LEADS: Final = 1_000_000_000
_MOST_STREAMS: Final = 10_000


class TenantExists(LeadError):
    """There is such a tenant already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is there already")
        self.name = name


class TokenEnded(LeadError):
    """The token works no longer: there is nothing to be replaced."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} works no longer")
        self.name = name


class SuccessorMissing(LeadError):
    """Nobody is there for what only a person can own."""

    def __init__(self, handoff: str) -> None:
        super().__init__(f"nobody can own {handoff}")
        self.handoff = handoff


class LeadQuotaExceeded(LeadError):
    """The tenant took in as many leads today as it may."""

    def __init__(self, tenant: str, free_again: timedelta) -> None:
        super().__init__(f"tenants/{tenant} has taken in its leads of the day")
        self.free_again = free_again


def first_directory(tenant: str, settings: TenantSettings) -> Directory:
    """Return the directory with which a tenant begins: both departments, one queue, nobody in it."""
    sales, inbound = f"{tenant}/teams/sales", f"{tenant}/queues/inbound"
    return Directory(
        tenant=tenant,
        settings=settings,
        teams=(
            Team(name=f"{tenant}/teams/marketing", display_name="Marketing", party=Party.MARKETING),
            Team(name=sales, display_name="Sales", party=Party.SALES),
        ),
        queues=(Queue(name=inbound, display_name="Inbound", team=sales),),
        routing=Routing(fallback_queue=inbound),
    )


def faults_of_quota(quota: TenantQuota) -> Iterator[Fault]:
    """Yield what is wrong with a quota."""
    bounds = (
        ("calls_per_second", quota.calls_per_second, _MOST_CALLS),
        ("leads_per_day", quota.leads_per_day, _MOST_LEADS),
        ("streams", quota.streams, _MOST_STREAMS),
    )
    for field, value, most in bounds:
        if not 0 <= value <= most:
            yield Fault(field, f"0 for the installation's, or up to {most:,}")


def day_of(instant: datetime, time_zone: str) -> tuple[str, timedelta]:
    """Return the tenant's date at an instant, and how long that date lasts from then on."""
    local = instant.astimezone(load_zone(time_zone).info)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date().isoformat(), midnight - local
