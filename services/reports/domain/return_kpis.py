"""Figures of what trainings and systems brought, and of what only counts and sums of others tell."""

from collections.abc import Callable
from typing import Final

from services.reports.domain.customer_kpis import LIFETIME_KINDS
from services.reports.domain.figures import Amount, Figure, Undefined
from services.reports.domain.further_kinds import FurtherKpi
from services.reports.domain.input_kinds import InputView
from services.reports.domain.inputs import InputKind, InputParts, currency_of, money_of, part_of
from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period, first_of_month, month_after
from services.reports.domain.signal_kpis import signal

__all__ = ["DISCOUNT", "EFFECT_DAYS", "NEVER_TOUCHED_DAYS", "RETURN_KPIS"]

DISCOUNT: Final = 0.1
"""A year from now money is worth so much less (U5)."""

EFFECT_DAYS: Final = 90
"""So many days before and after an investment are compared."""

NEVER_TOUCHED_DAYS: Final = 30
"""A handoff without a follow-up for so long is one that nobody works (S15)."""

_BOTH: Final = ("marketing", "sales")
_SALES: Final = ("sales",)


def _discounted(view: InputView) -> Figure:
    entries = [part.entry for part in view.inputs.of(InputKind.COUNT, "customers_at_start")]
    if not entries:
        return Figure(undefined=Undefined.NO_DATA)
    last = max(entry.last_day for entry in entries)
    day, alive, value, months, currency = first_of_month(min(e.first_day for e in entries)), 1.0, 0.0, 0, ""
    while day < last:
        month = _month_of(view.inputs, day)
        found = _margin_for_each(month)
        if isinstance(found, Undefined):
            return Figure(undefined=found)
        margin, currency_here, kept = found
        if currency and currency != currency_here:
            return Figure(undefined=Undefined.MIXED_CURRENCIES)
        currency = currency_here
        value += margin * alive / (1 + DISCOUNT) ** (months / 12)
        alive *= kept
        months += 1
        day = month_after(day)
    return Figure(amount=Amount(currency, round(value)), denominator=months)


def _month_of(inputs: InputParts, day: int) -> InputParts:
    period = Period(day, month_after(day))
    overlapping = [
        part.entry
        for part in inputs.parts
        if part.entry.first_day < period.last and part.entry.last_day > period.first
    ]
    return InputParts([part_of(entry, period) for entry in overlapping], period)


def _margin_for_each(month: InputParts) -> tuple[float, str, float] | Undefined:
    """Return a month's margin of one customer, its currency, and the share of customers that stayed."""
    start, lost = month.at_start("customers_at_start"), month.count("customers_lost")
    revenue = month.sums(InputKind.REVENUE, "new", "repeat", "expansion")
    found = money_of(revenue, month.costs_of_sales())
    if isinstance(found, Undefined) or start is None or lost is None:
        return found if isinstance(found, Undefined) else Undefined.NO_DATA
    if not start:
        return Undefined.NO_DENOMINATOR
    return (found[0] - found[1]) / start, currency_of(revenue), 1 - lost / start


def _of_counts(above: str, below: str) -> Callable[[InputView], Figure]:
    """Return the reading of one count by another; undefined where either is not recorded."""

    def value(view: InputView) -> Figure:
        numerator, denominator = view.inputs.count(above), view.inputs.count(below)
        if numerator is None or denominator is None:
            return Figure(undefined=Undefined.NO_DATA)
        return Figure.quotient(numerator, denominator)

    return value


def _tickets(view: InputView) -> Figure:
    tickets, customers = view.inputs.count("tickets"), view.inputs.at_start("customers_at_start")
    if tickets is None or customers is None:
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.quotient(tickets, customers)


def _referred(view: InputView) -> Figure:
    customers = view.inputs.at_start("customers_at_start")
    if customers is None:
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.quotient(view.beside.referred_count, customers)


def _qualified_of_captured(view: InputView) -> Figure:
    captured = view.inputs.count("leads_captured")
    if captured is None:
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.quotient(view.beside.submitted_count, captured)


_JUDGED: Final = (
    "judged_good_by_both",
    "judged_good_by_marketing",
    "judged_good_by_sales",
    "judged_good_by_neither",
)


def _kappa(view: InputView) -> Figure:
    told = [view.inputs.count(series) for series in _JUDGED]
    if all(each is None for each in told):
        return Figure(undefined=Undefined.NO_DATA)
    both, marketing, sales, neither = (each or 0 for each in told)
    number = both + marketing + sales + neither
    if not number:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=0)
    good, liked = both + marketing, both + sales
    by_chance = (good * liked + (number - good) * (number - liked)) / number**2
    if by_chance == 1:
        # Both saw one class only: there is nothing to agree about.
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=number)
    agreed = (both + neither) / number
    return Figure(scalar=(agreed - by_chance) / (1 - by_chance), denominator=number)


RETURN_KPIS: Final[tuple[Kpi, ...]] = (
    FurtherKpi(
        kpi_id="F4",
        title="Return on training",
        formula="(gain × contracts − cost) / cost × 100; gain: mean amount won by the trained teams in the "
        f"{EFFECT_DAYS} days after − in those before, less the same of all other teams; contracts: theirs "
        "after; what a shorter cycle brought forward is not in it",
        unit="percent",
        dimensions=(Dimension.INVESTMENT,),
        edge_cases="ZM",
        parties=_SALES,
        logs=("leads", "inputs"),
        reading="training",
    ),
    FurtherKpi(
        kpi_id="F4.before",
        title="Return on training, before and after",
        formula="as F4, without the other teams: what changed for everybody counts as the training's",
        unit="percent",
        dimensions=(Dimension.INVESTMENT,),
        edge_cases="ZM",
        parties=_SALES,
        logs=("leads", "inputs"),
        reading="training before",
    ),
    FurtherKpi(
        kpi_id="F5",
        title="Return on a system, at most",
        formula="(recovered + saved labour − cost) / cost × 100; recovered: (S15 of the "
        f"{EFFECT_DAYS} days before the tool − S15 since) × handoffs since × mean value that marketing gave "
        "them; an upper estimate, because such values are those of leads that were worked",
        unit="percent",
        dimensions=(Dimension.INVESTMENT,),
        edge_cases="ZM",
        logs=("leads", "inputs"),
        reading="system",
    ),
    signal(
        "G12",
        "Mean place in searches",
        "places added / times shown, of the keywords watched; keywords not shown are in neither",
        _of_counts("search_places", "search_impressions"),
        unit="places",
        edge_cases="ZR",
    ),
    signal(
        "G12.top_3",
        "Among the first three places",
        "times shown there / times shown",
        _of_counts("search_top_3", "search_impressions"),
        edge_cases="ZR",
    ),
    signal(
        "G12.top_10",
        "Among the first ten places",
        "times shown there / times shown",
        _of_counts("search_top_10", "search_impressions"),
        edge_cases="ZR",
    ),
    signal(
        "G29",
        "Captured to qualified",
        "handoffs submitted in the period / leads captured in it",
        _qualified_of_captured,
        kinds=(InputKind.COUNT,),
        beside=("submitted_count",),
    ),
    signal(
        "U5",
        "Customer lifetime value, discounted",
        "Σ over the months recorded of margin for each customer × share of customers still there / "
        f"{1 + DISCOUNT:g}^(months / 12); no month behind them is guessed",
        _discounted,
        unit="money",
        edge_cases="CM",
        kinds=LIFETIME_KINDS,
        parties=_BOTH,
    ),
    signal(
        "U11",
        "Referral rate",
        "handoffs of the channel customer_referral submitted in the period / customers at the start",
        _referred,
        parties=_BOTH,
        beside=("referred_count",),
    ),
    signal(
        "U14",
        "Requests for help",
        "requests / customers at the start; how long they wait no input tells",
        _tickets,
        parties=_BOTH,
    ),
    signal(
        "U16",
        "Use of the product",
        "days on which customers used it / days on which they could have",
        _of_counts("active_days", "customer_days"),
        parties=_BOTH,
    ),
    signal(
        "A8",
        "Joint reviews",
        "reviews held / reviews planned",
        _of_counts("reviews_held", "reviews_planned"),
        parties=_BOTH,
    ),
    signal(
        "A9",
        "Agreement about quality",
        "Cohen's κ of marketing's and sales' judgement of the same handoffs; undefined where either saw one "
        "class only",
        _kappa,
        unit="number",
        edge_cases="ZW",
        parties=_BOTH,
    ),
)
