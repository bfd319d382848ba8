"""Forecasts are tracked, month by month, against what came: as they were told, not as they are known now."""

from collections.abc import Iterator
from datetime import date

import pytest

from services.reports.domain.agreements import TenantSet
from services.reports.domain.figures import Undefined
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.domain.words import Closed, Converted, Voided
from tests.builders.figures import ask, share_of
from tests.builders.kpi_case import deal, head
from tests.builders.reports import TENANT, Ledger, a_ledger, at, submitted

_APRIL, _MAY = date(2026, 4, 15).toordinal(), date(2026, 5, 15).toordinal()
_NOW = at(days=100)
_SPRING = Period.of(date(2026, 4, 1), date(2026, 7, 1))


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with a_ledger() as found:
        found.leads(
            TenantSet(TENANT, "Etc/UTC", "EUR"),
            *(submitted(number) for number in (1, 2, 3)),
            # Of April, told on 2 March; half of it moved to May on 12 March.
            deal(1, "opened", amount=1000, probability=50, close_day=_APRIL),
            deal(2, "opened", amount=1000, probability=50, close_day=_APRIL),
            deal(2, "changed", days=10, close_day=_MAY),
            deal(1, "won", days=40, amount=800),
            Closed(*head(1, days=40), True, "EUR", 800),
            # Never told before it was won.
            deal(3, "won", days=75, amount=100),
            Closed(*head(3, days=75), True, "EUR", 100),
        )
        yield found


def test_each_month_has_its_error_by_how_long_before_it_was_told(ledger: Ledger) -> None:
    rows = ask(ledger, "P13", Dimension.LEAD_TIME, Dimension.MONTH, period=_SPRING, now=_NOW)

    assert share_of(rows["00 days", "2026-04"]) == (300, 800)
    assert rows["30 days", "2026-04"].undefined is Undefined.NO_DATA
    assert share_of(rows["00 days", "2026-05"]) == (400, 100)
    assert share_of(rows["30 days", "2026-05"]) == (400, 100)


def test_a_month_that_still_runs_has_no_error_yet(ledger: Ledger) -> None:
    rows = ask(ledger, "P13", Dimension.LEAD_TIME, Dimension.MONTH, period=_SPRING, now=_NOW)

    assert rows["00 days", "2026-06"].undefined is Undefined.NOT_REACHED


def test_a_win_whose_handoff_became_void_later_is_on_neither_side(ledger: Ledger) -> None:
    ledger.leads(
        submitted(5),
        Converted(*head(5), "kim"),
        deal(5, "opened", amount=700, probability=100, close_day=_APRIL),
        deal(5, "won", days=45, amount=700),
        Closed(*head(5, days=45), True, "EUR", 700),
        Voided(*head(5, days=50), "test"),
    )

    rows = ask(ledger, "P13.bias", Dimension.MONTH, Dimension.LEAD_TIME, period=_SPRING, now=_NOW)

    assert share_of(rows["2026-04", "00 days"]) == (-300, 800)


def test_bias_says_in_which_direction(ledger: Ledger) -> None:
    rows = ask(ledger, "P13.bias", Dimension.MONTH, Dimension.LEAD_TIME, period=_SPRING, now=_NOW)

    assert share_of(rows["2026-04", "00 days"]) == (-300, 800)
    assert share_of(rows["2026-05", "00 days"]) == (400, 100)


def test_what_was_expected_of_a_void_handoff_was_never_to_come(ledger: Ledger) -> None:
    ledger.leads(
        submitted(4),
        Converted(*head(4), "kim"),
        deal(4, "opened", amount=5000, probability=50, close_day=_APRIL),
        Voided(*head(4, days=50), "test"),
    )

    rows = ask(ledger, "P13", Dimension.LEAD_TIME, Dimension.MONTH, period=_SPRING, now=_NOW)

    assert share_of(rows["00 days", "2026-04"]) == (300, 800)
