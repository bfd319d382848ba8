"""Handoffs are rated by the model: at submission, by behaviour, in passes; the sender's own score stays."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import Connection, func, select, text

from services.leads.domain.directory import Routing, RoutingMember, RoutingRule
from services.leads.domain.errors import EtagStale, FieldInvalid, TenantUnknown
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact, History, Qualification, Rating
from services.leads.domain.mql_definition import Shortfall
from services.leads.domain.routing_rules import Condition
from services.leads.domain.scoring_errors import ScoreModelInvalid, ScoreModelUnknown
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import SourceChannel
from services.leads.store.directory import Directories
from services.leads.store.rescoring import EVERY, find_pass
from services.leads.store.schema import SCHEMA
from services.leads.store.scoring import MODELS, MOST_BEHAVED, find_version, unpacked
from services.leads.store.sealing import Sealer
from services.leads.store.transaction import By
from services.leads.usecases.behaviour import Heed, RecordBehaviour, RecordedBehaviour, record_behaviours
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects
from services.leads.usecases.explaining import score_of
from services.leads.usecases.offers import AnswerOffer, accept_offers
from services.leads.usecases.previewing import Previewer
from services.leads.usecases.rescoring import Rescorer, rate_part
from services.leads.usecases.scoring_versions import Activate, ProposeModel, activate_models, propose_models
from services.leads.usecases.work import Decide, recycle_handoffs
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.leads import ANNA, BEN, MARKETER, QUEUE, House, a_directory, a_submission, asked_by
from tests.builders.scoring import (
    HALF_LIFE,
    a_definition,
    a_fit_rule,
    a_model,
    activate,
    an_engagement_rule,
    put_in_force,
    told_visit,
)

WARM = Rating(60, "WARM", 1)
HOT = Rating(90, "HOT", 1)


async def told(house: House, kind: type[Message]) -> list[Any]:
    """Return the events of a kind, in order."""

    def query(connection: Connection) -> Sequence[bytes]:
        log = SCHEMA.event_log.event_log.c
        wanted = select(log.payload).where(log.payload_type == kind.DESCRIPTOR.full_name)
        return connection.execute(wanted.order_by(log.position)).scalars().all()

    return [kind.FromString(bytes(payload)) for payload in await house.rows(query)]


async def behave(house: House, *requests: RecordBehaviour) -> list[RecordedBehaviour]:
    results = await house.all(record_behaviours, *requests)
    assert all(isinstance(result, RecordedBehaviour) for result in results), results
    return [result for result in results if isinstance(result, RecordedBehaviour)]


async def rating_of(house: House, handoff: Handoff) -> Rating | None:
    return (await house.handoff(handoff.id)).qualification.rating


def kept_of_behaviour(connection: Connection) -> list[int]:
    """Return of how many leads behaviour is kept, and for how many submissions it is held."""
    tables = (SCHEMA.scoring.engagement, SCHEMA.scoring.held_engagement)
    return [connection.execute(select(func.count()).select_from(each)).scalar_one() for each in tables]


def a_rescorer(house: House) -> Rescorer:
    return Rescorer(house.store, now=lambda: house.now)


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


async def test_behaviour_counts_once_and_raises_the_score_of_what_is_open() -> None:
    async with House() as house:
        await activate(house, a_model())
        [submitted] = await house.submit(a_submission())

        first = await behave(house, told_visit(1), told_visit(2), told_visit(1))
        again = await behave(house, told_visit(2))

        assert [each.heed for each in first] == [Heed.RECORDED, Heed.RECORDED, Heed.DUPLICATE]
        assert [each.heed for each in again] == [Heed.DUPLICATE]
        assert await rating_of(house, submitted.handoff) == HOT
        assert len(await told(house, leadeventspb.BehaviourRecorded)) == 2
        _, raised = await told(house, leadeventspb.HandoffRated)
        assert (raised.previous_rating.band, raised.score.rating.band) == ("WARM", "HOT")
        assert raised.score.reasons[1].behaviour_count == 2


async def test_behaviour_that_moves_no_score_tells_of_none() -> None:
    async with House() as house:
        await activate(house, a_model())
        await house.submit(a_submission())

        await behave(house, told_visit(1))

        assert len(await told(house, leadeventspb.HandoffRated)) == 1


async def test_behaviour_before_its_submission_is_held_and_counts_from_then_on() -> None:
    async with House() as house:
        await activate(house, a_model())

        held = await behave(house, told_visit(1), told_visit(2), told_visit(2))
        [submitted] = await house.submit(a_submission())

        assert [each.heed for each in held] == [Heed.HELD, Heed.HELD, Heed.DUPLICATE]
        assert submitted.handoff.qualification.rating == HOT
        # It is the lead's own from now on, and not forgotten with what is held in vain.
        assert await house.rows(kept_of_behaviour) == [1, 0]


async def test_behaviour_held_for_a_submission_that_joins_another_s_handoff_counts_there() -> None:
    async with House() as house:
        await activate(house, a_model())
        kim = Contact(email="kim@example.com")
        [first] = await house.submit(a_submission(1, contact=kim))

        await behave(house, told_visit(1, of=2), told_visit(2, of=2))
        [second] = await house.submit(a_submission(2, contact=kim))

        assert second.handoff.id == first.handoff.id
        assert second.handoff.qualification.rating == HOT


async def test_behaviour_taken_in_before_there_was_a_model_counts_once_there_is_one() -> None:
    async with House() as house:
        await behave(house, told_visit(1))
        [submitted] = await house.submit(a_submission())
        await behave(house, told_visit(2))

        await activate(house, a_model())
        await a_rescorer(house).run_once()

        assert await rating_of(house, submitted.handoff) == HOT


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": None}, "kind"),
        ({"external_id": ""}, "external_id"),
        ({"behaviour_external_id": ""}, "behaviour_external_id"),
    ],
)
async def test_bad_behaviour_is_refused_alone(changes: dict[str, Any], field: str) -> None:
    async with House() as house:
        await house.submit(a_submission())

        refused, taken = await house.all(record_behaviours, told_visit(1, **changes), told_visit(2))

        assert isinstance(refused, FieldInvalid)
        assert refused.field == field
        assert isinstance(taken, RecordedBehaviour)


async def test_behaviour_of_a_tenant_or_system_that_cannot_be_is_refused() -> None:
    async with House() as house:
        elsewhere = replace(told_visit(), tenant="elsewhere")
        odd = replace(told_visit(), source_system="Not A System")

        unknown, invalid = await house.all(record_behaviours, elsewhere, odd)

        assert isinstance(unknown, TenantUnknown)
        assert isinstance(invalid, FieldInvalid)


async def test_only_the_newest_behaviour_of_a_lead_is_kept() -> None:
    async with House() as house:
        await house.submit(a_submission())
        more = MOST_BEHAVED + 10
        for number in range(more):
            house.later(seconds=1)
            await behave(house, told_visit(number))

        [kept] = await house.rows(
            lambda connection: connection.execute(text("SELECT behaved FROM engagement")).scalars().all()
        )

        behaved = unpacked(bytes(kept))
        assert len(behaved) == MOST_BEHAVED
        assert behaved[-1].occur_time == house.now


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


@pytest.mark.parametrize("rated", [True, False])
async def test_what_an_erased_person_did_is_forgotten_and_nothing_more_of_it_is_kept(*, rated: bool) -> None:
    async with House() as house:
        if rated:
            await activate(house, a_model())
        await behave(house, told_visit(1))
        [submitted] = await house.submit(a_submission())
        await behave(house, told_visit(2))

        subject = Subject(tenant="default", lead=submitted.handoff.id.lead)
        await house.one(erase_subjects, EraseSubject(subject=subject, by=By(MARKETER)))
        await behave(house, told_visit(3))

        assert await house.rows(kept_of_behaviour) == [0, 0]


async def test_held_behaviour_of_whom_nothing_came_is_forgotten_in_time() -> None:
    async with House() as house:
        await behave(house, told_visit(1))
        early = await house.store.sweep(lambda tx: tx.scoring.purge_held())
        house.later(days=91)

        late = await house.store.sweep(lambda tx: tx.scoring.purge_held())

        assert (early, late) == (0, 1)


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


async def recycle(house: House, handoff: Handoff) -> None:
    assert handoff.offer is not None
    asker = asked_by(handoff.offer.assignee)
    number = handoff.offer.number
    await house.one(
        accept_offers,
        AnswerOffer(handoff=handoff.id, offer=number, fencing_token=number, asker=asker),
    )
    await house.one(
        recycle_handoffs,
        Decide(
            handoff=handoff.id,
            asker=asker,
            reason_code="NOT_NOW",
            recycle_until_time=house.now + HALF_LIFE,
        ),
    )


async def test_a_recycled_lead_that_does_enough_again_is_handed_over_again() -> None:
    async with House() as house:
        await activate(house, a_model(requalify_from_score=80))
        await put_in_force(house, a_definition())
        [first] = await house.submit(a_submission())
        await recycle(house, first.handoff)
        house.later(days=1)

        await behave(house, told_visit(1))
        [_] = await told(house, leadeventspb.HandoffSubmitted)
        await behave(house, told_visit(2))

        _, second = await told(house, leadeventspb.HandoffSubmitted)
        [requalified] = await told(house, leadeventspb.HandoffRequalified)
        begun = await house.handoff(HandoffId("default", first.handoff.id.lead, 2))
        assert second.handoff == requalified.handoff == begun.name
        assert requalified.previous_handoff == first.handoff.name
        assert second.conformance.conforming
        assert begun.state is HandoffState.OFFERED
        assert begun.qualification.rating == HOT
        assert begun.qualification.source_channel is SourceChannel.RE_ENGAGED
        assert begun.qualification.inquire_time == house.now
        assert begun.qualification.score is None


async def test_what_sales_knew_when_it_recycled_a_lead_brings_nobody_back() -> None:
    async with House() as house:
        await activate(house, a_model(requalify_from_score=80))
        [first] = await house.submit(a_submission())
        await behave(house, told_visit(1), told_visit(2))
        house.later(minutes=1)
        await recycle(house, first.handoff)
        house.later(minutes=1)

        await behave(house, told_visit(3))

        assert len(await told(house, leadeventspb.HandoffSubmitted)) == 1


async def test_a_lead_that_was_not_recycled_or_has_no_threshold_is_not_handed_over_again() -> None:
    async with House() as house:
        await activate(house, a_model(requalify_from_score=None))
        [first] = await house.submit(a_submission())
        await recycle(house, first.handoff)
        house.later(days=1)

        await behave(house, told_visit(1), told_visit(2))

        assert len(await told(house, leadeventspb.HandoffSubmitted)) == 1
