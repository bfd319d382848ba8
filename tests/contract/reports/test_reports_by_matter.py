"""Reports about one matter: figures that could be asked one by one, all of one state."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.reports import MONDAY, TENANT
from tests.contract.reports.house import House, a_house
from tests.contract.reports.test_report_service import _MARCH, _reason, _tell_a_story

_MATTERS = ("LeadQuality", "Roi", "Pipeline", "Forecast")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as running:
        await _tell_a_story(running)
        yield running


def _asked(matter: str, **fields: Any) -> Any:
    request: Callable[..., Any] = getattr(reportspb, f"Get{matter}Request")
    return request(parent=TENANT, **fields)


@pytest.mark.parametrize("matter", _MATTERS)
async def test_each_figure_of_a_report_is_what_is_answered_when_it_is_asked_alone(
    house: House, matter: str
) -> None:
    lee = house.by("lee")
    report: reportspb.KpiReport = await getattr(house.stub, f"Get{matter}")(
        _asked(matter, period=_MARCH), metadata=lee
    )

    assert report.sections
    assert len({(each.kpi.kpi_id, *each.group_by) for each in report.sections}) == len(report.sections)
    for section in report.sections:
        alone = await house.stub.QueryKpi(
            reportspb.QueryKpiRequest(
                parent=TENANT,
                kpi_id=section.kpi.kpi_id,
                period=_MARCH,
                basis=section.basis,
                group_by=section.group_by,
            ),
            metadata=lee,
        )
        assert (section.kpi, list(section.rows)) == (alone.kpi, list(alone.rows))
        assert alone.as_of.positions == report.as_of.positions
        assert section.group_by or len(section.rows) == 1


async def test_who_sees_one_side_gets_the_figures_of_that_side(house: House) -> None:
    async def parties_of(who: str) -> list[list[int]]:
        report = await house.stub.GetPipeline(_asked("Pipeline"), metadata=house.by(who))
        return [list(section.kpi.parties) for section in report.sections]

    team = f"{TENANT}/teams/demand"
    await house.leads.tell((team, MONDAY, leadeventspb.TeamChanged(team=team, party=termspb.PARTY_MARKETING)))
    await house.hire("mo", directorypb.ROLE_MARKETING_SPECIALIST, team=team)
    await house.settle()
    whole, own = await parties_of("lee"), await parties_of("mo")

    assert own == [parties for parties in whole if termspb.PARTY_MARKETING in parties]
    assert 0 < len(own) < len(whole)


@pytest.mark.parametrize("matter", _MATTERS)
async def test_a_period_that_is_none_is_refused(house: House, matter: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(house.stub, f"Get{matter}")(
            _asked(matter, period=reportspb.Period()), metadata=house.by("lee")
        )

    assert _reason(refused.value) == "PERIOD_INVALID"
