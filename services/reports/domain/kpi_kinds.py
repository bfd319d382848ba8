"""The kinds of figures: what a definition says, and from which sums or facts its value is read."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.reports.domain.budgets import BudgetSaid
from services.reports.domain.clocks import ClockTally
from services.reports.domain.figures import Figure
from services.reports.domain.funnel import FunnelTally, Stage
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension
from services.reports.domain.periods import Days, Micros, Period
from services.reports.domain.responses import Measure

__all__ = [
    "AmountKpi",
    "BacklogAgeKpi",
    "Basis",
    "BudgetKpi",
    "ClockKpi",
    "ClockListKpi",
    "Deal",
    "DealView",
    "FeedbackKpi",
    "FunnelKpi",
    "HorizonKpi",
    "Kpi",
    "LadderKpi",
    "OfferKpi",
    "PipelineKpi",
    "ReasonKpi",
    "ResponseKpi",
    "SettledKpi",
    "StageKpi",
    "TallyKpi",
    "TallyRow",
    "TwoSidedKpi",
    "UnattendedKpi",
]


class Basis(enum.StrEnum):
    """How a ratio's two parts are chosen."""

    COHORT = "cohort"
    EVENT = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """A figure's definition."""

    kpi_id: str
    title: str
    formula: str
    unit: str
    dimensions: tuple[Dimension, ...] = HANDOFF_DIMENSIONS
    bases: tuple[Basis, ...] = ()
    edge_cases: str = ""
    """Codes, each one letter."""
    parties: tuple[str, ...] = ("marketing", "sales")
    logs: tuple[str, ...] = ("leads",)
    """Those that it is read from: it is as fresh as these are folded in."""
    split_by: Dimension | None = None
    """The dimension that its rows always have, first where it was not asked for."""

    def grouped_by(self, asked: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
        """Return the dimensions that rows have when these are asked for."""
        return asked if self.split_by is None or self.split_by in asked else (self.split_by, *asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockKpi(Kpi):
    """Read from clocks counted at their due instants."""

    value: Callable[[ClockTally], Figure]
    kind: str = ""
    """Only of commitments of this kind; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelKpi(Kpi):
    """Read from handoffs counted by the stages they reached.

    By cohort they are those that reached `anchor` in the period; by event each stage's own entries.
    """

    value: Callable[[FunnelTally], Figure]
    event_value: Callable[[FunnelTally], Figure] | None = None
    anchor: Stage = Stage.SUBMITTED
    without_channels: frozenset[str] = frozenset()
    horizon_days: int = 0
    """Of a cohort: how long one must have been observed to count as mature; 0 says nothing of maturity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageKpi(Kpi):
    """One row for each step of the funnel, or for each of its stages where `counts`."""

    counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseKpi(Kpi):
    """The median of a measure."""

    measure: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonKpi(Kpi):
    """The share answered within `horizon`, or not answered, of those observed for so long."""

    measure: Measure
    horizon: Micros
    unanswered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonKpi(Kpi):
    """How rejections divide among the values of `split_by`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountKpi(Kpi):
    """Read from amounts of handoffs, by the day of `anchor`."""

    mean: bool
    anchor: str = Stage.WON.value


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferKpi(Kpi):
    """Read from offers counted when they ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnattendedKpi(Kpi):
    """Counted as things stand now."""


class TallyRow(NamedTuple):
    """What was counted beside the stages, in one group."""

    items: int
    number: int
    """What is summed beside the items."""
    words: Mapping[tuple[str, str], tuple[int, int]]
    """The same by the cell's two words."""
    whole: int
    """Items of the group before it was split."""
    cohort: FunnelTally
    """Handoffs submitted in the period, in the same group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyKpi(Kpi):
    """Read from what is counted beside the stages."""

    anchor: str
    value: Callable[[TallyRow], Figure]
    word: Dimension | None = None
    """The dimension whose values the cell's first word holds."""
    other: Dimension | None = None
    """Likewise of the second."""
    horizon_days: int = 0
    """Only days that lie so far back."""
    always: bool = False
    """Whether there is a row for each group of the cohort, also where nothing was counted."""
    all_time: bool = False
    """Counted as things stand now, whatever the period."""


class Deal(NamedTuple):
    """One opportunity, as the figures of the pipeline read it."""

    state: str
    stage: str
    currency: str
    minor_units: int
    probability: int | None
    close_day: Days | None
    create_time: Micros
    stage_time: Micros
    close_time: Micros | None


class DealView(NamedTuple):
    """The opportunities of a group, and as of when they are looked at."""

    deals: Sequence[Deal]
    now: Micros
    today: Days
    period: Period | None
    currency: str
    """The tenant's own; empty where it named none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineKpi(Kpi):
    """Read from opportunities: those open now, or made or closed in the period."""

    of: str
    """`open`, `created` or `closed`; several between spaces."""
    value: Callable[[DealView], Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetKpi(Kpi):
    """Told by the sla log, for each commitment, when its budget last got into another state."""

    value: Callable[[BudgetSaid], Figure]
    worst: Callable[..., Figure] | None
    """Which of several counts: `min` or `max`; None adds them up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledKpi(Kpi):
    """Told by the sla log, for each of marketing's promises, when its period was last settled."""

    of: str = ""
    """What was promised; empty for all of it."""
    worst: Callable[..., float] | None
    """Which of several periods counts: `min` or `max`; None counts the promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockListKpi(Kpi):
    """Read from single clocks: those that are not done, or were missed."""

    reading: str
    """Which: `due_soon`, `late_by`, `never_served` or `delay`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderKpi(Kpi):
    """Read from rungs and alerts."""

    reading: str
    """Which: `duplicates` or `acknowledged`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogAgeKpi(Kpi):
    """The median age of open handoffs in their present state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackKpi(Kpi):
    """Read from what the field told."""

    reading: str
    """Which: `answered` or `acted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSidedKpi(Kpi):
    """The lower of both parties' compliance."""
