"""Smallest logs of the figures of clocks, ladders and budgets."""

from typing import Any

from services.reports.domain.agreements import AgreementKnown, CalendarKnown, Commitment
from services.reports.domain.budgets import BudgetSaid
from services.reports.domain.clocks import AlertTold, ClockChange, RungTold
from services.reports.domain.figures import Undefined
from services.reports.domain.settled_periods import PromiseSettled
from services.reports.domain.words import Accepted, Offered
from smarketing.businesstime import Calendar
from tests.builders.kpi_case import DAY, HOUR, NORTH, NOW, Case, head
from tests.builders.reports import TENANT, at, clock_event, handoff, submitted

_VERSION = f"{TENANT}/agreements/main/versions/1"
_CALENDAR = f"{TENANT}/calendars/always/versions/1"
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AGREED = (
    CalendarKnown(_CALENDAR, Calendar.of("Etc/UTC", {day: [["00:00", "24:00"]] for day in _WEEK})),
    AgreementKnown(
        TENANT,
        _VERSION,
        "active",
        _CALENDAR,
        at(),
        (
            Commitment("first-follow-up", "First follow-up", ",sales,", "first_follow_up", 9000),
            Commitment("attempts", "Attempts", ",sales,", "attempts", 9000),
            Commitment("disposition", "Disposition", ",sales,", "disposition", 9000),
        ),
    ),
)


def _started(number: int, **changes: Any) -> Any:
    return clock_event(ClockChange.STARTED, at(), number, **changes)


def _met(number: int, **changes: Any) -> tuple[Any, ...]:
    met = clock_event(ClockChange.MET, at(hours=1), number, elapsed=HOUR, **changes)
    return _started(number, **changes), met


def _missed(number: int, **changes: Any) -> tuple[Any, ...]:
    return _started(number, **changes), clock_event(ClockChange.BREACHED, at(hours=8), number, **changes)


def _done(number: int, **when: Any) -> Any:
    return clock_event(ClockChange.STOPPED_LATE, at(**when), number, elapsed=9 * HOUR)


def _excused(number: int) -> tuple[Any, ...]:
    return (*_missed(number), clock_event(ClockChange.EXCUSED, at(hours=8), number))


def _void(number: int) -> tuple[Any, ...]:
    return _started(number), clock_event(ClockChange.VOIDED, at(hours=1), number)


def _of_kind(kind: str, number: int) -> tuple[Any, ...]:
    return _met(number, commitment_id=kind, kind=kind)


def _warned(number: int) -> Any:
    return clock_event(ClockChange.WARNED, at(hours=4), number)


def _alert(name: str, made: int, acknowledged: int | None) -> AlertTold:
    state = "open" if acknowledged is None else "acknowledged"
    return AlertTold(
        name, TENANT, handoff(1), "first-follow-up", "due", NORTH, state, made, acknowledged, None
    )


def _budget(commitment: str, state: str = "ok", **said: Any) -> BudgetSaid:
    values: dict[str, Any] = {
        "remaining_ratio": None,
        "fast_burn_rate": None,
        "slow_burn_rate": None,
        "exhaustion": None,
    }
    values |= said
    agreement = f"{TENANT}/agreements/main"
    return BudgetSaid(
        budget=f"{agreement}/{commitment}",
        tenant=TENANT,
        agreement=agreement,
        commitment_id=commitment,
        parties=",sales,",
        state=state,
        settled_count=40,
        breached_count=4,
        as_of_time=at(),
        **values,
    )


def _settled(promise: str, month: str, state: str, actual: float | None, **when: Any) -> PromiseSettled:
    agreement = f"{TENANT}/agreements/main"
    return PromiseSettled(
        promise=f"{agreement}/{month}/{promise}",
        tenant=TENANT,
        agreement=agreement,
        commitment_id=promise,
        state=state,
        limit_ratio=1.0,
        actual_ratio=actual,
        last_time=at(**when),
        as_of_time=at(**when),
    )


_PAUSED = {"original_due_time": at(hours=8), "due_time": at(hours=10)}
_FAR = {"due_time": at(days=200)}

CASES = {
    "S1": Case(
        wrongly="an open clock is taken for a missed one",
        code="O",
        sla=(*_met(1), _started(2, **_FAR)),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "S2": Case(
        wrongly="an excused miss is left out", sla=(*_met(1), *_excused(2)), right=(1, 2), wrong=(1, 1)
    ),
    "S3": Case(
        wrongly="the deadline that a pause moved is taken for the promise",
        sla=(
            _started(1, **_PAUSED),
            clock_event(ClockChange.MET, at(hours=9), 1, elapsed=7 * HOUR, **_PAUSED),
        ),
        right=(0, 1),
        wrong=(1, 1),
    ),
    "S4": Case(
        wrongly="one done late is still taken for overdue",
        sla=(*_missed(1), _done(1, hours=9), *_missed(2)),
        right=1,
        wrong=2,
    ),
    "S5": Case(
        wrongly="one done late is taken for never overdue",
        sla=(*_missed(1), _done(1, hours=9), *_missed(2)),
        right=2,
        wrong=1,
    ),
    "S6": Case(
        wrongly="one that is overdue is still taken for due soon",
        sla=(_started(1, due_time=NOW + HOUR), _started(2), _started(3, **_FAR)),
        right=1,
        wrong=2,
    ),
    "S10": Case(
        wrongly="only those who were served are asked how long it took",
        code="C",
        leads=(submitted(1), submitted(2), submitted(3)),
        sla=(*_AGREED, *_met(1), _started(2), _started(3)),
        right=Undefined.QUANTILE_NOT_REACHED,
        wrong=HOUR,
    ),
    "S16": Case(
        wrongly="every commitment is counted",
        sla=(*_AGREED, *_of_kind("attempts", 1), *_missed(2)),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "S19": Case(
        wrongly="every commitment is counted",
        sla=(*_AGREED, *_of_kind("disposition", 1), *_missed(2)),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "S25": Case(
        wrongly="a clock that nobody was warned of is counted as a success of warnings",
        sla=(*_met(1), *_missed(2), _warned(2), _started(3), _warned(3), *_met(3)[1:]),
        right=(1, 2),
        wrong=(2, 3),
    ),
    "S26": Case(
        wrongly="only those done after all are asked how late",
        code="C",
        sla=(*_missed(1), _done(1, hours=9), *_missed(2), *_missed(3)),
        right=Undefined.QUANTILE_NOT_REACHED,
        wrong=HOUR,
    ),
    "S26.never": Case(
        wrongly="an excused miss is counted as never done",
        sla=(*_missed(1), _done(1, hours=9), *_missed(2), *_excused(3)),
        right=(1, 2),
        wrong=(2, 3),
    ),
    "S27": Case(
        wrongly="the mean of the shares is taken: a half and a ninth",
        code="R",
        leads=tuple(
            word
            for number in (1, 2)
            for word in (
                submitted(number),
                Offered(*head(number), f"o{number}", "kim", NORTH),
                Accepted(*head(number, hours=1), f"o{number}", "kim", NORTH),
            )
        ),
        sla=(*_missed(1), _done(1, hours=2), *_missed(2), _done(2, hours=9)),
        group=("offered",),
        right=(2 * 3600, 11 * 3600),
        wrong=(11, 36),
    ),
    "S29": Case(
        wrongly="a rung that was told twice is taken for one",
        sla=tuple(RungTold(TENANT, "c1", at(hours=8), 1, "due", delivered=True) for _ in range(2)),
        right=(1, 2),
        wrong=(0, 1),
    ),
    "S30": Case(
        wrongly="an alert too young to be late is taken for unacknowledged",
        code="O",
        sla=(_alert("a1", at(), at(hours=1)), _alert("a2", NOW - HOUR, None)),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "S31": Case(
        wrongly="a void clock dilutes the share",
        sla=(*_met(1), *_excused(2), *_void(3)),
        right=(1, 2),
        wrong=(1, 3),
    ),
    "A2": Case(
        wrongly="the mean hides that one side failed",
        sla=(*_met(1, parties=",marketing,"), *_missed(2)),
        right=(0, 1),
        wrong=(1, 2),
    ),
    "B1": Case(
        wrongly="a budget in hand is set against one overspent",
        sla=(_budget("a", remaining_ratio=0.5), _budget("b", remaining_ratio=-0.2)),
        right=-0.2,
        wrong=0.15,
    ),
    "B2": Case(
        wrongly="a budget that nothing is known of is taken for one that does not burn",
        code="Z",
        sla=(_budget("a"),),
        right=Undefined.NO_DENOMINATOR,
        wrong=0.0,
    ),
    "B2.slow": Case(
        wrongly="the fast window's rate is shown",
        sla=(_budget("a", fast_burn_rate=3.0, slow_burn_rate=1.0),),
        right=1.0,
        wrong=3.0,
    ),
    "B6": Case(
        wrongly="a budget that does not burn is taken for one used up",
        code="Z",
        sla=(_budget("a", exhaustion=5 * DAY), _budget("b")),
        right=5 * DAY,
        wrong=0,
    ),
    "K4.settled": Case(
        wrongly="the verdict that a late fact replaced is shown",
        code="L",
        sla=(_settled("value", "2026-09", "met", 1.1), _settled("value", "2026-09", "breached", 0.9)),
        right=0.9,
        wrong=1.1,
    ),
    "K4.promises": Case(
        wrongly="one promise settled twice is counted twice",
        code="L",
        sla=(
            _settled("value", "2026-09", "pending", 1.0),
            _settled("value", "2026-09", "breached", 0.9),
            _settled("conformance", "2026-09", "met", 0.9),
        ),
        group=("breached",),
        right=1,
        wrong=2,
    ),
    "K6.settled": Case(
        wrongly="another promise's share is taken for it",
        sla=(
            _settled("completeness", "2026-09", "breached", 0.5),
            _settled("conformance", "2026-09", "met", 0.9),
        ),
        right=0.9,
        wrong=0.5,
    ),
    "K7.settled": Case(
        wrongly="a good period hides a bad one",
        sla=(
            _settled("completeness", "2026-08", "breached", 0.5),
            _settled("completeness", "2026-09", "met", 0.9, hours=1),
        ),
        right=0.5,
        wrong=0.7,
    ),
    "K12.settled": Case(
        wrongly="a share of nothing is taken for none rejected",
        code="Z",
        sla=(_settled("rejections", "2026-09", "undefined", None),),
        right=Undefined.NO_DENOMINATOR,
        wrong=0.0,
    ),
    "B7": Case(
        wrongly="every budget is counted in every state",
        sla=(_budget("a"), _budget("b", state="exhausted")),
        group=("exhausted",),
        right=1,
        wrong=2,
    ),
}
