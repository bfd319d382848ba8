"""Folds a stretch of a past log into a scratch database, by the same code as the log that is followed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import grpc.aio

from services.reports.consumers.lead_events import LeadEvents, micros_from
from services.reports.consumers.sla_events import SlaEvents
from services.reports.domain.as_of import Place, Until
from services.reports.domain.errors import AsOfOutOfReach, LogUnreachable
from services.reports.store.fold import Folded, FoldedTenant, ReadModel
from services.reports.store.marketing_quotas import MarketingQuotas
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.feed import FeedBatch
from smarketing.eventlog.reading import LogRegressed
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import Database

__all__ = ["LogReplay", "PastSource"]

_PAGE_EVENTS: Final = 5_000
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELD: Final = "as_of"
_WANTED: Final = "a state that the logs still reach back to"

Apply = Callable[[Any, Sequence[eventlogpb.Event], datetime], None]


class PastSource(Protocol):
    """One view of a log, read page by page."""

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Return a page of the view behind a position."""


class LogReplay:
    """Reads the logs of the peers anew, each by the view that is asked for."""

    def __init__(self, model: ReadModel, sources: Mapping[str, Callable[[str], PastSource]]) -> None:
        self._model = model
        self._quotas = MarketingQuotas(model.tables)
        self._sources = sources

    async def holds(self, service: str, view: str, place: Place) -> bool:
        """Say whether the log still has, at a place, the event that was folded in there.

        Raises:
            LogUnreachable: when the log cannot be asked.
        """
        if place.position == 0:
            return True
        try:
            page = await self._page(service, view, place.log_id, place.position - 1, 1)
        except AsOfOutOfReach:
            return False
        return bool(page.events) and micros_from(page.events[0].record_time) == place.record_time

    async def fold(self, database: Database, service: str, view: str, begin: Place, until: Until) -> None:
        """Fold in what lies behind a place, up to where is asked for.

        Raises:
            AsOfOutOfReach: when the log does not hold it.
            LogUnreachable: when the log cannot be asked.
        """
        apply = self._applying(service)
        async for events in self._pages(service, view, begin, until):
            await asyncio.to_thread(self._fold_page, database, service, view, apply, events)

    def _applying(self, service: str) -> Apply:
        if service == "leads":
            # People and tokens are of the present: whoever asks is judged by them, not by those of then.
            return LeadEvents(self._model, lambda _connection, _events: None).apply
        return SlaEvents(self._model, self._quotas).apply

    def _fold_page(
        self, database: Database, service: str, view: str, apply: Apply, events: Sequence[eventlogpb.Event]
    ) -> None:
        last = events[-1]
        with database.writer_engine.begin() as connection:
            apply(connection, events, _BEGINNING)
            if view != WHOLE_LOG:
                # Events of a view bear its own id and positions, which is how a tenant is told.
                folded = Folded(service, last.log_id, last.position, micros_from(last.record_time))
                own = FoldedTenant(service, view, *folded[1:])
                self._model.note_progress(connection, folded, [own])

    async def _pages(
        self, service: str, view: str, begin: Place, until: Until
    ) -> AsyncIterator[Sequence[eventlogpb.Event]]:
        position = begin.position
        while until.position is None or position < until.position:
            page = await self._page(service, view, begin.log_id, position, _wanted(position, until))
            events = _within(page.events, position, until)
            if not events:
                if until.position is not None:
                    raise AsOfOutOfReach(_FIELD, _WANTED)
                return
            yield events
            position = events[-1].position
            if len(events) < len(page.events):
                return

    async def _page(self, service: str, view: str, log_id: str, after: int, limit: int) -> FeedBatch:
        try:
            return await self._sources[service](view).read(log_id=log_id, after=after, limit=limit)
        except LogRegressed as error:
            raise AsOfOutOfReach(_FIELD, _WANTED) from error
        except grpc.aio.AioRpcError as error:
            raise LogUnreachable(service) from error


def _wanted(position: int, until: Until) -> int:
    return _PAGE_EVENTS if until.position is None else min(_PAGE_EVENTS, until.position - position)


def _within(events: Sequence[eventlogpb.Event], position: int, until: Until) -> Sequence[eventlogpb.Event]:
    """Return those of the page that are folded in.

    Raises:
        AsOfOutOfReach: when the log left out what comes next.
    """
    if events and events[0].position != position + 1:
        raise AsOfOutOfReach(_FIELD, _WANTED)
    if until.position is not None:
        return events
    return [event for event in events if micros_from(event.record_time) <= until.record_time]
