# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""IdentityService: parse, ask, render."""

from typing import Any, Final

import grpc.aio

from services.leads.rpc.asking import by_caller
from services.leads.store.distinctions import list_distinctions
from services.leads.store.duplicates import list_possible_duplicates
from services.leads.store.leads import LeadStore
from services.leads.usecases.distinguishing import TwoLeads, distinguish_leads, withdraw_distinctions
from services.leads.usecases.merging import MergeLeads, UnmergeLeads, merge_leads, unmerge_leads
from services.leads.wire.identity import distinction_message, merge_message, possible_duplicate_message
from smarketing import names
from smarketing.api.leads.v1 import identity_pb2 as identitypb
from smarketing.api.leads.v1.identity_pb2_grpc import IdentityServiceServicer
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import permission_denied

__all__ = ["IdentityServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
_ALL_LEADS: Final = "/leads/-"


class IdentityServicer(IdentityServiceServicer):
    """Says who is who, as people decide it."""

    def __init__(self, store: LeadStore, pages: PageTokens) -> None:
        self._store = store
        self._pages = pages

    async def ListPossibleDuplicates(
        self, request: identitypb.ListPossibleDuplicatesRequest, context: _Context
    ) -> identitypb.ListPossibleDuplicatesResponse:
        """List pairs that may be one person, the surest first."""
        tenant, lead = _parent(request.parent)
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        query = list_possible_duplicates(tenant, lead, after=key and tuple(key), limit=size + 1)
        found = await self._store.read(query)
        shown = found[:size]
        token = ""
        if len(found) > size:
            last = shown[-1]
            token = self._pages.issue(request, [last.match.confidence, last.lead, last.other_lead])
        return identitypb.ListPossibleDuplicatesResponse(
            possible_duplicates=map(possible_duplicate_message, shown), next_page_token=token
        )

    async def MergeLeads(
        self, request: identitypb.MergeLeadsRequest, context: _Context
    ) -> identitypb.LeadMerge:
        """Make two leads one person."""
        tenant, lead = names.LEAD.parse(request.name)
        other_tenant, merged_lead = names.LEAD.parse(request.merged_lead, field="merged_lead")
        if other_tenant != current_call().tenant:
            raise permission_denied()
        wanted = MergeLeads(tenant=tenant, lead=lead, merged_lead=merged_lead, by=by_caller())
        outcome = await self._store.command(
            merge_leads, Command(wanted, call_for(request)), render=merge_message
        )
        return answer(outcome, identitypb.LeadMerge)

    async def UnmergeLeads(
        self, request: identitypb.UnmergeLeadsRequest, context: _Context
    ) -> identitypb.LeadMerge:
        """Take a merge back."""
        tenant, merged_lead = names.LEAD.parse(request.name)
        wanted = UnmergeLeads(tenant=tenant, merged_lead=merged_lead, by=by_caller())
        outcome = await self._store.command(
            unmerge_leads, Command(wanted, call_for(request)), render=merge_message
        )
        return answer(outcome, identitypb.LeadMerge)

    async def DistinguishLeads(
        self, request: identitypb.DistinguishLeadsRequest, context: _Context
    ) -> identitypb.LeadDistinction:
        """Keep that two leads are two people."""
        outcome = await self._store.command(
            distinguish_leads,
            Command(_two_leads(request.name, request.other_lead), call_for(request)),
            render=distinction_message,
        )
        return answer(outcome, identitypb.LeadDistinction)

    async def WithdrawDistinction(
        self, request: identitypb.WithdrawDistinctionRequest, context: _Context
    ) -> identitypb.LeadDistinction:
        """Take that back."""
        outcome = await self._store.command(
            withdraw_distinctions,
            Command(_two_leads(request.name, request.other_lead), call_for(request)),
            render=distinction_message,
        )
        return answer(outcome, identitypb.LeadDistinction)

    async def ListDistinctions(
        self, request: identitypb.ListDistinctionsRequest, context: _Context
    ) -> identitypb.ListDistinctionsResponse:
        """List who is said not to be whom."""
        tenant, lead = _parent(request.parent)
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        query = list_distinctions(tenant, lead, after=key and (key[0], key[1]), limit=size + 1)
        found = await self._store.read(query)
        shown = found[:size]
        last = [shown[-1].lead, shown[-1].other_lead] if shown else []
        return identitypb.ListDistinctionsResponse(
            distinctions=map(distinction_message, shown),
            next_page_token=self._pages.issue(request, last) if len(found) > size else "",
        )


def _two_leads(name: str, other: str) -> TwoLeads:
    tenant, lead = names.LEAD.parse(name)
    other_tenant, other_lead = names.LEAD.parse(other, field="other_lead")
    if other_tenant != current_call().tenant:
        raise permission_denied()
    return TwoLeads(tenant=tenant, lead=lead, other_lead=other_lead, by=by_caller())


def _parent(parent: str) -> tuple[str, str]:
    head = parent.removesuffix(_ALL_LEADS)
    if head != parent and names.TENANT.matches(head):
        return names.TENANT.parse(head)[0], ""
    tenant, lead = names.LEAD.parse(parent, field="parent")
    return tenant, lead
