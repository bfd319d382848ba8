# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""TenantService: parse, ask, render."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import grpc.aio

from services.leads.domain.directory_errors import PrincipalUnknown
from services.leads.domain.errors import TenantUnknown
from services.leads.rpc.asking import by_caller
from services.leads.rpc.directory_servicer import check_token, lifetime_in
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.usecases import tenancy
from services.leads.usecases.offboarding import HandOver, hand_over, would_move
from services.leads.usecases.tenancy import CreateTenant, Depart, RotateToken, UpdateQuota
from services.leads.wire import tenancy as wire
from smarketing import names
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.api.leads.v1.tenancy_pb2_grpc import TenantServiceServicer
from smarketing.eventlog.directory import DirectoryKeeper
from smarketing.server.admission import TenantLimits
from smarketing.server.auth import ANY_TENANT, issue_token
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, Done, answer, call_for
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import permission_denied
from smarketing.sql import Writer

__all__ = ["TenantServicer", "follow_limits", "load_limits"]

_Context = grpc.aio.ServicerContext[Any, Any]
_ALL: Final = f"tenants/{names.ALL_TENANTS}"
_LOOKS_EVERY_SECONDS: Final = 2.0
_OVERLAP: Final = timedelta(hours=24)
_LONGEST_OVERLAP: Final = timedelta(days=30)


async def load_limits(store: DirectoryStore, limits: dict[str, TenantLimits]) -> None:
    """Fill in what the tenants have of their own; who admits calls looks there."""
    for tenant, quota in (await store.quotas()).items():
        limits[tenant] = TenantLimits(calls_per_second=quota.calls_per_second, streams=quota.streams)


async def follow_limits(
    store: DirectoryStore,
    limits: dict[str, TenantLimits],
    writer: Writer,
    *,
    every_seconds: float = _LOOKS_EVERY_SECONDS,
) -> None:
    """Load the limits anew after commits, of which some are other replicas', until cancelled."""
    committed = asyncio.Event()
    forget = writer.when_committed(committed.set)
    try:
        while True:
            committed.clear()
            await load_limits(store, limits)
            await asyncio.sleep(every_seconds)
            await committed.wait()
    finally:
        forget()


class TenantServicer(TenantServiceServicer):
    """Answers for tenants; a quota that changed here is in force here before it is answered."""

    def __init__(
        self,
        directories: DirectoryStore,
        store: LeadStore,
        *,
        keeper: DirectoryKeeper,
        pages: PageTokens,
        limits: dict[str, TenantLimits],
    ) -> None:
        self._directories = directories
        self._store = store
        self._keeper = keeper
        self._pages = pages
        self._limits = limits

    async def CreateTenant(
        self, request: tenancypb.CreateTenantRequest, context: _Context
    ) -> tenancypb.Tenant:
        """Make a tenant."""
        _check_all(request.parent)
        if not names.is_id(request.tenant_id):
            raise field_invalid("tenant_id", "an id of a-z, 0-9 and inner `.`, `_`, `-`")
        call = call_for(request)
        wanted = CreateTenant(
            name=names.TENANT.build(request.tenant_id),
            settings=wire.settings_from(request.tenant),
            quota=wire.quota_from(request.tenant.quota),
            actor=call.actor,
        )
        outcome = await self._directories.command(
            tenancy.create_tenants, Command(wanted, call), render=wire.tenant_to
        )
        await self._in_force()
        return answer(outcome, tenancypb.Tenant)

    async def GetTenant(self, request: tenancypb.GetTenantRequest, context: _Context) -> tenancypb.Tenant:
        """Return a tenant."""
        names.TENANT.parse(request.name)
        directory = await self._directories.find(request.name)
        if directory is None:
            raise TenantUnknown(request.name)
        return wire.tenant_to(directory)

    async def ListTenants(
        self, request: tenancypb.ListTenantsRequest, context: _Context
    ) -> tenancypb.ListTenantsResponse:
        """List the tenants by name."""
        _check_all(request.parent)
        size = page_size_of(request)
        after = self._pages.read(request)
        found = await self._directories.tenants(after=str(after[0]) if after else "", limit=size + 1)
        token = ""
        if len(found) > size:
            token = self._pages.issue(request, [names.tenant_of(found[size - 1].tenant)])
        return wire.tenants_to(found[:size], next_page_token=token)

    async def UpdateTenantQuota(
        self, request: tenancypb.UpdateTenantQuotaRequest, context: _Context
    ) -> tenancypb.Tenant:
        """Change how much a tenant may use; nobody widens their own."""
        names.TENANT.parse(request.name)
        call = call_for(request)
        may = current_call().caller.tenant == ANY_TENANT
        wanted = UpdateQuota(
            name=request.name,
            quota=wire.quota_from(request.quota),
            refusal=None if may else permission_denied(),
            actor=call.actor,
        )
        outcome = await self._directories.command(
            tenancy.update_quotas, Command(wanted, call), render=wire.tenant_to
        )
        await self._in_force()
        return answer(outcome, tenancypb.Tenant)

    async def OffboardPerson(
        self, request: tenancypb.OffboardPersonRequest, context: _Context
    ) -> tenancypb.OffboardPersonResponse:
        """Hand over everything of somebody who leaves, or say what would move."""
        tenant, _ = names.PERSON.parse(request.name)
        wanted = HandOver(tenant=tenant, person=request.name, assignee=request.assignee, by=by_caller())
        directory = await self._directories.find(names.TENANT.build(tenant))
        if directory is None or directory.person(request.name) is None:
            raise PrincipalUnknown(request.name)
        # Looked at first: who leaves something that nobody can own does not leave yet.
        moves = await would_move(self._store, wanted)
        if request.validate_only:
            tokens = await self._directories.tokens(request.name)
            return wire.offboarded([each.name for each in tokens if each.revoke_time is None], moves)
        call = call_for(request)
        outcome = await self._directories.command(
            tenancy.depart,
            Command(Depart(person=request.name, actor=call.actor), call),
            render=wire.offboarded,
        )
        await self._keeper.load()
        response = answer(outcome, tenancypb.OffboardPersonResponse)
        return wire.offboarded(response.tokens, await hand_over(self._store, wanted))

    async def RotateToken(
        self, request: tenancypb.RotateTokenRequest, context: _Context
    ) -> tenancypb.RotateTokenResponse:
        """Make a new token in the place of one."""
        check_token(request.name)
        call = call_for(request)
        issued = issue_token()
        wanted = RotateToken(
            name=request.name,
            token_id=issued.token_id,
            secret_hash=issued.secret_hash,
            overlap=_overlap(request),
            lifetime=lifetime_in(request),
            actor=call.actor,
        )
        outcome = await self._directories.command(
            tenancy.rotate_tokens, Command(wanted, call), render=wire.rotated
        )
        await self._keeper.load()
        response = answer(outcome, tenancypb.RotateTokenResponse)
        if isinstance(outcome, Done) and not outcome.replayed:
            response.bearer = issued.text
        return response

    async def _in_force(self) -> None:
        await load_limits(self._directories, self._limits)
        await self._keeper.load()


def _check_all(parent: str) -> None:
    if parent != _ALL:
        raise names.NameInvalid("parent", _ALL)


def _overlap(request: tenancypb.RotateTokenRequest) -> timedelta:
    if not request.HasField("overlap_duration"):
        return _OVERLAP
    overlap = request.overlap_duration.ToTimedelta()
    if not timedelta(0) <= overlap <= _LONGEST_OVERLAP:
        raise field_invalid("overlap_duration", "0 to 30 days, or left out")
    return overlap
