"""Figures of what both parties agreed: alarms of budgets, verdicts, payouts, whose time was lost."""

from typing import Final

from services.reports.domain.further_kinds import FurtherKpi
from services.reports.domain.handover_kpis import ACTED_THRESHOLD
from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.labels import Dimension

__all__ = ["ALIGNMENT_KPIS", "FEW_SETTLED", "PARTY_OF_PART"]

FEW_SETTLED: Final = 30
"""With fewer settled clocks an exact chance stands in for a ratio."""

PARTY_OF_PART: Final = {
    "source": "marketing",
    "routing": "system",
    "offered": "sales",
    "owner": "sales",
    "closed": "nobody",
    "paused": "buyer",
}
"""Whose each part of a delay is (S27)."""

_BUDGETS: Final = (Dimension.COMMITMENT, Dimension.AGREEMENT)
_EVERYBODY: Final = ("marketing", "sales", "system")
_MARKETING: Final = ("marketing",)
_BOTH_LOGS: Final = ("leads", "sla")
_SLA: Final = ("sla",)

ALIGNMENT_KPIS: Final[tuple[Kpi, ...]] = (
    FurtherKpi(
        kpi_id="B3",
        title="Budgets that burn fast",
        formula="budgets whose fast alert held in both of its windows when sla last told of them",
        unit="budgets",
        dimensions=_BUDGETS,
        logs=_SLA,
        reading="burning fast",
    ),
    FurtherKpi(
        kpi_id="B4",
        title="Chance of so many misses",
        formula="chance of at least so many breached among those settled, were the promise just kept, exact; "
        f"of promises with fewer than {FEW_SETTLED} settled clocks in the period; of several, the least; "
        "below 0.01 is an alarm",
        unit="ratio",
        dimensions=(Dimension.COMMITMENT,),
        edge_cases="Z",
        logs=_BOTH_LOGS,
        reading="chance of misses",
    ),
    FurtherKpi(
        kpi_id="B5",
        title="Budgets that burn slowly",
        formula="budgets whose slow alert held in both of its windows when sla last told of them",
        unit="budgets",
        dimensions=_BUDGETS,
        logs=_SLA,
        reading="burning slowly",
    ),
    FurtherKpi(
        kpi_id="S28",
        title="Delay of alerts",
        formula="time from a rung's instant to its alert that 99 of 100 keep to, of rungs told in the "
        "period; those without an alert still wait; when a channel outside brought it to a person no log "
        "tells",
        unit="seconds",
        dimensions=(),
        edge_cases="C",
        parties=("system",),
        logs=_SLA,
        reading="delay of alerts",
    ),
    FurtherKpi(
        kpi_id="S32",
        title="Time in pauses",
        formula="time in pauses / time in pauses + time that counted, in the commitment's own time, of "
        "clocks due in the period and done",
        unit="ratio",
        dimensions=(Dimension.TEAM, Dimension.COMMITMENT),
        edge_cases="ZR",
        logs=_BOTH_LOGS,
        reading="pauses",
    ),
    FurtherKpi(
        kpi_id="A3",
        title="Payout factor",
        formula="product of the factors on payouts that fell due in the period, as agreed; 1 where none did "
        "and an agreement is in force",
        unit="factor",
        dimensions=(Dimension.AGREEMENT,),
        edge_cases="P",
        logs=_SLA,
        reading="payout",
    ),
    FurtherKpi(
        kpi_id="A4",
        title="Delay by party",
        formula="time of missed clocks that was the party's / time of all, as S27; marketing: source, "
        "sales: offered and owner, system: routing, buyer: pauses, nobody: closed hours",
        unit="ratio",
        dimensions=(Dimension.PARTY, Dimension.TEAM, Dimension.COMMITMENT),
        split_by=Dimension.PARTY,
        edge_cases="Z",
        parties=_EVERYBODY,
        logs=_BOTH_LOGS,
        reading="delay by party",
    ),
    FurtherKpi(
        kpi_id="A4.minutes",
        title="Minutes lost by party",
        formula="whole minutes of missed clocks that were the party's, as A4",
        unit="minutes",
        dimensions=(Dimension.PARTY, Dimension.TEAM, Dimension.COMMITMENT),
        split_by=Dimension.PARTY,
        parties=_EVERYBODY,
        logs=_BOTH_LOGS,
        reading="minutes by party",
    ),
    FurtherKpi(
        kpi_id="A6.open",
        title="Themes to act on",
        formula=f"times that the theme was told in the period, of themes told at least {ACTED_THRESHOLD} "
        "times of which nothing is done",
        unit="times",
        dimensions=(Dimension.THEME,),
        split_by=Dimension.THEME,
        parties=_MARKETING,
        reading="open themes",
    ),
    FurtherKpi(
        kpi_id="A7",
        title="Age of the agreement",
        formula="time since the newest version in force took effect",
        unit="seconds",
        dimensions=(),
        logs=_SLA,
        reading="age of agreement",
    ),
    FurtherKpi(
        kpi_id="A7.silent",
        title="Promises without data",
        formula="promises in force without a clock due in the period / promises in force",
        unit="ratio",
        dimensions=(),
        edge_cases="Z",
        logs=_BOTH_LOGS,
        reading="silent promises",
    ),
    FurtherKpi(
        kpi_id="K6.verdict",
        title="Verdict on conformance",
        formula="K6 with its interval against the limit last settled: kept where all of the interval is on "
        "the right side, broken where none is, else undecided",
        unit="ratio",
        dimensions=(Dimension.STATE,),
        split_by=Dimension.STATE,
        parties=_MARKETING,
        logs=_BOTH_LOGS,
        edge_cases="ZW",
        reading="verdict on conformance",
    ),
    FurtherKpi(
        kpi_id="K12.verdict",
        title="Verdict on rejections",
        formula="K12, by cohort, with its interval against the limit last settled, as K6.verdict",
        unit="ratio",
        dimensions=(Dimension.STATE,),
        split_by=Dimension.STATE,
        parties=_MARKETING,
        logs=_BOTH_LOGS,
        edge_cases="ZW",
        reading="verdict on rejections",
    ),
    FurtherKpi(
        kpi_id="F8",
        title="Cost of missed promises",
        formula="handoffs submitted in the period with a clock missed until 30 days after it × (share won of "
        "the others − share won of these) × mean amount won, by segment, added; association, not cause",
        unit="money",
        dimensions=(Dimension.SEGMENT,),
        edge_cases="ZMW",
        logs=_BOTH_LOGS,
        reading="cost of misses",
    ),
)
