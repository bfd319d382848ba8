"""Propose and activate versions: of the score model, and of the MQL definition."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.leads.domain.errors import EtagStale, NotFound
from services.leads.domain.mql_definition import MqlDefinition
from services.leads.domain.scoring import ScoreModel, VersionState
from services.leads.domain.scoring_errors import (
    MqlDefinitionInvalid,
    MqlDefinitionUnknown,
    ScoreModelInvalid,
    ScoreModelUnknown,
)
from services.leads.domain.scoring_faults import faults_of_definition, faults_of_model
from services.leads.store.scoring import DEFINITIONS, MODELS, Kind, Version
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import each
from services.leads.wire.scoring import definition_activated, model_activated
from smarketing import names

__all__ = [
    "Activate",
    "ProposeDefinition",
    "ProposeModel",
    "activate_definitions",
    "activate_models",
    "propose_definitions",
    "propose_models",
]


@dataclass(frozen=True, slots=True)
class ProposeModel:
    """A score model that shall be kept."""

    tenant: str
    model: ScoreModel


@dataclass(frozen=True, slots=True)
class ProposeDefinition:
    """An MQL definition that shall be kept."""

    tenant: str
    definition: MqlDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """A version that shall count from now on."""

    tenant: str
    version: int
    etag: str
    by: By


def propose_models(tx: LeadTx, requests: Sequence[ProposeModel]) -> list[Version[ScoreModel] | Exception]:
    """Keep each as the tenant's next version."""

    def decide(request: ProposeModel) -> Version[ScoreModel]:
        tx.directory(request.tenant)
        faults = faults_of_model(request.model)
        if faults:
            raise ScoreModelInvalid(faults)
        number = tx.scoring.newest(MODELS, request.tenant) + 1
        kept = Version(replace(request.model, version=number, create_time=tx.now))
        tx.scoring.put(MODELS, request.tenant, kept)
        return kept

    return each(requests, decide)


def propose_definitions(
    tx: LeadTx, requests: Sequence[ProposeDefinition]
) -> list[Version[MqlDefinition] | Exception]:
    """Keep each as the tenant's next version."""

    def decide(request: ProposeDefinition) -> Version[MqlDefinition]:
        tenant, definition = request.tenant, request.definition
        tx.directory(tenant)
        faults = faults_of_definition(definition)
        if faults:
            raise MqlDefinitionInvalid(faults)
        model = definition.model_version
        if model and tx.scoring.version(MODELS, tenant, model) is None:
            raise ScoreModelUnknown(names.SCORE_MODEL.build(tenant, str(model)))
        number = tx.scoring.newest(DEFINITIONS, tenant) + 1
        kept = Version(replace(definition, version=number, create_time=tx.now))
        tx.scoring.put(DEFINITIONS, tenant, kept)
        return kept

    return each(requests, decide)


def activate_models(tx: LeadTx, requests: Sequence[Activate]) -> list[Version[ScoreModel] | Exception]:
    """Let each rate from now on, and begin the pass over what is open."""

    def decide(request: Activate) -> Version[ScoreModel]:
        name = names.SCORE_MODEL.build(request.tenant, str(request.version))
        present, found = _wanted(tx, MODELS, request, ScoreModelUnknown(name))
        if present:
            return found
        activated = _activated(tx, MODELS, request, found)
        tx.scoring.begin_pass(request.tenant, request.version)
        message = model_activated(request.tenant, activated.value, etag=activated.etag)
        tx.tell_of(request.tenant, name, request.by, message)
        return activated

    return each(requests, decide)


def activate_definitions(
    tx: LeadTx, requests: Sequence[Activate]
) -> list[Version[MqlDefinition] | Exception]:
    """Hold new handoffs against each from now on."""

    def decide(request: Activate) -> Version[MqlDefinition]:
        name = names.MQL_DEFINITION.build(request.tenant, str(request.version))
        present, found = _wanted(tx, DEFINITIONS, request, MqlDefinitionUnknown(name))
        if present:
            return found
        activated = _activated(tx, DEFINITIONS, request, found)
        message = definition_activated(request.tenant, activated.value, etag=activated.etag)
        tx.tell_of(request.tenant, name, request.by, message)
        return activated

    return each(requests, decide)


def _wanted(tx: LeadTx, kind: Kind[Any], request: Activate, unknown: NotFound) -> tuple[bool, Version[Any]]:
    """Return whether the version is active already, and the version."""
    tx.directory(request.tenant)
    found = tx.scoring.version(kind, request.tenant, request.version)
    if found is None:
        raise unknown
    if request.etag and request.etag != found.etag:
        raise EtagStale(unknown.name, found.etag)
    return found.value.state is VersionState.ACTIVE, found


def _activated(tx: LeadTx, kind: Kind[Any], request: Activate, found: Version[Any]) -> Version[Any]:
    before = tx.scoring.active(kind, request.tenant)
    if before is not None:
        tx.scoring.put(kind, request.tenant, Version(before.value.retired(tx.now), before.changes + 1))
    activated = Version(found.value.activated(tx.now), found.changes + 1)
    tx.scoring.put(kind, request.tenant, activated)
    tx.scoring.note_activation(request.tenant)
    return activated
