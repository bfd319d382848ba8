"""An opportunity of a void handoff should never have been: no figure of stages counts it."""

from collections.abc import Iterator

import pytest

from services.reports.domain.agreements import StagesSet, TenantSet
from services.reports.domain.figures import Amount, Undefined
from services.reports.domain.labels import Dimension
from services.reports.domain.words import Converted, Voided
from tests.builders.figures import ask, share_of
from tests.builders.kpi_case import deal, head
from tests.builders.reports import TENANT, Ledger, a_ledger, submitted


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with a_ledger() as found:
        found.leads(
            TenantSet(TENANT, "Etc/UTC", "EUR"),
            StagesSet(TENANT, ("first", "second", "third")),
            *(submitted(number) for number in (1, 2)),
            *(Converted(*head(number), "kim") for number in (1, 2)),
            *(deal(number, "opened", amount=1000) for number in (1, 2)),
            *(deal(number, "changed", stage="second", days=1) for number in (1, 2)),
            deal(2, "changed", stage="third", days=2),
            Voided(*head(2, days=3), "test"),
        )
        yield found


def test_it_did_not_go_from_stage_to_stage(ledger: Ledger) -> None:
    came_further = ask(ledger, "P10", Dimension.OPPORTUNITY_STAGE)
    flows = ask(ledger, "P17", Dimension.OPPORTUNITY_STAGE, Dimension.MONTH)

    assert share_of(came_further["first",]) == (1, 1)
    assert share_of(came_further["second",]) == (0, 1)
    assert share_of(flows["first", "2026-03"]) == (1, 1)
    assert flows["second", "2026-03"].undefined is Undefined.NO_DENOMINATOR


def test_it_stands_in_no_stage_and_is_worth_nothing(ledger: Ledger) -> None:
    assert ask(ledger, "P12")[()].open_count == 1
    assert ask(ledger, "H14", Dimension.STATE)["converted",].amount == Amount("EUR", 1000)
