# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""What can be looked up: leads, handoffs, offers, follow-ups, opportunities, reason codes."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc.aio

from services.leads.domain.errors import HandoffUnknown, LeadUnknown, OpportunityUnknown
from services.leads.domain.handoff import Handoff
from services.leads.domain.reasons import REASON_CODES
from services.leads.domain.states import HandoffState
from services.leads.rpc.asking import handoff_in
from services.leads.rpc.assignees import Assignees
from services.leads.rpc.policy import SEE_EVERY_LEAD
from services.leads.rpc.seeing import as_seen
from services.leads.store import queries
from services.leads.store.leads import LeadStore
from services.leads.store.queries import HandoffFilter
from services.leads.store.sealing import Sealer
from services.leads.wire import leads as wire
from services.leads.wire.values import put_instant
from smarketing import names
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.server.calls import current_call
from smarketing.server.errors import field_invalid
from smarketing.server.paging import LARGEST_PAGE_SIZE, PageTokens, page_size_of
from smarketing.server.policy import permission_denied

_Context = grpc.aio.ServicerContext[Any, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALL_LEADS: Final = "-"
_NO_EXPIRY: Final = -1


class Reading:
    """Answers questions, from the readers' connections."""

    def __init__(self, store: LeadStore, sealer: Sealer, pages: PageTokens, assignees: Assignees) -> None:
        self._store = store
        self._sealer = sealer
        self._pages = pages
        self._assignees = assignees

    async def GetLead(self, request: leadspb.GetLeadRequest, context: _Context) -> leadspb.Lead:
        """Return a lead with its personal data."""
        tenant, lead = names.LEAD.parse(request.name)
        await self._check_may_see(tenant, lead)
        found = await self._store.read(queries.find_lead(self._sealer, tenant, lead))
        if found is None:
            raise LeadUnknown(request.name)
        message = leadspb.Lead(name=request.name, etag=str(found.version), handoff_count=found.handoff_count)
        put_instant(message.create_time, found.create_time)
        if found.contact is not None:
            message.contact.CopyFrom(wire.contact_message(found.contact))
        if found.erase_time is not None:
            put_instant(message.erase_time, found.erase_time)
        return message

    async def _check_may_see(self, tenant: str, lead: str) -> None:
        """Refuse who may see their own team's leads only, before looking whether there is such a lead."""
        caller = current_call().caller
        if caller.roles & SEE_EVERY_LEAD:
            return
        own = await self._assignees.around(caller)
        handoffs = await self._store.read(
            queries.list_handoffs(
                HandoffFilter(tenant=tenant, lead=lead), after=None, limit=LARGEST_PAGE_SIZE
            )
        )
        if own.isdisjoint(name for handoff in handoffs for name in _holders(handoff)):
            raise permission_denied()

    async def GetHandoff(self, request: leadspb.GetHandoffRequest, context: _Context) -> leadspb.Handoff:
        """Return a handoff."""
        query = queries.find_handoffs([handoff_in(request.name)])
        found = await self._store.read(as_seen(self._sealer, query))
        if not found:
            raise HandoffUnknown(request.name)
        return wire.handoff_message(found[0])

    async def ListHandoffs(
        self, request: leadspb.ListHandoffsRequest, context: _Context
    ) -> leadspb.ListHandoffsResponse:
        """List handoffs, newest first."""
        wanted = _filter(request, self._sealer)
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        query = queries.list_handoffs(wanted, after=key, limit=size + 1)
        found = await self._store.read(as_seen(self._sealer, query))
        shown = found[:size]
        token = self._pages.issue(request, shown[-1].id[1:]) if len(found) > size else ""
        return leadspb.ListHandoffsResponse(
            handoffs=[wire.handoff_message(each) for each in shown], next_page_token=token
        )

    async def ListOffers(
        self, request: leadspb.ListOffersRequest, context: _Context
    ) -> leadspb.ListOffersResponse:
        """List open offers, the one that ends first at the top."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        wanted = await self._assignees.of(tenant, request.assignees) if request.assignees else None
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        after = None if key is None else (_expiry_of(key[0]), key[1], key[2])
        query = queries.list_offers(tenant, wanted, after=after, limit=size + 1)
        found = await self._store.read(as_seen(self._sealer, query))
        shown = found[:size]
        token = self._pages.issue(request, _offer_key(shown[-1])) if len(found) > size else ""
        return leadspb.ListOffersResponse(
            handoffs=[wire.handoff_message(each) for each in shown], next_page_token=token
        )

    async def ListFollowUps(
        self, request: leadspb.ListFollowUpsRequest, context: _Context
    ) -> leadspb.ListFollowUpsResponse:
        """List a handoff's follow-ups, oldest first."""
        handoff_id = handoff_in(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        after = None if key is None else (_instant(key[0]), key[1])
        if await self._store.read(queries.find_handoff(handoff_id)) is None:
            raise HandoffUnknown(request.parent)
        found = await self._store.read(queries.list_follow_ups(handoff_id, after=after, limit=size + 1))
        shown = found[:size]
        token = ""
        if len(found) > size:
            token = self._pages.issue(request, [_micros(shown[-1].occur_time), shown[-1].follow_up_id])
        return leadspb.ListFollowUpsResponse(
            follow_ups=[wire.follow_up_message(each) for each in shown], next_page_token=token
        )

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
        names.TENANT.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        ordered = sorted(REASON_CODES, key=lambda reason: (reason.use, reason.code))
        first = 0 if key is None else int(key[0])
        shown = ordered[first : first + size]
        more = first + size < len(ordered)
        return leadspb.ListReasonCodesResponse(
            reason_codes=[wire.reason_message(each) for each in shown],
            next_page_token=self._pages.issue(request, [first + size]) if more else "",
        )


def _holders(handoff: Handoff) -> tuple[str, ...]:
    offered = () if handoff.offer is None else (handoff.offer.assignee,)
    return (handoff.owner, *offered)


def _filter(request: leadspb.ListHandoffsRequest, sealer: Sealer) -> HandoffFilter:
    tenant, lead = _parent(request.parent)
    asked, system = request.external_id, request.source_system
    if request.external_id and not request.source_system:
        raise field_invalid("source_system", "the sender whose external_id this is")
    return HandoffFilter(
        tenant=tenant,
        lead=lead,
        states=tuple(HandoffState(state) for state in request.states if state),
        owner=request.owner,
        queue=request.queue,
        source_system=request.source_system,
        external_digest=sealer.external_digest(tenant, system, asked) if asked else b"",
    )


def _parent(parent: str) -> tuple[str, str]:
    head, _, lead = parent.rpartition("/leads/")
    if lead == _ALL_LEADS and names.TENANT.matches(head):
        return names.TENANT.parse(head)[0], ""
    tenant, lead = names.LEAD.parse(parent, field="parent")
    return tenant, lead


def _offer_key(handoff: Handoff) -> list[str | int]:
    offer = handoff.offer
    expires = None if offer is None else offer.expire_time
    return [_NO_EXPIRY if expires is None else _micros(expires), handoff.id.lead, handoff.id.number]


def _expiry_of(micros: int) -> datetime | None:
    return None if micros == _NO_EXPIRY else _instant(micros)


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
