"""Figures of customers: whether they stay, what they are worth, what they answer."""

from typing import Final

from services.reports.domain.figures import Figure, Undefined, half_even
from services.reports.domain.input_kinds import InputView
from services.reports.domain.inputs import InputKind, Sums, amount, money_of
from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.money_kpis import money_for_each, quotient_of_sums
from services.reports.domain.signal_kpis import signal

__all__ = ["CUSTOMER_KPIS", "LIFETIME_KINDS"]

_NPS_PROMOTER: Final = 9
_NPS_DETRACTOR: Final = 6
_CSAT_SATISFIED: Final = 4
_BOTH: Final = ("marketing", "sales")
_REVENUE: Final = (InputKind.REVENUE,)
LIFETIME_KINDS: Final = (InputKind.REVENUE, InputKind.COUNT)


def _kept(view: InputView) -> tuple[int, int] | None:
    start, lost = view.inputs.at_start("customers_at_start"), view.inputs.count("customers_lost")
    return None if start is None or lost is None else (start, lost)


def _retention(view: InputView) -> Figure:
    found = _kept(view)
    return (
        Figure(undefined=Undefined.NO_DATA) if found is None else Figure.share(found[0] - found[1], found[0])
    )


def _churn(view: InputView) -> Figure:
    found = _kept(view)
    return Figure(undefined=Undefined.NO_DATA) if found is None else Figure.share(found[1], found[0])


def _net_retention(view: InputView) -> Figure:
    return _revenue_retention(view, expansion=True)


def _gross_retention(view: InputView) -> Figure:
    return _revenue_retention(view, expansion=False)


def _recurring_at_start(view: InputView) -> Sums:
    # Of a quarter that is told by months it is the first month's: those who stay are not counted thrice.
    return view.inputs.sums_at_start(InputKind.REVENUE, "recurring_at_start")


def _revenue_retention(view: InputView, *, expansion: bool) -> Figure:
    at_start = _recurring_at_start(view)
    if not at_start:
        return Figure(undefined=Undefined.NO_DATA)
    words = ("expansion", "contraction", "churned")
    found = money_of(at_start, *(view.inputs.sums(InputKind.REVENUE, word) for word in words))
    if isinstance(found, Undefined):
        return Figure(undefined=found)
    start, more, less, gone = found
    return Figure.quotient(start + (more if expansion else 0) - less - gone, start)


def _lifetime_value(view: InputView) -> Figure:
    earned = view.inputs.sums(InputKind.REVENUE, "new", "repeat", "expansion")
    recurring = view.inputs.sums(InputKind.REVENUE, "recurring_at_start")
    lost = view.inputs.count("customers_lost")
    found = money_of(earned, view.inputs.costs_of_sales(), recurring)
    if isinstance(found, Undefined) or lost is None or not recurring:
        return Figure(undefined=found if isinstance(found, Undefined) else Undefined.NO_DATA)
    revenue, sold, start = found
    # ARPA × margin / churn: the number of customers stands above and below, and goes out.
    if not lost or not revenue:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=0)
    return Figure(
        amount=amount(half_even(start * (revenue - sold), revenue * lost), recurring), denominator=lost
    )


def _value_per_cost(view: InputView) -> Figure:
    value = _lifetime_value(view)
    cost = money_for_each(view.inputs.sums(InputKind.COST), view.beside.won_count)
    if value.amount is None or cost.amount is None:
        return Figure(undefined=value.undefined or cost.undefined)
    if value.amount.currency != cost.amount.currency:
        return Figure(undefined=Undefined.MIXED_CURRENCIES)
    return Figure.quotient(value.amount.minor_units, cost.amount.minor_units)


def _answers(view: InputView, survey: str) -> list[tuple[int, int]]:
    return [(part.second or 0, part.number) for part in view.inputs.of(InputKind.ANSWERS, survey)]


def _nps(view: InputView) -> Figure:
    answers = _answers(view, "nps")
    number = sum(count for _, count in answers)
    if not answers:
        return Figure(undefined=Undefined.NO_DATA)
    if not number:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=0)
    promoters = sum(count for score, count in answers if score >= _NPS_PROMOTER)
    detractors = sum(count for score, count in answers if score <= _NPS_DETRACTOR)
    return Figure(
        scalar=100 * (promoters - detractors) / number, numerator=promoters - detractors, denominator=number
    )


def _csat(view: InputView) -> Figure:
    answers = _answers(view, "csat")
    if not answers:
        return Figure(undefined=Undefined.NO_DATA)
    satisfied = sum(count for score, count in answers if score >= _CSAT_SATISFIED)
    return Figure.share(satisfied, sum(count for _, count in answers))


def _answered(view: InputView) -> Figure:
    sent = view.inputs.count("surveys_sent")
    if sent is None:
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.share(sum(count for _, count in _answers(view, "csat")), sent)


def _renewals(view: InputView) -> Figure:
    renewed, ended, due = (view.inputs.count(series) for series in ("renewed", "not_renewed", "renewals_due"))
    if renewed is None and ended is None:
        return Figure(undefined=Undefined.NO_DATA)
    decided = (renewed or 0) + (ended or 0)
    return Figure.share(renewed or 0, decided, open_count=None if due is None else max(due - decided, 0))


def _expansion(view: InputView) -> Figure:
    return quotient_of_sums(view.inputs.sums(InputKind.REVENUE, "expansion"), _recurring_at_start(view))


CUSTOMER_KPIS: Final[tuple[Kpi, ...]] = (
    signal(
        "U1",
        "Retention",
        "(customers at the start − those of them lost) / customers at the start",
        _retention,
        parties=_BOTH,
    ),
    signal("U2", "Churn", "customers lost / customers at the start; 1 − U1", _churn, parties=_BOTH),
    signal(
        "U3",
        "Net revenue retention",
        "(recurring at the start + expansion − contraction − churned) / recurring at the start",
        _net_retention,
        edge_cases="ZM",
        kinds=_REVENUE,
        parties=_BOTH,
    ),
    signal(
        "U3.gross",
        "Gross revenue retention",
        "U3 without expansion",
        _gross_retention,
        edge_cases="ZM",
        kinds=_REVENUE,
        parties=_BOTH,
    ),
    signal(
        "U4",
        "Customer lifetime value",
        "recurring revenue per customer × gross margin / churn",
        _lifetime_value,
        unit="money",
        edge_cases="ZM",
        kinds=LIFETIME_KINDS,
        parties=_BOTH,
    ),
    signal(
        "U7",
        "Lifetime value per cost of a customer",
        "U4 / U6",
        _value_per_cost,
        edge_cases="ZM",
        kinds=(*LIFETIME_KINDS, InputKind.COST),
        parties=_BOTH,
        beside=("won_count",),
    ),
    signal(
        "U8",
        "Net promoter score",
        "100 × (answers of 9 and 10 − answers of 0 to 6) / answers",
        _nps,
        unit="points",
        edge_cases="Z",
        kinds=(InputKind.ANSWERS,),
        parties=_BOTH,
    ),
    signal(
        "U9",
        "Customer satisfaction",
        "answers of 4 and 5 / answers",
        _csat,
        edge_cases="ZW",
        kinds=(InputKind.ANSWERS,),
        parties=_BOTH,
    ),
    signal(
        "U9.answered",
        "Answers to surveys",
        "answers about satisfaction / surveys sent",
        _answered,
        kinds=(InputKind.ANSWERS, InputKind.COUNT),
        parties=_BOTH,
    ),
    signal(
        "U12",
        "Renewal rate",
        "renewed / decided, of contracts up for renewal; the undecided are open",
        _renewals,
        edge_cases="ZO",
        parties=_BOTH,
    ),
    signal(
        "U13",
        "Expansion",
        "expansion / recurring at the start",
        _expansion,
        edge_cases="ZM",
        kinds=_REVENUE,
        parties=_BOTH,
    ),
)
