"""Score models, definitions and scores: protobuf ⇄ domain."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead import Rating
from services.leads.domain.mql_definition import Conformance, HandRaise, MqlDefinition
from services.leads.domain.scoring import (
    Cell,
    EngagementRule,
    FitRule,
    LeadScore,
    Operator,
    Pass,
    ScoreModel,
    ScoreReason,
    Step,
)
from services.leads.domain.terms import SourceChannel
from services.leads.wire.values import put_instant
from smarketing import names
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb

__all__ = [
    "conformance_message",
    "definition_activated",
    "definition_bytes",
    "definition_from_bytes",
    "definition_message",
    "definition_of",
    "model_activated",
    "model_bytes",
    "model_from_bytes",
    "model_message",
    "model_of",
    "put_rating",
    "rating_in",
    "rerated_event",
    "rescoring_message",
    "score_message",
]

_MICROSECOND: Final = timedelta(microseconds=1)
_OPERATORS: Final = {operator.value: operator for operator in Operator}
_KINDS: Final = {kind.value: kind for kind in BehaviourKind}
_CHANNELS: Final = {channel.value: channel for channel in SourceChannel}


def model_of(message: scoringpb.ScoreModel) -> ScoreModel:
    """Return the model that a tenant wants; an operator that is none is left out, which is a fault."""
    return ScoreModel(
        display_name=message.display_name,
        fit_rules=tuple(_fit_rule_of(rule) for rule in message.fit_rules),
        max_fit_points=message.max_fit_points,
        engagement_rules=tuple(
            EngagementRule(
                rule_id=rule.rule_id,
                kinds=_kinds_of(rule.kinds),
                points=rule.points,
                max_points=rule.max_points,
                half_life=_duration_in(rule, "half_life_duration"),
            )
            for rule in message.engagement_rules
        ),
        max_engagement_points=message.max_engagement_points,
        fit_grades=tuple(Step(each.grade, each.from_points) for each in message.fit_grades),
        engagement_levels=tuple(Step(each.level, each.from_points) for each in message.engagement_levels),
        cells=tuple(Cell(each.grade, each.level, each.score) for each in message.cells),
        bands=tuple(Step(each.band, each.from_score) for each in message.bands),
        requalify_from_score=message.requalify_from_score
        if message.HasField("requalify_from_score")
        else None,
    )


def model_bytes(model: ScoreModel) -> bytes:
    """Return a model as it is kept, without what changes of it."""
    return _content_of(model).SerializeToString(deterministic=True)


def model_from_bytes(kept: bytes) -> ScoreModel:
    """Return a model that was kept."""
    return model_of(scoringpb.ScoreModel.FromString(kept))


def model_message(tenant: str, model: ScoreModel, *, etag: str) -> scoringpb.ScoreModel:
    """Return a model as its resource."""
    message = _content_of(model)
    message.name = names.SCORE_MODEL.build(tenant, str(model.version))
    _put_standing(message, model, etag)
    return message


def definition_of(message: scoringpb.MqlDefinition, *, model_version: int) -> MqlDefinition:
    """Return the definition that a tenant wants."""
    raised = message.hand_raise
    return MqlDefinition(
        display_name=message.display_name,
        model_version=model_version,
        min_fit_points=message.min_fit_points,
        min_engagement_points=message.min_engagement_points,
        engagement_window=_duration_in(message, "engagement_window"),
        hand_raise=HandRaise(
            lead_types=tuple(raised.lead_types),
            source_channels=tuple(_CHANNELS[each] for each in raised.source_channels if each in _CHANNELS),
            behaviours=_kinds_of(raised.behaviours),
        ),
        required_fields=tuple(message.required_fields),
    )


def definition_bytes(tenant: str, definition: MqlDefinition) -> bytes:
    """Return a definition as it is kept, without what changes of it."""
    return _definition_content(tenant, definition).SerializeToString(deterministic=True)


def definition_from_bytes(kept: bytes) -> MqlDefinition:
    """Return a definition that was kept."""
    message = scoringpb.MqlDefinition.FromString(kept)
    version = int(message.score_model.rpartition("/")[2]) if message.score_model else 0
    return definition_of(message, model_version=version)


def definition_message(tenant: str, definition: MqlDefinition, *, etag: str) -> scoringpb.MqlDefinition:
    """Return a definition as its resource."""
    message = _definition_content(tenant, definition)
    message.name = names.MQL_DEFINITION.build(tenant, str(definition.version))
    _put_standing(message, definition, etag)
    return message


def model_activated(tenant: str, model: ScoreModel, *, etag: str) -> leadeventspb.ScoreModelActivated:
    """Return the payload that says which model rates from now on."""
    return leadeventspb.ScoreModelActivated(score_model=model_message(tenant, model, etag=etag))


def definition_activated(
    tenant: str, definition: MqlDefinition, *, etag: str
) -> leadeventspb.MqlDefinitionActivated:
    """Return the payload that says which definition is in force from now on."""
    return leadeventspb.MqlDefinitionActivated(
        mql_definition=definition_message(tenant, definition, etag=etag)
    )


def rerated_event(rated: Iterable[tuple[Any, Rating]]) -> leadeventspb.HandoffsRerated:
    """Return the payload that says how handoffs, each with an `id`, are rated now."""
    message = leadeventspb.HandoffsRerated()
    for handoff, rating in rated:
        told = message.handoffs.add(handoff=handoff.id.name)
        put_rating(told.rating, handoff.id.tenant, rating)
    return message


def rescoring_message(found: Pass) -> scoringpb.Rescoring:
    """Return how far a pass has come."""
    message = scoringpb.Rescoring(scored_count=found.scored_count, changed_count=found.changed_count)
    put_instant(message.start_time, found.start_time)
    if found.finish_time is not None:
        put_instant(message.finish_time, found.finish_time)
    return message


def score_message(tenant: str, score: LeadScore) -> scoringpb.LeadScore:
    """Return how a lead scores, and why."""
    message = scoringpb.LeadScore(
        fit_points=score.fit_points,
        fit_grade=score.fit_grade,
        engagement_points=score.engagement_points,
        engagement_level=score.engagement_level,
        reasons=[_reason_message(reason) for reason in score.reasons],
    )
    put_rating(message.rating, tenant, score.rating)
    put_instant(message.score_time, score.score_time)
    return message


def put_rating(target: leadspb.Rating, tenant: str, rating: Rating) -> None:
    """Fill in a rating."""
    target.score = rating.score
    target.band = rating.band
    # Not built by its pattern: a pass over a million handoffs says it a million times.
    target.score_model = f"tenants/{tenant}/scoreModels/{rating.version}"


def rating_in(message: Any) -> Rating | None:
    """Return the rating in a `Qualification` of ours; None where there is none."""
    if not message.HasField("rating"):
        return None
    told = message.rating
    version = told.score_model.rpartition("/")[2]
    return Rating(told.score, told.band, int(version) if version.isdecimal() else 0)


def conformance_message(tenant: str, found: Conformance) -> scoringpb.Conformance:
    """Return whether a handoff met the definition, and how complete it was."""
    return scoringpb.Conformance(
        mql_definition=f"tenants/{tenant}/mqlDefinitions/{found.version}",
        conforming=found.conforming,
        shortfalls=[int(each) for each in found.shortfalls],  # type: ignore[misc]  # enums are numbers on the wire
        hand_raised=found.hand_raised,
        fit_points=found.fit_points,
        engagement_points=found.engagement_points,
        required_field_count=found.required_field_count,
        filled_field_count=found.filled_field_count,
        missing_fields=found.missing_fields,
    )


def _content_of(model: ScoreModel) -> scoringpb.ScoreModel:
    return scoringpb.ScoreModel(
        display_name=model.display_name,
        fit_rules=[
            scoringpb.FitRule(
                rule_id=rule.rule_id,
                field=rule.reads,
                operator=int(rule.operator),  # type: ignore[arg-type]  # enums are numbers on the wire
                values=rule.values,
                points=rule.points,
            )
            for rule in model.fit_rules
        ],
        max_fit_points=model.max_fit_points,
        engagement_rules=[_engagement_message(rule) for rule in model.engagement_rules],
        max_engagement_points=model.max_engagement_points,
        fit_grades=[scoringpb.FitGrade(grade=each.name, from_points=each.start) for each in model.fit_grades],
        engagement_levels=[
            scoringpb.EngagementLevel(level=each.name, from_points=each.start)
            for each in model.engagement_levels
        ],
        cells=[
            scoringpb.ScoreCell(grade=each.grade, level=each.level, score=each.score) for each in model.cells
        ],
        bands=[scoringpb.ScoreBand(band=each.name, from_score=each.start) for each in model.bands],
        requalify_from_score=model.requalify_from_score,
    )


def _definition_content(tenant: str, definition: MqlDefinition) -> scoringpb.MqlDefinition:
    raised = definition.hand_raise
    message = scoringpb.MqlDefinition(
        display_name=definition.display_name,
        min_fit_points=definition.min_fit_points,
        min_engagement_points=definition.min_engagement_points,
        hand_raise=scoringpb.HandRaise(
            lead_types=raised.lead_types,
            source_channels=[int(each) for each in raised.source_channels],  # type: ignore[misc]  # enums are numbers on the wire
            behaviours=[int(each) for each in raised.behaviours],  # type: ignore[misc]  # as above
        ),
        required_fields=definition.required_fields,
    )
    if definition.model_version:
        message.score_model = names.SCORE_MODEL.build(tenant, str(definition.model_version))
    if definition.engagement_window is not None:
        _put_duration(message.engagement_window, definition.engagement_window)
    return message


def _put_standing(message: Any, version: ScoreModel | MqlDefinition, etag: str) -> None:
    message.etag = etag
    message.state = int(version.state)
    for name in ("create_time", "activate_time", "retire_time"):
        instant = getattr(version, name)
        if instant is not None:
            put_instant(getattr(message, name), instant)


def _fit_rule_of(rule: scoringpb.FitRule) -> FitRule:
    return FitRule(
        rule_id=rule.rule_id,
        reads=rule.field,
        operator=_OPERATORS.get(rule.operator),
        values=tuple(rule.values),
        points=rule.points,
    )


def _engagement_message(rule: EngagementRule) -> scoringpb.EngagementRule:
    message = scoringpb.EngagementRule(
        rule_id=rule.rule_id,
        kinds=[int(kind) for kind in rule.kinds],  # type: ignore[misc]  # enums are numbers on the wire
        points=rule.points,
        max_points=rule.max_points,
    )
    if rule.half_life is not None:
        _put_duration(message.half_life_duration, rule.half_life)
    return message


def _reason_message(reason: ScoreReason) -> scoringpb.ScoreReason:
    return scoringpb.ScoreReason(
        rule_id=reason.rule_id,
        points_thousandths=reason.points_thousandths,
        field=reason.field,
        behaviour_count=reason.behaviour_count,
        capped=reason.capped,
    )


def _kinds_of(numbers: Any) -> tuple[BehaviourKind, ...]:
    return tuple(_KINDS[number] for number in numbers if number in _KINDS)


def _duration_in(message: Any, field: str) -> timedelta | None:
    if not message.HasField(field):
        return None
    duration = getattr(message, field)
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)


def _put_duration(target: Duration, duration: timedelta) -> None:
    micros = duration // _MICROSECOND
    target.seconds, target.nanos = micros // 1_000_000, micros % 1_000_000 * 1000
