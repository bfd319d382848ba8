# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""PeriodService: parse, settle as of now, render."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import grpc.aio

from services.sla.domain.refused import PeriodUnknown
from services.sla.rpc.answering import Answering
from services.sla.store.archive import Archive
from services.sla.store.periods import Key, PeriodRow, find_period, page_of_periods
from services.sla.store.tx import SlaTx
from services.sla.usecases.periods import stated, terms_of_period
from services.sla.wire.periods import period_message
from smarketing import names
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.sla.v1.periods_pb2_grpc import PeriodServiceServicer
from smarketing.server.paging import PageTokens
from smarketing.sql import Connection, Writer, to_micros

__all__ = ["PeriodServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]


class PeriodServicer(Answering, PeriodServiceServicer):
    """Answers for marketing's periods, as of now."""

    def __init__(
        self, writer: Writer, archive: Archive, pages: PageTokens, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(writer, pages, now=now)
        self._archive = archive

    async def GetMarketingPeriod(
        self, request: periodspb.GetMarketingPeriodRequest, context: _Context
    ) -> periodspb.MarketingPeriod:
        """Return a period."""
        tenant, agreement = names.AGREEMENT.parse(request.agreement, field="agreement")
        key = Key(tenant, agreement, request.period)

        def find(connection: Connection) -> periodspb.MarketingPeriod | None:
            row = find_period(connection, key)
            return None if row is None else self._message(connection, row)

        found = await self._writer.read(find)
        if found is None:
            raise PeriodUnknown(f"{request.agreement} {request.period}")
        return found

    async def ListMarketingPeriods(
        self, request: periodspb.ListMarketingPeriodsRequest, context: _Context
    ) -> periodspb.ListMarketingPeriodsResponse:
        """List periods."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")

        def find(
            connection: Connection, limit: int, after: Any
        ) -> list[tuple[PeriodRow, periodspb.MarketingPeriod]]:
            rows = page_of_periods(connection, tenant, now=self._now(), limit=limit, after=after)
            return [(row, self._message(connection, row)) for row in rows]

        found, token = await self._page(
            request,
            find,
            lambda each: [to_micros(each[0].period.end_time), each[0].key.agreement, each[0].key.period],
        )
        return periodspb.ListMarketingPeriodsResponse(
            marketing_periods=[message for _, message in found], next_page_token=token
        )

    def _message(self, connection: Connection, row: PeriodRow) -> periodspb.MarketingPeriod:
        tx = SlaTx(connection, self._archive, now=self._now())
        return period_message(
            stated(tx, row),
            terms_of_period(tx, row),
            agreement=names.AGREEMENT.build(row.key.tenant, row.key.agreement),
            version=row.agreement_version,
            as_of=tx.now,
        )
