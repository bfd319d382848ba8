"""Which figures make up a report about one matter, in the order in which people read them."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.labels import Dimension

__all__ = ["REPORTS", "Matter", "Section"]


class Matter(enum.StrEnum):
    """What a report is about; the value stands in the address of its page."""

    LEAD_QUALITY = "lead-quality"
    ROI = "roi"
    PIPELINE = "pipeline"
    FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Section:
    """One figure of a report, asked as `QueryKpi` would be."""

    kpi_id: str
    group_by: tuple[Dimension, ...] = ()
    basis: Basis | None = None


def _cohort(kpi_id: str, *group_by: Dimension) -> Section:
    return Section(kpi_id, group_by, Basis.COHORT)


def _by(kpi_id: str, *group_by: Dimension) -> Section:
    return Section(kpi_id, group_by)


_LEAD_QUALITY: Final = (
    _cohort("H1"),
    _cohort("H5"),
    *map(Section, ("K6", "K7", "K8", "K9", "K10", "K13", "A5", "L1.inversions")),
    _by("K6.verdict", Dimension.STATE),
    _by("K12.verdict", Dimension.STATE),
    _cohort("H1", Dimension.SOURCE),
    _cohort("H5", Dimension.SOURCE),
    _cohort("H10", Dimension.PARTY),
    _cohort("H9", Dimension.REASON_CODE),
    _by("L1", Dimension.SCORE_BAND),
    _by("H16.qualified", Dimension.RESPONSE_BAND),
    _by("A4.minutes", Dimension.PARTY),
    _by("S27", Dimension.DELAY_PART),
    _by("A6.open", Dimension.THEME),
)
"""Acceptance, rejections by who answers for them, calibration of scores, speed, delay, what sales tells."""

_ROI: Final = (
    *map(Section, ("F1", "F2", "F6", "F9", "G25", "U4", "U6", "U7", "F4", "F5", "F8", "K16")),
    _by("F1", Dimension.CAMPAIGN),
    _by("F3", Dimension.ATTRIBUTION_MODEL),
    _cohort("G20", Dimension.STAGE),
)
"""What was put in and what came back: the whole, by campaign, and by each model of attribution."""

_PIPELINE: Final = (
    *map(
        Section,
        ("P1", "P2", "P16", "P15", "P15.influenced", "P5", "P9", "P7", "P7.inquiry", "P8", "P11", "P18"),
    ),
    _cohort("P6"),
    _by("P1", Dimension.OPPORTUNITY_STAGE),
    _by("P10", Dimension.OPPORTUNITY_STAGE),
    _by("P12", Dimension.OPPORTUNITY_STAGE),
    _by("P17", Dimension.OPPORTUNITY_STAGE),
)
"""What is open, what it is worth, how fast it moves, and where it stands still."""

_FORECAST: Final = (
    *map(Section, ("P3", "P14", "V4", "K4", "K5")),
    _by("P4", Dimension.FORECAST_CATEGORY),
    _by("P3", Dimension.CLOSE_MONTH),
    _by("P13", Dimension.LEAD_TIME),
    _by("P13.bias", Dimension.LEAD_TIME),
)
"""What is expected, by how sure, and how far earlier expectations were from what came."""

REPORTS: Final[Mapping[Matter, tuple[Section, ...]]] = {
    Matter.LEAD_QUALITY: _LEAD_QUALITY,
    Matter.ROI: _ROI,
    Matter.PIPELINE: _PIPELINE,
    Matter.FORECAST: _FORECAST,
}
