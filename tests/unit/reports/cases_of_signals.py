"""Smallest logs of the figures of marketing's reach."""

from datetime import date

from services.reports.domain.figures import Undefined
from services.reports.domain.inputs import InputKind
from tests.builders.kpi_case import MARCH, Case, cost, counted, goal, recorded
from tests.builders.reports import at

_TWO_MONTHS = {"last": date(2026, 5, 1)}
"""March and April have 61 days."""


def _of_days(series: str) -> Case:
    return Case(
        wrongly="people who came on two days are counted twice",
        inputs=tuple(
            counted(10, series, first=date(2026, 3, day), last=date(2026, 3, day + 1)) for day in (1, 2)
        ),
        period=MARCH,
        right=Undefined.NO_DATA,
        wrong=20,
    )


def _spread(series: str) -> Case:
    return Case(
        wrongly="what two months brought is all of the first",
        inputs=(counted(610, series, **_TWO_MONTHS),),
        period=MARCH,
        right=310,
        wrong=610,
    )


def _ratio(numerator: str, denominator: str) -> Case:
    """Two parts of different size: the ratio of sums is not the mean of ratios."""
    return Case(
        wrongly="the mean of two shares is taken for the share of both",
        inputs=(
            counted(1, numerator),
            counted(100, denominator),
            counted(5, numerator),
            counted(10, denominator),
        ),
        period=MARCH,
        right=(6, 110),
        wrong=(51, 200),
    )


def _cost_of(series: str, times: int = 1) -> Case:
    return Case(
        wrongly="our own people's work is taken for a price of media",
        inputs=(cost(1000), cost(500, "labour"), counted(10, series)),
        period=MARCH,
        right=("EUR", times * 1000 // 10),
        wrong=("EUR", times * 1500 // 10),
    )


CASES = {
    "G1": _of_days("visitors"),
    "G2": _spread("sessions"),
    "G3": _spread("page_views"),
    "G3.session": _ratio("page_views", "sessions"),
    "G4": Case(
        wrongly="the share that stayed is taken for the share that left",
        inputs=(counted(100, "sessions"), counted(70, "engaged_sessions")),
        period=MARCH,
        right=(30, 100),
        wrong=(70, 100),
    ),
    "G5": Case(
        wrongly="those who follow now are added to those who followed before",
        inputs=(
            counted(100, "followers", last=date(2026, 3, 15)),
            counted(110, "followers", first=date(2026, 3, 15)),
        ),
        period=MARCH,
        right=110,
        wrong=210,
    ),
    "G6": _spread("brand_searches"),
    "G7": _spread("content_views"),
    "G8": Case(
        wrongly="reactions are counted with them",
        inputs=(counted(3, "comments"), counted(4, "shares"), counted(50, "reactions")),
        period=MARCH,
        right=7,
        wrong=57,
    ),
    "G9": Case(
        wrongly="people reached on two days are added",
        code="R",
        inputs=(
            counted(5, "reactions"),
            counted(100, "reach"),
            *(counted(80, "reach", first=date(2026, 3, day), last=date(2026, 3, day + 1)) for day in (1, 2)),
        ),
        period=MARCH,
        right=(5, 100),
        wrong=(5, 260),
    ),
    "G10": _of_days("reach"),
    "G11": _spread("organic_sessions"),
    "G13": Case(
        wrongly="clicks are held against opened, not delivered mails",
        inputs=(counted(5, "mail_clicks"), counted(20, "mail_opens"), counted(100, "mails_delivered")),
        period=MARCH,
        right=(5, 100),
        wrong=(5, 20),
    ),
    "G13.delivered": _ratio("mails_delivered", "mails_sent"),
    "G13.opened": Case(
        wrongly="mails that never arrived are in the whole",
        inputs=(counted(20, "mail_opens"), counted(80, "mails_delivered"), counted(100, "mails_sent")),
        period=MARCH,
        right=(20, 80),
        wrong=(20, 100),
    ),
    "G14": Case(
        wrongly="mails that never arrived are in the whole",
        inputs=(counted(2, "unsubscribes"), counted(80, "mails_delivered"), counted(100, "mails_sent")),
        period=MARCH,
        right=(2, 80),
        wrong=(2, 100),
    ),
    "G14.bounced": Case(
        wrongly="mails that came back are held against those that did not",
        inputs=(counted(20, "mail_bounces"), counted(80, "mails_delivered"), counted(100, "mails_sent")),
        period=MARCH,
        right=(20, 100),
        wrong=(20, 80),
    ),
    "G15": _ratio("clicks", "impressions"),
    "G16": _cost_of("clicks"),
    "G17": _cost_of("conversions"),
    "G18": _cost_of("impressions", times=1000),
    "G21": Case(
        wrongly="visits are taken for visitors",
        inputs=(counted(5, "orders"), counted(100, "visitors"), counted(250, "sessions")),
        period=MARCH,
        right=(5, 100),
        wrong=(5, 250),
    ),
    "G22": _ratio("forms", "landing_visits"),
    "G23": Case(
        wrongly="amounts of two currencies are added",
        code="M",
        inputs=(
            *(recorded(InputKind.SUM, "order_value", 500, currency=code) for code in ("EUR", "KRW")),
            counted(2, "orders"),
        ),
        period=MARCH,
        right=Undefined.MIXED_CURRENCIES,
        wrong=("EUR", 500),
    ),
    "G26": Case(
        wrongly="the own mentions are held against those of the others",
        inputs=(counted(20, "own_mentions"), counted(100, "all_mentions")),
        period=MARCH,
        right=(20, 100),
        wrong=(20, 80),
    ),
    "G27": Case(
        wrongly="sales of two months are held against one month's market",
        inputs=(
            recorded(InputKind.SUM, "own_sales", 6100, currency="EUR", **_TWO_MONTHS),
            recorded(InputKind.SUM, "market_sales", 31000, currency="EUR"),
        ),
        period=MARCH,
        right=(3100, 31000),
        wrong=(6100, 31000),
    ),
    "G28": Case(
        wrongly="what was spent in a week is held against the month's budget",
        inputs=(cost(700, last=date(2026, 3, 8)), goal(3100, "budget", party="marketing")),
        period=MARCH,
        # It is Saturday, the seventh day of March.
        now=at(days=5),
        right=(700, 700),
        wrong=(700, 3100),
    ),
}
