"""The pages of reports about one matter: what the RPC of that name answers, as people read it."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path

import pytest

from services.reports.domain.estimators import Interval
from services.reports.domain.figures import Amount, Figure
from services.reports.domain.kpis import find_kpi
from services.reports.domain.reports import REPORTS, Matter
from services.reports.web.formats import Formats
from services.reports.web.texts import Texts
from smarketing.server.languages import Language
from tests.contract.web.board import Board, a_board

_MARCH = "period=custom&from=2026-03-01&to=2026-03-31"


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    async with a_board(tmp_path) as running:
        yield running


@pytest.mark.parametrize("matter", list(Matter))
async def test_every_figure_of_a_report_is_on_its_page(board: Board, matter: Matter) -> None:
    page = await board.page("lee", f"/reports/{matter}?{_MARCH}")

    for section in REPORTS[matter]:
        mark = "figure" if section.group_by else "kpi"
        assert f'data-{mark}="{"-".join((section.kpi_id, *section.group_by))}"' in page
    assert f'href="/reports/{matter}?{_MARCH.replace("&", "&amp;")}&amp;lang=en" aria-current=page' in page


async def test_its_file_has_a_row_for_each_group_of_each_figure(board: Board) -> None:
    async with board.visitor("lee") as browser:
        text = (await browser.get(f"/reports/lead-quality/figures.csv?{_MARCH}")).text
        told = (await browser.get(f"/reports/lead-quality/figures.json?{_MARCH}")).json()["rows"]

    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["kpi_id"] for row in told} <= {each.kpi_id for each in REPORTS[Matter.LEAD_QUALITY]}
    assert [row["kpi_id"] for row in rows] == [row["kpi_id"] for row in told]
    # Two of March's five handoffs were answered, one with yes; all five count as submitted.
    [accepted] = [row for row in told if (row["kpi_id"], row["group_by"]) == ("H1", "")]
    assert (accepted["numerator"], accepted["value"]) == (1, 1 / accepted["denominator"])
    [rejected] = [row for row in told if row["kpi_id"] == "H9"]
    assert (rejected["group"], rejected["value"]) == ("NOT_AS_DEFINED", 1)


async def test_who_sees_one_side_reads_the_figures_of_that_side(board: Board) -> None:
    page = await board.page("mia", f"/reports/pipeline?{_MARCH}")

    for section in REPORTS[Matter.PIPELINE]:
        if not section.group_by:
            ours = "marketing" in find_kpi(section.kpi_id).parties
            assert (f'data-kpi="{section.kpi_id}"' in page) is ours


async def test_in_korean_every_figure_has_a_korean_name(board: Board) -> None:
    for matter in Matter:
        page = await board.page("lee", f"/reports/{matter}?{_MARCH}&lang=ko")

        for section in REPORTS[matter]:
            assert f">{find_kpi(section.kpi_id).title}<" not in page


def test_an_interval_is_in_the_unit_of_its_figure() -> None:
    formats = Formats(Texts(Language.ENGLISH), UTC)
    worth = Figure(amount=Amount("EUR", 22_500), interval=Interval(-51_242.3, 62_942.2), denominator=1)
    share = Figure(ratio=0.5, interval=Interval(0.25, 0.75), denominator=1)

    assert "95% interval EUR −512.42 to EUR 629.42" in formats.figure(worth).notes
    assert "95% interval 25% to 75%" in formats.figure(share).notes


@pytest.mark.parametrize("path", ["/reports/weather", "/reports/roi/figures.xml", "/reports/roi/costs.csv"])
async def test_what_is_no_report_is_not_found(board: Board, path: str) -> None:
    async with board.visitor("lee") as browser:
        assert (await browser.get(path)).status_code == 404


async def test_a_report_asks_for_the_same_rights_as_its_rpc(board: Board) -> None:
    async with board.visitor("pat") as browser:
        assert (await browser.get("/reports/roi")).status_code == 403
        assert (await browser.get("/reports/roi/figures.csv")).status_code == 403
    async with board.visitor() as browser:
        assert (await browser.get("/reports/roi")).status_code == 303
