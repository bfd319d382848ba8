"""The kinds of figures that are read from more than one sum, or from the steps of opportunities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.reports.domain.figures import Figure
from services.reports.domain.funnel import FunnelTally, Stage
from services.reports.domain.kpi_kinds import Kpi

__all__ = ["FurtherKpi", "LeadKpi", "LeadView", "UntoldKpi"]


class LeadView(NamedTuple):
    """Handoffs of one group by the stage that they reached, and what else was counted of them."""

    cohort: FunnelTally
    counted: Mapping[tuple[str, str], int]
    """Items by anchor and word."""

    def of(self, anchor: str, *words: str) -> int:
        """Return the items of an anchor, and of these words where some are given."""
        return sum(
            items
            for (known, word), items in self.counted.items()
            if known == anchor and (not words or word in words)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadKpi(Kpi):
    """Read from handoffs that reached a stage in the period, and from sums beside the stages."""

    value: Callable[[LeadView], Figure]
    anchors: tuple[str, ...] = ()
    stage: Stage = Stage.SUBMITTED
    without_channels: frozenset[str] = frozenset()
    only_channels: frozenset[str] = frozenset()
    """Empty for all."""
    horizon_days: int = 0
    """Only days that lie so far back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherKpi(Kpi):
    """Read by the reader of its name."""

    reading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UntoldKpi(Kpi):
    """Undefined for every question: its formula says what nobody records yet."""
