"""Figures of money: return on what was invested, quotas, marketing's value, cost of customers."""

from typing import Final

from services.reports.domain.figures import Amount, Figure, Undefined, half_even
from services.reports.domain.input_kinds import AttributionKpi, Credit, InputKpi, InputView, StageCostKpi
from services.reports.domain.inputs import InputEntry, InputKind, Sums, amount, currency_of, money_of, spread
from services.reports.domain.kpi_kinds import Basis, Kpi
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension
from services.reports.domain.periods import Days, Period, first_of_month, month_after

__all__ = ["INPUT_DIMENSIONS", "MONEY_KPIS", "against", "money_for_each", "quotient_of_sums"]

INPUT_DIMENSIONS: Final = (
    Dimension.CAMPAIGN,
    Dimension.INVESTMENT,
    Dimension.SOURCE_CHANNEL,
    Dimension.SEGMENT,
    Dimension.REGION,
    Dimension.PRODUCT,
    Dimension.TEAM,
    Dimension.MONTH,
)
_SHARED: Final = tuple(each for each in INPUT_DIMENSIONS if each in HANDOFF_DIMENSIONS)
"""Those that both handoffs and inputs have."""
_SALES: Final = ("sales",)
_MARKETING: Final = ("marketing",)
_EARNED: Final = ("new", "repeat", "expansion")
_WHOLE: Final = 10_000


def quotient_of_sums(numerator: Sums, denominator: Sums) -> Figure:
    """Return money of money; undefined over currencies, or without anything to divide by."""
    if not denominator:
        return Figure(undefined=Undefined.NO_DATA)
    found = money_of(numerator, denominator)
    return Figure(undefined=found) if isinstance(found, Undefined) else Figure.quotient(*found)


def money_for_each(cost: Sums, number: int | None, *, times: int = 1) -> Figure:
    """Return what each of a number cost, or each thousand where `times` says so."""
    found = money_of(cost)
    if isinstance(found, Undefined) or number is None:
        return Figure(undefined=found if isinstance(found, Undefined) else Undefined.NO_DATA)
    if number == 0:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=0)
    return Figure(amount=amount(half_even(times * found[0], number), cost), denominator=number)


def _earned(view: InputView) -> Sums:
    return view.inputs.sums(InputKind.REVENUE, *_EARNED)


def return_on(revenue: Sums, cost_of_sales: Sums | None, cost: Sums) -> Figure:
    """Return (net profit / cost) × 100; net profit is gross margin − cost, and revenue is no profit."""
    # Nothing earned needs no cost of sales to be known: then all that was spent is lost.
    sold_for: Sums | None = cost_of_sales if revenue else {}
    if not cost:
        return Figure(undefined=Undefined.NO_DATA)
    found = money_of(revenue, sold_for, cost)
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    earned, sold, spent = found
    net_profit = earned - sold - spent
    if spent == 0:
        return Figure(undefined=Undefined.NO_DENOMINATOR, numerator=net_profit, denominator=0)
    return Figure(scalar=100 * net_profit / spent, numerator=net_profit, denominator=spent)


def _roi(view: InputView) -> Figure:
    return return_on(_earned(view), view.inputs.costs_of_sales(), view.inputs.sums(InputKind.COST))


def _payback(view: InputView) -> Figure:
    inputs = view.inputs
    cost, sold = inputs.sums(InputKind.COST), inputs.costs_of_sales()
    if not cost or not _earned(view):
        return Figure(undefined=Undefined.NOT_REACHED if cost else Undefined.NO_DATA)
    found = money_of(cost, _earned(view), sold)
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    months = _months(view)
    net = 0
    for number, month in enumerate(months, start=1):
        net += sum(_net_of(part.entry, month) for part in inputs.parts)
        if net >= 0:
            return Figure(scalar=float(number), denominator=len(months))
    return Figure(undefined=Undefined.NOT_REACHED, denominator=len(months))


def _months(view: InputView) -> list[Period]:
    entries = [part.entry for part in view.inputs.parts]
    day: Days = first_of_month(min(entry.first_day for entry in entries if entry.kind == InputKind.COST))
    last = max(entry.last_day for entry in entries)
    found = []
    while day < last:
        found.append(Period(day, month_after(day)))
        day = month_after(day)
    return found


def _net_of(entry: InputEntry, month: Period) -> int:
    if entry.kind == InputKind.COST:
        return -spread(entry.number, entry, month)
    if entry.word not in _EARNED:
        return 0
    return spread(entry.number - (entry.second or 0), entry, month)


def _campaign_roi(credit: Credit) -> Figure:
    if credit.margin is None:
        return Figure(undefined=Undefined.NO_DATA)
    return return_on(credit.margin, {}, credit.cost)


def _completeness(credit: Credit) -> Figure:
    return quotient_of_sums(credit.revenue, credit.won)


def _profit(view: InputView) -> Figure:
    earned, sold = _earned(view), view.inputs.costs_of_sales()
    found = money_of(earned, sold)
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    return Figure(amount=amount(found[0] - found[1], earned), denominator=len(view.inputs.parts))


def against(reached: Sums, quota: Amount | Undefined | None) -> Figure:
    """Return what was reached of a quota; undefined without one."""
    if not isinstance(quota, Amount):
        return Figure(undefined=quota or Undefined.NO_DATA)
    wanted = {quota.currency: (1, quota.minor_units)}
    found = money_of(reached, wanted)
    return Figure(undefined=found) if isinstance(found, Undefined) else Figure.quotient(*found)


def _pace(view: InputView) -> Figure:
    quota, elapsed = view.beside.quota, view.beside.elapsed
    if not isinstance(quota, Amount) or elapsed is None:
        return Figure(undefined=quota if isinstance(quota, Undefined) else Undefined.NO_DATA)
    found = money_of(view.beside.delivered, {quota.currency: (1, quota.minor_units)})
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    until_now, in_all = elapsed
    # The quota's part until now in minor units: times microseconds it would outgrow the wire's numbers.
    return Figure.quotient(found[0], half_even(found[1] * until_now, in_all) if in_all else 0)


def _coverage(view: InputView) -> Figure:
    quota, pipeline = view.beside.quota, view.beside.pipeline
    if not isinstance(quota, Amount):
        return Figure(undefined=quota or Undefined.NO_DATA)
    opened: Sums = {}
    if pipeline is not None and pipeline.undefined is Undefined.MIXED_CURRENCIES:
        return Figure(undefined=pipeline.undefined)
    if pipeline is not None and pipeline.amount is not None:
        opened = {pipeline.amount.currency: (pipeline.denominator or 0, pipeline.amount.minor_units)}
    found = money_of(opened, {quota.currency: (1, quota.minor_units)}, view.beside.won)
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    still_open, wanted, won = found
    if won >= wanted:
        return Figure(undefined=Undefined.QUOTA_MET, numerator=still_open, denominator=0)
    return Figure.quotient(still_open, wanted - won)


def _leads_required(view: InputView) -> Figure:
    goals = [part for part in view.inputs.of(InputKind.GOAL, "revenue") if part.second is not None]
    earlier, sold = view.beside.earlier, view.beside.earlier_won
    wanted: Sums = {
        currency: (
            1,
            sum(part.number * (part.second or 0) for part in goals if part.entry.currency == currency),
        )
        for currency in {part.entry.currency for part in goals}
    }
    found = money_of(wanted, sold) if wanted else Undefined.NO_DATA
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    known = sold.get(currency_of(wanted), (0, 0))[0]
    divisor = _WHOLE * found[1] * earlier.won
    if not divisor:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=earlier.items)
    # The least whole number of leads whose expected revenue reaches the goal.
    return Figure(count=-(-found[0] * known * earlier.items // divisor), denominator=earlier.items)


PRIOR_WEIGHT: Final = 20
"""A segment's own rate weighs as much as this many leads of all segments."""


def _lead_value(view: InputView) -> Figure:
    own, whole = view.beside.earlier, view.beside.earlier_whole
    sold = view.beside.earlier_won
    found = money_of(sold)
    if isinstance(found, Undefined):
        return Figure(undefined=found, denominator=own.items)
    number = sold[currency_of(sold)][0]
    if not whole.items or not own.items or not number:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=own.items)
    # (won + m × p₀) / (leads + m) × mean purchase, in whole numbers until the last division.
    numerator = (own.won * whole.items + PRIOR_WEIGHT * whole.won) * found[0]
    denominator = whole.items * (own.items + PRIOR_WEIGHT) * number
    return Figure(amount=amount(half_even(numerator, denominator), sold), denominator=own.items)


def _discount(view: InputView) -> Figure:
    listed, agreed = (view.inputs.sums(InputKind.SUM, word) for word in ("list_price", "net_price"))
    found = money_of(listed, agreed)
    if isinstance(found, Undefined) or not listed or not agreed:
        return Figure(undefined=found if isinstance(found, Undefined) else Undefined.NO_DATA)
    return Figure.quotient(found[0] - found[1], found[0])


def _joint(view: InputView) -> Figure:
    goals = view.inputs.sums(InputKind.GOAL, "joint_revenue")
    return quotient_of_sums(view.beside.won, goals)


_RETURN: Final = (InputKind.COST, InputKind.REVENUE)

MONEY_KPIS: Final[tuple[Kpi, ...]] = (
    InputKpi(
        kpi_id="F1",
        title="Return on investment",
        formula="(net profit / cost) × 100; net profit = revenue − cost of sales − cost, as recorded",
        unit="percent",
        dimensions=INPUT_DIMENSIONS,
        edge_cases="ZM",
        logs=("inputs",),
        kinds=_RETURN,
        value=_roi,
    ),
    InputKpi(
        kpi_id="F2",
        title="Return on the portfolio",
        formula="(Σ margin − Σ cost) / Σ cost × 100, over all investments together",
        unit="percent",
        dimensions=(Dimension.MONTH,),
        edge_cases="ZMR",
        logs=("inputs",),
        kinds=_RETURN,
        value=_roi,
    ),
    AttributionKpi(
        kpi_id="F3",
        title="Return on campaigns, by model of attribution",
        formula="F1 with the margin that each model credits the campaign with; a line of revenue without "
        "touchpoints is its own campaign's",
        unit="percent",
        dimensions=(Dimension.ATTRIBUTION_MODEL, Dimension.CAMPAIGN),
        split_by=Dimension.ATTRIBUTION_MODEL,
        edge_cases="ZMD",
        logs=("inputs",),
        value=_campaign_roi,
    ),
    InputKpi(
        kpi_id="F6",
        title="Payback",
        formula="months, the first cost's among them, until margin reaches cost",
        unit="months",
        dimensions=(Dimension.CAMPAIGN, Dimension.INVESTMENT),
        edge_cases="ZM",
        logs=("inputs",),
        kinds=_RETURN,
        value=_payback,
    ),
    AttributionKpi(
        kpi_id="F9",
        title="Attribution completeness",
        formula="revenue credited to any campaign / all revenue",
        unit="ratio",
        dimensions=(),
        edge_cases="ZMD",
        logs=("inputs",),
        model="linear",
        value=_completeness,
    ),
    AttributionKpi(
        kpi_id="G24",
        title="Return on advertising spend",
        formula="revenue that each model credits the campaign with / its cost; revenue, not profit",
        unit="ratio",
        dimensions=(Dimension.ATTRIBUTION_MODEL, Dimension.CAMPAIGN),
        split_by=Dimension.ATTRIBUTION_MODEL,
        edge_cases="ZD",
        parties=_MARKETING,
        logs=("inputs",),
        value=lambda credit: quotient_of_sums(credit.revenue, credit.cost),
    ),
    AttributionKpi(
        kpi_id="G25",
        title="Marketing's return on investment",
        formula="F3 where every touchpoint of a way is credited alike",
        unit="percent",
        dimensions=(Dimension.CAMPAIGN,),
        edge_cases="ZDM",
        parties=_MARKETING,
        logs=("inputs",),
        model="linear",
        value=_campaign_roi,
    ),
    StageCostKpi(
        kpi_id="G20",
        title="Cost per handoff, by stage",
        formula="costs of marketing / handoffs that reached the stage; cohort: of those submitted in the "
        "period, event: in the period",
        unit="money",
        dimensions=(Dimension.STAGE, *_SHARED),
        split_by=Dimension.STAGE,
        bases=(Basis.COHORT, Basis.EVENT),
        edge_cases="ZMK",
        parties=_MARKETING,
        logs=("leads", "inputs"),
    ),
    InputKpi(
        kpi_id="V2",
        title="Profit",
        formula="revenue − what was sold had cost, as recorded; undefined where a line does not say",
        unit="money",
        dimensions=INPUT_DIMENSIONS,
        edge_cases="ZM",
        parties=_SALES,
        logs=("inputs",),
        kinds=(InputKind.REVENUE,),
        value=_profit,
    ),
    InputKpi(
        kpi_id="V4",
        title="Quota attainment",
        formula="amounts won in the period / quota of the period, pro-rated by days; without a quota of its "
        "own a node has the sum of those below",
        unit="ratio",
        dimensions=(Dimension.TEAM,),
        edge_cases="ZMP",
        parties=_SALES,
        logs=("leads", "inputs"),
        beside=("won", "quota"),
        value=lambda view: against(view.beside.won, view.beside.quota),
    ),
    InputKpi(
        kpi_id="V5",
        title="Revenue per cost of sales",
        formula="revenue / costs of the party sales",
        unit="ratio",
        dimensions=INPUT_DIMENSIONS,
        edge_cases="ZM",
        parties=_SALES,
        logs=("inputs",),
        kinds=_RETURN,
        value=lambda view: quotient_of_sums(_earned(view), view.inputs.sums(InputKind.COST, party="sales")),
    ),
    InputKpi(
        kpi_id="V5.cost",
        title="Cost per revenue",
        formula="costs of the party sales / revenue",
        unit="ratio",
        dimensions=INPUT_DIMENSIONS,
        edge_cases="ZM",
        parties=_SALES,
        logs=("inputs",),
        kinds=_RETURN,
        value=lambda view: quotient_of_sums(view.inputs.sums(InputKind.COST, party="sales"), _earned(view)),
    ),
    InputKpi(
        kpi_id="V10",
        title="Discount depth",
        formula="1 − Σ prices agreed / Σ prices in the list",
        unit="ratio",
        dimensions=INPUT_DIMENSIONS,
        edge_cases="ZR",
        parties=_SALES,
        logs=("inputs",),
        kinds=(InputKind.SUM,),
        value=_discount,
    ),
    InputKpi(
        kpi_id="P5",
        title="Coverage",
        formula="open opportunities that are to close in the period / (quota − won in the period)",
        unit="ratio",
        dimensions=(Dimension.TEAM,),
        edge_cases="ZM",
        parties=_SALES,
        logs=("leads", "inputs"),
        beside=("won", "quota", "pipeline"),
        value=_coverage,
    ),
    InputKpi(
        kpi_id="K1",
        title="Leads required",
        formula="revenue goal × marketing's part / mean amount won / share won; the last two of leads "
        "submitted 455 to 90 days before the period; rounded up",
        unit="leads",
        dimensions=(Dimension.SEGMENT, Dimension.REGION),
        edge_cases="ZM",
        parties=_MARKETING,
        logs=("leads", "inputs"),
        kinds=(InputKind.GOAL,),
        beside=("earlier",),
        value=_leads_required,
    ),
    InputKpi(
        kpi_id="K2",
        title="Implied lead value, as measured",
        formula="share won × mean amount won, of leads submitted 455 to 90 days before the period; the share "
        "drawn towards that of all by 20 leads' weight",
        unit="money",
        dimensions=(Dimension.SEGMENT,),
        split_by=Dimension.SEGMENT,
        edge_cases="ZM",
        parties=_MARKETING,
        beside=("earlier",),
        value=_lead_value,
    ),
    InputKpi(
        kpi_id="K4",
        title="Marketing attainment",
        formula="value delivered (K3) / the agreement's quota, pro-rated by days",
        unit="ratio",
        dimensions=(),
        edge_cases="ZM",
        parties=_MARKETING,
        logs=("leads", "sla"),
        beside=("delivered",),
        value=lambda view: against(view.beside.delivered, view.beside.quota),
    ),
    InputKpi(
        kpi_id="K5",
        title="Pace",
        formula="value delivered / (quota × open time of the agreement's calendar elapsed / of the period)",
        unit="ratio",
        dimensions=(),
        edge_cases="ZM",
        parties=_MARKETING,
        logs=("leads", "sla"),
        beside=("delivered",),
        value=_pace,
    ),
    InputKpi(
        kpi_id="K16",
        title="Cost of quality",
        formula="costs of marketing / value delivered (K3)",
        unit="ratio",
        dimensions=_SHARED,
        edge_cases="ZM",
        parties=_MARKETING,
        logs=("leads", "inputs"),
        kinds=(InputKind.COST,),
        beside=("delivered",),
        value=lambda view: quotient_of_sums(
            view.inputs.sums(InputKind.COST, party="marketing"), view.beside.delivered
        ),
    ),
    InputKpi(
        kpi_id="U6",
        title="Cost of a new customer",
        formula="all costs of both parties / handoffs won in the period, without expansions and renewals",
        unit="money",
        dimensions=_SHARED,
        edge_cases="ZM",
        logs=("leads", "inputs"),
        kinds=(InputKind.COST,),
        beside=("won_count",),
        value=lambda view: money_for_each(view.inputs.sums(InputKind.COST), view.beside.won_count),
    ),
    InputKpi(
        kpi_id="A1",
        title="Joint goal attainment",
        formula="amounts won in the period / joint goal of the period, pro-rated by days",
        unit="ratio",
        dimensions=(),
        edge_cases="ZM",
        logs=("leads", "inputs"),
        kinds=(InputKind.GOAL,),
        beside=("won",),
        value=_joint,
    ),
)
