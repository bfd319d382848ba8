"""Who may see to tenants, leavers and tokens: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["TENANCY_POLICY"]

_SERVICE: Final = "/smarketing.api.leads.v1.TenantService"

TENANCY_POLICY: Final[Policy] = {
    # Named `tenants/-`, which only the installation's own principals may.
    f"{_SERVICE}/CreateTenant": Allow(Role.OPERATOR, mutation=True),
    f"{_SERVICE}/ListTenants": Allow(Role.OPERATOR),
    f"{_SERVICE}/GetTenant": Allow(*Role),
    f"{_SERVICE}/UpdateTenantQuota": Allow(Role.OPERATOR, mutation=True),
    f"{_SERVICE}/OffboardPerson": Allow(Role.OPERATOR, Role.SALES_MANAGER, mutation=True),
    f"{_SERVICE}/RotateToken": Allow(Role.OPERATOR, mutation=True),
}
