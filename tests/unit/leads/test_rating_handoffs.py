"""Handoffs are rated by the model as they are submitted; the sender's own score stays."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

from services.leads.domain.directory import Routing, RoutingMember, RoutingRule
from services.leads.domain.errors import EtagStale
from services.leads.domain.lead import History, Qualification, Rating
from services.leads.domain.mql_definition import Shortfall
from services.leads.domain.routing_rules import Condition
from services.leads.domain.scoring_errors import ScoreModelInvalid, ScoreModelUnknown
from services.leads.store.directory import Directories
from services.leads.store.schema import SCHEMA
from services.leads.store.scoring import MODELS, find_version
from services.leads.store.sealing import Sealer
from services.leads.store.transaction import By
from services.leads.usecases.explaining import score_of
from services.leads.usecases.previewing import Previewer
from services.leads.usecases.scoring_versions import Activate, ProposeModel, activate_models, propose_models
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.leads import ANNA, BEN, MARKETER, QUEUE, House, a_directory, a_submission
from tests.builders.rating import WARM, behave, rating_of, told
from tests.builders.scoring import (
    a_definition,
    a_fit_rule,
    a_model,
    activate,
    an_engagement_rule,
    put_in_force,
    told_visit,
)


async def test_without_a_model_and_a_definition_nothing_is_said_of_either() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())

        [event] = await told(house, leadeventspb.HandoffSubmitted)
        assert submitted.handoff.qualification.rating is None
        assert not event.HasField("conformance")
        assert not event.qualification.HasField("rating")
        assert await told(house, leadeventspb.HandoffRated) == []


async def test_a_submission_is_rated_at_once_beside_the_sender_s_own_score() -> None:
    async with House() as house:
        await activate(house, a_model())

        [submitted] = await house.submit(a_submission())

        stored = await house.handoff(submitted.handoff.id)
        [event] = await told(house, leadeventspb.HandoffRated)
        assert (stored.qualification.score, stored.qualification.rating) == (70, WARM)
        assert event.handoff == submitted.handoff.name
        assert (event.score.rating.score, event.score.rating.band) == (60, "WARM")
        assert event.score.rating.score_model == "tenants/default/scoreModels/1"
        assert [(each.rule_id, each.field) for each in event.score.reasons] == [("retail", "segment")]


async def test_no_sender_rates_by_the_tenants_model() -> None:
    forged = Qualification(segment="fashion", rating=None, score=99)

    async with House() as house:
        await activate(house, a_model())
        [submitted] = await house.submit(a_submission(qualification=forged))

        assert submitted.handoff.qualification.rating == Rating(10, "COLD", 1)


async def test_routing_goes_by_the_model_s_score_where_there_is_one() -> None:
    best = RoutingRule(
        rule_id="best", condition=Condition(min_score=65), members=(RoutingMember(person=BEN),)
    )
    rest = RoutingRule(rule_id="rest", members=(RoutingMember(person=ANNA),))
    directory = a_directory()
    routing = Routing(version=2, rules=(best, rest), fallback_queue=QUEUE)

    async with House(replace(directory, routing=routing)) as house:
        [by_sender] = await house.submit(a_submission(1))
        await activate(house, a_model())
        [by_model] = await house.submit(a_submission(2))

        offers = [each.handoff.offer and each.handoff.offer.assignee for each in (by_sender, by_model)]
        assert offers == [BEN, ANNA]
        previewed = await house.rows(lambda connection: _previewed(house, connection, number=3))
        assert previewed == ANNA


def _previewed(house: House, connection: Connection, *, number: int) -> str:
    directory = Directories(SCHEMA.directory.directory).find(connection, "tenants/default")
    assert directory is not None
    previewer = Previewer(connection, directory, sealer=Sealer(bytes(32)), now=house.now)
    placement = previewer.submission(a_submission(number)).one
    return "" if placement is None else placement.assignee


async def test_a_correction_that_changes_a_field_of_the_model_changes_the_score() -> None:
    async with House() as house:
        await activate(house, a_model())
        [first] = await house.submit(a_submission(qualification=Qualification(segment="fashion")))

        [corrected] = await house.submit(
            a_submission(revision=2, qualification=Qualification(segment="retail"))
        )

        assert first.handoff.qualification.rating == Rating(10, "COLD", 1)
        assert corrected.handoff.qualification.rating == WARM
        assert await rating_of(house, first.handoff) == WARM


async def test_a_model_that_cannot_rate_is_not_kept() -> None:
    async with House() as house:
        with pytest.raises(ScoreModelInvalid):
            await house.one(propose_models, ProposeModel("default", a_model(cells=())))

        assert await house.rows(find_version(MODELS, "default", 1)) is None


async def test_activating_what_is_not_there_or_moved_on_is_refused() -> None:
    async with House() as house:
        by = By(MARKETER)
        with pytest.raises(ScoreModelUnknown):
            await house.one(activate_models, Activate(tenant="default", version=7, etag="", by=by))
        version = await activate(house, a_model())
        with pytest.raises(EtagStale):
            await house.one(activate_models, Activate(tenant="default", version=version, etag="0", by=by))


async def test_activating_the_active_version_again_changes_and_tells_nothing() -> None:
    async with House() as house:
        await activate(house, a_model())

        await house.one(activate_models, Activate(tenant="default", version=1, etag="1", by=By(MARKETER)))

        assert len(await told(house, leadeventspb.ScoreModelActivated)) == 1


async def test_a_handoff_says_whether_it_met_the_definition_in_force_whatever_the_sender_claims() -> None:
    async with House() as house:
        await activate(house, a_model())
        await put_in_force(house, a_definition())
        claimed = Qualification(segment="fashion", definition="gold", score=100)

        await behave(house, told_visit(1), told_visit(2))
        await house.submit(a_submission(1), a_submission(2, qualification=claimed))

        met, short = [event.conformance for event in await told(house, leadeventspb.HandoffSubmitted)]
        assert met.mql_definition == "tenants/default/mqlDefinitions/1"
        assert (met.conforming, met.engagement_points) == (True, 20)
        assert (met.required_field_count, met.filled_field_count, list(met.missing_fields)) == (
            3,
            2,
            ["company"],
        )
        assert not short.conforming
        assert list(short.shortfalls) == [Shortfall.FIT.value, Shortfall.ENGAGEMENT.value]


async def test_a_definition_counts_by_its_own_model_whichever_rates() -> None:
    async with House() as house:
        await activate(house, a_model())
        await put_in_force(house, a_definition(min_engagement_points=0))
        await activate(house, a_model(fit_rules=(a_fit_rule(values=("fashion",)),)))

        [submitted] = await house.submit(a_submission())

        [event] = await told(house, leadeventspb.HandoffSubmitted)
        assert event.conformance.conforming
        assert submitted.handoff.qualification.rating == Rating(10, "COLD", 2)


async def test_a_definition_of_today_says_nothing_of_history() -> None:
    async with House() as house:
        await activate(house, a_model())
        await put_in_force(house, a_definition())

        await house.submit(a_submission(history=History(still_open=True)))

        [event] = await told(house, leadeventspb.HandoffSubmitted)
        assert not event.HasField("conformance")


async def test_a_lead_s_score_is_explained_by_any_version_without_writing() -> None:
    async with House() as house:
        await activate(house, a_model())
        [submitted] = await house.submit(a_submission())
        await behave(house, told_visit(1))
        await house.one(
            propose_models,
            ProposeModel("default", a_model(engagement_rules=(an_engagement_rule(points=30),))),
        )

        def explained(version: int) -> Any:
            return score_of(
                Sealer(bytes(32)),
                "default",
                submitted.handoff.id.lead,
                version=version,
                currency_code="EUR",
                now=house.now,
            )

        by_active, by_proposed = [await house.rows(explained(version)) for version in (0, 2)]

        assert (by_active.rating, by_active.engagement_points) == (WARM, 10)
        assert (by_proposed.rating.score, by_proposed.engagement_points) == (90, 30)
        assert await rating_of(house, submitted.handoff) == WARM
