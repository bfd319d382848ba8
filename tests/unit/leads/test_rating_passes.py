"""What is open is rated again after a model was activated, and once a day."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from services.leads.domain.lead import History, Qualification
from services.leads.store.rescoring import EVERY, find_pass
from services.leads.usecases.rescoring import rate_part
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.leads import House, a_directory, a_submission
from tests.builders.rating import HOT, WARM, a_rescorer, behave, rating_of, told
from tests.builders.scoring import HALF_LIFE, a_fit_rule, a_model, activate, told_visit


async def test_behaviour_taken_in_before_there_was_a_model_counts_once_there_is_one() -> None:
    async with House() as house:
        await behave(house, told_visit(1))
        [submitted] = await house.submit(a_submission())
        await behave(house, told_visit(2))

        await activate(house, a_model())
        await a_rescorer(house).run_once()

        assert await rating_of(house, submitted.handoff) == HOT


async def test_activating_a_model_rates_all_that_is_open_and_nothing_that_is_not() -> None:
    async with House() as house:
        submitted = await house.submit(*(a_submission(number) for number in range(1, 6)))
        [history] = await house.submit(a_submission(9, history=History()))
        await activate(house, a_model())

        while await a_rescorer(house).run_once():
            pass

        ratings = {await rating_of(house, each.handoff) for each in submitted}
        done = await house.rows(find_pass("default"))
        [event] = await told(house, leadeventspb.HandoffsRerated)
        assert ratings == {WARM}
        assert await rating_of(house, history.handoff) is None
        assert done is not None
        assert (done.scored_count, done.changed_count) == (5, 5)
        assert done.finish_time == house.now
        assert {each.handoff for each in event.handoffs} == {each.handoff.name for each in submitted}


async def test_a_pass_writes_and_tells_only_what_changed() -> None:
    async with House() as house:
        await house.submit(a_submission(1), a_submission(2, qualification=Qualification(segment="fashion")))
        await activate(house, a_model())
        await a_rescorer(house).run_once()
        await activate(house, a_model(fit_rules=(a_fit_rule(points=39),)))

        await a_rescorer(house).run_once()

        # The version that rated is part of a rating: another model's say is another say.
        _, second = await told(house, leadeventspb.HandoffsRerated)
        assert {(each.rating.score, each.rating.score_model[-1]) for each in second.handoffs} == {(10, "2")}

        house.later(days=2)
        await a_rescorer(house).run_once()
        done = await house.rows(find_pass("default"))
        assert done is not None
        assert (done.scored_count, done.changed_count) == (2, 0)
        assert len(await told(house, leadeventspb.HandoffsRerated)) == 2


async def test_a_score_decays_in_the_daily_pass_though_nothing_happened() -> None:
    async with House() as house:
        await activate(house, a_model())
        [submitted] = await house.submit(a_submission())
        await behave(house, told_visit(1), told_visit(2))
        while await a_rescorer(house).run_once():
            pass
        assert await rating_of(house, submitted.handoff) == HOT

        house.later(days=EVERY.days - 1, hours=23)
        idle = await a_rescorer(house).run_once()
        house.later(seconds=HALF_LIFE.total_seconds())
        await a_rescorer(house).run_once()

        assert not idle
        assert await rating_of(house, submitted.handoff) == WARM


async def test_a_pass_goes_on_where_it_was_and_gives_way_to_a_newer_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.leads.usecases.rescoring._PART", 2)
    monkeypatch.setattr("services.leads.usecases.rescoring._AHEAD", 2)
    async with House() as house:
        submitted = await house.submit(*(a_submission(number) for number in range(1, 6)))
        await activate(house, a_model())
        await a_rescorer(house).run_once()
        half = await house.rows(find_pass("default"))

        await activate(house, a_model())
        while await a_rescorer(house).run_once():
            pass

        done = await house.rows(find_pass("default"))
        assert half is not None
        assert (half.scored_count, half.finish_time) == (2, None)
        assert done is not None
        assert (done.version, done.scored_count) == (2, 5)
        assert {await rating_of(house, each.handoff) for each in submitted} == {replace(WARM, version=2)}


async def test_a_part_of_a_pass_is_rated_once_however_many_work_on_it() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())
        await activate(house, a_model())
        before = await house.rows(find_pass("default"))
        assert before is not None
        part = partial(rate_part, before=before, ids=[submitted.handoff.id])

        first, second = await house.store.sweep(part), await house.store.sweep(part)

        assert first is not None
        assert second is None
        assert await house.rows(find_pass("default")) == first
        assert first.scored_count == 1


async def test_a_pass_moves_what_waits_in_a_queue_to_its_new_place() -> None:
    directory = a_directory(with_rule=False)

    def waiting(connection: Connection) -> Sequence[Any]:
        order = "SELECT lead FROM handoff ORDER BY claim_time, claim_value DESC, claim_score DESC"
        return connection.execute(text(order)).scalars().all()

    async with House(directory) as house:
        fashion, retail = await house.submit(
            a_submission(1, qualification=Qualification(segment="fashion", score=90)),
            a_submission(2, qualification=Qualification(segment="retail", score=20)),
        )
        before = await house.rows(waiting)
        await activate(house, a_model())
        await a_rescorer(house).run_once()

        leads = [fashion.handoff.id.lead, retail.handoff.id.lead]
        assert before == leads
        assert await house.rows(waiting) == leads[::-1]
