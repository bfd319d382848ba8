"""How likely a lead is to buy, by the tenant's own rules: fit × engagement → score, band and reasons.

Everything is counted in whole numbers: points in 2⁻³² of a point, halves by a table of 1,024 steps that is
itself made of whole numbers. The same lead at the same instant has the same score on every machine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from math import isqrt
from operator import itemgetter
from typing import Any, Final, NamedTuple

from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead import Rating
from services.leads.domain.lead_fields import Facts, number_in, reader_of, reads_contact
from services.leads.domain.routing_rules import territory_of

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
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BITS: Final = 32
_POINT: Final = 1 << _BITS
_STEPS: Final = 1024
_FROM_THE_LEFT: Final = {"region": ".", "language": "-"}
"""Fields that lie below one another as they do in routing; any other does as domains do."""
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
    occur_micros: int
    """Since 1970, as it is kept: a pass weighs millions of them, and must not make as many instants."""

    @classmethod
    def at(cls, kind: int, occur_time: datetime) -> "Behaved":
        """Return a behaviour of this kind at this instant."""
        return cls(kind, _micros_of(occur_time))

    @property
    def occur_time(self) -> datetime:
        """The instant."""
        return _EPOCH + timedelta(microseconds=self.occur_micros)


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

    def holds(self, facts: Facts) -> bool:
        """Whether a lead fulfils it; a rule about no field there is is never fulfilled."""
        return bool(_Fit([self]).holding(facts))


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
    requalify_from_score: int | None = None
    """From which score on behaviour of a recycled lead starts its next handoff."""
    create_time: datetime | None = None
    activate_time: datetime | None = None
    retire_time: datetime | None = None
    _fit: "_Fit" = field(init=False, repr=False, compare=False)
    _engagement: "_Engagement" = field(init=False, repr=False, compare=False)
    _steps: "_Steps" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_fit", _Fit(self.fit_rules))
        object.__setattr__(self, "_engagement", _Engagement(self.engagement_rules))
        object.__setattr__(self, "_steps", _Steps(self))

    @property
    def reads_contact(self) -> bool:
        """Whether any rule looks at what is sealed."""
        return any(reads_contact(rule.reads) for rule in self.fit_rules)

    def rate(self, facts: Facts, behaved: Sequence[Behaved], *, as_of: datetime) -> Rating:
        """Return the score and band at an instant; behaviour after it does not count."""
        engagement = self.engagement_points(behaved, as_of=as_of)
        return self._steps.rating(self.version, self.fit_points(facts), engagement)

    def fit_points(self, facts: Facts) -> int:
        """Return the points of fit."""
        return _within_dimension(
            sum([rule.points for _, rule in self._fit.holding(facts)]), self.max_fit_points
        )

    def engagement_points(self, behaved: Sequence[Behaved], *, as_of: datetime) -> int:
        """Return the points of engagement at an instant."""
        if not behaved:
            return 0
        total = sum([given for _, given, _, _ in self._engagement.given(behaved, as_of)])
        return _within_dimension((total + _POINT // 2) >> _BITS, self.max_engagement_points)

    def score(self, facts: Facts, behaved: Sequence[Behaved], *, as_of: datetime) -> LeadScore:
        """Return the same with all that led to it; reasons name rules and fields, never what these say."""
        holding = sorted(self._fit.holding(facts), key=itemgetter(0))
        given = self._engagement.given(behaved, as_of)
        reasons = [ScoreReason(rule.rule_id, rule.points * 1000, rule.reads) for _, rule in holding]
        reasons += _engagement_reasons(given)
        fit = _within_dimension(sum([rule.points for _, rule in holding]), self.max_fit_points)
        total = sum([each[1] for each in given])
        engagement = _within_dimension((total + _POINT // 2) >> _BITS, self.max_engagement_points)
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


class _Fit:
    """The rules of fit, put together by what they read: a field is read and spelled once for all of them."""

    __slots__ = ("_fields",)

    def __init__(self, rules: Sequence[FitRule]) -> None:
        by_field: dict[str, list[tuple[int, FitRule]]] = {}
        for numbered in enumerate(rules):
            by_field.setdefault(numbered[1].reads, []).append(numbered)
        self._fields = tuple(
            (read, _tests(own, _WORD_TESTS), _tests(own, _NUMBER_TESTS))
            for reads, own in by_field.items()
            if (read := reader_of(reads)) is not None
        )

    def holding(self, facts: Facts) -> list[tuple[int, FitRule]]:
        """Return the rules that a lead fulfils, each with its place in the model."""
        found = []
        for read, words, numbers in self._fields:
            told = read(facts)
            text = told.strip().casefold()
            for test, numbered in words:
                if test(text):
                    found.append(numbered)
            number = number_in(told) if numbers and told else None
            if number is not None:
                found += [numbered for test, numbered in numbers if test(number)]
        return found


class _Engagement:
    """The rules of engagement, put together by kind of behaviour."""

    __slots__ = ("_by_kind", "_half_lives", "_rules")

    def __init__(self, rules: Sequence[EngagementRule]) -> None:
        self._rules = tuple(rules)
        self._half_lives = tuple(
            0 if rule.half_life is None else rule.half_life // _MICROSECOND for rule in rules
        )
        by_kind: dict[int, list[int]] = {}
        for index, rule in enumerate(rules):
            for kind in rule.kinds:
                by_kind.setdefault(int(kind), []).append(index)
        self._by_kind = by_kind

    def given(
        self, behaved: Sequence[Behaved], as_of: datetime
    ) -> list[tuple[EngagementRule, int, int, bool]]:
        """Return what each rule gives, in 2⁻³² of a point, for how many behaviours, and if it had more."""
        if not behaved:
            return []
        weights, counts = [0] * len(self._rules), [0] * len(self._rules)
        now, by_kind, half_lives = _micros_of(as_of), self._by_kind, self._half_lives
        for kind, occur_micros in behaved:
            if occur_micros > now:
                continue
            for index in by_kind.get(kind, ()):
                counts[index] += 1
                weights[index] += _weight(now - occur_micros, half_lives[index])
        return [
            _given(rule, weight * rule.points, count)
            for rule, weight, count in zip(self._rules, weights, counts, strict=True)
            if count
        ]


def _given(rule: EngagementRule, points: int, count: int) -> tuple[EngagementRule, int, int, bool]:
    most = rule.max_points << _BITS
    given = max(-most, min(points, most))
    return rule, given, count, given != points


def _weight(age_micros: int, half_life_micros: int) -> int:
    """Return what is left of one point, in 2⁻³² of it."""
    if not half_life_micros:
        return _POINT
    halves, rest = divmod(age_micros, half_life_micros)
    return _HALVING[rest * _STEPS // half_life_micros] >> halves if halves < _LONG_AGO else 0


def _micros_of(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _within_dimension(points: int, most: int) -> int:
    return 0 if points < 0 else min(points, most)


def _falling(steps: Iterable[Step]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(((step.start, step.name) for step in steps), reverse=True))


def _name_at(steps: Sequence[tuple[int, str]], figure: int) -> str:
    for start, name in steps:
        if figure >= start:
            return name
    return ""


def _engagement_reasons(given: Iterable[tuple[EngagementRule, int, int, bool]]) -> Iterable[ScoreReason]:
    for rule, points, count, capped in given:
        thousandths = (points * 1000 + _POINT // 2) >> _BITS
        if thousandths:
            yield ScoreReason(rule.rule_id, thousandths, behaviour_count=count, capped=capped)


def _tests(
    rules: Iterable[tuple[int, FitRule]],
    makers: Mapping[Operator, Callable[[FitRule], Callable[[Any], bool]]],
) -> tuple[tuple[Callable[[Any], bool], tuple[int, FitRule]], ...]:
    """Return the tests of those rules whose operator is among these, each with its rule."""
    return tuple(
        (makers[rule.operator](rule), (place, rule))
        for place, rule in rules
        if rule.operator is not None and rule.operator in makers
    )


def _one_of(rule: FitRule) -> Callable[[str], bool]:
    return frozenset(value.strip().casefold() for value in rule.values).__contains__


def _contains(rule: FitRule) -> Callable[[str], bool]:
    wanted = tuple(value.casefold() for value in rule.values)

    def holds(text: str) -> bool:
        for each in wanted:  # noqa: SIM110 -- a generator costs more than the tests
            if each in text:
                return True
        return False

    return holds


def _lies_within(rule: FitRule) -> Callable[[str], bool]:
    separator = _FROM_THE_LEFT.get(rule.reads)
    if separator is None:
        same = frozenset(value.strip().casefold() for value in rule.values)
        above = tuple(f".{each}" for each in same)
        return lambda text: text in same or text.endswith(above)
    outer = frozenset(territory_of(value) for value in rule.values)
    below = tuple(f"{each}{separator}" for each in outer)

    def holds(text: str) -> bool:
        inner = territory_of(text)
        return inner in outer or inner.startswith(below)

    return holds


def _at_least(rule: FitRule) -> Callable[[int], bool]:
    bound = number_in(rule.values[0]) if rule.values else None
    return (lambda _: False) if bound is None else (lambda number: number >= bound)


def _at_most(rule: FitRule) -> Callable[[int], bool]:
    bound = number_in(rule.values[0]) if rule.values else None
    return (lambda _: False) if bound is None else (lambda number: number <= bound)


_WORD_TESTS: Final[Mapping[Operator, Callable[[FitRule], Callable[[str], bool]]]] = {
    Operator.ONE_OF: _one_of,
    Operator.CONTAINS: _contains,
    Operator.WITHIN: _lies_within,
    Operator.PRESENT: lambda _: bool,
    Operator.ABSENT: lambda _: lambda text: not text,
}
"""Of a field in the spelling in which words are compared."""
_NUMBER_TESTS: Final[Mapping[Operator, Callable[[FitRule], Callable[[int], bool]]]] = {
    Operator.AT_LEAST: _at_least,
    Operator.AT_MOST: _at_most,
}
"""Of a field that says a number, in millionths."""
