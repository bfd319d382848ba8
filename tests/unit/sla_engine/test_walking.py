"""A walk through a back-test: one at a time, no longer than it may, and gone when nobody listens."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from sqlalchemy.pool import QueuePool

from services.sla.domain.refused import AgreementUnknown
from services.sla.usecases.backtest import Question, Walk
from services.sla.usecases.walking import WalkBusy, Walks, WalkTooLong
from tests.builders.sla_engine import TENANT, Engine


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = Engine()
    engine.agree()
    for number in range(25):
        engine.submit(f"{TENANT}/leads/l{number:02}/handoffs/1")
    return engine


def a_walk(engine: Engine, version: str = "") -> Walk:
    start, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    question = Question(tenant="default", start=start, end=end, version=version)
    return Walk(
        database=engine.database,
        archive=engine.archive,
        question=question,
        now=engine.now,
        sight=None,
        page=50,
    )


def is_free(engine: Engine) -> bool:
    """Tell whether nobody holds a connection of the database."""
    pools = (engine.database.writer_engine.pool, engine.database.reader_engine.pool)
    return all(isinstance(pool, QueuePool) and pool.checkedout() == 0 for pool in pools)


@pytest.fixture
async def under_way(engine: Engine) -> AsyncIterator[Walks]:
    walks = Walks()
    async with aclosing(walks.walk(a_walk(engine))) as stretches:
        await anext(stretches)
        yield walks


async def test_steps_go_on_to_the_last_handoff_and_give_the_snapshot_back(engine: Engine) -> None:
    found = [stretch async for stretch in Walks().walk(a_walk(engine))]

    assert [stretch.done for stretch in found] == [10, 20, 25]
    assert [stretch.is_over for stretch in found] == [False, False, True]
    assert is_free(engine)


async def test_while_one_is_under_way_another_is_refused(engine: Engine, under_way: Walks) -> None:
    with pytest.raises(WalkBusy):
        await anext(under_way.walk(a_walk(engine)))


async def test_one_that_nobody_listens_to_gives_its_snapshot_back_and_the_next_may_begin(
    engine: Engine,
) -> None:
    walks = Walks()
    async with aclosing(walks.walk(a_walk(engine))) as stretches:
        await anext(stretches)
        assert not is_free(engine)

    assert is_free(engine)
    assert len([stretch async for stretch in walks.walk(a_walk(engine))]) == 3


async def test_one_that_takes_too_long_is_ended_between_two_steps(engine: Engine) -> None:
    walks = Walks(longest_seconds=0)

    with pytest.raises(WalkTooLong):
        [stretch async for stretch in walks.walk(a_walk(engine))]
    assert is_free(engine)


async def test_a_question_about_what_is_not_there_leaves_nothing_behind(engine: Engine) -> None:
    walks = Walks()
    unknown = f"{TENANT}/agreements/none/versions/1"

    with pytest.raises(AgreementUnknown):
        await anext(walks.walk(a_walk(engine, unknown)))
    assert is_free(engine)
    assert len([stretch async for stretch in walks.walk(a_walk(engine))]) == 3
