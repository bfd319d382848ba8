"""As of which positions the pages say they hold, and to whom."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.reports.domain.periods import micros_of
from services.reports.store.fold import Folded, FoldedTenant
from tests.builders.reports import TENANT
from tests.contract.web.board import NOW, OTHER, a_board


async def test_the_as_of_line_shows_whole_logs_to_those_above_tenants_alone(tmp_path: Path) -> None:
    async with a_board(tmp_path) as board:
        with board.ledger.database.writer_engine.begin() as connection:
            board.ledger.model.note_progress(
                connection,
                Folded("leads", "whole", 41, micros_of(NOW)),
                [FoldedTenant("leads", tenant, tenant, 7, micros_of(NOW)) for tenant in (TENANT, OTHER)],
            )

        async def positions(name: str) -> list[tuple[str, int]]:
            async with board.visitor(name) as browser:
                as_of = (await browser.get("/tables/sources.json")).json()["as_of"]
            return [(each["log_id"], each["position"]) for each in as_of["positions"]]

        assert await positions("lee") == [(TENANT, 7)]
        assert await positions("eve") == [(OTHER, 7)]
        assert await positions("ops") == [("whole", 41)]


async def test_a_page_of_the_past_says_so_and_shows_what_was_known_then(tmp_path: Path) -> None:
    async with a_board(tmp_path) as board:
        before = (NOW - timedelta(days=300)).isoformat().replace("+", "%2B")
        async with board.visitor("lee") as browser:
            past = await browser.get(f"/?lang=en&period=all&as_of={before}")
            sources = await browser.get(f"/tables/sources.csv?period=all&as_of={before}")
        present = await board.page("lee", "/?lang=en&period=all")

    assert past.status_code == 200
    assert "You see what was known at" in past.text
    assert "You see what was known at" not in present
    # The story had not begun: no source had sent anything.
    assert len(sources.text.splitlines()) == 1


@pytest.mark.parametrize(
    "as_of", ["yesterday", "2026-03-02T09:00:00", "2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z"]
)
async def test_a_page_of_no_past_is_refused(tmp_path: Path, as_of: str) -> None:
    async with a_board(tmp_path) as board, board.visitor("lee") as browser:
        page = await browser.get(f"/?lang=en&as_of={as_of}")
        table = await browser.get(f"/tables/sources.csv?as_of={as_of}")

    assert (page.status_code, table.status_code) == (400, 400)
    assert "There is no such state" in page.text
