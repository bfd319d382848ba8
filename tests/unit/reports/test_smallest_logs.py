"""For every figure, the smallest log on which its right reading and a plausible wrong one differ."""

import pytest

from services.reports.domain.kpis import KPIS
from services.reports.store.figures import Figures
from services.reports.store.queries import Queries, Question
from tests.builders.kpi_case import shown
from tests.builders.reports import TENANT, a_ledger
from tests.unit.reports import (
    cases_of_agreed,
    cases_of_customers,
    cases_of_forecasts,
    cases_of_handoffs,
    cases_of_leads,
    cases_of_money,
    cases_of_pipeline,
    cases_of_promises,
    cases_of_returns,
    cases_of_signals,
)

CASES = (
    cases_of_promises.CASES
    | cases_of_handoffs.CASES
    | cases_of_pipeline.CASES
    | cases_of_money.CASES
    | cases_of_signals.CASES
    | cases_of_customers.CASES
    | cases_of_leads.CASES
    | cases_of_forecasts.CASES
    | cases_of_agreed.CASES
    | cases_of_returns.CASES
)


def test_every_figure_has_its_smallest_log_and_no_log_is_of_none() -> None:
    assert CASES.keys() == KPIS.keys()


@pytest.mark.parametrize("kpi_id", CASES)
def test_the_right_reading_is_shown_and_not_the_plausible_wrong_one(kpi_id: str) -> None:
    case, kpi = CASES[kpi_id], KPIS[kpi_id]
    with a_ledger() as ledger:
        ledger.leads(*case.leads)
        ledger.sla(*case.sla)
        ledger.inputs(*case.inputs)
        ledger.quotas(*case.quotas)
        question = Question(tenant=TENANT, period=case.period, group_by=case.group_by, now=case.now)
        with ledger.database.reading() as connection:
            rows = Figures(Queries(ledger.tables)).query(connection, kpi_id, question, case.basis)

    found = {row.group: shown(row.figure) for row in rows}
    assert found[case.group] == case.right
    assert not found.keys() & set(case.absent)
    assert case.right != case.wrong
    assert case.code in kpi.edge_cases
