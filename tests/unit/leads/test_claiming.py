"""A queue is taken from in the order that the tenant wants: due first, then worth, then score."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from services.leads.domain.claims import ClaimOrder
from services.leads.domain.errors import PlaybookInvalid, QueueEmpty
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Qualification
from services.leads.domain.playbook import Playbook, faults_of_playbook
from services.leads.domain.terms import Money
from services.leads.store import statements
from services.leads.usecases.offers import ClaimOffer, claim_offers
from tests.builders.desk import due_at, queued, sla_says, with_playbook
from tests.builders.leads import ANNA, NOON, QUEUE, House, a_directory, asked_by
from tests.builders.stores import skip_unless_sqlite

HOUR = timedelta(hours=1)


async def claimed(house: House) -> list[int]:
    """Take all that waits, and return the numbers of the submissions in the order in which they came."""
    order = []
    while True:
        try:
            got = await house.one(
                claim_offers, ClaimOffer(tenant="default", queue=QUEUE, asker=asked_by(ANNA))
            )
        except QueueEmpty:
            return order
        order.append(NUMBERS[got.id.lead])


NUMBERS: dict[str, int] = {}


async def waits(
    house: House, number: int, *, score: int | None = None, value: Money | None = None
) -> Handoff:
    handoff = await queued(house, number, qualification=Qualification(score=score, value=value))
    NUMBERS[handoff.id.lead] = number
    return handoff


def euros(amount: int) -> Money:
    return Money("EUR", amount * 100)


async def test_what_is_due_first_is_taken_first_and_what_sla_does_not_know_comes_last() -> None:
    async with House() as house:
        silent = await waits(house, 1, score=100, value=euros(9_000))
        late = await waits(house, 2)
        soon = await waits(house, 3)
        await sla_says(house, due_at(late, NOON + 2 * HOUR), due_at(soon, NOON + HOUR))

        assert silent.next_due_time is None
        assert await claimed(house) == [3, 2, 1]


async def test_of_what_is_due_together_the_most_valuable_comes_first_then_the_best_score() -> None:
    async with House() as house:
        for number, (score, value) in enumerate(
            [(90, None), (10, euros(100)), (20, euros(100)), (99, Money("JPY", 10**9)), (None, None)], start=1
        ):
            handoff = await waits(house, number, score=score, value=value)
            await sla_says(house, due_at(handoff, NOON + HOUR))

        # Yen are not the tenant's currency: that value cannot be compared and counts as none.
        assert await claimed(house) == [3, 2, 4, 1, 5]


async def test_weights_let_worth_outrun_what_is_due_a_little_sooner() -> None:
    async with House() as house:
        plain = await waits(house, 1)
        scored = await waits(house, 2, score=30)
        valued = await waits(house, 3, value=euros(3_000))
        await sla_says(
            house,
            due_at(plain, NOON + HOUR),
            due_at(scored, NOON + HOUR + timedelta(minutes=20)),
            due_at(valued, NOON + 4 * HOUR),
        )
        # 30 points are half an hour, 3,000 euros are two hours: not enough for the third.
        order = ClaimOrder(
            score_advance=timedelta(minutes=1), value_advance=timedelta(minutes=40), value_step=100_000
        )
        await with_playbook(house, claim_order=order)

        assert await claimed(house) == [2, 1, 3]


async def test_a_due_time_that_moves_while_it_waits_moves_it_by_the_same_weights() -> None:
    async with House() as house:
        await with_playbook(house, claim_order=ClaimOrder(score_advance=timedelta(minutes=1)))
        scored = await waits(house, 1, score=60)
        plain = await waits(house, 2)
        await sla_says(
            house,
            due_at(scored, NOON + 3 * HOUR),
            due_at(plain, NOON + HOUR),
            due_at(scored, NOON + HOUR + timedelta(minutes=59)),
        )

        assert await claimed(house) == [1, 2]


async def test_taking_from_a_queue_looks_at_its_head_alone() -> None:
    skip_unless_sqlite("the plan is read as SQLite tells it")
    async with House() as house:
        await waits(house, 1)

        def plan(connection: Connection) -> str:
            compiled = statements._waiting.compile(connection.engine)
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", ("default", QUEUE, 1, 0))
            return " ".join(row[3] for row in found)

        shown = await house.rows(plan)
        assert "USING COVERING INDEX handoff_waiting (tenant=? AND queue=?)" in shown
        assert "TEMP B-TREE FOR ORDER BY" not in shown


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"claim_order": ClaimOrder(score_advance=timedelta(days=31))}, "claim_order.score_advance_duration"),
        ({"claim_order": ClaimOrder(value_step=0)}, "claim_order.value_step_minor_units"),
        ({"max_takeovers": 21}, "max_takeovers"),
        ({"dispute_window_days": 0}, "dispute_window_days"),
        ({"after_win_queue": "tenants/default/queues/nowhere"}, "after_win_queue"),
    ],
)
async def test_a_playbook_that_cannot_work_is_refused_with_the_field(
    changes: dict[str, Any], field: str
) -> None:
    async with House() as house:
        with pytest.raises(PlaybookInvalid) as refused:
            await with_playbook(house, **changes)

        assert [fault.field for fault in refused.value.faults] == [field]


def test_a_win_goes_on_only_in_a_queue_that_somebody_answers_for() -> None:
    directory = a_directory()
    deserted = replace(
        directory,
        queues=tuple(replace(queue, manager="") for queue in directory.queues),
        teams=tuple(replace(team, manager="") for team in directory.teams),
    )
    wanted = Playbook(after_win_queue=QUEUE)

    assert faults_of_playbook(wanted, directory) == ()
    assert [fault.field for fault in faults_of_playbook(wanted, deserted)] == ["after_win_queue"]
