"""Response times as curves, with those who still wait under the axis."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from services.reports.domain.estimators import Curve
from services.reports.domain.figures import Figure
from services.reports.domain.periods import Micros
from services.reports.domain.responses import Measure
from services.reports.store.figures import ResponseRow
from services.reports.web.charts import CurveChart, curve_chart
from services.reports.web.formats import Formats, Shown
from services.reports.web.tables import Cell, Column, Table
from services.reports.web.texts import Texts

__all__ = ["Measured", "ResponseView", "TickView", "measured_of", "response_views", "responses_table"]

Measured: TypeAlias = tuple[ResponseRow, Curve]
"""A measure with its curve."""

_SHARES: Final = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95))
_SECOND: Final = 1_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86_400 * _SECOND


@dataclass(frozen=True, slots=True)
class TickView:
    """A tick with its words."""

    at: float
    label: str
    at_risk: str


@dataclass(frozen=True, slots=True)
class ResponseView:
    """One measure: its curve, its quantiles, and what they rest on."""

    measure: str
    title: str
    unit: str
    chart: CurveChart | None
    ticks: tuple[TickView, ...]
    quantiles: tuple[tuple[str, Shown], ...]
    """Key of the text, value."""
    notes: tuple[str, ...]
    summary: str


def measured_of(rows: Iterable[ResponseRow]) -> list[Measured]:
    """Return each measure with its curve, which is estimated once."""
    return [(row, row.items.curve()) for row in rows]


def response_views(rows: Iterable[Measured], texts: Texts, formats: Formats) -> list[ResponseView]:
    """Return a view of each measure."""
    return [_view(row, curve, texts, formats) for row, curve in rows]


def _view(row: ResponseRow, curve: Curve, texts: Texts, formats: Formats) -> ResponseView:
    business = row.measure is Measure.OWNER_FIRST_FOLLOW_UP
    chart = curve_chart(row.items, curve, business_time=business)
    quantiles = tuple(
        (key, formats.figure(Figure.quantile(curve, share), business_time=business)) for key, share in _SHARES
    )
    median = quantiles[0][1]
    title = texts(f"kpi_{row.measure.value}")
    rests_on = Figure.quantile(curve, 0.5, invalid_count=row.items.invalid_count)
    return ResponseView(
        measure=row.measure.value,
        title=title,
        unit=texts("business_time" if business else "wall_time"),
        chart=chart,
        ticks=tuple(
            TickView(tick.at, _tick(tick.micros, texts, business=business), formats.number(tick.at_risk))
            for tick in (chart.ticks if chart else ())
        ),
        quantiles=quantiles,
        notes=formats.notes(rests_on),
        summary=texts("chart_curve", title=title, median=median.text if median.known else median.reason),
    )


def responses_table(rows: Iterable[Measured], texts: Texts, formats: Formats) -> Table:
    """Return quantiles and counts of each measure, in seconds for programs."""
    columns = (
        Column("measure", texts("measure")),
        *(Column(f"{key}_seconds", texts(key), numeric=True) for key, _ in _SHARES),
        Column("items", texts("count"), numeric=True),
        Column("waiting", texts("waiting"), numeric=True),
    )
    rendered = []
    for row, curve in rows:
        business = row.measure is Measure.OWNER_FIRST_FOLLOW_UP
        cells = [Cell(texts(f"kpi_{row.measure.value}"), row.measure.value)]
        for _, share in _SHARES:
            figure = Figure.quantile(curve, share)
            shown = formats.figure(figure, business_time=business)
            seconds = None if figure.duration is None else figure.duration / _SECOND
            cells.append(Cell(shown.text if shown.known else shown.reason, seconds, not shown.known))
        counts = (curve.item_count, curve.waiting_count)
        rendered.append((*cells, *(Cell(formats.number(number), number) for number in counts)))
    return Table("response-times", texts("responses"), columns, tuple(rendered))


def _tick(micros: Micros, texts: Texts, *, business: bool) -> str:
    """Return a tick in one unit: they are whole."""
    if micros < _HOUR:
        return texts("minutes", number=micros // _MINUTE)
    if business or micros < _DAY:
        return texts("hours", number=micros // _HOUR)
    return texts("days", number=micros // _DAY)
