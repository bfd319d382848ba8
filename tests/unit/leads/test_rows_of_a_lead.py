"""Exports and erasures find a lead's rows by an index: they take no longer in a larger tenant."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text

from services.leads.store.dossier import dossier_of
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from services.leads.store.transaction import By
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects
from tests.builders.leads import FORM, House, a_submission
from tests.builders.stores import skip_unless_sqlite

OF_LEADS = [table for table in SCHEMA.metadata.sorted_tables if {"tenant", "lead"} <= set(table.c.keys())]
READS_THE_TENANT = re.compile(r"SCAN (?!CONSTANT)\w+|\(tenant=\?\)")


@contextmanager
def statements(connection: Any) -> Iterator[list[tuple[str, Any]]]:
    """Note what is asked of the database."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    yield asked
    event.remove(connection, "before_cursor_execute", note)


def too_much(connection: Connection, asked: list[tuple[str, Any]]) -> list[str]:
    """Return the steps in which more of a table with leads is read than one lead's rows."""
    found: list[str] = []
    for statement, parameters in asked:
        if not any(re.search(rf"\b{table.name}\b", statement) for table in OF_LEADS):
            continue
        if statement.lstrip().upper().startswith(("SELECT", "DELETE", "UPDATE")):
            one = parameters[0] if isinstance(parameters, list) else parameters
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", one)
            found += [f"{step[3]}: {statement}" for step in plan if READS_THE_TENANT.search(step[3])]
    return found


async def test_an_export_reads_no_other_leads_rows() -> None:
    skip_unless_sqlite("the plan is read as SQLite tells it")
    async with House() as house:
        [submitted, _] = await house.submit(a_submission(1), a_submission(2))
        query = dossier_of(Sealer(bytes(32)), [("default", submitted.handoff.id.lead)], now=house.now)

        def read(connection: Connection) -> list[str]:
            with statements(connection) as asked:
                query(connection)
            assert len(asked) >= len(OF_LEADS)
            return too_much(connection, asked)

        assert await house.rows(read) == []


async def test_an_erasure_reads_no_other_leads_rows() -> None:
    skip_unless_sqlite("the plan is read as SQLite tells it")
    async with House() as house:
        [submitted, _] = await house.submit(a_submission(1), a_submission(2))
        subject = Subject(tenant="default", lead=submitted.handoff.id.lead)
        with statements(house.database.writer_engine) as asked:
            await house.one(erase_subjects, EraseSubject(subject=subject, by=By(FORM)))

        assert any("lead_match" in statement for statement, _ in asked)
        assert await house.rows(lambda connection: too_much(connection, asked)) == []


async def test_what_is_read_by_an_index_is_the_same_as_all_there_is() -> None:
    async with House() as house:
        [submitted, other] = await house.submit(a_submission(1), a_submission(2))
        lead = submitted.handoff.id.lead
        await house.submit(a_submission(3, contact=a_submission(1).contact))
        query = dossier_of(Sealer(bytes(32)), [("default", lead)], now=house.now)
        document = await house.rows(query)
        rows = await house.rows(
            lambda connection: connection.execute(text("SELECT lead FROM submission")).scalars().all()
        )

        assert sorted(rows) == sorted([lead, lead, other.handoff.id.lead])
        told = document["leads"][0]["submissions"]
        assert sorted(each["externalId"] for each in told) == sorted(
            [a_submission(1).external_id, a_submission(3).external_id]
        )
