"""The kinds of figures that are read from recorded inputs, and what their values are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.reports.domain.figures import Amount, Figure, Undefined
from services.reports.domain.funnel import FunnelTally
from services.reports.domain.inputs import InputKind, InputParts, Sums
from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.periods import Days, Micros

__all__ = ["AttributionKpi", "Beside", "Credit", "InputKpi", "InputView", "StageCostKpi"]


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands in the logs beside the inputs of a group; only what the figure asks for is filled."""

    won: Sums = field(default_factory=dict)
    """Amounts won in the period."""
    won_count: int = 0
    """Handoffs won in the period, without expansions and renewals."""
    earlier: FunnelTally = FunnelTally()  # noqa: RUF009 -- a tuple, which nobody can change
    """Handoffs submitted in a year that ended ninety days before the period, with what became of them."""
    earlier_whole: FunnelTally = FunnelTally()  # noqa: RUF009 -- likewise
    """The same of all groups together."""
    earlier_won: Sums = field(default_factory=dict)
    """What the earlier ones were sold for."""
    delivered: Sums = field(default_factory=dict)
    """Value that marketing handed over in the period (K3)."""
    quota: Amount | Undefined | None = None
    """What is to be booked (V4), or, of marketing's figures, to be handed over."""
    elapsed: tuple[Micros, Micros] | None = None
    """Open time of the agreement's calendar: of the period until now, and of all of it."""
    submitted_count: int = 0
    """Handoffs submitted in the period."""
    referred_count: int = 0
    """Of these, those that customers brought."""
    pipeline: Figure | None = None
    """Open opportunities that are to close in the period."""


@dataclass(frozen=True, slots=True)
class InputView:
    """What a figure is read from, for one group."""

    inputs: InputParts
    beside: Beside
    today: Days


@dataclass(frozen=True, slots=True, kw_only=True)
class InputKpi(Kpi):
    """Read from inputs, and from what stands in the logs beside them."""

    kinds: tuple[InputKind, ...] = ()
    value: Callable[[InputView], Figure]
    beside: tuple[str, ...] = ()
    """Fields of `Beside` that it wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCostKpi(Kpi):
    """Costs for each handoff that reached a stage; one row a stage."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What one model credits a campaign with, or all campaigns together."""

    revenue: Sums
    margin: Sums | None
    """None where a line of revenue does not say what was sold had cost."""
    cost: Sums
    won: Sums
    """All revenue, whether anybody can be credited with it or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionKpi(Kpi):
    """Read from revenue, credited to campaigns by one model or by each."""

    value: Callable[[Credit], Figure]
    model: str = ""
    """The only model; empty for one row each."""
