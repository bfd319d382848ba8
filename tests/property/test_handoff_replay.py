"""Asking again is harmless: whatever is repeated, in whatever order and batch, one effect, one answer."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.leads.store.schema import SCHEMA
from services.leads.store.transaction import By
from services.leads.usecases.submit import SubmitLead, Submitted, submit
from services.leads.wire.leads import handoff_message
from smarketing.server.commands import Call, Command, Done
from tests.builders.leads import FORM, House, a_submission


def a_command(number: int) -> Command[SubmitLead]:
    call = Call(
        tenant="default",
        principal=FORM,
        on_behalf_of="",
        method="/smarketing.api.leads.v1.LeadService/SubmitLead",
        request_id=f"00000000-0000-4000-8000-{number:012d}",
        fingerprint=bytes([number]),
        resource="tenants/default",
        traceparent="",
    )
    return Command(SubmitLead(a_submission(number), By(FORM)), call)


def render(submitted: Submitted) -> Any:
    return handoff_message(submitted.handoff)


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=8), min_size=1, max_size=5))
def test_a_request_repeated_in_any_batch_gets_the_first_answer(batches: list[list[int]]) -> None:
    async def scenario() -> None:
        async with House() as house:
            answers: dict[int, bytes] = {}
            for batch in batches:
                commands = [house.store.command(submit, a_command(n), render=render) for n in batch]
                for number, done in zip(batch, await asyncio.gather(*commands), strict=True):
                    assert isinstance(done, Done)
                    assert done.replayed is (number in answers)
                    assert answers.setdefault(number, done.response) == done.response
                house.later(minutes=1)

            def count(connection: Any) -> int:
                return len(connection.execute(SCHEMA.leads.handoff.select()).all())

            assert await house.rows(count) == len(answers)

    asyncio.run(scenario())


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8),
        min_size=1,
        max_size=5,
    )
)
def test_a_submission_repeated_in_any_batch_makes_one_lead(batches: list[list[tuple[int, int]]]) -> None:
    async def scenario() -> None:
        async with House() as house:
            known: dict[tuple[int, int], Any] = {}
            for batch in batches:
                submissions = [a_submission(number, revision=revision) for number, revision in batch]
                for key, result in zip(batch, await house.submit(*submissions), strict=True):
                    assert known.setdefault(key, result.handoff.id) == result.handoff.id
                    house.later(seconds=1)
            leads = {number: {known[n, r].lead for n, r in known if n == number} for number, _ in known}
            assert all(len(found) == 1 for found in leads.values())

    asyncio.run(scenario())
