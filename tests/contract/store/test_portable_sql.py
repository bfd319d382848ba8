"""What is said to SQLite can be said to PostgreSQL, and is answered in the same order.

Compiled, not run: a flag is no number there, and what is unset comes first where it comes last in SQLite.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, ClauseElement, Column, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import TextClause, UnaryExpression
from sqlalchemy.sql.operators import desc_op
from sqlalchemy.sql.selectable import SelectBase

from services.leads import store as leads_store
from services.leads.store.lists import FollowUpPage, HandoffPage, OfferPage
from services.leads.store.schema import SCHEMA
from services.leads.store.walks import Walk
from services.reports import store as reports_store
from services.reports.store.database import SCHEMA as REPORTS
from services.sla import store as sla_store
from services.sla.store.schema import metadata as sla_metadata
from tests.contract.leads.test_lists import LISTS

DIALECT = postgresql.dialect()
TABLES = [
    pytest.param(table, id=f"{service}.{table.name}")
    for service, metadata in (
        ("leads", SCHEMA.metadata),
        ("sla", sla_metadata),
        ("reports", REPORTS.metadata),
    )
    for table in metadata.sorted_tables
]
FLAGS = {
    column.name
    for table in SCHEMA.metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, Boolean)
}
"""Those of leads; the others keep whether something is so as a number, on both databases."""
_number_for_a_flag = re.compile(rf"\b(?:{'|'.join(sorted(FLAGS))})\b\s*(?:=|<>|!=|IS)\s*[01]\b").search


def statements() -> Iterator[tuple[str, ClauseElement]]:
    """Yield every statement that a module of the store has ready, and every partial index's condition."""
    for store in (leads_store, sla_store, reports_store):
        service = store.__name__.split(".")[1]
        for found in pkgutil.iter_modules(store.__path__):
            module = importlib.import_module(f"{store.__name__}.{found.name}")
            for name, value in vars(module).items():
                if isinstance(value, SelectBase | UpdateBase | TextClause):
                    yield f"{service}.{found.name}.{name}", value


def modules() -> Iterator[Path]:
    """Yield the sources of the three stores, without their migrations."""
    for store in (leads_store, sla_store, reports_store):
        yield from (Path(folder, f"{each.name}.py") for folder in store.__path__ for each in _plain(folder))


def _plain(folder: str) -> Iterator[pkgutil.ModuleInfo]:
    return (each for each in pkgutil.iter_modules([folder]) if not each.ispkg)


_of_sqlite_alone = re.compile(
    r"dialects\.sqlite|\bjson_each\b|\bstrftime\b|\bunixepoch\b|\bjulianday\b|\bgroup_concat\b|\bifnull\(|"
    r"\bINSERT OR\b|\bGLOB\b|(?<![_\w])rowid\b"
).search


STATEMENTS = dict(statements())


def compiled(statement: Any) -> str:
    return str(statement.compile(dialect=DIALECT))


@pytest.mark.parametrize("table", TABLES)
def test_tables_and_indexes_can_be_made_and_compare_no_flag_with_a_number(table: Table) -> None:
    ddl = [compiled(CreateTable(table)), *(compiled(CreateIndex(index)) for index in table.indexes)]

    assert not [each for each in ddl if _number_for_a_flag(each)]


@pytest.mark.parametrize("table", TABLES)
def test_no_index_is_descending_in_what_may_be_unset(table: Table) -> None:
    descending = [
        match[1]
        for index in table.indexes
        for part in index.expressions
        if (match := re.fullmatch(r"(\w+) DESC", str(part)))
    ]

    assert not [name for name in descending if table.columns[name].nullable]


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_compile_and_compare_no_flag_with_a_number(name: str) -> None:
    assert not _number_for_a_flag(compiled(STATEMENTS[name]))


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_is_ordered_by_what_may_be_unset_without_saying_where_it_goes(name: str) -> None:
    order = getattr(STATEMENTS[name], "_order_by_clauses", ())

    assert not [str(each) for each in order if _may_be_unset(each, STATEMENTS[name])]


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: f"{path.parts[-3]}.{path.stem}")
def test_no_store_speaks_a_language_that_one_database_alone_understands(path: Path) -> None:
    found = _of_sqlite_alone(path.read_text(encoding="utf-8"))

    assert found is None, found


@pytest.mark.parametrize("name", LISTS)
def test_lists_compile_and_are_ordered_by_what_is_set(name: str) -> None:
    for walk in walks_of(LISTS[name](None)):
        sql = compiled(walk._select(walk.conditions, 50))
        assert " ORDER BY " in sql
        assert not _number_for_a_flag(sql)
        unset = [column for column in walk.columns if column.nullable]
        assert all(f"{column.name} IS NOT NULL" in sql for column in unset)


def walks_of(page: HandoffPage | OfferPage | FollowUpPage) -> list[Walk]:
    if isinstance(page, OfferPage):
        return [page.ending, page.lasting]
    return [page.walk]


def _may_be_unset(each: Any, statement: Any) -> bool:
    """Whether a descending, or by a nullable column ascending, order leaves open where the unset goes."""
    element = each.element if isinstance(each, UnaryExpression) else each
    if isinstance(each, UnaryExpression) and each.modifier not in {desc_op}:
        return False  # NULLS FIRST or LAST is said
    if not isinstance(element, Column) or not element.nullable:
        return False
    return f"{element.name} IS NOT NULL" not in compiled(statement)
