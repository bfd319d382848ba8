"""How many leads a tenant may hand over in one of its days."""

from services.leads.domain.tenancy import LeadQuotaExceeded, day_of
from services.leads.store.transaction import LeadTx


def over_quota(tx: LeadTx, tenant: str) -> LeadQuotaExceeded | None:
    """Count one lead more of the tenant's day, or return the refusal."""
    directory = tx.directory(tenant)
    if not directory.quota.leads_per_day:
        return None
    day, left = day_of(tx.now, directory.settings.time_zone)
    if tx.day_quotas.take(tenant, day, most=directory.quota.leads_per_day):
        return None
    return LeadQuotaExceeded(tenant, left)
