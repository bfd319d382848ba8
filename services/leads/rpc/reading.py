# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""What can be looked up one by one: leads, handoffs, opportunities, and the reason codes."""

from typing import Any

import grpc.aio

from services.leads.domain.errors import HandoffUnknown, LeadUnknown, OpportunityUnknown
from services.leads.rpc.asking import handoff_in
from services.leads.rpc.seeing import as_seen
from services.leads.rpc.sight import Sight, lead_message
from services.leads.store import queries
from services.leads.store.leads import LeadStore
from services.leads.store.sealing import Sealer
from services.leads.store.working import find_playbook
from services.leads.wire import leads as wire
from smarketing import names
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import permission_denied

_Context = grpc.aio.ServicerContext[Any, Any]


class Reading:
    """Answers questions, from the readers' connections."""

    def __init__(self, store: LeadStore, sealer: Sealer, pages: PageTokens, sight: Sight) -> None:
        self._store = store
        self._sealer = sealer
        self._pages = pages
        self._sight = sight

    async def GetLead(self, request: leadspb.GetLeadRequest, context: _Context) -> leadspb.Lead:
        """Return a lead with its personal data."""
        tenant, lead = names.LEAD.parse(request.name)
        await self._check_may_see(tenant, lead)
        found = await self._store.read(queries.find_lead(self._sealer, tenant, lead))
        if found is None:
            raise LeadUnknown(request.name)
        return lead_message(found)

    async def _check_may_see(self, tenant: str, lead: str) -> None:
        """Refuse who may see their own team's leads only, before looking whether there is such a lead."""
        if not await self._sight.seen(tenant, [lead]):
            raise permission_denied()

    async def GetHandoff(self, request: leadspb.GetHandoffRequest, context: _Context) -> leadspb.Handoff:
        """Return a handoff."""
        query = queries.find_handoffs([handoff_in(request.name)])
        found = await self._store.read(as_seen(self._sealer, query))
        if not found:
            raise HandoffUnknown(request.name)
        return wire.handoff_message(found[0])

    async def GetOpportunity(
        self, request: leadspb.GetOpportunityRequest, context: _Context
    ) -> leadspb.Opportunity:
        """Return an opportunity."""
        tenant, opportunity_id = names.OPPORTUNITY.parse(request.name)
        found = await self._store.read(queries.find_opportunity(tenant, opportunity_id))
        if found is None:
            raise OpportunityUnknown(request.name)
        return wire.opportunity_message(found)

    async def ListReasonCodes(
        self, request: leadspb.ListReasonCodesRequest, context: _Context
    ) -> leadspb.ListReasonCodesResponse:
        """List the codes with which sales says no."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        playbook = await self._store.read(find_playbook(tenant))
        ordered = sorted(playbook.reason_codes, key=lambda reason: (reason.use, reason.code))
        first = 0 if key is None else int(key[0])
        shown = ordered[first : first + size]
        more = first + size < len(ordered)
        return leadspb.ListReasonCodesResponse(
            reason_codes=[wire.reason_message(each) for each in shown],
            next_page_token=self._pages.issue(request, [first + size]) if more else "",
        )
