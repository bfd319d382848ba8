"""Smallest logs of the figures of opportunities."""

from datetime import date

from services.reports.domain.agreements import TenantSet
from services.reports.domain.figures import Undefined
from tests.builders.kpi_case import APRIL, DAY, MARCH, Case, deal
from tests.builders.reports import TENANT, at, submitted

_EUR = TenantSet(TENANT, "Etc/UTC", "EUR")


def _day(month: int, day: int) -> int:
    return date(2026, month, day).toordinal()


_LATE_MARCH, _EARLY_MARCH = _day(3, 28), _day(3, 4)
_LEADS = (_EUR, *(submitted(number) for number in (1, 2, 3)))

CASES = {
    "P1": Case(
        wrongly="what is won already is counted as still to come",
        leads=(
            *_LEADS,
            deal(1, "opened", amount=1000),
            deal(2, "opened", amount=500),
            deal(2, "won", days=1),
        ),
        right=("EUR", 1000),
        wrong=("EUR", 1500),
    ),
    "P2": Case(
        wrongly="one without a chance is taken for certain",
        leads=(
            *_LEADS,
            deal(1, "opened", amount=1000, probability=50),
            deal(2, "opened", amount=1000),
        ),
        right=("EUR", 500),
        wrong=("EUR", 1500),
    ),
    "P3": Case(
        wrongly="one whose close date is past is kept in silently",
        leads=(
            *_LEADS,
            deal(1, "won", amount=300),
            deal(2, "opened", amount=1000, probability=50, close_day=_LATE_MARCH),
            deal(3, "opened", amount=1000, probability=50, close_day=_EARLY_MARCH),
        ),
        period=MARCH,
        now=at(days=10),
        right=("EUR", 800),
        wrong=("EUR", 1300),
    ),
    "P7": Case(
        wrongly="a lost one is taken for a win still to come",
        code="X",
        leads=(
            *_LEADS,
            *(deal(number, "opened") for number in (1, 2, 3)),
            deal(1, "lost", days=5),
            deal(2, "won", days=10),
            deal(3, "won", days=20),
        ),
        right=20 * DAY,
        wrong=10 * DAY,
    ),
    "P9": Case(
        wrongly="one whose close date is past is taken for one that still moves",
        leads=(
            *_LEADS,
            deal(1, "opened"),
            deal(2, "opened"),
            deal(2, "won", days=10, amount=1000),
            deal(3, "opened", close_day=_EARLY_MARCH),
        ),
        now=at(days=50),
        right=("EUR", 100),
        wrong=Undefined.QUANTILE_NOT_REACHED,
    ),
    "P14": Case(
        wrongly="an open one is taken for lost",
        code="O",
        leads=(
            *_LEADS,
            deal(1, "opened", probability=80),
            deal(1, "won", days=1),
            deal(2, "opened", probability=50),
            deal(2, "lost", days=1),
            deal(3, "opened", probability=10),
        ),
        right=(20**2 + 50**2, 2 * 100**2),
        wrong=(20**2 + 50**2 + 10**2, 3 * 100**2),
    ),
    "P16": Case(
        wrongly="one that was reopened is made again",
        leads=(
            *_LEADS,
            deal(1, "opened", amount=1000),
            deal(1, "lost", days=1),
            deal(1, "reopened", days=35),
        ),
        period=APRIL,
        right=("EUR", 0),
        wrong=("EUR", 1000),
    ),
    "P18": Case(
        wrongly="a close date that is past is as good as one to come",
        leads=(
            *_LEADS,
            deal(1, "opened", amount=1000, probability=50, close_day=_LATE_MARCH),
            deal(2, "opened", amount=1000, probability=50, close_day=_EARLY_MARCH),
        ),
        now=at(days=10),
        right=(1, 2),
        wrong=(2, 2),
    ),
}
