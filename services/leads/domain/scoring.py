"""How likely a lead is to buy, by the tenant's own rules: fit × engagement → score, band and reasons.

Everything is counted in whole numbers: points in 2⁻³² of a point, halves by a table of 1,024 steps that is
itself made of whole numbers. The same lead at the same instant has the same score on every machine.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from math import isqrt
from typing import Final, NamedTuple

from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead import Rating
from services.leads.domain.lead_fields import Facts, Reader, number_in, reader_of, reads_contact

__all__ = [
    "Behaved",
    "Cell",
    "EngagementRule",
    "FitRule",
    "LeadScore",
    "Operator",
    "Pass",
    "ScoreModel",
    "ScoreReason",
    "Step",
    "VersionState",
    "points_of",
]

_BITS: Final = 32
_POINT: Final = 1 << _BITS
_STEPS: Final = 1024
_LONG_AGO: Final = 64
"""After so many half-lives nothing is left that could round to anything."""


def _halving() -> tuple[int, ...]:
    """Return 2^(-k/1024) for each step k of a half-life, in 2⁻³²; the first is exactly one."""
    scale = 128
    root = 1 << (scale - 1)
    for _ in range(10):
        root = isqrt(root << scale)
    powers = [1 << scale]
    while len(powers) < _STEPS:
        powers.append(powers[-1] * root >> scale)
    return tuple(power >> (scale - _BITS) for power in powers)


_HALVING: Final = _halving()


class VersionState(IntEnum):
    """Where a version of a model or definition stands, numbered as in the contract."""

    PROPOSED = 1
    ACTIVE = 2
    RETIRED = 3


class Operator(IntEnum):
    """How a fit rule compares a field, numbered as in the contract."""

    ONE_OF = 1
    CONTAINS = 2
    WITHIN = 3
    AT_LEAST = 4
    AT_MOST = 5
    PRESENT = 6
    ABSENT = 7


class Behaved(NamedTuple):
    """Something that a lead did, and when."""

    kind: int
    occur_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRule:
    """Points for what a field says."""

    rule_id: str
    reads: str
    """The field."""
    operator: Operator | None
    """None where nothing sensible was said: then it is a fault, and never fulfilled."""
    values: tuple[str, ...] = ()
    points: int
    holds: Callable[[Facts], bool] = field(init=False, repr=False, compare=False)
    """Whether a lead fulfils it; compiled once. A rule about no field there is is never fulfilled."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds", _compiled(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class EngagementRule:
    """Points for what a lead did, each time, fewer as time passes."""

    rule_id: str
    kinds: tuple[BehaviourKind, ...]
    points: int
    max_points: int
    """The most that it gives, or takes, of any number of behaviours."""
    half_life: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A name for all figures from one on, up to the next step's."""

    name: str
    start: int


@dataclass(frozen=True, slots=True)
class Cell:
    """What a grade of fit and a level of engagement come to."""

    grade: str
    level: str
    score: int


@dataclass(frozen=True, slots=True)
class ScoreReason:
    """What one rule gave or took."""

    rule_id: str
    points_thousandths: int
    field: str = ""
    behaviour_count: int = 0
    capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadScore:
    """How a lead scores at an instant, and why."""

    rating: Rating
    fit_points: int
    fit_grade: str
    engagement_points: int
    engagement_level: str
    reasons: tuple[ScoreReason, ...]
    score_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreModel:
    """A version of a tenant's rules. Pure: who asks gives the instant."""

    version: int = 0
    state: VersionState = VersionState.PROPOSED
    display_name: str = ""
    fit_rules: tuple[FitRule, ...] = ()
    max_fit_points: int
    engagement_rules: tuple[EngagementRule, ...] = ()
    max_engagement_points: int
    fit_grades: tuple[Step, ...]
    engagement_levels: tuple[Step, ...]
    cells: tuple[Cell, ...]
    bands: tuple[Step, ...]
    create_time: datetime | None = None
    activate_time: datetime | None = None
    retire_time: datetime | None = None
    _steps: "_Steps" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", _Steps(self))

    @property
    def reads_contact(self) -> bool:
        """Whether any rule looks at what is sealed."""
        return any(reads_contact(rule.reads) for rule in self.fit_rules)

    def rate(self, facts: Facts, behaved: Sequence[Behaved], *, as_of: datetime) -> Rating:
        """Return the score and band at an instant; behaviour after it does not count."""
        fit = points_of(
            sum([rule.points for rule in self.fit_rules if rule.holds(facts)]), self.max_fit_points
        )
        engagement = self.engagement_points(behaved, as_of=as_of)
        return self._steps.rating(self.version, fit, engagement)

    def fit_points(self, facts: Facts) -> int:
        """Return the points of fit."""
        return points_of(
            sum(rule.points for rule in self.fit_rules if rule.holds(facts)), self.max_fit_points
        )

    def engagement_points(self, behaved: Sequence[Behaved], *, as_of: datetime) -> int:
        """Return the points of engagement at an instant."""
        if not behaved:
            return 0
        total = sum(_within(rule, _gathered(rule, behaved, as_of)[0]) for rule in self.engagement_rules)
        return points_of((total + _POINT // 2) >> _BITS, self.max_engagement_points)

    def score(self, facts: Facts, behaved: Sequence[Behaved], *, as_of: datetime) -> LeadScore:
        """Return the same with all that led to it; reasons name rules and fields, never what these say."""
        reasons = [
            ScoreReason(rule.rule_id, rule.points * 1000, field=rule.reads)
            for rule in self.fit_rules
            if rule.holds(facts)
        ]
        reasons += _engagement_reasons(self.engagement_rules, behaved, as_of)
        fit = self.fit_points(facts)
        engagement = self.engagement_points(behaved, as_of=as_of)
        return LeadScore(
            rating=self._steps.rating(self.version, fit, engagement),
            fit_points=fit,
            fit_grade=self._steps.grade(fit),
            engagement_points=engagement,
            engagement_level=self._steps.level(engagement),
            reasons=tuple(reasons),
            score_time=as_of,
        )

    def activated(self, now: datetime) -> "ScoreModel":
        """Return the version that rates from now on."""
        return replace(self, state=VersionState.ACTIVE, activate_time=now, retire_time=None)

    def retired(self, now: datetime) -> "ScoreModel":
        """Return the version that rates no more."""
        return replace(self, state=VersionState.RETIRED, retire_time=now)


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass over what is open, and how far it has come."""

    tenant: str
    version: int
    """Of the score model."""
    start_time: datetime
    finish_time: datetime | None = None
    after: tuple[str, int] = ("", 0)
    """The last handoff that it looked at, as lead and number."""
    scored_count: int = 0
    changed_count: int = 0

    def started(self, now: datetime) -> "Pass":
        """Return it, or where it is over the next one from its beginning."""
        return self if self.finish_time is None else Pass(self.tenant, self.version, now)

    def advanced(self, seen: Sequence[HandoffId], changed: int) -> "Pass":
        """Return it after a part."""
        return replace(
            self,
            after=(seen[-1].lead, seen[-1].number),
            scored_count=self.scored_count + len(seen),
            changed_count=self.changed_count + changed,
        )


class _Steps:
    """Grades, levels, cells and bands, ready to be looked up: the steps of each in falling order."""

    __slots__ = ("_bands", "_grades", "_levels", "_ratings")

    def __init__(self, model: ScoreModel) -> None:
        self._grades = _falling(model.fit_grades)
        self._levels = _falling(model.engagement_levels)
        self._bands = _falling(model.bands)
        self._ratings = {
            (cell.grade, cell.level): Rating(cell.score, _name_at(self._bands, cell.score), model.version)
            for cell in model.cells
        }

    def grade(self, points: int) -> str:
        return _name_at(self._grades, points)

    def level(self, points: int) -> str:
        return _name_at(self._levels, points)

    def rating(self, version: int, fit: int, engagement: int) -> Rating:
        found = self._ratings.get((self.grade(fit), self.level(engagement)))
        # Only of a model that was never checked.
        return Rating(0, "", version) if found is None else found


def points_of(points: int, most: int) -> int:
    """Return points within 0 and the most that a dimension counts for."""
    return 0 if points < 0 else min(points, most)


def _falling(steps: Iterable[Step]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(((step.start, step.name) for step in steps), reverse=True))


def _name_at(steps: Sequence[tuple[int, str]], figure: int) -> str:
    for start, name in steps:
        if figure >= start:
            return name
    return ""


def _gathered(rule: EngagementRule, behaved: Sequence[Behaved], as_of: datetime) -> tuple[int, int]:
    """Return what a rule's behaviours weigh together, in 2⁻³² of a point, and how many they are."""
    kinds, half_life = rule.kinds, rule.half_life
    weight = count = 0
    for kind, occur_time in behaved:
        if kind not in kinds or occur_time > as_of:
            continue
        count += 1
        if half_life is None:
            weight += _POINT
            continue
        halves, rest = divmod(as_of - occur_time, half_life)
        if halves < _LONG_AGO:
            weight += _HALVING[rest * _STEPS // half_life] >> halves
    return weight * rule.points, count


def _within(rule: EngagementRule, gathered: int) -> int:
    most = rule.max_points << _BITS
    return max(-most, min(gathered, most))


def _engagement_reasons(
    rules: Iterable[EngagementRule], behaved: Sequence[Behaved], as_of: datetime
) -> Iterable[ScoreReason]:
    for rule in rules:
        gathered, count = _gathered(rule, behaved, as_of)
        given = _within(rule, gathered)
        thousandths = (given * 1000 + _POINT // 2) >> _BITS
        if thousandths:
            yield ScoreReason(rule.rule_id, thousandths, behaviour_count=count, capped=given != gathered)


def _compiled(rule: FitRule) -> Callable[[Facts], bool]:
    read = reader_of(rule.reads)
    if read is None or rule.operator is None:
        return lambda _: False
    return _COMPILERS[rule.operator](read, rule.values)


def _one_of(read: Reader, values: Sequence[str]) -> Callable[[Facts], bool]:
    wanted = frozenset(value.strip().casefold() for value in values)
    return lambda facts: read(facts).strip().casefold() in wanted


def _contains(read: Reader, values: Sequence[str]) -> Callable[[Facts], bool]:
    wanted = tuple(value.casefold() for value in values)

    def holds(facts: Facts) -> bool:
        text = read(facts).casefold()
        return any(each in text for each in wanted)

    return holds


def _lies_within(read: Reader, values: Sequence[str]) -> Callable[[Facts], bool]:
    same = frozenset(value.strip().casefold() for value in values)
    # Regions are read from the left, domains from the right.
    below = tuple(f"{each}/" for each in same)
    above = tuple(f".{each}" for each in same)

    def holds(facts: Facts) -> bool:
        text = read(facts).strip().casefold()
        return text in same or text.startswith(below) or text.endswith(above)

    return holds


def _at_least(read: Reader, values: Sequence[str]) -> Callable[[Facts], bool]:
    bound = number_in(values[0]) if values else None

    def holds(facts: Facts) -> bool:
        number = number_in(read(facts))
        return number is not None and bound is not None and number >= bound

    return holds


def _at_most(read: Reader, values: Sequence[str]) -> Callable[[Facts], bool]:
    bound = number_in(values[0]) if values else None

    def holds(facts: Facts) -> bool:
        number = number_in(read(facts))
        return number is not None and bound is not None and number <= bound

    return holds


_COMPILERS: Final[dict[Operator, Callable[[Reader, Sequence[str]], Callable[[Facts], bool]]]] = {
    Operator.ONE_OF: _one_of,
    Operator.CONTAINS: _contains,
    Operator.WITHIN: _lies_within,
    Operator.AT_LEAST: _at_least,
    Operator.AT_MOST: _at_most,
    Operator.PRESENT: lambda read, _: lambda facts: bool(read(facts).strip()),
    Operator.ABSENT: lambda read, _: lambda facts: not read(facts).strip(),
}
