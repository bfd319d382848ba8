"""How long it takes from a buyer's inquiry to the sale."""

from dataclasses import dataclass
from typing import Final

from services.reports.domain.kpi_kinds import Kpi

__all__ = ["CYCLE_KPIS", "TimeToWonKpi"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToWonKpi(Kpi):
    """Read from the handoffs submitted in the period, won or not."""


CYCLE_KPIS: Final[tuple[Kpi, ...]] = (
    TimeToWonKpi(
        kpi_id="P7.inquiry",
        title="Time to won",
        formula="median from inquiry (submission where none is known) to win, of handoffs submitted in the "
        "period; those not won yet still wait, archived ones too, as in H5; a loss or rejection "
        "ends the waiting",
        unit="seconds",
        edge_cases="CXT",
    ),
)
