"""Tenants, their quotas, and who leaves: protobuf ⇄ domain."""

from collections.abc import Iterable, Sequence

from services.leads.domain.directory import Directory, TenantQuota, TenantSettings
from services.leads.domain.offboarding import Move
from services.leads.domain.tokens import Token
from services.leads.wire.directory import token_to
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb

__all__ = ["offboarded", "quota_from", "rotated", "settings_from", "tenant_to", "tenants_to"]

_MOST_MOVES = 1_000


def settings_from(message: tenancypb.Tenant) -> TenantSettings:
    """Return what the message says of a tenant."""
    return TenantSettings(
        time_zone=message.time_zone, region_code=message.region_code, currency_code=message.currency_code
    )


def quota_from(message: tenancypb.TenantQuota) -> TenantQuota:
    """Return the quota that a message gives."""
    return TenantQuota(
        calls_per_second=message.calls_per_second,
        leads_per_day=message.leads_per_day,
        streams=message.streams,
    )


def tenant_to(directory: Directory) -> tenancypb.Tenant:
    """Return the message of a tenant."""
    quota = directory.quota
    return tenancypb.Tenant(
        name=directory.tenant,
        time_zone=directory.settings.time_zone,
        region_code=directory.settings.region_code,
        currency_code=directory.settings.currency_code,
        quota=tenancypb.TenantQuota(
            calls_per_second=quota.calls_per_second,
            leads_per_day=quota.leads_per_day,
            streams=quota.streams,
        ),
    )


def tenants_to(tenants: Iterable[Directory], *, next_page_token: str) -> tenancypb.ListTenantsResponse:
    """Return a page of tenants."""
    return tenancypb.ListTenantsResponse(tenants=map(tenant_to, tenants), next_page_token=next_page_token)


def rotated(tokens: tuple[Token, Token]) -> tenancypb.RotateTokenResponse:
    """Return the answer to a rotation, of the new and the old token; without the new one's text."""
    new, previous = tokens
    return tenancypb.RotateTokenResponse(token=token_to(new), previous=token_to(previous))


def offboarded(tokens: Iterable[str], moves: Sequence[Move] = ()) -> tenancypb.OffboardPersonResponse:
    """Return what moved, or would, and which tokens ended."""
    return tenancypb.OffboardPersonResponse(
        moves=[
            tenancypb.HandoffMove(handoff=each.handoff, assignee=each.assignee)
            for each in moves[:_MOST_MOVES]
        ],
        move_count=len(moves),
        tokens=tokens,
    )
