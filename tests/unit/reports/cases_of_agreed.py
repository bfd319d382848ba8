"""Smallest logs of the figures of what both parties agreed: alarms, verdicts, payouts, lost time."""

from typing import Any

import pytest

from services.reports.domain.agreements import AgreementKnown, CalendarKnown, Commitment, TenantSet
from services.reports.domain.budgets import BudgetSaid, PayoutDue
from services.reports.domain.clocks import AlertTold, ClockChange, RungTold
from services.reports.domain.field_notes import FeedbackMoved
from services.reports.domain.figures import Undefined
from services.reports.domain.settled_periods import PromiseSettled
from services.reports.domain.words import Accepted, Closed, Offered, Rejected
from smarketing.businesstime import Calendar
from tests.builders.kpi_case import DAY, HOUR, MARCH, NORTH, Case, head, heard
from tests.builders.reports import TENANT, at, clock_event, handoff, submitted

_EUR = TenantSet(TENANT, "Etc/UTC", "EUR")
_AGREEMENT = f"{TENANT}/agreements/main"
_CALENDAR = f"{TENANT}/calendars/always/versions/1"
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _version(number: int, *promises: str, **when: Any) -> AgreementKnown:
    commitments = tuple(Commitment(name, name, ",sales,", "first_follow_up", 9000) for name in promises)
    return AgreementKnown(
        TENANT, f"{_AGREEMENT}/versions/{number}", "active", _CALENDAR, at(**when), commitments
    )


_OPEN_ALWAYS = CalendarKnown(_CALENDAR, Calendar.of("Etc/UTC", {day: [["00:00", "24:00"]] for day in _WEEK}))
_AGREED = (_OPEN_ALWAYS, _version(1, "first-follow-up"))


def _budget(commitment: str, *, fast: bool = False, slowly: bool = False) -> BudgetSaid:
    return BudgetSaid(
        *(f"{_AGREEMENT}/{commitment}", TENANT, _AGREEMENT, commitment, ",sales,", "ok", 40, 4),
        *(0.5, 3.0, 2.0, None, at()),
        objective_basis_points=9000,
        burning_fast=fast,
        burning_slowly=slowly,
    )


def _started(number: int, **changes: Any) -> Any:
    return clock_event(ClockChange.STARTED, at(), number, **changes)


def _met(number: int, **changes: Any) -> tuple[Any, ...]:
    met = clock_event(ClockChange.MET, at(hours=4), number, elapsed=4 * HOUR, **changes)
    return _started(number, **changes), met


def _missed(number: int, **changes: Any) -> tuple[Any, ...]:
    return _started(number, **changes), clock_event(ClockChange.BREACHED, at(hours=8), number, **changes)


def _alert(name: str, clock: int, **when: Any) -> AlertTold:
    told = (handoff(clock), "first-follow-up", "due", NORTH, "open", at(**when), None, None)
    return AlertTold(name, TENANT, *told, clock=f"{TENANT}/clocks/c{clock}")


def _rung(clock: int) -> RungTold:
    return RungTold(TENANT, f"{TENANT}/clocks/c{clock}", at(hours=8), 1, "due", delivered=True)


def _payout(name: str, percent: int) -> PayoutDue:
    return PayoutDue(name, TENANT, _AGREEMENT, "first-follow-up", ",sales,", percent, at())


def _limit(promise: str, limit: float) -> PromiseSettled:
    of = f"{_AGREEMENT}/2026-02/{promise}"
    return PromiseSettled(of, TENANT, _AGREEMENT, promise, "met", limit, limit, at(days=-2), at())


def _owned(number: int) -> tuple[Any, ...]:
    return (
        submitted(number),
        Offered(*head(number), f"o{number}", "kim", NORTH),
        Accepted(*head(number, hours=1), f"o{number}", "kim", NORTH),
    )


def _rejected(number: int) -> Rejected:
    return Rejected(*head(number, days=1), "", "bad_data", "marketing")


_LATE = (*_AGREED, *_missed(1), clock_event(ClockChange.STOPPED_LATE, at(hours=10), 1, elapsed=9 * HOUR))

CASES = {
    "B3": Case(
        wrongly="one that burns only slowly is taken for one that burns fast",
        sla=(_budget("a", fast=True), _budget("b", slowly=True)),
        right=1,
        wrong=2,
    ),
    "B4": Case(
        wrongly="the share missed is set against the share that may be: a burn of 2",
        sla=(*_AGREED, *(word for number in (1, 2, 3, 4) for word in _met(number)), *_missed(5)),
        right=pytest.approx(1 - 0.9**5),
        wrong=2.0,
    ),
    "B5": Case(
        wrongly="one that burns only fast is taken for one that burns slowly",
        sla=(_budget("a", fast=True), _budget("b", slowly=True), _budget("c", slowly=True)),
        right=2,
        wrong=3,
    ),
    "S28": Case(
        wrongly="the rung that nobody was told of is left out",
        code="C",
        sla=(_rung(1), _alert("a1", 1, hours=9), _rung(2)),
        right=Undefined.QUANTILE_NOT_REACHED,
        wrong=HOUR,
    ),
    "S32": Case(
        wrongly="the mean of the shares of clocks: a half and nothing",
        code="R",
        sla=(
            *_AGREED,
            *_met(1, original_due_time=at(hours=8), due_time=at(hours=12)),
            *_met(2),
        ),
        right=(4 * 3600, 12 * 3600),
        wrong=(1, 4),
    ),
    "A3": Case(
        wrongly="factors are added up: 20 % off and 50 % off make 70 % off",
        sla=(*_AGREED, _payout("one", 80), _payout("two", 50)),
        right=0.8 * 0.5,
        wrong=0.3,
    ),
    "A4": Case(
        wrongly="the time until somebody accepted is taken for the system's",
        leads=_owned(1),
        sla=_LATE,
        group=("sales",),
        right=(10 * 3600, 10 * 3600),
        wrong=(9 * 3600, 10 * 3600),
    ),
    "A4.minutes": Case(
        wrongly="only the time behind the due instant is taken for lost",
        leads=_owned(1),
        sla=_LATE,
        group=("sales",),
        right=600,
        wrong=120,
    ),
    "A6.open": Case(
        wrongly="what was told before the period is counted with it",
        leads=(
            submitted(1),
            heard("f0", "price", days=-10),
            *(heard(f"f{number}", "price") for number in (1, 2, 3)),
            *(heard(f"f{number}", "terms") for number in (4, 5, 6, 7)),
            FeedbackMoved(*head(1, days=1), "f4", "done"),
        ),
        period=MARCH,
        group=("price",),
        absent=(("terms",),),
        right=3,
        wrong=4,
    ),
    "A7": Case(
        wrongly="counted from the first version, whatever was agreed since",
        sla=(_version(1), _version(2, days=30)),
        now=at(days=40),
        right=10 * DAY,
        wrong=40 * DAY,
    ),
    "A7.silent": Case(
        wrongly="a promise without a clock is taken for one that nobody missed",
        sla=(_OPEN_ALWAYS, _version(1, "first-follow-up", "accept"), *_met(1)),
        right=(1, 2),
        wrong=(0, 2),
    ),
    "K6.verdict": Case(
        wrongly="one of one is taken for proof: its share lies above the limit",
        code="W",
        leads=(submitted(1, conforming=True, required_fields=1, valid_fields=1),),
        sla=(_limit("conformance", 0.9),),
        group=("undecided",),
        right=(1, 1),
        wrong=Undefined.NO_DATA,
    ),
    "K12.verdict": Case(
        wrongly="those nobody decided are taken for not rejected",
        code="W",
        leads=(
            *(word for number in range(1, 6) for word in (submitted(number), _rejected(number))),
            *(submitted(number) for number in range(6, 100)),
        ),
        sla=(_limit("rejections", 0.15),),
        group=("broken",),
        right=(5, 5),
        wrong=(5, 99),
    ),
    "F8": Case(
        wrongly="every missed one is taken for a sale that was lost",
        code="M",
        leads=(
            _EUR,
            *(submitted(number) for number in (1, 2, 3, 4)),
            Closed(*head(1, days=1), True, "EUR", 1000),
            Closed(*head(2, days=1), True, "EUR", 1000),
            Closed(*head(3, days=1), True, "EUR", 1000),
        ),
        sla=(*_missed(3), *_missed(4)),
        period=MARCH,
        right=("EUR", 1000),
        wrong=("EUR", 2000),
    ),
}
