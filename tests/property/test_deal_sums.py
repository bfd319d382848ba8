"""The pipeline read from sums is the pipeline read from opportunities one by one."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.domain.agreements import TenantSet
from services.reports.domain.figures import Figure
from services.reports.domain.kpi_kinds import PipelineKpi
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.domain.words import Converted, Voided
from services.reports.store.deal_sums import DealSums
from services.reports.store.pipeline import PipelineQueries
from services.reports.store.queries import Queries, Question
from tests.builders.kpi_case import deal, head
from tests.builders.reports import TENANT, a_ledger, at, submitted

_EXACT = ("P1", "P2", "P3", "P14", "P16", "P18")
_FROM_BUCKETS = ("P7", "P9")
_NOW = at(days=60)
_BUCKET = 1 / 32


@st.composite
def _histories(draw: st.DrawFn) -> list[Any]:
    words: list[Any] = [TenantSet(TENANT, "Asia/Seoul", "EUR")]
    for number in range(1, draw(st.integers(4, 8)) + 1):
        words += [submitted(number), Converted(*head(number), "kim")]
        kinds = [
            "opened",
            *draw(st.lists(st.sampled_from(["won", "won", "changed", "lost", "reopened"]), max_size=2)),
        ]
        days = sorted(draw(st.lists(st.integers(0, 59), min_size=len(kinds), max_size=len(kinds))))
        for kind, day in zip(kinds, days, strict=True):
            words.append(
                deal(
                    number,
                    kind,
                    days=day,
                    amount=draw(st.none() | st.integers(1, 10_000)),
                    probability=draw(st.none() | st.integers(0, 100)),
                    close_day=draw(st.none() | st.integers(20, 60).map(_day)),
                    stage=draw(st.sampled_from(["", "PROPOSAL"])),
                )
            )
        if draw(st.integers(0, 9)) == 0:
            words.append(Voided(*head(number, days=59), "test"))
    return words


def _day(after: int) -> int:
    return date(2026, 4, 1).toordinal() + after


_periods = st.sampled_from([None, Period.month(2026, 3), Period.month(2026, 4), Period.month(2026, 5)])


@settings(max_examples=30, deadline=None)
@given(words=_histories(), period=_periods)
def test_sums_say_what_opportunities_say_one_by_one(words: list[Any], period: Period | None) -> None:
    question = Question(tenant=TENANT, period=period, now=_NOW)
    with a_ledger() as ledger:
        for word in words:
            ledger.leads(word)
        queries = Queries(ledger.tables)
        with ledger.database.reading() as connection:
            for kpi_id in (*_EXACT, *_FROM_BUCKETS):
                kpi = KPIS[kpi_id]
                assert isinstance(kpi, PipelineKpi)
                summed = DealSums(queries).rows(connection, kpi, question)
                ((_, read),) = PipelineQueries(queries).rows(connection, kpi, question)
                assert summed is not None
                assert _same(summed[0][1], read, exactly=kpi_id in _EXACT), (kpi_id, summed, read)


@settings(max_examples=20, deadline=None)
@given(words=_histories(), period=_periods)
@pytest.mark.parametrize(("kpi_id", "by"), [("P1", "opportunity_stage"), ("P3", "close_month")])
def test_sums_by_what_opportunities_say_themselves_are_those_of_each(
    kpi_id: str, by: str, words: list[Any], period: Period | None
) -> None:
    question = Question(tenant=TENANT, period=period, now=_NOW, group_by=(Dimension(by),))
    with a_ledger() as ledger:
        ledger.leads(*words)
        queries, kpi = Queries(ledger.tables), KPIS[kpi_id]
        assert isinstance(kpi, PipelineKpi)
        with ledger.database.reading() as connection:
            summed = DealSums(queries).rows(connection, kpi, question)
            assert summed is not None
            assert dict(summed) == dict(PipelineQueries(queries).rows(connection, kpi, question))


def _same(summed: Figure, read: Figure, *, exactly: bool) -> bool:
    if exactly or read.undefined is not None:
        return summed == read
    if read.duration is not None:
        return summed.duration == pytest.approx(read.duration, rel=_BUCKET)
    one, other = summed.amount, read.amount
    assert one is not None
    assert other is not None
    return one.currency == other.currency and one.minor_units == pytest.approx(
        other.minor_units, rel=_BUCKET, abs=1
    )
