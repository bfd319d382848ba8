"""The pages of reports about one matter: tiles for the whole, a table for each figure in groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.reports.domain.kpis import find_kpi
from services.reports.domain.labels import Dimension
from services.reports.domain.reports import Section
from services.reports.store.figures import FigureRow, ScoreLine
from services.reports.store.queries import GroupKey
from services.reports.web.choices import dates_of, days_of
from services.reports.web.formats import Formats, clean
from services.reports.web.reading import ReportFacts
from services.reports.web.scorecard import Tile, tiles
from services.reports.web.tables import Cell, Column, Table, figure_cell, folded_table, unit_of
from services.reports.web.texts import Texts
from smarketing.businesstime import load_zone

__all__ = ["ReportPage", "figures_file", "report_page"]

_MOST_ROWS: Final = 20
_SPOKEN: Final = frozenset(
    {Dimension.PARTY, Dimension.STAGE, Dimension.DELAY_PART, Dimension.ATTRIBUTION_MODEL}
)
"""Dimensions whose values are words of ours; those of others are the tenant's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """Everything of one page, in words."""

    lead: str
    dates: str
    zone: str
    first_day: str
    last_day: str
    as_of: str
    past: str
    stale: str
    tiles: tuple[Tile, ...]
    tables: tuple[Table, ...]
    most_rows: int
    folded: Table


def report_page(facts: ReportFacts, texts: Texts, *, past: bool, age: timedelta) -> ReportPage:
    """Return the page of these facts; `age` is for how long they have not been certainly complete."""
    formats = Formats(texts, load_zone(facts.zone_name).info)
    first, last = days_of(facts.period, facts.today)
    at = formats.instant(facts.wish.now)
    whole = [(section, rows) for section, rows in facts.sections if not section.group_by]
    return ReportPage(
        lead=texts(f"{facts.matter.value}_lead"),
        dates=dates_of(facts.period, texts),
        zone=facts.zone_name,
        first_day=first,
        last_day=last,
        as_of=at,
        past=texts("past", time=at) if past else "",
        stale=formats.stale(age),
        tiles=tuple(
            tiles((ScoreLine(find_kpi(each.kpi_id), rows[0].figure) for each, rows in whole), texts, formats)
        ),
        tables=tuple(
            _table(section, rows, texts, formats) for section, rows in facts.sections if section.group_by
        ),
        most_rows=_MOST_ROWS,
        folded=folded_table(facts.folded, texts, formats),
    )


def figures_file(facts: ReportFacts, texts: Texts) -> Table:
    """Return every figure of the report in one table, a row for each group."""
    formats = Formats(texts, load_zone(facts.zone_name).info)
    keys = ("kpi_id", "title", "group_by", "group", "value", "unit", "undefined_reason")
    columns = tuple(Column(key, key) for key in (*keys, "numerator", "denominator"))
    return Table(
        facts.matter.value,
        texts(facts.matter.value),
        columns,
        tuple(_file_row(section, row, formats, texts) for section, rows in facts.sections for row in rows),
    )


def _table(section: Section, rows: Sequence[FigureRow], texts: Texts, formats: Formats) -> Table:
    kpi = find_kpi(section.kpi_id)
    columns = (
        Column("group", texts("group")),
        Column("value", texts("value"), numeric=True),
        Column("numerator", texts("numerator"), numeric=True),
        Column("denominator", texts("denominator"), numeric=True),
    )
    found = []
    for row in rows:
        shown = formats.figure(row.figure)
        found.append(
            (
                _group_cell(kpi.grouped_by(section.group_by), row.group, texts),
                Cell(shown.text if shown.known else shown.reason, None, not shown.known),
                *(_count(number, formats) for number in (row.figure.numerator, row.figure.denominator)),
            )
        )
    title = texts.find(f"kpi_{kpi.kpi_id}", kpi.title)
    return Table("-".join((kpi.kpi_id, *section.group_by)), title, columns, tuple(found))


def _file_row(section: Section, row: FigureRow, formats: Formats, texts: Texts) -> tuple[Cell, ...]:
    kpi, figure = find_kpi(section.kpi_id), row.figure
    group_by = kpi.grouped_by(section.group_by)
    unit, reason = unit_of(figure, kpi.unit), figure.undefined.value if figure.undefined else None
    words = ",".join(dimension.value for dimension in group_by)
    return (
        Cell(kpi.kpi_id, kpi.kpi_id),
        Cell(kpi.title, kpi.title),
        Cell(words, words),
        _group_cell(group_by, row.group, texts),
        figure_cell(figure, formats.figure(figure)),
        Cell(unit, unit),
        Cell(reason or "", reason),
        *(_count(number, formats) for number in (figure.numerator, figure.denominator)),
    )


def _group_cell(group_by: Sequence[Dimension], group: GroupKey, texts: Texts) -> Cell:
    words = [_word(dimension, value, texts) for dimension, value in zip(group_by, group, strict=True)]
    told = " / ".join(value for value in group if value is not None)
    return Cell(" / ".join(words), told if any(value is not None for value in group) else None)


def _word(dimension: Dimension, value: str | None, texts: Texts) -> str:
    if value is None:
        return texts("absent")
    if dimension in _SPOKEN:
        return texts.find(f"{dimension.value}_{value}", texts.find(value, value))
    if dimension is Dimension.RESPONSE_BAND:
        return value.partition(" ")[2]  # behind the digit that keeps bands in order
    return clean(value.rpartition("/")[2] if value.startswith("tenants/") else value) or texts("empty_text")


def _count(number: int | None, formats: Formats) -> Cell:
    return Cell("" if number is None else formats.number(number), number)
