# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""ScoringService: parse, ask, render."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import grpc.aio

from services.leads.domain.errors import TenantUnknown
from services.leads.domain.intake import BehaviourKind, ToldBehaviour
from services.leads.domain.mql_definition import MqlDefinition
from services.leads.domain.scoring import Pass, ScoreModel, VersionState
from services.leads.domain.scoring_errors import MqlDefinitionUnknown, ScoreModelUnknown
from services.leads.rpc.asking import batch_call, by_caller, number_in
from services.leads.rpc.refusals import status_of
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import Batch, LeadStore
from services.leads.store.rescoring import find_pass
from services.leads.store.scoring import DEFINITIONS, MODELS, Version, find_version, list_versions
from services.leads.store.sealing import Sealer
from services.leads.store.transaction import By
from services.leads.usecases import scoring_versions as versions
from services.leads.usecases.behaviour import RecordBehaviour, RecordedBehaviour, record_behaviours
from services.leads.usecases.explaining import score_of
from services.leads.wire import scoring as wire
from services.leads.wire.values import instant_in
from smarketing import names
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.leads.v1.scoring_pb2_grpc import ScoringServiceServicer
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import permission_denied

__all__ = ["ScoringServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]

_LARGEST_BATCH: Final = 500
_KINDS: Final = {kind.value: kind for kind in BehaviourKind}


class ScoringServicer(ScoringServiceServicer):
    """Keeps score models and MQL definitions, takes in behaviour, and explains scores."""

    def __init__(
        self,
        store: LeadStore,
        directories: DirectoryStore,
        sealer: Sealer,
        pages: PageTokens,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._directories = directories
        self._sealer = sealer
        self._pages = pages
        self._now = now

    async def ProposeScoreModel(
        self, request: scoringpb.ProposeScoreModelRequest, context: _Context
    ) -> scoringpb.ScoreModel:
        """Keep the next version of the model."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        wanted = versions.ProposeModel(tenant, wire.model_of(request.score_model))
        outcome = await self._store.command(
            versions.propose_models,
            Command(wanted, call_for(request)),
            render=partial(_model_message, tenant),
        )
        return answer(outcome, scoringpb.ScoreModel)

    async def ActivateScoreModel(
        self, request: scoringpb.ActivateScoreModelRequest, context: _Context
    ) -> scoringpb.ScoreModel:
        """Let a version rate from now on."""
        tenant, version = _version_in(request.name, names.SCORE_MODEL)
        wanted = versions.Activate(tenant=tenant, version=version, etag=request.etag, by=by_caller())
        outcome = await self._store.command(
            versions.activate_models,
            Command(wanted, call_for(request)),
            render=partial(_model_message, tenant),
        )
        return answer(outcome, scoringpb.ScoreModel)

    async def GetScoreModel(
        self, request: scoringpb.GetScoreModelRequest, context: _Context
    ) -> scoringpb.ScoreModel:
        """Return one version."""
        tenant, version = _version_in(request.name, names.SCORE_MODEL)
        found = await self._store.read(find_version(MODELS, tenant, version))
        if found is None:
            raise ScoreModelUnknown(request.name)
        message = _model_message(tenant, found)
        if found.value.state is VersionState.ACTIVE:
            _put_pass(message, await self._store.read(find_pass(tenant)))
        return message

    async def ListScoreModels(
        self, request: scoringpb.ListScoreModelsRequest, context: _Context
    ) -> scoringpb.ListScoreModelsResponse:
        """List versions, newest first."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size, before = page_size_of(request), self._before(request)
        found = await self._store.read(list_versions(MODELS, tenant, before=before, limit=size + 1))
        return scoringpb.ListScoreModelsResponse(
            score_models=[_model_message(tenant, each) for each in found[:size]],
            next_page_token=self._next(request, found, size),
        )

    async def ScoreLead(self, request: scoringpb.ScoreLeadRequest, context: _Context) -> scoringpb.LeadScore:
        """Say how a lead scores now, and why."""
        tenant, lead = names.LEAD.parse(request.name)
        version = _model_in(request.score_model, tenant) if request.score_model else 0
        directory = await self._directories.find(f"tenants/{tenant}")
        if directory is None:
            raise TenantUnknown(f"tenants/{tenant}")
        currency_code = directory.settings.currency_code
        score = await self._store.read(
            score_of(
                self._sealer, tenant, lead, version=version, currency_code=currency_code, now=self._now()
            )
        )
        return wire.score_message(tenant, score)

    async def RecordBehaviours(
        self, request: scoringpb.RecordBehavioursRequest, context: _Context
    ) -> scoringpb.RecordBehavioursResponse:
        """Take in what leads did."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        if not 1 <= len(request.behaviours) <= _LARGEST_BATCH:
            raise field_invalid("behaviours", f"1 to {_LARGEST_BATCH} of them")
        by = by_caller()
        wanted = [_behaviour_in(each, tenant, request.source_system, by) for each in request.behaviours]
        outcomes = await self._store.batch(record_behaviours, Batch(wanted, batch_call(request.request_id)))
        return scoringpb.RecordBehavioursResponse(
            request_id=request.request_id, results=[_behaviour_result(outcome) for outcome in outcomes]
        )

    async def ProposeMqlDefinition(
        self, request: scoringpb.ProposeMqlDefinitionRequest, context: _Context
    ) -> scoringpb.MqlDefinition:
        """Keep the next version of the definition."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        told = request.mql_definition
        version = 0
        if told.score_model:
            version = _model_in(told.score_model, tenant, field="mql_definition.score_model")
        wanted = versions.ProposeDefinition(tenant, wire.definition_of(told, model_version=version))
        outcome = await self._store.command(
            versions.propose_definitions,
            Command(wanted, call_for(request)),
            render=partial(_definition_message, tenant),
        )
        return answer(outcome, scoringpb.MqlDefinition)

    async def ActivateMqlDefinition(
        self, request: scoringpb.ActivateMqlDefinitionRequest, context: _Context
    ) -> scoringpb.MqlDefinition:
        """Hold new handoffs against a version from now on."""
        tenant, version = _version_in(request.name, names.MQL_DEFINITION)
        wanted = versions.Activate(tenant=tenant, version=version, etag=request.etag, by=by_caller())
        outcome = await self._store.command(
            versions.activate_definitions,
            Command(wanted, call_for(request)),
            render=partial(_definition_message, tenant),
        )
        return answer(outcome, scoringpb.MqlDefinition)

    async def GetMqlDefinition(
        self, request: scoringpb.GetMqlDefinitionRequest, context: _Context
    ) -> scoringpb.MqlDefinition:
        """Return one version."""
        tenant, version = _version_in(request.name, names.MQL_DEFINITION)
        found = await self._store.read(find_version(DEFINITIONS, tenant, version))
        if found is None:
            raise MqlDefinitionUnknown(request.name)
        return _definition_message(tenant, found)

    async def ListMqlDefinitions(
        self, request: scoringpb.ListMqlDefinitionsRequest, context: _Context
    ) -> scoringpb.ListMqlDefinitionsResponse:
        """List versions, newest first."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size, before = page_size_of(request), self._before(request)
        found = await self._store.read(list_versions(DEFINITIONS, tenant, before=before, limit=size + 1))
        return scoringpb.ListMqlDefinitionsResponse(
            mql_definitions=[_definition_message(tenant, each) for each in found[:size]],
            next_page_token=self._next(request, found, size),
        )

    def _before(self, request: Any) -> int | None:
        key = self._pages.read(request)
        return None if key is None else int(key[0])

    def _next(self, request: Any, found: Sequence[Version[Any]], size: int) -> str:
        return self._pages.issue(request, [found[size - 1].value.version]) if len(found) > size else ""


def _model_message(tenant: str, version: Version[ScoreModel]) -> scoringpb.ScoreModel:
    return wire.model_message(tenant, version.value, etag=version.etag)


def _definition_message(tenant: str, version: Version[MqlDefinition]) -> scoringpb.MqlDefinition:
    return wire.definition_message(tenant, version.value, etag=version.etag)


def _put_pass(message: scoringpb.ScoreModel, found: Pass | None) -> None:
    if found is not None:
        message.rescoring.CopyFrom(wire.rescoring_message(found))


def _version_in(name: str, pattern: names.Pattern, *, field: str = "name") -> tuple[str, int]:
    tenant, version = pattern.parse(name, field=field)
    return tenant, number_in(version, field, pattern)


def _model_in(name: str, tenant: str, *, field: str = "score_model") -> int:
    """Return the version of a model that a request names beside its own resource: of the same tenant."""
    of, version = _version_in(name, names.SCORE_MODEL, field=field)
    if of != tenant:
        raise permission_denied()
    return version


def _behaviour_in(message: intakepb.Behaviour, tenant: str, source_system: str, by: By) -> RecordBehaviour:
    return RecordBehaviour(
        tenant=tenant,
        source_system=source_system,
        told=ToldBehaviour(
            external_id=message.external_id,
            kind=_KINDS.get(message.kind),
            occur_time=instant_in(message, "occur_time"),
            behaviour_external_id=message.behaviour_external_id,
            content=message.content,
            campaign=message.campaign,
            score=message.score if message.HasField("score") else None,
        ),
        by=by,
    )


def _behaviour_result(outcome: RecordedBehaviour | Exception) -> scoringpb.RecordBehavioursResult:
    if isinstance(outcome, Exception):
        return scoringpb.RecordBehavioursResult(error=status_of(outcome))
    return scoringpb.RecordBehavioursResult(
        outcome=int(outcome.heed),  # type: ignore[arg-type]  # enums are numbers on the wire
        handoff="" if outcome.handoff is None else outcome.handoff.name,
    )
