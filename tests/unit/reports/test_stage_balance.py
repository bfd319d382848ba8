"""Whoever came to a stage stands there, went on, or left: the three counts say the same."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, pairwise
from random import Random

import pytest

from services.reports.consumers.lead_events import words_of
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period, micros_of
from tests.builders.figures import ask
from tests.builders.long_log import life
from tests.builders.reports import Ledger, a_ledger

_START = micros_of(datetime(2026, 1, 5, tzinfo=UTC))
_NOW = micros_of(datetime(2026, 6, 1, tzinfo=UTC))
_HOUR = 3_600_000_000
_MONTHS = [Period.month(2026, month) for month in range(1, 6)]
_STAGE_OF = {"offered": "submitted", "working": "worked"}


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    chance = Random(5)
    whole = [life(chance, number, _START + 2 * number * _HOUR) for number in range(300)]
    # Told so far: handoffs stand in every stage.
    lives = [told[: chance.randint(1, len(told))] for told in whole]
    with a_ledger() as found:
        found.leads(*words_of(list(chain.from_iterable(lives))))
        yield found


def _by_stage(ledger: Ledger, kpi_id: str, period: Period | None) -> Counter[str]:
    rows = ask(ledger, kpi_id, Dimension.STAGE, period=period, now=_NOW)
    return Counter({stage or "": figure.count or 0 for (stage,), figure in rows.items()})


def test_the_balance_of_stages_is_the_backlog_of_their_states(ledger: Ledger) -> None:
    backlog: Counter[str] = Counter()
    for (state,), figure in ask(ledger, "S21", Dimension.STATE, now=_NOW).items():
        backlog[_STAGE_OF.get(state or "", state or "")] += figure.count or 0

    assert +_by_stage(ledger, "H8", None) == backlog
    assert len(backlog) > 3


def test_a_months_balance_is_the_one_before_with_what_came_and_without_what_went(ledger: Ledger) -> None:
    for before, month in pairwise(_MONTHS):
        balance = _by_stage(ledger, "H8", before)
        balance.update(_by_stage(ledger, "H8.in", month))
        balance.subtract(_by_stage(ledger, "H8.out", month))

        assert +balance == +_by_stage(ledger, "H8", month)
