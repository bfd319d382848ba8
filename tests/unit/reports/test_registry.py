"""The registry and the page that people read say the same."""

from pathlib import Path

from services.reports.domain.kpis import KPIS
from services.reports.web.definitions import definitions_page

_PAGE = Path(__file__).parents[3] / "docs" / "kpis.md"


def test_the_page_of_definitions_is_the_registrys() -> None:
    assert _PAGE.read_text(encoding="utf-8") == definitions_page()


def test_ids_are_unique_and_every_code_is_explained() -> None:
    codes = {code for kpi in KPIS.values() for code in kpi.edge_cases}
    explained = {line[2] for line in definitions_page().splitlines() if line[:1] == "|" and line[3:5] == " |"}

    assert codes <= explained


def test_no_word_of_a_definition_breaks_the_table_it_stands_in() -> None:
    assert not [kpi.kpi_id for kpi in KPIS.values() if "|" in kpi.title + kpi.formula + kpi.unit]
