"""Smallest logs of the figures of customers."""

from datetime import date

from services.reports.domain.agreements import TenantSet
from services.reports.domain.words import Closed
from tests.builders.kpi_case import MARCH, Case, answered, cost, counted, earned, head
from tests.builders.reports import TENANT, submitted

_KEPT = (counted(100, "customers_at_start"), counted(10, "customers_lost"), counted(30, "customers_new"))
_RECURRING = (
    earned(1000, word="recurring_at_start"),
    earned(300, 0, word="expansion"),
    earned(100, word="contraction"),
    earned(150, word="churned"),
)
# 100 customers bring 50,000 a month, three quarters of which is margin, and 5 of them leave.
_LIFETIME = (
    earned(50_000, word="recurring_at_start"),
    earned(50_000, 12_500, word="repeat"),
    counted(100, "customers_at_start"),
    counted(5, "customers_lost"),
)

CASES = {
    "U1": Case(
        wrongly="new customers stand in for those who left",
        inputs=_KEPT,
        period=MARCH,
        right=(100 - 10, 100),
        wrong=(100 - 10 + 30, 100),
    ),
    "U2": Case(
        wrongly="customers who came since are in the whole",
        inputs=_KEPT,
        period=MARCH,
        right=(10, 100),
        wrong=(10, 130),
    ),
    "U3": Case(
        wrongly="what became less is not taken off",
        inputs=_RECURRING,
        period=MARCH,
        right=(1000 + 300 - 100 - 150, 1000),
        wrong=(1000 + 300 - 150, 1000),
    ),
    "U3.gross": Case(
        wrongly="expansion hides what was lost",
        inputs=_RECURRING,
        period=MARCH,
        right=(1000 - 100 - 150, 1000),
        wrong=(1000 + 300 - 100 - 150, 1000),
    ),
    "U4": Case(
        wrongly="revenue is taken for margin",
        inputs=_LIFETIME,
        period=MARCH,
        # 500 a customer × 0.75 / 0.05
        right=("EUR", 7_500),
        wrong=("EUR", 10_000),
    ),
    "U7": Case(
        wrongly="only what was paid for media is the cost of a customer",
        leads=(
            TenantSet(TENANT, "Etc/UTC", "EUR"),
            submitted(1),
            Closed(*head(1), True, "EUR", 500),
        ),
        inputs=(*_LIFETIME, cost(1000, party="marketing"), cost(1500, "labour", party="sales")),
        period=MARCH,
        right=(7_500, 2_500),
        wrong=(7_500, 1_000),
    ),
    "U8": Case(
        wrongly="a score of 0 or 6 is no detractor's, and those of 7 and 8 are left out",
        inputs=tuple(answered("nps", score) for score in (0, 6, 7, 8, 9, 10, 10, 10)),
        period=MARCH,
        right=100 * (4 - 2) / 8,
        wrong=100 * 4 / 4,
    ),
    "U9": Case(
        wrongly="a score in the middle is satisfied",
        code="W",
        inputs=tuple(answered("csat", score) for score in (3, 4, 5, 1)),
        period=MARCH,
        right=(2, 4),
        wrong=(3, 4),
    ),
    "U9.answered": Case(
        wrongly="answers to another question are counted",
        inputs=(answered("csat", 5, 3), answered("nps", 9, 4), counted(10, "surveys_sent")),
        period=MARCH,
        right=(3, 10),
        wrong=(7, 10),
    ),
    "U12": Case(
        wrongly="the undecided are taken for lost",
        code="O",
        inputs=(counted(10, "renewals_due"), counted(6, "renewed"), counted(2, "not_renewed")),
        period=MARCH,
        right=(6, 8),
        wrong=(6, 10),
    ),
    "U13": Case(
        wrongly="new customers' purchases are expansion",
        inputs=(*_RECURRING, earned(500, first=date(2026, 3, 2), last=date(2026, 3, 3))),
        period=MARCH,
        right=(300, 1000),
        wrong=(800, 1000),
    ),
}
