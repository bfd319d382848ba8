"""Figures of marketing's reach, read from counts and sums that others recorded."""

from collections.abc import Callable
from typing import Final

from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.input_kinds import InputKpi, InputView
from services.reports.domain.inputs import InputKind
from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.labels import Dimension
from services.reports.domain.money_kpis import INPUT_DIMENSIONS, money_for_each, quotient_of_sums

__all__ = ["SIGNAL_KPIS", "signal"]

_COUNTS: Final = (InputKind.COUNT,)
_MARKETING: Final = ("marketing",)


def _number(series: str) -> Callable[[InputView], Figure]:
    def value(view: InputView) -> Figure:
        count = view.inputs.count(series)
        return Figure(undefined=Undefined.NO_DATA) if count is None else Figure.number(count)

    return value


def _not_added(series: str) -> Callable[[InputView], Figure]:
    def value(view: InputView) -> Figure:
        count = view.inputs.whole(series)
        return Figure(undefined=Undefined.NO_DATA) if count is None else Figure.number(count)

    return value


def _of(*numerator: str, by: str) -> Callable[[InputView], Figure]:
    """Return the reading of sums of counts by a count; undefined where one of them is not recorded."""

    def value(view: InputView) -> Figure:
        above = [view.inputs.count(series) for series in numerator]
        below = view.inputs.count(by)
        if below is None or all(each is None for each in above):
            return Figure(undefined=Undefined.NO_DATA)
        return Figure.quotient(sum(each or 0 for each in above), below)

    return value


def _bounces(view: InputView) -> Figure:
    sessions, engaged = (view.inputs.count(series) for series in ("sessions", "engaged_sessions"))
    if sessions is None or engaged is None:
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.quotient(sessions - engaged, sessions)


def _followers(view: InputView) -> Figure:
    count = view.inputs.at_end("followers")
    return Figure(undefined=Undefined.NO_DATA) if count is None else Figure.number(count)


def _engagement(view: InputView) -> Figure:
    reach = view.inputs.whole("reach")
    above = [view.inputs.count(series) for series in ("reactions", "comments", "shares", "clicks")]
    if reach is None or all(each is None for each in above):
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.quotient(sum(each or 0 for each in above), reach)


def _cost_per(series: str, *, times: int = 1) -> Callable[[InputView], Figure]:
    return lambda view: money_for_each(
        view.inputs.sums(InputKind.COST, "media"), view.inputs.count(series), times=times
    )


def _burn(view: InputView) -> Figure:
    # Both are spread over their days and end today: the elapsed share is in the budget already.
    until_today = view.inputs.until(view.today + 1)
    return quotient_of_sums(until_today.sums(InputKind.COST), until_today.sums(InputKind.GOAL, "budget"))


def _added(view: InputView, *series: str) -> Figure:
    counts = [view.inputs.count(each) for each in series]
    if all(count is None for count in counts):
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.number(sum(count or 0 for count in counts))


def _sums_of(numerator: str, denominator: str) -> Callable[[InputView], Figure]:
    return lambda view: quotient_of_sums(
        view.inputs.sums(InputKind.SUM, numerator), view.inputs.sums(InputKind.SUM, denominator)
    )


def _order_value(view: InputView) -> Figure:
    return money_for_each(view.inputs.sums(InputKind.SUM, "order_value"), view.inputs.count("orders"))


def _purchase_rate(view: InputView) -> Figure:
    orders, visitors = view.inputs.count("orders"), view.inputs.whole("visitors")
    if orders is None or visitors is None:
        return Figure(undefined=Undefined.NO_DATA)
    return Figure.quotient(orders, visitors)


def signal(
    kpi_id: str,
    title: str,
    formula: str,
    value: Callable[[InputView], Figure],
    *,
    unit: str = "ratio",
    edge_cases: str = "Z",
    kinds: tuple[InputKind, ...] = _COUNTS,
    parties: tuple[str, ...] = _MARKETING,
    beside: tuple[str, ...] = (),
) -> InputKpi:
    """Return a figure of recorded series; one that also reads handoffs has only their dimensions."""
    return InputKpi(
        kpi_id=kpi_id,
        title=title,
        formula=formula,
        unit=unit,
        dimensions=tuple(
            each
            for each in INPUT_DIMENSIONS
            if not beside or each not in (Dimension.CAMPAIGN, Dimension.INVESTMENT)
        ),
        edge_cases=edge_cases,
        parties=parties,
        logs=("leads", "inputs") if beside else ("inputs",),
        kinds=kinds,
        beside=beside,
        value=value,
    )


_WITH_COST: Final = (InputKind.COST, InputKind.COUNT)

SIGNAL_KPIS: Final[tuple[Kpi, ...]] = (
    signal(
        "G1",
        "Site visitors",
        "the count recorded for exactly the period; counts of days are not added",
        _not_added("visitors"),
        unit="people",
        edge_cases="",
    ),
    signal(
        "G2",
        "Sessions",
        "visits; each entry spread over its days",
        _number("sessions"),
        unit="sessions",
        edge_cases="",
    ),
    signal(
        "G3",
        "Page views",
        "pages seen; each entry spread over its days",
        _number("page_views"),
        unit="views",
        edge_cases="",
    ),
    signal(
        "G3.session",
        "Page views per session",
        "pages seen / visits",
        _of("page_views", by="sessions"),
        edge_cases="ZR",
    ),
    signal("G4", "Bounce rate", "1 − engaged visits / visits", _bounces, edge_cases="ZR"),
    signal(
        "G5",
        "Followers",
        "as last recorded in the period, one a channel; not added over time",
        _followers,
        unit="people",
        edge_cases="",
    ),
    signal(
        "G6",
        "Searches for the brand",
        "searches; each entry spread over its days",
        _number("brand_searches"),
        unit="searches",
        edge_cases="",
    ),
    signal(
        "G7",
        "Content views",
        "contents seen; each entry spread over its days",
        _number("content_views"),
        unit="views",
        edge_cases="",
    ),
    signal(
        "G8",
        "Comments and shares",
        "comments + shares",
        lambda view: _added(view, "comments", "shares"),
        unit="reactions",
        edge_cases="",
    ),
    signal(
        "G9",
        "Engagement rate",
        "(reactions + comments + shares + clicks) / people reached in exactly the period",
        _engagement,
        edge_cases="ZR",
    ),
    signal(
        "G10",
        "Reach",
        "the count recorded for exactly the period; counts of days are not added",
        _not_added("reach"),
        unit="people",
        edge_cases="",
    ),
    signal(
        "G11",
        "Organic search traffic",
        "visits from searches without an advertisement",
        _number("organic_sessions"),
        unit="sessions",
        edge_cases="",
    ),
    signal(
        "G13.delivered",
        "Mail delivery",
        "mails delivered / mails sent",
        _of("mails_delivered", by="mails_sent"),
    ),
    signal(
        "G13.opened",
        "Mail opens",
        "mails opened / mails delivered; privacy proxies open many",
        _of("mail_opens", by="mails_delivered"),
    ),
    signal(
        "G13",
        "Mail clicks",
        "distinct clicks / mails delivered",
        _of("mail_clicks", by="mails_delivered"),
        edge_cases="ZR",
    ),
    signal(
        "G14",
        "Unsubscribed",
        "recipients who left / mails delivered",
        _of("unsubscribes", by="mails_delivered"),
    ),
    signal(
        "G14.bounced",
        "Mail bounces",
        "mails that came back / mails sent",
        _of("mail_bounces", by="mails_sent"),
    ),
    signal(
        "G15", "Click rate", "clicks / advertisements shown", _of("clicks", by="impressions"), edge_cases="ZR"
    ),
    signal(
        "G16",
        "Cost per click",
        "costs of media / clicks",
        _cost_per("clicks"),
        unit="money",
        edge_cases="ZM",
        kinds=_WITH_COST,
    ),
    signal(
        "G17",
        "Cost per conversion",
        "costs of media / conversions, as the platform counts them",
        _cost_per("conversions"),
        unit="money",
        edge_cases="ZM",
        kinds=_WITH_COST,
    ),
    signal(
        "G18",
        "Cost per thousand",
        "1000 × costs of media / advertisements shown",
        _cost_per("impressions", times=1000),
        unit="money",
        edge_cases="ZM",
        kinds=_WITH_COST,
    ),
    signal("G21", "Purchase rate", "purchases / visitors of exactly the period", _purchase_rate),
    signal(
        "G22",
        "Landing conversion",
        "forms sent / visits of landing pages",
        _of("forms", by="landing_visits"),
        edge_cases="ZR",
    ),
    signal(
        "G23",
        "Mean order value",
        "what orders were worth / orders",
        _order_value,
        unit="money",
        edge_cases="ZM",
        kinds=(InputKind.SUM, InputKind.COUNT),
    ),
    signal(
        "G26",
        "Share of voice",
        "mentions of the own brand / mentions of all brands",
        _of("own_mentions", by="all_mentions"),
    ),
    signal(
        "G27",
        "Market share",
        "own sales / everybody's sales in the market",
        _sums_of("own_sales", "market_sales"),
        edge_cases="ZM",
        kinds=(InputKind.SUM,),
    ),
    signal(
        "G28",
        "Budget burn",
        "costs / budget, both of the days asked for until today; above 1 it goes too fast",
        _burn,
        edge_cases="ZM",
        kinds=(InputKind.COST, InputKind.GOAL),
    ),
)
