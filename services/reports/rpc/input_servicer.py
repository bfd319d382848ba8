# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""InputService: parse, record, render."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import grpc.aio
from google.rpc import status_pb2

from services.reports import wire
from services.reports.domain.errors import PeriodInvalid
from services.reports.domain.goals import QuotaOrigin
from services.reports.domain.inputs import InputEntry, Outcome
from services.reports.domain.periods import Micros, Period, micros_of
from services.reports.rpc import input_wire
from services.reports.rpc.input_policy import may_record, may_see_person
from services.reports.store.commands import unit_of
from services.reports.store.database import SCHEMA
from services.reports.store.figures import Figures
from services.reports.store.input_journal import InputJournal
from services.reports.store.inputs import InputStore
from services.reports.store.known_names import KnownNames
from services.reports.store.quota_tree import QuotaLine, QuotaTree
from smarketing import names
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.reports.v1.inputs_pb2_grpc import InputServiceServicer
from smarketing.server.auth import Caller
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.errors import Refusal, field_invalid, trailers_of
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import permission_denied
from smarketing.sql import Writer

__all__ = ["InputServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
_LARGEST_BATCH: Final = 500
_ORIGINS: Final = {origin: inputspb.Quota.Origin.Value(f"ORIGIN_{origin.name}") for origin in QuotaOrigin}


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one call tells: an entry, or why it is refused."""

    told: Sequence[InputEntry | Refusal]
    caller: Caller


class InputServicer(InputServiceServicer):
    """Keeps inputs, and answers quotas."""

    def __init__(
        self, writer: Writer, figures: Figures, *, now: Callable[[], datetime], pages: PageTokens
    ) -> None:
        self._writer = writer
        tables = SCHEMA.reports
        self._store = InputStore(tables.input_entry, InputJournal(tables.input_change))
        self._tree = QuotaTree(figures, SCHEMA.directory)
        self._now = now
        self._pages = pages
        store, known = self._store, KnownNames(SCHEMA.directory)

        def record(connection: Any, batch: _Batch) -> list[inputspb.InputResult]:
            return _results(store, connection, _checked(known, connection, batch), micros_of(now()))

        self._record = unit_of(record, _recorded_to)

    async def RecordInputs(
        self, request: inputspb.RecordInputsRequest, context: _Context
    ) -> inputspb.RecordInputsResponse:
        """Record inputs, each by itself."""
        names.TENANT.parse(request.parent, field="parent")
        if not 1 <= len(request.inputs) <= _LARGEST_BATCH:
            raise field_invalid("inputs", f"1 to {_LARGEST_BATCH}")
        caller = current_call().caller
        batch = _Batch([_told(request.parent, each, caller) for each in request.inputs], caller)
        (outcome,) = await self._writer.run(self._record, [Command(batch, call_for(request))])
        return answer(outcome, inputspb.RecordInputsResponse)

    async def ListInputs(
        self, request: inputspb.ListInputsRequest, context: _Context
    ) -> inputspb.ListInputsResponse:
        """List what was recorded."""
        names.TENANT.parse(request.parent, field="parent")
        size, after = page_size_of(request), self._pages.read(request)
        found = await self._writer.read(
            lambda connection: self._store.page(
                connection,
                request.parent,
                source_system=request.source_system,
                after=[str(each) for each in after or ()],
                limit=size + 1,
            )
        )
        caller = current_call().caller
        page, more = found[:size], len(found) > size
        return inputspb.ListInputsResponse(
            inputs=[
                input_wire.input_to(each)
                for each in page
                if each.person is None or may_see_person(caller, each.person)
            ],
            next_page_token=(
                self._pages.issue(request, [page[-1].source_system, page[-1].external_id]) if more else ""
            ),
        )

    async def GetQuotas(self, request: inputspb.GetQuotasRequest, context: _Context) -> inputspb.Quotas:
        """Return quotas from party to team to person."""
        names.TENANT.parse(request.parent, field="parent")
        asked = request.period if request.HasField("period") else None
        period = wire.period_from(asked)
        if period is None:
            raise PeriodInvalid(None, None)
        now = micros_of(self._now())
        lines = await self._writer.read(_lines(self._tree, request.parent, period, now))
        caller = current_call().caller
        return inputspb.Quotas(
            period=request.period,
            quotas=[_quota_to(line) for line in lines if _is_seen(line, caller)],
            as_of_time=wire.instant_to(now),
        )


def _lines(tree: QuotaTree, tenant: str, period: Period, now: int) -> Callable[[Any], list[QuotaLine]]:
    return lambda connection: tree.lines(connection, tenant, period, now)


def _told(tenant: str, said: inputspb.Input, caller: Caller) -> InputEntry | Refusal:
    try:
        entry = input_wire.entry_of(tenant, said)
    except Refusal as refusal:
        return refusal
    return entry if may_record(caller, entry) else permission_denied()


def _checked(known: KnownNames, connection: Any, batch: _Batch) -> _Batch:
    """Return the batch with the entries refused that name a team or person nobody knows."""
    taken = [each for each in batch.told if isinstance(each, InputEntry)]
    fields = iter(known.unknown(connection, taken))
    told: list[InputEntry | Refusal] = []
    for each in batch.told:
        field = next(fields) if isinstance(each, InputEntry) else ""
        told.append(field_invalid(field, f"a {field} of the directory") if field else each)
    return _Batch(told, batch.caller)


def _results(store: InputStore, connection: Any, batch: _Batch, now: Micros) -> list[inputspb.InputResult]:
    taken = [each for each in batch.told if isinstance(each, InputEntry)]
    # Who may not tell an input may not take it back either, nor put another in its place.
    outcomes = iter(
        store.record(connection, taken, may_replace=lambda known: may_record(batch.caller, known), now=now)
    )
    return [
        _result_of(next(outcomes) or permission_denied() if isinstance(each, InputEntry) else each)
        for each in batch.told
    ]


def _result_of(found: Outcome | Refusal) -> inputspb.InputResult:
    if isinstance(found, Refusal):
        return inputspb.InputResult(error=status_pb2.Status.FromString(trailers_of(found)[0][1]))
    return inputspb.InputResult(outcome=input_wire.outcome_to(found))


def _recorded_to(results: Sequence[inputspb.InputResult]) -> inputspb.RecordInputsResponse:
    return inputspb.RecordInputsResponse(results=results)


def _is_seen(line: QuotaLine, caller: Caller) -> bool:
    return not line.is_person or may_see_person(caller, line.node)


def _quota_to(line: QuotaLine) -> inputspb.Quota:
    return inputspb.Quota(
        node=line.node,
        parent_node=line.parent,
        origin=_ORIGINS[line.origin],
        quota=wire.figure_to(line.quota),
        booked=wire.figure_to(line.booked),
        attainment=wire.figure_to(line.attainment),
        sum_below=None if line.below is None else wire.figure_to(line.below),
    )
