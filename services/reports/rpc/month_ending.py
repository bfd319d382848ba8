"""Takes a copy of every figure once a month is over and all that was told of it is folded in."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from services.reports import wire
from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Days, Period, first_of_month, micros_of
from services.reports.rpc.as_of import AsOfReader
from services.reports.store.figures import Figures
from services.reports.store.month_ends import Asked, Frozen, MonthEnds
from services.reports.store.queries import Question
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.logs import get_log
from smarketing.sql import StorageError, Writer

__all__ = ["MonthEndKeeper"]

_log = get_log(__name__)

_LOOK_SECONDS: Final = 300.0
_CURRENT: Final = timedelta(minutes=1)
"""So long ago at most may be the instant until which every event is certainly folded in."""
_GROUPED_BY: Final = (Dimension.TEAM, Dimension.SOURCE_CHANNEL)
"""Besides the whole, figures are kept by each of these that they know."""
_MOST_ROWS: Final = 500

_Kept: TypeAlias = tuple[str, Days, Sequence[Frozen], int]


class MonthEndKeeper:
    """Looks every few minutes whether a tenant's month is over."""

    def __init__(
        self,
        writer: Writer,
        figures: Figures,
        month_ends: MonthEnds,
        *,
        complete_until: Callable[[], datetime | None],
        now: Callable[[], datetime],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._figures = figures
        self._month_ends = month_ends
        self._as_of = AsOfReader(figures.queries)
        self._complete_until = complete_until
        self._now = now
        self._succeeded = succeeded

    async def run(self) -> None:
        """Take copies until cancelled."""
        while True:
            try:
                await self.look()
                self._succeeded()
            except StorageError as error:
                _log.warning("month_end_failed", error=type(error).__name__)
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> int:
        """Take the copies that are due, and return of how many tenants."""
        until = self._complete_until()
        if until is None or self._now() - until > _CURRENT:
            return 0
        taken = 0
        for tenant in await self._writer.read(self._month_ends.tenants):
            found = await self._writer.read(self._figures_of(tenant, until))
            if found is not None:
                (kept,) = await self._writer.run(self._keep, [found])
                taken += kept
        return taken

    def _keep(self, connection: Any, found: Sequence[_Kept], now: datetime) -> list[bool]:
        del now
        return [self._month_ends.keep(connection, *each) for each in found]

    def _figures_of(self, tenant: str, until: datetime) -> Callable[[Any], _Kept | None]:
        def read(connection: Any) -> _Kept | None:
            now = micros_of(self._now())
            queries = self._figures.queries
            # A month of which the last minute may not be folded in yet is not over here.
            this_month = first_of_month(queries.days(connection, tenant).day_of(micros_of(until)))
            month = first_of_month(this_month - 1)
            newest = self._month_ends.newest(connection, tenant)
            if (newest is not None and newest >= month) or not queries.folded_of(connection, tenant):
                return None
            question = Question(tenant=tenant, period=Period(month, this_month), now=now)
            as_of = self._as_of.read(connection, question)
            return tenant, month, list(self._all(connection, question, as_of)), now

        return read

    def _all(self, connection: Any, question: Question, as_of: reportspb.AsOf) -> Iterator[Frozen]:
        for kpi in KPIS.values():
            for group_by in ((), *((each,) for each in _GROUPED_BY if each in kpi.dimensions)):
                yield from self._of(connection, kpi, question, group_by, as_of)

    def _of(
        self,
        connection: Any,
        kpi: Kpi,
        question: Question,
        group_by: tuple[Dimension, ...],
        as_of: reportspb.AsOf,
    ) -> Iterator[Frozen]:
        shown = kpi.grouped_by(group_by)
        asked = Question(tenant=question.tenant, period=question.period, group_by=group_by, now=question.now)
        for basis in kpi.bases or (None,):
            rows = self._figures.query(connection, kpi.kpi_id, asked, basis)
            if len(rows) <= _MOST_ROWS:
                answer = reportspb.MonthEnd(
                    as_of=as_of,
                    rows=[
                        reportspb.KpiRow(
                            group=wire.group_to(shown, row.group), value=wire.figure_to(row.figure)
                        )
                        for row in rows
                    ],
                )
                packed = answer.SerializeToString(deterministic=True)
                yield Frozen(Asked(kpi.kpi_id, basis or "", group_by), packed)
