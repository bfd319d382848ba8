# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""What can be listed: handoffs, open offers, follow-ups."""

from typing import Any, Final

import grpc.aio

from services.leads.domain.errors import HandoffUnknown, OrderUnknown
from services.leads.domain.states import HandoffState
from services.leads.rpc.asking import handoff_in
from services.leads.rpc.assignees import Assignees
from services.leads.rpc.page_keys import key_for_token, key_in_token
from services.leads.rpc.seeing import as_seen, texts_as_seen
from services.leads.store import queries
from services.leads.store.leads import LeadStore
from services.leads.store.lists import FollowUpPage, HandoffList, HandoffOrder, HandoffPage, OfferPage
from services.leads.store.sealed_texts import EXTERNAL_ID
from services.leads.store.sealing import Sealer
from services.leads.wire import leads as wire
from services.leads.wire.filters import FOLLOW_UP_FIELDS, HANDOFF_FIELDS, Operator, Restriction, parse_filter
from smarketing import names
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of

_Context = grpc.aio.ServicerContext[Any, Any]

_ALL_LEADS: Final = "-"
_ORDERS: Final = {order.value: order for order in HandoffOrder}
_OLDEST_FIRST: Final = "occur_time"
_NEWEST_FIRST: Final = "occur_time desc"


class Listing:
    """Answers with pages, from the readers' connections."""

    def __init__(self, store: LeadStore, sealer: Sealer, pages: PageTokens, assignees: Assignees) -> None:
        self._store = store
        self._sealer = sealer
        self._pages = pages
        self._assignees = assignees

    async def ListHandoffs(
        self, request: leadspb.ListHandoffsRequest, context: _Context
    ) -> leadspb.ListHandoffsResponse:
        """List handoffs, newest first unless another order is asked for."""
        wanted = _handoffs_wanted(request, self._sealer)
        page = HandoffPage(wanted, after=key_in_token(self._pages.read(request)), limit=page_size_of(request))
        found = await self._store.read(as_seen(self._sealer, page))
        return leadspb.ListHandoffsResponse(
            handoffs=[wire.handoff_message(each) for each in found],
            next_page_token=self._next(request, page),
        )

    async def ListOffers(
        self, request: leadspb.ListOffersRequest, context: _Context
    ) -> leadspb.ListOffersResponse:
        """List open offers, the one that ends first at the top."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        wanted = await self._assignees.of(tenant, request.assignees) if request.assignees else None
        page = OfferPage(
            tenant, wanted, after=key_in_token(self._pages.read(request)), limit=page_size_of(request)
        )
        found = await self._store.read(as_seen(self._sealer, page))
        return leadspb.ListOffersResponse(
            handoffs=[wire.handoff_message(each) for each in found],
            next_page_token=self._next(request, page),
        )

    async def ListFollowUps(
        self, request: leadspb.ListFollowUpsRequest, context: _Context
    ) -> leadspb.ListFollowUpsResponse:
        """List a handoff's follow-ups, oldest first unless the newest are asked for."""
        handoff_id = handoff_in(request.parent, field="parent")
        page = FollowUpPage(
            handoff_id,
            parse_filter(request.filter, FOLLOW_UP_FIELDS),
            newest_first=_is_newest_first(request.order_by),
            after=key_in_token(self._pages.read(request)),
            limit=page_size_of(request),
        )
        if await self._store.read(queries.find_handoff(handoff_id)) is None:
            raise HandoffUnknown(request.parent)
        seen = texts_as_seen(self._sealer, page, EXTERNAL_ID, lead_of=lambda each: each.handoff[:2])
        found = await self._store.read(seen)
        return leadspb.ListFollowUpsResponse(
            follow_ups=[wire.follow_up_message(each) for each in found],
            next_page_token=self._next(request, page),
        )

    def _next(self, request: Any, page: HandoffPage | OfferPage | FollowUpPage) -> str:
        return "" if page.after is None else self._pages.issue(request, key_for_token(page.after))


def _handoffs_wanted(request: leadspb.ListHandoffsRequest, sealer: Sealer) -> HandoffList:
    tenant, lead = _parent(request.parent)
    asked, system = request.external_id, request.source_system
    if asked and not system:
        raise field_invalid("source_system", "the sender whose external_id this is")
    of_fields = [
        Restriction(field, Operator.EQUAL, value)
        for field, value in (
            ("owner", request.owner),
            ("queue", request.queue),
            ("source_system", "" if asked else system),
        )
        if value
    ]
    return HandoffList(
        tenant=tenant,
        lead=lead,
        states=tuple(HandoffState(state) for state in request.states if state),
        external=(system, sealer.external_digest(tenant, system, asked)) if asked else None,
        restrictions=(*of_fields, *parse_filter(request.filter, HANDOFF_FIELDS)),
        order=_order(request.order_by, of_few=bool(lead or asked)),
    )


def _order(text: str, *, of_few: bool) -> HandoffOrder:
    if not text.strip():
        return HandoffOrder.NEWEST_FIRST
    order = _ORDERS.get(" ".join(text.split()))
    if order is None:
        expected = f"nothing, or one of {', '.join(f'`{each}`' for each in _ORDERS)}"
        if text.split(maxsplit=1)[0] == "update_time":
            # An index on what every command changes would cost each of them; the log has that order anyway.
            expected += ": no index has the order of changes, which the event log tells without a gap"
        raise OrderUnknown("order_by", expected)
    if of_few and order is HandoffOrder.DUE_FIRST:
        raise OrderUnknown(
            "order_by", "`submit_time` or `submit_time desc`: of one lead or submission there are few"
        )
    return order


def _is_newest_first(order_by: str) -> bool:
    words = " ".join(order_by.split())
    if words not in {"", _OLDEST_FIRST, _NEWEST_FIRST}:
        raise OrderUnknown("order_by", f"nothing, `{_OLDEST_FIRST}` or `{_NEWEST_FIRST}`")
    return words == _NEWEST_FIRST


def _parent(parent: str) -> tuple[str, str]:
    head, _, lead = parent.rpartition("/leads/")
    if lead == _ALL_LEADS and names.TENANT.matches(head):
        return names.TENANT.parse(head)[0], ""
    tenant, lead = names.LEAD.parse(parent, field="parent")
    return tenant, lead
