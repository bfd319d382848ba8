"""Streams of batches: in order, a few at once, and nothing left behind when they break."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.leads.rpc.batches import MOST_IN_WORK, answered_in_order


async def numbers(count: int, seen: list[int] | None = None) -> AsyncIterator[int]:
    for number in range(count):
        if seen is not None:
            seen.append(number)
        yield number


async def collect(answers: AsyncIterator[int], into: list[int]) -> None:
    async for each in answers:
        into.append(each)  # noqa: PERF401 -- what came before an error is kept


async def test_answers_come_in_the_order_of_the_requests_however_long_each_takes() -> None:
    first_may_end = asyncio.Event()

    async def answer(number: int) -> int:
        if number == 0:
            await first_may_end.wait()
        elif number == 2:
            first_may_end.set()
        return number

    assert [each async for each in answered_in_order(numbers(9), answer)] == list(range(9))


async def test_no_more_than_a_few_batches_are_read_while_the_first_waits() -> None:
    seen: list[int] = []
    stuck = asyncio.Event()

    async def answer(number: int) -> int:
        await stuck.wait()
        return number

    answers = answered_in_order(numbers(100, seen), answer)
    first = asyncio.ensure_future(anext(answers))
    for _ in range(50):
        await asyncio.sleep(0)

    assert len(seen) == MOST_IN_WORK + 1
    stuck.set()
    assert await first == 0
    await answers.aclose()


async def test_a_batch_that_is_refused_ends_the_stream_after_the_answers_before_it() -> None:
    async def answer(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    answered: list[int] = []
    with pytest.raises(ValueError, match="2"):
        await collect(answered_in_order(numbers(5), answer), answered)

    assert answered == [0, 1]


async def test_a_request_that_cannot_be_read_ends_the_stream_after_the_answers_before_it() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 0
        raise ValueError("unreadable")

    async def answer(number: int) -> int:
        return number

    answered: list[int] = []
    with pytest.raises(ValueError, match="unreadable"):
        await collect(answered_in_order(broken(), answer), answered)

    assert answered == [0]
