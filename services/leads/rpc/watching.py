# ruff: noqa: N802 -- the contract chooses the names
"""WatchOffers: the open offers first, then each change, from the event log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc.aio

from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.rpc.asking import asker
from services.leads.rpc.assignees import Assignees
from services.leads.rpc.page_keys import key_for_token, key_in_token
from services.leads.rpc.seeing import as_seen
from services.leads.store import queries
from services.leads.store.leads import LeadStore
from services.leads.store.lists import OfferPage
from services.leads.store.sealing import Sealer
from services.leads.store.walks import Key
from services.leads.wire.leads import handoff_message
from smarketing import names
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.eventlog import reading
from smarketing.eventlog.reading import LogRegressed
from smarketing.server.draining import Draining, server_draining
from smarketing.server.errors import Refusal, field_invalid
from smarketing.server.paging import PageTokens

_Context = grpc.aio.ServicerContext[Any, Any]

_PAGE: Final = 200
_EVENTS: Final = 1000
_REST_SECONDS: Final = 0.05
"""At most 20 looks a second for one watch, however often others commit."""
_MARK: Final = "offers"

_TELLS: Final[dict[str, Callable[[bytes], Any]]] = {
    kind.DESCRIPTOR.full_name: kind.FromString
    for kind in (
        leadeventspb.HandoffOffered,
        leadeventspb.OfferEnded,
        leadeventspb.HandoffAccepted,
        leadeventspb.HandoffRejected,
    )
}


@dataclass(slots=True)
class _Watch:
    """How far a watch is: the log's position, and before that the last open offer sent."""

    tenant: str
    wanted: frozenset[str] | None
    position: int
    sent: Key | None
    """Empty before the first open offer was sent, None once every one was."""


class Watching:
    """Follows offers; woken by each commit of this process's writer."""

    def __init__(
        self,
        store: LeadStore,
        sealer: Sealer,
        pages: PageTokens,
        assignees: Assignees,
        draining: Draining,
        *,
        heartbeat_seconds: float = 10.0,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._pages = pages
        self._assignees = assignees
        self._draining = draining
        self._heartbeat_seconds = heartbeat_seconds

    async def WatchOffers(
        self,
        request: leadspb.WatchOffersRequest,
        context: _Context,  # noqa: ARG002 -- gRPC's signature
    ) -> AsyncIterator[leadspb.WatchOffersResponse]:
        """Send the open offers, then what changes, until the caller or the server ends it."""
        watch = await self._begun(request)
        woken = asyncio.Event()
        woken.set()
        forget = self._store.writer.when_committed(woken.set)
        drained = asyncio.create_task(self._draining.wait())
        drained.add_done_callback(lambda _: woken.set())
        try:
            while watch.sent is not None:
                yield self._response(request, watch, await self._open_offers(watch))
            loop = asyncio.get_running_loop()
            due = loop.time() + self._heartbeat_seconds
            while True:
                await _woken(woken, due - loop.time())
                if self._draining.begun:
                    raise server_draining()
                woken.clear()
                changed = await self._changes(watch, woken)
                if changed or loop.time() >= due:
                    yield self._response(request, watch, changed)
                    due = loop.time() + self._heartbeat_seconds
                await asyncio.sleep(_REST_SECONDS)
        finally:
            forget()
            drained.cancel()

    async def _begun(self, request: leadspb.WatchOffersRequest) -> _Watch:
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        who = asker()
        wanted: frozenset[str] | None = None
        if request.assignees:
            wanted = await self._assignees.of(tenant, request.assignees)
        elif not who.is_system:
            wanted = frozenset({who.principal})
        if not request.resume_token:
            _, position = await self._store.read(partial(reading.head, view=request.parent))
            return _Watch(tenant, wanted, position, ())
        return _resumed(tenant, wanted, self._key_in(request))

    def _key_in(self, request: leadspb.WatchOffersRequest) -> tuple[str | int, ...]:
        try:
            key = self._pages.read(_list_of(request))
        except Refusal as refusal:
            raise _token_invalid() from refusal
        if key is None or key[0] != _MARK:
            raise _token_invalid()
        return key

    async def _open_offers(self, watch: _Watch) -> Sequence[Handoff]:
        page = OfferPage(watch.tenant, watch.wanted, after=watch.sent or None, limit=_PAGE)
        found = await self._store.read(as_seen(self._sealer, page))
        watch.sent = page.after
        return found

    async def _changes(self, watch: _Watch, woken: asyncio.Event) -> list[Handoff]:
        view = f"tenants/{watch.tenant}"
        try:
            page = await self._store.read(
                partial(reading.read, view=view, after=watch.position, limit=_EVENTS)
            )
        except LogRegressed as regressed:
            raise _token_invalid() from regressed
        if page.events:
            watch.position = page.events[-1].position
        if watch.position < page.head_position:
            woken.set()
        touched = _touched(page.events)
        if not touched:
            return []
        found = await self._store.read(as_seen(self._sealer, queries.find_handoffs(list(touched))))
        return [each for each in found if _concerns(each, touched[each.id], watch.wanted)]

    def _response(
        self, request: leadspb.WatchOffersRequest, watch: _Watch, handoffs: Iterable[Handoff]
    ) -> leadspb.WatchOffersResponse:
        key = [_MARK, watch.position, *key_for_token(watch.sent or ())]
        return leadspb.WatchOffersResponse(
            handoffs=[handoff_message(each) for each in handoffs],
            resume_token=self._pages.issue(_list_of(request), key),
        )


async def _woken(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await woken.wait()


def _resumed(tenant: str, wanted: frozenset[str] | None, key: tuple[Any, ...]) -> _Watch:
    _, position, *sent = key
    return _Watch(tenant, wanted, position, key_in_token(tuple(sent)) if sent else None)


def _list_of(request: leadspb.WatchOffersRequest) -> leadspb.ListOffersRequest:
    """Return the list to which the token is bound."""
    return leadspb.ListOffersRequest(
        parent=request.parent, assignees=request.assignees, page_token=request.resume_token
    )


def _touched(events: Iterable[eventlogpb.Event]) -> dict[HandoffId, set[str]]:
    """Return the handoffs whose offers changed, with everybody whom that concerns."""
    touched: dict[HandoffId, set[str]] = {}
    for event in events:
        read = _TELLS.get(event.payload.type_url.rpartition("/")[2])
        if read is None:
            continue
        tenant, lead, number = names.HANDOFF.parse(event.subject)
        payload = read(event.payload.value)
        concerned = touched.setdefault(HandoffId(tenant, lead, int(number)), set())
        concerned |= {getattr(payload, field, "") for field in ("assignee", "owner", "person")}
    return touched


def _concerns(handoff: Handoff, concerned: set[str], wanted: frozenset[str] | None) -> bool:
    if wanted is None:
        return True
    # Who accepts out of a queue is told apart from the queue: its watchers see it go by its last offer.
    last = {handoff.offer.assignee} if handoff.offer is not None else set()
    return not wanted.isdisjoint(concerned | last)


def _token_invalid() -> Refusal:
    return field_invalid(
        "resume_token",
        "the token of an earlier response, with the other fields unchanged",
        reason="RESUME_TOKEN_INVALID",
    )
