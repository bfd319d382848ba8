"""Builders of score models and definitions, and of what a lead did."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.leads.domain.intake import BehaviourKind, ToldBehaviour
from services.leads.domain.mql_definition import MqlDefinition
from services.leads.domain.scoring import (
    Behaved,
    Cell,
    EngagementRule,
    FitRule,
    Operator,
    ScoreModel,
    Step,
)
from services.leads.store.transaction import By
from services.leads.usecases.behaviour import RecordBehaviour
from services.leads.usecases.scoring_versions import (
    Activate,
    ProposeDefinition,
    ProposeModel,
    activate_definitions,
    activate_models,
    propose_definitions,
    propose_models,
)
from tests.builders.leads import FORM, MANAGER, MARKETER, NOON, House

HALF_LIFE = timedelta(days=7)


def a_fit_rule(**changes: Any) -> FitRule:
    """Forty points for the retail segment."""
    fields: dict[str, Any] = {
        "rule_id": "retail",
        "reads": "segment",
        "operator": Operator.ONE_OF,
        "values": ("retail",),
        "points": 40,
    }
    return FitRule(**{**fields, **changes})


def an_engagement_rule(**changes: Any) -> EngagementRule:
    """Ten points a visit, at most fifty, half of it after a week."""
    fields: dict[str, Any] = {
        "rule_id": "visits",
        "kinds": (BehaviourKind.PAGE_VISITED,),
        "points": 10,
        "max_points": 50,
        "half_life": HALF_LIFE,
    }
    return EngagementRule(**{**fields, **changes})


def a_model(**changes: Any) -> ScoreModel:
    """Two grades from 0 and 40 points, two levels from 0 and 20: scores of 10, 40, 60 and 90."""
    fields: dict[str, Any] = {
        "fit_rules": (a_fit_rule(),),
        "max_fit_points": 100,
        "engagement_rules": (an_engagement_rule(),),
        "max_engagement_points": 100,
        "fit_grades": (Step("A", 40), Step("B", 0)),
        "engagement_levels": (Step("1", 20), Step("2", 0)),
        "cells": (Cell("B", "2", 10), Cell("B", "1", 40), Cell("A", "2", 60), Cell("A", "1", 90)),
        "bands": (Step("COLD", 0), Step("WARM", 50), Step("HOT", 80)),
    }
    return ScoreModel(**{**fields, **changes})


def a_definition(**changes: Any) -> MqlDefinition:
    """Forty points of fit and twenty of engagement within thirty days, by the first model."""
    definition = MqlDefinition(
        model_version=1,
        min_fit_points=40,
        min_engagement_points=20,
        engagement_window=timedelta(days=30),
        required_fields=("email", "company", "segment"),
    )
    return replace(definition, **changes)


def a_visit(ago: timedelta = timedelta(0), *, at: datetime = NOON) -> Behaved:
    """A page was visited so long before `at`."""
    return Behaved.at(BehaviourKind.PAGE_VISITED, at - ago)


def told_visit(number: int = 1, *, of: int = 1, **changes: Any) -> RecordBehaviour:
    """The website tells of a visit by whoever submitted form `of`."""
    fields: dict[str, Any] = {
        "external_id": f"form-{of}",
        "kind": BehaviourKind.PAGE_VISITED,
        "occur_time": None,
        "behaviour_external_id": f"visit-{number}",
    }
    told = ToldBehaviour(**{**fields, **changes})
    return RecordBehaviour(tenant="default", source_system="website", told=told, by=By(FORM))


async def activate(house: House, model: ScoreModel) -> int:
    """Propose a model and let it rate; return its version."""
    kept = await house.one(propose_models, ProposeModel("default", model))
    await house.one(
        activate_models, Activate(tenant="default", version=kept.value.version, etag="", by=By(MARKETER))
    )
    return kept.value.version


async def put_in_force(house: House, definition: MqlDefinition) -> int:
    """Propose a definition and put it in force; return its version."""
    kept = await house.one(propose_definitions, ProposeDefinition("default", definition))
    version = kept.value.version
    await house.one(
        activate_definitions, Activate(tenant="default", version=version, etag="", by=By(MANAGER))
    )
    return version
