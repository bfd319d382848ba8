"""DirectoryService: parse, ask, render."""

from datetime import timedelta
from typing import Any

import grpc.aio

from services.leads.domain.errors import TenantUnknown
from services.leads.domain.tokens import Token
from services.leads.store.directory import DirectoryStore
from services.leads.usecases import directory as usecases
from services.leads.usecases.directory import Applied, ApplyDirectory, IssueToken, RevokeToken
from services.leads.wire import directory as wire
from smarketing import names
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceServicer
from smarketing.eventlog.directory import DirectoryKeeper
from smarketing.server.auth import issue_token
from smarketing.server.commands import Command, Done, answer, call_for
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of

__all__ = ["DirectoryServicer", "check_token", "lifetime_in"]

_Context = grpc.aio.ServicerContext[Any, Any]


class DirectoryServicer(DirectoryServiceServicer):
    """Answers for the directory; what it changes, this process judges calls by before it answers."""

    def __init__(self, store: DirectoryStore, keeper: DirectoryKeeper, pages: PageTokens) -> None:
        self._store = store
        self._keeper = keeper
        self._pages = pages

    async def GetDirectory(  # noqa: N802 -- the contract names it
        self, request: directorypb.GetDirectoryRequest, context: _Context
    ) -> directorypb.Directory:
        """Return the tenant's directory."""
        del context
        tenant = _directory_tenant(request.name)
        directory = await self._store.find(tenant)
        if directory is None:
            raise TenantUnknown(tenant)
        return wire.directory_to(directory)

    async def ApplyDirectory(  # noqa: N802 -- the contract names it
        self, request: directorypb.ApplyDirectoryRequest, context: _Context
    ) -> directorypb.ApplyDirectoryResponse:
        """Make the directory equal to the given one, or say what that would change."""
        del context
        names.TENANT.parse(request.parent, field="parent")
        call = call_for(request)
        wanted = ApplyDirectory(
            wanted=wire.directory_from(request.parent, request.directory),
            etag=request.directory.etag,
            actor=call.actor,
            traceparent=call.traceparent,
        )
        if request.validate_only:
            return _applied(usecases.would_apply(await self._store.find(request.parent), wanted))
        outcome = await self._store.command(usecases.apply, Command(wanted, call), render=_applied)
        await self._keeper.load()
        return answer(outcome, directorypb.ApplyDirectoryResponse)

    async def IssueToken(  # noqa: N802 -- the contract names it
        self, request: directorypb.IssueTokenRequest, context: _Context
    ) -> directorypb.IssueTokenResponse:
        """Make a token and show its text this once."""
        del context
        _check_principal(request.parent)
        call = call_for(request)
        # The text never leaves this method but in the answer: what is kept, also for a repetition, lacks it.
        issued = issue_token()
        wanted = IssueToken(
            principal=request.parent,
            token_id=issued.token_id,
            secret_hash=issued.secret_hash,
            display_name=request.display_name,
            lifetime=lifetime_in(request),
            actor=call.actor,
            traceparent=call.traceparent,
        )
        outcome = await self._store.command(usecases.issue, Command(wanted, call), render=_issued)
        await self._keeper.load()
        response = answer(outcome, directorypb.IssueTokenResponse)
        if isinstance(outcome, Done) and not outcome.replayed:
            response.bearer = issued.text
        return response

    async def RevokeToken(  # noqa: N802 -- the contract names it
        self, request: directorypb.RevokeTokenRequest, context: _Context
    ) -> directorypb.Token:
        """End a token."""
        del context
        check_token(request.name)
        call = call_for(request)
        wanted = RevokeToken(name=request.name, actor=call.actor, traceparent=call.traceparent)
        outcome = await self._store.command(usecases.revoke, Command(wanted, call), render=wire.token_to)
        await self._keeper.load()
        return answer(outcome, directorypb.Token)

    async def ListTokens(  # noqa: N802 -- the contract names it
        self, request: directorypb.ListTokensRequest, context: _Context
    ) -> directorypb.ListTokensResponse:
        """List the tokens of a person or system, newest first."""
        del context
        _check_principal(request.parent)
        size = page_size_of(request)
        after = self._pages.read(request)
        found = await self._store.tokens(
            request.parent, before=str(after[0]) if after else "", limit=size + 1
        )
        page = found[:size]
        more = len(found) > size
        return wire.tokens_to(
            page, next_page_token=self._pages.issue(request, [page[-1].name]) if more else ""
        )


def _applied(applied: Applied) -> directorypb.ApplyDirectoryResponse:
    return wire.applied(applied.directory, applied.changes)


def _issued(token: Token) -> directorypb.IssueTokenResponse:
    return directorypb.IssueTokenResponse(token=wire.token_to(token))


def _directory_tenant(name: str) -> str:
    tenant = name.removesuffix("/directory")
    if tenant == name or not (tenant == f"tenants/{names.ALL_TENANTS}" or names.TENANT.matches(tenant)):
        raise names.NameInvalid("name", "tenants/{tenant}/directory")
    return tenant


def _check_principal(parent: str) -> None:
    if not _is_below(parent, names.PERSON, names.SYSTEM):
        raise names.NameInvalid("parent", f"{names.PERSON.template} or {names.SYSTEM.template}")


def check_token(name: str) -> None:
    """Refuse a name that is no token's."""
    if not _is_below(name, names.PERSON_TOKEN, names.SYSTEM_TOKEN):
        raise names.NameInvalid("name", f"{names.PERSON_TOKEN.template} or {names.SYSTEM_TOKEN.template}")


def _is_below(name: str, *patterns: names.Pattern) -> bool:
    """Whether the name is of one of the kinds, in a tenant or in the installation itself."""
    installation = f"tenants/{names.ALL_TENANTS}/"
    # The installation's own principals are named like a tenant's.
    plain = f"tenants/0/{name.removeprefix(installation)}" if name.startswith(installation) else name
    return any(pattern.matches(plain) for pattern in patterns)


def lifetime_in(request: directorypb.IssueTokenRequest | tenancypb.RotateTokenRequest) -> timedelta | None:
    """Return how long a new token shall work; None means until it is revoked."""
    if not request.HasField("lifetime_duration"):
        return None
    lifetime = request.lifetime_duration.ToTimedelta()
    if lifetime <= timedelta(0):
        raise field_invalid("lifetime_duration", "more than 0, or left out")
    return lifetime
