"""What keeps a score model from rating, and a definition from being put in force: all of it, at once."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise, product
from typing import Final

from services.leads.domain.errors import Fault
from services.leads.domain.lead_fields import PERSONAL, number_in, reader_of
from services.leads.domain.mql_definition import MqlDefinition
from services.leads.domain.scoring import EngagementRule, FitRule, Operator, ScoreModel, Step

__all__ = ["faults_of_definition", "faults_of_model"]

_is_id: Final = re.compile("[a-z0-9][a-z0-9._-]{0,62}").fullmatch
_MOST_FIT_RULES: Final = 200
_MOST_ENGAGEMENT_RULES: Final = 100
_MOST_VALUES: Final = 200
_MOST_STEPS: Final = 10
_MOST_POINTS: Final = 1_000
_MOST_SUM: Final = 10_000
_BEST_SCORE: Final = 100
_LONGEST_NAME: Final = 63
_SHORTEST_HALF_LIFE: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(days=3660)
_DAY: Final = timedelta(days=1)
_MOST_REQUIRED: Final = 50
_MOST_RAISES: Final = 200
_WITHOUT_VALUES: Final = frozenset({Operator.PRESENT, Operator.ABSENT})
_NUMERIC: Final = frozenset({Operator.AT_LEAST, Operator.AT_MOST})


def faults_of_model(model: ScoreModel) -> tuple[Fault, ...]:
    """Return everything that is wrong with a score model."""
    return (
        *_faults_of_rules(model),
        *_faults_of_steps("fit_grades", "grade", "from_points", model.fit_grades, model.max_fit_points),
        *_faults_of_steps(
            "engagement_levels", "level", "from_points", model.engagement_levels, model.max_engagement_points
        ),
        *_faults_of_steps("bands", "band", "from_score", model.bands, _BEST_SCORE),
        *_faults_of_cells(model),
        *_faults_of_requalifying(model.requalify_from_score),
    )


def faults_of_definition(definition: MqlDefinition) -> tuple[Fault, ...]:
    """Return everything that is wrong with an MQL definition, whether its model is there aside."""
    return tuple(_definition_faults(definition))


def _definition_faults(definition: MqlDefinition) -> Iterator[Fault]:
    for name in ("min_fit_points", "min_engagement_points"):
        points = getattr(definition, name)
        if not 0 <= points <= _MOST_SUM:
            yield Fault(name, f"must be from 0 to {_MOST_SUM:,}")
        elif points and not definition.model_version:
            yield Fault("score_model", "must say by which model points are counted")
    window = definition.engagement_window
    if window is not None and not _DAY <= window <= _LONGEST:
        yield Fault("engagement_window", "must be from 1 to 3,660 days")
    yield from _faults_of_required(definition.required_fields)
    raises = definition.hand_raise
    if len(raises.lead_types) > _MOST_RAISES or not all(raises.lead_types):
        yield Fault("hand_raise.lead_types", f"must be at most {_MOST_RAISES} words")


def _faults_of_required(required: Sequence[str]) -> Iterator[Fault]:
    if len(required) > _MOST_REQUIRED:
        yield Fault("required_fields", f"must be at most {_MOST_REQUIRED} fields")
    if len(set(required)) < len(required):
        yield Fault("required_fields", "must not hold a field twice")
    for index, name in enumerate(required):
        if reader_of(name) is None:
            yield Fault(f"required_fields[{index}]", "must be a field of a lead, or `attributes.` with a key")


def _faults_of_rules(model: ScoreModel) -> Iterator[Fault]:
    if len(model.fit_rules) > _MOST_FIT_RULES:
        yield Fault("fit_rules", f"must be at most {_MOST_FIT_RULES} rules")
    if len(model.engagement_rules) > _MOST_ENGAGEMENT_RULES:
        yield Fault("engagement_rules", f"must be at most {_MOST_ENGAGEMENT_RULES} rules")
    for name in ("max_fit_points", "max_engagement_points"):
        if not 1 <= getattr(model, name) <= _MOST_SUM:
            yield Fault(name, f"must be from 1 to {_MOST_SUM:,}")
    seen: set[str] = set()
    for index, rule in enumerate(model.fit_rules):
        yield from _faults_of_rule(f"fit_rules[{index}]", rule.rule_id, rule.points, seen)
        yield from _faults_of_fit(f"fit_rules[{index}]", rule)
    for index, each in enumerate(model.engagement_rules):
        yield from _faults_of_rule(f"engagement_rules[{index}]", each.rule_id, each.points, seen)
        yield from _faults_of_engagement(f"engagement_rules[{index}]", each)


def _faults_of_rule(path: str, rule_id: str, points: int, seen: set[str]) -> Iterator[Fault]:
    if not _is_id(rule_id):
        yield Fault(f"{path}.rule_id", "must be a name of a-z, 0-9 and inner `.`, `_`, `-`")
    elif rule_id in seen:
        yield Fault(f"{path}.rule_id", "must be another than those before")
    seen.add(rule_id)
    if not points or abs(points) > _MOST_POINTS:
        yield Fault(f"{path}.points", f"must be from -{_MOST_POINTS:,} to {_MOST_POINTS:,}, and not 0")


def _faults_of_fit(path: str, rule: FitRule) -> Iterator[Fault]:
    if reader_of(rule.reads) is None:
        yield Fault(f"{path}.field", "must be a field of a lead, or `attributes.` with a key")
    if rule.reads in PERSONAL and rule.operator not in _WITHOUT_VALUES:
        yield Fault(f"{path}.operator", "must be PRESENT or ABSENT for what a person is called or reached by")
    if rule.operator is None:
        yield Fault(f"{path}.operator", "must say how the field is compared")
    else:
        yield from _faults_of_values(path, rule)


def _faults_of_values(path: str, rule: FitRule) -> Iterator[Fault]:
    count = len(rule.values)
    if rule.operator in _WITHOUT_VALUES:
        if count:
            yield Fault(f"{path}.values", "must be empty")
    elif rule.operator in _NUMERIC:
        if count != 1 or number_in(rule.values[0]) is None:
            yield Fault(f"{path}.values", "must be one number of up to 15 digits and 6 decimals")
    elif not 1 <= count <= _MOST_VALUES or not all(each.strip() for each in rule.values):
        yield Fault(f"{path}.values", f"must be 1 to {_MOST_VALUES} words")


def _faults_of_engagement(path: str, rule: EngagementRule) -> Iterator[Fault]:
    if not rule.kinds or len(set(rule.kinds)) < len(rule.kinds):
        yield Fault(f"{path}.kinds", "must be one or more kinds of behaviour, none twice")
    if not 1 <= rule.max_points <= _MOST_SUM:
        yield Fault(f"{path}.max_points", f"must be from 1 to {_MOST_SUM:,}")
    if rule.half_life is not None and not _SHORTEST_HALF_LIFE <= rule.half_life <= _LONGEST:
        yield Fault(f"{path}.half_life_duration", "must be from one hour to 3,660 days")


def _faults_of_steps(path: str, name: str, start: str, steps: Sequence[Step], most: int) -> Iterator[Fault]:
    if not 1 <= len(steps) <= _MOST_STEPS:
        yield Fault(path, f"must be 1 to {_MOST_STEPS}")
    if sum(step.start == 0 for step in steps) != 1:
        yield Fault(path, "must hold exactly one from 0 on")
    for index, step in enumerate(steps):
        if not step.name.strip() or len(step.name) > _LONGEST_NAME:
            yield Fault(f"{path}[{index}].{name}", f"must be a name of 1 to {_LONGEST_NAME} characters")
        if not 0 <= step.start <= most:
            yield Fault(f"{path}[{index}].{start}", f"must be from 0 to {most:,}, so that it can be reached")
    for each in ("name", "start"):
        if len({getattr(step, each) for step in steps}) < len(steps):
            yield Fault(path, f"must differ in their {name if each == 'name' else start}")


def _faults_of_cells(model: ScoreModel) -> Iterator[Fault]:
    found: dict[tuple[str, str], int] = {}
    for index, cell in enumerate(model.cells):
        if (cell.grade, cell.level) in found:
            yield Fault(f"cells[{index}]", "must be about another grade or level than those before")
        if not 0 <= cell.score <= _BEST_SCORE:
            yield Fault(f"cells[{index}].score", f"must be from 0 to {_BEST_SCORE}")
        found[cell.grade, cell.level] = cell.score
    grades, levels = _rising(model.fit_grades), _rising(model.engagement_levels)
    if found.keys() != set(product(grades, levels)):
        yield Fault("cells", "must be one for each grade and level, and no other")
        return
    yield from _faults_of_order(found, grades, levels)


def _faults_of_order(
    found: dict[tuple[str, str], int], grades: Sequence[str], levels: Sequence[str]
) -> Iterator[Fault]:
    """Refuse that a better lead scores lower: what marketing gains would cost it."""
    for worse, better in pairwise(grades):
        if any(found[worse, level] > found[better, level] for level in levels):
            yield Fault("cells", f"must not score grade {better} below grade {worse}")
    for worse, better in pairwise(levels):
        if any(found[grade, worse] > found[grade, better] for grade in grades):
            yield Fault("cells", f"must not score level {better} below level {worse}")


def _faults_of_requalifying(score: int | None) -> Iterator[Fault]:
    if score is not None and not 1 <= score <= _BEST_SCORE:
        yield Fault("requalify_from_score", f"must be from 1 to {_BEST_SCORE}")


def _rising(steps: Iterable[Step]) -> list[str]:
    return [step.name for step in sorted(steps, key=lambda step: step.start)]
