"""How leads are rated, what they did, and what counts as marketing-qualified."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.leads.v1.scoring_pb2_grpc import ScoringServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["ScoringClient"]


class ScoringClient:
    """Proposes and activates score models and MQL definitions, tells of behaviour, and asks for scores."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = ScoringServiceStub(connection.channel)

    async def propose_score_model(
        self, request: scoringpb.ProposeScoreModelRequest, within: timedelta | None = None
    ) -> scoringpb.ScoreModel:
        """Keep the next version of the model."""
        return await self._connection.call(self._stub.ProposeScoreModel, request, within)

    async def activate_score_model(
        self, request: scoringpb.ActivateScoreModelRequest, within: timedelta | None = None
    ) -> scoringpb.ScoreModel:
        """Let a version rate from now on."""
        return await self._connection.call(self._stub.ActivateScoreModel, request, within)

    async def get_score_model(
        self, request: scoringpb.GetScoreModelRequest, within: timedelta | None = None
    ) -> scoringpb.ScoreModel:
        """Return one version, with how far the open handoffs are rated by it."""
        return await self._connection.call(self._stub.GetScoreModel, request, within)

    async def score_lead(
        self, request: scoringpb.ScoreLeadRequest, within: timedelta | None = None
    ) -> scoringpb.LeadScore:
        """Say how a lead scores now, and why."""
        return await self._connection.call(self._stub.ScoreLead, request, within)

    async def record_behaviours(
        self, request: scoringpb.RecordBehavioursRequest, within: timedelta | None = None
    ) -> scoringpb.RecordBehavioursResponse:
        """Tell what leads did, up to 500 at once."""
        return await self._connection.call(self._stub.RecordBehaviours, request, within)

    async def propose_mql_definition(
        self, request: scoringpb.ProposeMqlDefinitionRequest, within: timedelta | None = None
    ) -> scoringpb.MqlDefinition:
        """Keep the next version of the definition."""
        return await self._connection.call(self._stub.ProposeMqlDefinition, request, within)

    async def activate_mql_definition(
        self, request: scoringpb.ActivateMqlDefinitionRequest, within: timedelta | None = None
    ) -> scoringpb.MqlDefinition:
        """Hold new handoffs against a version from now on."""
        return await self._connection.call(self._stub.ActivateMqlDefinition, request, within)

    async def get_mql_definition(
        self, request: scoringpb.GetMqlDefinitionRequest, within: timedelta | None = None
    ) -> scoringpb.MqlDefinition:
        """Return one version."""
        return await self._connection.call(self._stub.GetMqlDefinition, request, within)

    async def score_models(
        self, request: scoringpb.ListScoreModelsRequest
    ) -> AsyncGenerator[scoringpb.ScoreModel, None]:
        """Yield versions of the model, newest first."""

        async def fetch(page: scoringpb.ListScoreModelsRequest) -> scoringpb.ListScoreModelsResponse:
            return await self._connection.call(self._stub.ListScoreModels, page)

        async for page in each_page(fetch, request):
            for each in page.score_models:
                yield each

    async def mql_definitions(
        self, request: scoringpb.ListMqlDefinitionsRequest
    ) -> AsyncGenerator[scoringpb.MqlDefinition, None]:
        """Yield versions of the definition, newest first."""

        async def fetch(page: scoringpb.ListMqlDefinitionsRequest) -> scoringpb.ListMqlDefinitionsResponse:
            return await self._connection.call(self._stub.ListMqlDefinitions, page)

        async for page in each_page(fetch, request):
            for each in page.mql_definitions:
                yield each
