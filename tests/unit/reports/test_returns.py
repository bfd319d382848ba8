"""What an investment returned is set against all that it cost."""

from dataclasses import replace
from datetime import date

import pytest

from services.reports.domain.periods import Period
from tests.builders.figures import ask
from tests.builders.kpi_case import shown
from tests.builders.reports import a_ledger
from tests.unit.reports.cases_of_returns import CASES

_MIDDLE = date(2026, 3, 16).toordinal()


@pytest.mark.parametrize("kpi_id", ["F4", "F4.before", "F5"])
def test_a_period_that_holds_one_of_two_bills_asks_for_the_return_on_both(kpi_id: str) -> None:
    case = CASES[kpi_id]
    (whole,) = case.inputs
    course, half = replace(whole, investment="course"), whole.number // 2
    bills = (
        replace(course, external_id="first", number=half, last_day=_MIDDLE),
        replace(course, external_id="second", number=half, first_day=_MIDDLE),
    )
    with a_ledger() as ledger:
        ledger.leads(*case.leads)
        ledger.inputs(*bills)
        found = [
            ask(ledger, kpi_id, period=Period(bill.first_day, bill.last_day), now=case.now)[()]
            for bill in bills
        ]

    assert [shown(figure) for figure in found] == [case.right, case.right]
