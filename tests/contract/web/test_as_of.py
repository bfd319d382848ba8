"""As of which positions the pages say they hold, and to whom."""

from pathlib import Path

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
