"""Every handoff that ever began stands in one state, and every open one is somebody's: counted, and said."""

from typing import Any

import pytest
from sqlalchemy import Connection

from services.leads.store.figures import _UNOWNED, Figures, read_figures
from tests.builders.desk import accepted, queued, rejected
from tests.builders.leads import BEN, House
from tests.builders.stores import skip_unless_sqlite


async def figures(house: House) -> Figures:
    return await house.rows(lambda connection: read_figures(connection, ["default"]))


async def spoil(house: House, statement: str) -> None:
    """Change the database behind the service's back."""

    def unit(connection: Connection, _requests: Any, _now: Any) -> list[None]:
        connection.exec_driver_sql(statement)
        return [None]

    await house.writer.run(unit, [None])


async def with_some_of_each(house: House) -> None:
    await accepted(house, 1)
    await rejected(house, 2, by=BEN)
    await queued(house, 3)


async def test_handoffs_in_whatever_state_are_conserved() -> None:
    async with House() as house:
        await with_some_of_each(house)

        found = await figures(house)

        assert (found.submitted, found.standing, found.unowned) == (3, 3, 0)
        assert found.are_conserved


async def test_a_handoff_that_is_gone_is_missed() -> None:
    async with House() as house:
        await with_some_of_each(house)
        await spoil(house, "DELETE FROM handoff WHERE state = 9")

        found = await figures(house)

        assert (found.submitted, found.standing) == (3, 2)
        assert not found.are_conserved


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE handoff SET owner = '' WHERE state = 3",
        "UPDATE handoff SET state = 6, owner = '' WHERE state = 3",
        "UPDATE handoff SET offer_state = 6 WHERE state = 2",
    ],
)
async def test_an_open_handoff_that_is_nobodys_is_counted(statement: str) -> None:
    async with House() as house:
        await with_some_of_each(house)
        await spoil(house, statement)

        found = await figures(house)

        assert found.unowned == 1
        assert not found.are_conserved


async def test_looking_for_what_is_nobodys_reads_nothing_while_all_is_well() -> None:
    skip_unless_sqlite("the plan is read as SQLite tells it")
    async with House() as house:
        await with_some_of_each(house)

        def plan(connection: Connection) -> str:
            compiled = _UNOWNED.compile(connection.engine)
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
            return " ".join(row[3] for row in found)

        assert "USING INDEX handoff_nobodys" in await house.rows(plan)
