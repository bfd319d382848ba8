"""Smallest logs of the figures of forecasts, and of the stages of opportunities."""

from datetime import date
from typing import Any

from services.reports.domain.agreements import StagesSet, TenantSet
from services.reports.domain.figures import Undefined
from services.reports.domain.words import Closed, Converted
from tests.builders.kpi_case import APRIL, MARCH, NORTH, Case, deal, goal, head, touchpoint
from tests.builders.reports import TENANT, at, handoff, submitted

_EUR = TenantSet(TENANT, "Etc/UTC", "EUR")
_LEADS = (_EUR, *(submitted(number) for number in (1, 2, 3, 4)))
_STAGES = StagesSet(TENANT, ("first", "second", "third"))
_MID_MARCH, _MID_APRIL, _MID_MAY = (date(2026, month, 15).toordinal() for month in (3, 4, 5))
_APRIL_DAYS = {"first": date(2026, 4, 1), "last": date(2026, 5, 1)}
_NEW_HERE = {"person": f"{TENANT}/people/new", "team": NORTH}


def _opened(number: int, **told: Any) -> Any:
    return deal(number, "opened", **{"amount": 1000} | told)


def _made(number: int, amount: int) -> Converted:
    return Converted(*head(number), "kim", "EUR", amount)


def _moved(number: int, stage: str, **when: Any) -> Any:
    return deal(number, "changed", stage=stage, **when)


def _won(number: int, amount: int, *, owner: str = "", days: float = 0) -> tuple[Any, ...]:
    step = deal(number, "won", amount=amount, days=days, owner=owner)
    return step, Closed(*head(number, days=days), True, "EUR", amount)


_EXPECTED = (
    *_LEADS,
    _opened(1, amount=1000, probability=50, close_day=_MID_APRIL),
    # Said in April, when the period ran already.
    deal(1, "changed", days=31, probability=100),
    *_won(2, 400, days=40),
)
"""500 of April's forecast, of which 400 came."""

CASES = {
    "P4": Case(
        wrongly="what is won already is left out of the best case",
        leads=(
            *_LEADS,
            *_won(1, 300, days=1),
            _opened(2, probability=75, close_day=_MID_MARCH),
            _opened(3, probability=50, close_day=_MID_MARCH),
        ),
        period=MARCH,
        now=at(days=2),
        group=("best case",),
        right=("EUR", 2300),
        wrong=("EUR", 2000),
    ),
    "P10": Case(
        wrongly="who skipped the second stage is taken never to have come to it",
        code="Z",
        leads=(
            *(*_LEADS, _STAGES, _opened(1), _opened(2)),
            *(_moved(1, "second", days=1), _moved(2, "third", days=1)),
        ),
        period=MARCH,
        group=("second",),
        right=(1, 2),
        wrong=(0, 1),
    ),
    "P11": Case(
        wrongly="one that was made after the period began is counted too",
        leads=(
            *_LEADS,
            _opened(1, close_day=_MID_APRIL),
            _opened(2, close_day=_MID_APRIL),
            deal(2, "changed", days=35, close_day=_MID_MAY),
            _opened(3, days=33, close_day=_MID_APRIL),
            deal(3, "changed", days=35, close_day=_MID_MAY),
        ),
        period=APRIL,
        right=(1, 2),
        wrong=(2, 3),
    ),
    "P12": Case(
        wrongly="a stay is long where it is longer than that of the others still open",
        leads=(
            *_LEADS,
            *(_opened(1), _opened(2), _opened(3, days=28)),
            *_won(1, 1000, days=10),
        ),
        now=at(days=30),
        right=(1, 2),
        wrong=(0, 2),
    ),
    "P13": Case(
        wrongly="what was said when the period ran already is taken for the forecast",
        code="M",
        leads=_EXPECTED,
        period=APRIL,
        now=at(days=70),
        group=("00 days",),
        right=(100, 400),
        wrong=(600, 400),
    ),
    "P13.bias": Case(
        wrongly="the error's size is taken for its direction",
        leads=(*_LEADS, _opened(1, probability=10, close_day=_MID_APRIL), *_won(2, 400, days=40)),
        period=APRIL,
        now=at(days=70),
        group=("00 days",),
        right=(-300, 400),
        wrong=(300, 400),
    ),
    "P15": Case(
        wrongly="opportunities are counted, not their amounts",
        code="M",
        leads=(
            *(_EUR, submitted(1), submitted(2, source_channel="cold_call")),
            *(_made(1, 1000), _made(2, 3000)),
        ),
        right=(1000, 4000),
        wrong=(1, 2),
    ),
    "P15.influenced": Case(
        wrongly="every touchpoint is credited with the whole amount",
        code="D",
        leads=(*_LEADS, _made(1, 1000), _made(2, 3000), _opened(1), _opened(2, amount=3000)),
        inputs=tuple(
            touchpoint("fair", date(2026, 3, day), journey=f"{handoff(1)}/opportunity") for day in (1, 2)
        ),
        right=(1000, 4000),
        wrong=(2000, 4000),
    ),
    "P17": Case(
        wrongly="nobody left it, so its flow is taken for balanced",
        code="Z",
        leads=(*_LEADS, _STAGES, _opened(1), _moved(1, "second", days=1)),
        period=MARCH,
        group=("second",),
        right=Undefined.NO_DENOMINATOR,
        wrong=(1, 1),
    ),
    "V9": Case(
        wrongly="one without an answer is taken for lost",
        code="O",
        leads=(
            *_LEADS,
            *(_opened(1), deal(1, "proposed", days=1), *_won(1, 500, days=2)),
            *(_opened(2), deal(2, "proposed", days=1)),
        ),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "V11": Case(
        wrongly="who has not reached a quota yet is left out",
        code="C",
        leads=(
            *_LEADS,
            *_won(1, 1000, days=1, owner=f"{TENANT}/people/new"),
            *_won(2, 1000, days=40, owner=f"{TENANT}/people/a"),
        ),
        inputs=(
            goal(1000, **_NEW_HERE),
            *(
                goal(1000, person=f"{TENANT}/people/{name}", team=NORTH, **month)
                for name in ("a", "b")
                for month in ({}, _APRIL_DAYS)
            ),
        ),
        right=2.0,
        wrong=1.0,
    ),
}
