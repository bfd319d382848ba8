"""Smallest inputs of the figures of trainings and systems, and of counts that others told."""

from datetime import date
from typing import Any

from services.reports.domain.agreements import AgreementKnown, Commitment, TenantSet
from services.reports.domain.clocks import ClockChange
from services.reports.domain.figures import Undefined
from services.reports.domain.words import Closed, Offered
from tests.builders.kpi_case import MARCH, NORTH, Case, cost, counted, earned, head, touch
from tests.builders.reports import TENANT, at, clock_event, submitted

_EUR = TenantSet(TENANT, "Etc/UTC", "EUR")
_SOUTH = f"{TENANT}/teams/south"


def _sold(number: int, team: str, amount: int, **when: Any) -> tuple[Any, ...]:
    return (
        submitted(number, at(**when)),
        Offered(*head(number, **when), f"o{number}", "kim", team),
        Closed(*head(number, **when), True, "EUR", amount),
    )


_SALES = (
    _EUR,
    *(*_sold(1, NORTH, 1000, days=-30), *_sold(2, NORTH, 2000, days=40)),
    *(*_sold(3, _SOUTH, 1000, days=-30), *_sold(4, _SOUTH, 1600, days=40)),
)
"""A training of the north in March: 1,000 more, of which 600 came to everybody."""

_TRAINING = (cost(200, "training", team=NORTH),)
_REVIEW = AgreementKnown(
    TENANT,
    f"{TENANT}/agreements/main/versions/1",
    "active",
    "",
    at(),
    (
        Commitment("review", "Review", ",sales,", "review", 9000),
        Commitment("first-follow-up", "First", ",sales,", "first_follow_up", 9000),
    ),
)


def _clock(number: int, change: ClockChange, commitment: str, kind: str) -> tuple[Any, ...]:
    started = clock_event(ClockChange.STARTED, at(), number, commitment_id=commitment, kind=kind)
    return started, clock_event(change, at(hours=1), number, commitment_id=commitment, kind=kind)


def _customers(start: int, lost: int, **when: Any) -> tuple[Any, ...]:
    return counted(start, "customers_at_start", **when), counted(lost, "customers_lost", **when)


_APRIL_DAYS = {"first": date(2026, 4, 1), "last": date(2026, 5, 1)}

CASES = {
    "F4": Case(
        wrongly="what the other teams gained as well is counted as the training's",
        leads=_SALES,
        inputs=_TRAINING,
        now=at(days=200),
        right=100 * (400 - 200) / 200,
        wrong=100 * (1000 - 200) / 200,
    ),
    "F4.before": Case(
        wrongly="all that was won after is counted, not what was won more",
        leads=_SALES,
        inputs=_TRAINING,
        now=at(days=200),
        right=100 * (1000 - 200) / 200,
        wrong=100 * (2000 - 200) / 200,
    ),
    "F5": Case(
        wrongly="all that were followed up since are counted as recovered",
        leads=(
            _EUR,
            *(submitted(number, at(days=-30)) for number in (1, 2)),
            touch(1, days=-30, hours=1),
            *(
                submitted(number, at(days=10), value_currency="EUR", value_minor_units=1000)
                for number in (3, 4)
            ),
            *(touch(number, days=10, hours=1) for number in (3, 4)),
        ),
        inputs=(cost(500, "tool"),),
        now=at(days=60),
        right=100 * (1000 - 500) / 500,
        wrong=100 * (2000 - 500) / 500,
    ),
    "G12": Case(
        wrongly="the mean of the keywords' means: 2 and 12 make 7",
        code="R",
        inputs=(
            *(
                counted(90, "search_impressions", product="desk"),
                counted(180, "search_places", product="desk"),
            ),
            *(
                counted(10, "search_impressions", product="lamp"),
                counted(120, "search_places", product="lamp"),
            ),
        ),
        right=(300, 100),
        wrong=(14, 2),
    ),
    "G12.top_3": Case(
        wrongly="nobody counted them, so none is taken to be there",
        inputs=(counted(90, "search_impressions"),),
        right=Undefined.NO_DATA,
        wrong=(0, 90),
    ),
    "G12.top_10": Case(
        wrongly="the first three are added to the first ten, which hold them",
        inputs=(
            counted(90, "search_impressions"),
            counted(30, "search_top_3"),
            counted(45, "search_top_10"),
        ),
        right=(45, 90),
        wrong=(75, 90),
    ),
    "G29": Case(
        wrongly="only those handed over are counted as captured",
        leads=(submitted(1),),
        inputs=(counted(10, "leads_captured"),),
        period=MARCH,
        right=(1, 10),
        wrong=(1, 1),
    ),
    "U5": Case(
        wrongly="the second month is taken to have all customers of the first",
        code="C",
        inputs=(
            *(*_customers(10, 5), earned(1000, 0)),
            *(*_customers(5, 0, **_APRIL_DAYS), earned(500, 0, **_APRIL_DAYS)),
        ),
        right=("EUR", round(100 + 100 * 0.5 / 1.1 ** (1 / 12))),
        wrong=("EUR", round(100 + 100 / 1.1 ** (1 / 12))),
    ),
    "U11": Case(
        wrongly="every handoff is taken to have been referred",
        leads=(submitted(1, source_channel="customer_referral"), submitted(2)),
        inputs=_customers(4, 0),
        period=MARCH,
        right=(1, 4),
        wrong=(2, 4),
    ),
    "U14": Case(
        wrongly="nobody counted requests, so there are taken to be none",
        inputs=_customers(4, 0),
        right=Undefined.NO_DATA,
        wrong=(0, 4),
    ),
    "U15": Case(
        wrongly="follow-ups of leads are counted as reviews with customers",
        sla=(
            _REVIEW,
            *_clock(1, ClockChange.MET, "review", "review"),
            *_clock(2, ClockChange.BREACHED, "first-follow-up", "first_follow_up"),
        ),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "U16": Case(
        wrongly="days are divided by days of the month, not of all customers",
        inputs=(counted(62, "active_days"), counted(124, "customer_days")),
        right=(62, 124),
        wrong=(62, 31),
    ),
    "A8": Case(
        wrongly="nobody counted those that were held, so there are taken to be none",
        inputs=(counted(3, "reviews_planned"),),
        right=Undefined.NO_DATA,
        wrong=(0, 3),
    ),
    "A9": Case(
        wrongly="the share judged alike: what chance alone would give is left in",
        inputs=(
            counted(40, "judged_good_by_both"),
            counted(10, "judged_good_by_marketing"),
            counted(10, "judged_good_by_sales"),
            counted(40, "judged_good_by_neither"),
        ),
        right=(0.8 - 0.5) / (1 - 0.5),
        wrong=0.8,
    ),
}
