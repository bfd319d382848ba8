"""ScoringService as its callers meet it: models, definitions, behaviour and explanations over gRPC."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from services.leads.usecases.bootstrap import token_file
from services.leads.usecases.rescoring import Rescorer
from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.leads.v1.scoring_pb2_grpc import ScoringServiceStub
from smarketing.api.leads.v1.work_pb2_grpc import WorkServiceStub
from tests.contract.leads.office import (
    ANNA,
    FORM,
    LEA,
    MAX,
    MIA,
    TENANT,
    Metadata,
    Office,
    an_office,
    reason_of,
)

PRESENT = scoringpb.FitRule.OPERATOR_PRESENT
ONE_OF = scoringpb.FitRule.OPERATOR_ONE_OF
VISITED = intakepb.Behaviour.KIND_PAGE_VISITED


def a_model(**changes: Any) -> scoringpb.ScoreModel:
    """Sixty points for retail, ten a visit; scores of 0, 30, 50 and 100."""
    fields: dict[str, Any] = {
        "display_name": "First guess",
        "fit_rules": [
            scoringpb.FitRule(
                rule_id="retail", field="segment", operator=ONE_OF, values=["retail"], points=60
            ),
            scoringpb.FitRule(rule_id="reachable", field="email", operator=PRESENT, points=1),
        ],
        "max_fit_points": 100,
        "engagement_rules": [
            scoringpb.EngagementRule(
                rule_id="visits",
                kinds=[VISITED],
                points=10,
                max_points=40,
                half_life_duration=Duration(seconds=14 * 86_400),
            )
        ],
        "max_engagement_points": 100,
        "fit_grades": [
            scoringpb.FitGrade(grade="A", from_points=50),
            scoringpb.FitGrade(grade="B", from_points=0),
        ],
        "engagement_levels": [
            scoringpb.EngagementLevel(level="1", from_points=10),
            scoringpb.EngagementLevel(level="2", from_points=0),
        ],
        "cells": [
            scoringpb.ScoreCell(grade="B", level="2", score=0),
            scoringpb.ScoreCell(grade="B", level="1", score=30),
            scoringpb.ScoreCell(grade="A", level="2", score=50),
            scoringpb.ScoreCell(grade="A", level="1", score=100),
        ],
        "bands": [
            scoringpb.ScoreBand(band="COLD", from_score=0),
            scoringpb.ScoreBand(band="HOT", from_score=80),
        ],
    }
    return scoringpb.ScoreModel(**{**fields, **changes})


def a_behaviour(number: int, **changes: Any) -> intakepb.Behaviour:
    fields: dict[str, Any] = {
        "external_id": "form-1",
        "kind": VISITED,
        "behaviour_external_id": f"visit-{number}",
    }
    return intakepb.Behaviour(**{**fields, **changes})


class Desk:
    """The office, and what its people ask of scoring."""

    def __init__(self, office: Office, operator: Metadata) -> None:
        self.office = office
        self.operator = operator
        self.stub = ScoringServiceStub(office.channel)

    async def propose(self, model: scoringpb.ScoreModel, *, by: str = MAX) -> scoringpb.ScoreModel:
        request = scoringpb.ProposeScoreModelRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), score_model=model
        )
        return await self.stub.ProposeScoreModel(request, metadata=self.office.of(by))

    async def activate(self, name: str, *, by: str = MAX, etag: str = "") -> scoringpb.ScoreModel:
        request = scoringpb.ActivateScoreModelRequest(name=name, request_id=wallclock.new_uuid(), etag=etag)
        return await self.stub.ActivateScoreModel(request, metadata=self.office.of(by))

    async def record(
        self, *behaviours: intakepb.Behaviour, by: str = FORM, system: str = "website"
    ) -> list[scoringpb.RecordBehavioursResult]:
        request = scoringpb.RecordBehavioursRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), source_system=system, behaviours=behaviours
        )
        response = await self.stub.RecordBehaviours(request, metadata=self.office.of(by))
        assert response.request_id == request.request_id
        return list(response.results)

    async def score(self, lead: str, model: str = "") -> scoringpb.LeadScore:
        request = scoringpb.ScoreLeadRequest(name=lead, score_model=model)
        return await self.stub.ScoreLead(request, metadata=self.office.of(ANNA))

    async def read(self, request: leadspb.GetHandoffRequest) -> leadspb.Handoff:
        stub: Any = self.office.stub
        read: leadspb.Handoff = await stub.GetHandoff(request, metadata=self.office.of(ANNA))
        return read

    async def events(self) -> list[eventlogpb.Event]:
        request = eventlogpb.ReadEventsRequest(parent=TENANT, limit=500)
        return list(
            (
                await EventLogServiceStub(self.office.channel).ReadEvents(request, metadata=self.operator)
            ).events
        )


@asynccontextmanager
async def a_desk(data_dir: Path) -> AsyncIterator[Desk]:
    async with an_office(data_dir, principals=(FORM, ANNA, MIA, LEA, MAX)) as office:
        token = token_file(data_dir, "operator").read_text().strip()
        yield Desk(office, (("authorization", f"Bearer {token}"),))


async def refused(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


def lead_of(handoff: leadspb.Handoff) -> str:
    return handoff.name.partition("/handoffs/")[0]


async def test_a_model_comes_back_as_it_was_proposed_and_rates_once_it_is_activated(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        proposed = await desk.propose(a_model())
        before = await desk.office.submit(2)
        activated = await desk.activate(proposed.name, etag=proposed.etag)
        handoff = await desk.office.submit(1)

        said = scoringpb.ScoreModel(
            **{field.name: value for field, value in proposed.ListFields() if field.number in range(4, 13)}
        )
        assert said == a_model()
        assert proposed.name == f"{TENANT}/scoreModels/1"
        assert proposed.state == scoringpb.ScoreModel.STATE_PROPOSED
        assert activated.state == scoringpb.ScoreModel.STATE_ACTIVE
        assert activated.etag != proposed.etag
        assert not before.qualification.HasField("rating")
        assert handoff.qualification.rating == leadspb.Rating(
            score=50, band="COLD", score_model=proposed.name
        )


async def test_a_newer_version_retires_the_one_before_and_lists_come_newest_first(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        for name in ("one", "two", "three"):
            await desk.propose(a_model(display_name=name))
        for version in (1, 2):
            await desk.activate(f"{TENANT}/scoreModels/{version}")

        request = scoringpb.ListScoreModelsRequest(parent=TENANT, page_size=2)
        first = await desk.stub.ListScoreModels(request, metadata=desk.office.of(ANNA))
        request.page_token = first.next_page_token
        second = await desk.stub.ListScoreModels(request, metadata=desk.office.of(ANNA))

        found = [*first.score_models, *second.score_models]
        states = scoringpb.ScoreModel
        assert [(each.display_name, each.state) for each in found] == [
            ("three", states.STATE_PROPOSED),
            ("two", states.STATE_ACTIVE),
            ("one", states.STATE_RETIRED),
        ]
        assert not second.next_page_token


async def test_what_is_open_is_rated_in_the_background_and_the_model_says_how_far(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        handoffs = [await desk.office.submit(number) for number in range(3)]
        proposed = await desk.propose(a_model())
        await desk.activate(proposed.name)
        rescorer = Rescorer(desk.office.leads.store, now=wallclock.utc_now)
        while await rescorer.run_once():
            pass

        assert "rescore" in {each.name for each in desk.office.leads.background}
        get = scoringpb.GetScoreModelRequest(name=proposed.name)
        model = await desk.stub.GetScoreModel(get, metadata=desk.office.of(LEA))
        assert (model.rescoring.scored_count, model.rescoring.changed_count) == (3, 3)
        assert model.rescoring.HasField("finish_time")
        for each in handoffs:
            read = leadspb.GetHandoffRequest(name=each.name)
            rated = await desk.read(read)
            assert rated.qualification.rating.score == 50


async def test_behaviour_counts_once_and_its_score_reasons_and_timeline_say_so(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.activate((await desk.propose(a_model())).name)
        handoff = await desk.office.submit(1)

        results = await desk.record(a_behaviour(1), a_behaviour(1), a_behaviour(2, external_id="unknown"))
        score = await desk.score(lead_of(handoff))
        timeline = await WorkServiceStub(desk.office.channel).ListTimeline(
            workpb.ListTimelineRequest(parent=lead_of(handoff)), metadata=desk.office.of(ANNA)
        )

        kinds = scoringpb.RecordBehavioursResult
        assert [each.outcome for each in results] == [
            kinds.OUTCOME_RECORDED,
            kinds.OUTCOME_DUPLICATE,
            kinds.OUTCOME_HELD,
        ]
        assert [each.handoff for each in results] == [handoff.name, handoff.name, ""]
        assert score.rating == leadspb.Rating(score=100, band="HOT", score_model=f"{TENANT}/scoreModels/1")
        assert [(each.rule_id, each.field, each.behaviour_count) for each in score.reasons] == [
            ("retail", "segment", 0),
            ("reachable", "email", 0),
            ("visits", "", 1),
        ]
        rated = [each for each in timeline.entries if each.type == "HandoffRated"]
        assert [each.score.rating.band for each in rated] == ["COLD", "HOT"]
        assert [each.rule_id for each in rated[1].score.reasons] == ["retail", "reachable", "visits"]


async def test_nothing_of_a_person_is_in_what_scoring_tells(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.activate((await desk.propose(a_model())).name)
        await desk.record(a_behaviour(1))
        await desk.office.submit(1)

        told = [each for each in await desk.events() if b"scoreModels" in each.payload.value]
        assert told
        for each in told:
            assert b"kim1" not in each.payload.value
            assert b"Kim" not in each.payload.value


async def test_a_rating_that_a_sender_sends_is_not_taken(tmp_path: Path) -> None:
    forged = leadspb.Qualification(segment="fashion", rating=leadspb.Rating(score=100, band="HOT"))

    async with a_desk(tmp_path) as desk:
        unrated = await desk.office.submit(1, qualification=forged)
        await desk.activate((await desk.propose(a_model())).name)
        rated = await desk.office.submit(2, qualification=forged)

        assert not unrated.qualification.HasField("rating")
        assert rated.qualification.rating.score == 0


async def test_a_batch_of_behaviour_takes_what_is_good_and_refuses_the_rest_one_by_one(
    tmp_path: Path,
) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.office.submit(1)

        good, bad = await desk.record(a_behaviour(1), a_behaviour(2, kind=0))
        empty = await refused(desk.record())
        many = await refused(desk.record(*(a_behaviour(number) for number in range(501))))
        odd = await desk.record(a_behaviour(3), system="Not A System")

        assert good.outcome == scoringpb.RecordBehavioursResult.OUTCOME_RECORDED
        assert bad.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert (empty[0], many[0]) == (grpc.StatusCode.INVALID_ARGUMENT,) * 2
        assert odd[0].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_a_definition_takes_both_parties_and_every_new_handoff_is_held_against_it(
    tmp_path: Path,
) -> None:
    definition = scoringpb.MqlDefinition(
        display_name="Retail, and reachable by phone",
        score_model=f"{TENANT}/scoreModels/1",
        min_fit_points=60,
        engagement_window=Duration(seconds=30 * 86_400),
        hand_raise=scoringpb.HandRaise(lead_types=["demo_request"]),
        required_fields=["email", "phone"],
    )
    propose = scoringpb.ProposeMqlDefinitionRequest(
        parent=TENANT, request_id=wallclock.new_uuid(), mql_definition=definition
    )

    async with a_desk(tmp_path) as desk:
        await desk.propose(a_model())
        kept = await desk.stub.ProposeMqlDefinition(propose, metadata=desk.office.of(MAX))
        activate = scoringpb.ActivateMqlDefinitionRequest(name=kept.name, request_id=wallclock.new_uuid())
        by_marketing = await refused(desk.stub.ActivateMqlDefinition(activate, metadata=desk.office.of(MAX)))
        in_force = await desk.stub.ActivateMqlDefinition(activate, metadata=desk.office.of(MIA))
        await desk.office.submit(1)
        await desk.office.submit(2, qualification=leadspb.Qualification(lead_type="demo_request"))
        await desk.office.submit(3, qualification=leadspb.Qualification(definition="gold", score=99))

        assert by_marketing[0] is grpc.StatusCode.PERMISSION_DENIED
        assert in_force.state == scoringpb.MqlDefinition.STATE_ACTIVE
        assert in_force.score_model == definition.score_model
        found = [
            leadeventspb.HandoffSubmitted.FromString(each.payload.value).conformance
            for each in await desk.events()
            if each.payload.TypeName().endswith(".HandoffSubmitted")
        ]
        assert [(each.conforming, each.hand_raised) for each in found] == [
            (True, False),
            (True, True),
            (False, False),
        ]
        assert list(found[2].shortfalls) == [scoringpb.Conformance.SHORTFALL_FIT]
        assert {each.mql_definition for each in found} == {kept.name}
        assert [list(each.missing_fields) for each in found] == [["phone"]] * 3


async def test_definitions_are_read_and_listed_by_either_party(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        for _ in range(2):
            request = scoringpb.ProposeMqlDefinitionRequest(
                parent=TENANT,
                request_id=wallclock.new_uuid(),
                mql_definition=scoringpb.MqlDefinition(
                    hand_raise=scoringpb.HandRaise(lead_types=["demo_request"])
                ),
            )
            await desk.stub.ProposeMqlDefinition(request, metadata=desk.office.of(MAX))

        listed = await desk.stub.ListMqlDefinitions(
            scoringpb.ListMqlDefinitionsRequest(parent=TENANT), metadata=desk.office.of(MIA)
        )
        read = await desk.stub.GetMqlDefinition(
            scoringpb.GetMqlDefinitionRequest(name=f"{TENANT}/mqlDefinitions/2"),
            metadata=desk.office.of(LEA),
        )

        assert [each.name[-1] for each in listed.mql_definitions] == ["2", "1"]
        assert read == listed.mql_definitions[0]


async def test_what_is_unknown_or_wrong_is_refused_with_its_reason(tmp_path: Path) -> None:
    nothing = f"{TENANT}/scoreModels/9"

    async with a_desk(tmp_path) as desk:
        handoff = await desk.office.submit(1)
        faulty = await refused(desk.propose(a_model(cells=[])))
        of_another = scoringpb.ProposeMqlDefinitionRequest(
            parent=TENANT,
            request_id=wallclock.new_uuid(),
            mql_definition=scoringpb.MqlDefinition(score_model=nothing, min_fit_points=1),
        )
        wrong = scoringpb.ProposeMqlDefinitionRequest(
            parent=TENANT,
            request_id=wallclock.new_uuid(),
            mql_definition=scoringpb.MqlDefinition(required_fields=["shoe_size"]),
        )
        get = scoringpb.GetMqlDefinitionRequest(name=f"{TENANT}/mqlDefinitions/1")

        assert faulty[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "SCORE_MODEL_INVALID")
        assert faulty[2]["field"] == "score_model.cells"
        assert (await refused(desk.activate(nothing)))[1] == "SCORE_MODEL_UNKNOWN"
        assert (await refused(desk.score(lead_of(handoff))))[1] == "SCORE_MODEL_UNKNOWN"
        assert (await refused(desk.score(f"{TENANT}/leads/nobody")))[1] == "LEAD_UNKNOWN"
        by_max = desk.office.of(MAX)
        assert (await refused(desk.stub.ProposeMqlDefinition(of_another, metadata=by_max)))[1] == (
            "SCORE_MODEL_UNKNOWN"
        )
        assert (await refused(desk.stub.ProposeMqlDefinition(wrong, metadata=by_max)))[1] == (
            "MQL_DEFINITION_INVALID"
        )
        assert (await refused(desk.stub.GetMqlDefinition(get, metadata=by_max)))[1] == (
            "MQL_DEFINITION_UNKNOWN"
        )


async def test_the_same_request_again_is_answered_as_before_and_keeps_one_version(tmp_path: Path) -> None:
    request = scoringpb.ProposeScoreModelRequest(
        parent=TENANT, request_id=wallclock.new_uuid(), score_model=a_model()
    )

    async with a_desk(tmp_path) as desk:
        first = await desk.stub.ProposeScoreModel(request, metadata=desk.office.of(MAX))
        again = await desk.stub.ProposeScoreModel(request, metadata=desk.office.of(MAX))

        assert first == again
        assert (await desk.propose(a_model())).name == f"{TENANT}/scoreModels/2"


async def test_who_sells_neither_proposes_a_model_nor_tells_of_behaviour(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        propose = await refused(desk.propose(a_model(), by=MIA))
        record = await refused(desk.record(a_behaviour(1), by=ANNA))

        assert (propose[0], record[0]) == (grpc.StatusCode.PERMISSION_DENIED,) * 2
