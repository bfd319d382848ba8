"""Scores move the right way: more of what is good never costs, and time alone never gains."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead import Qualification
from services.leads.domain.lead_fields import Facts
from services.leads.domain.scoring import Behaved, EngagementRule, ScoreModel
from services.leads.domain.scoring_faults import faults_of_model
from services.leads.store.scoring import packed, unpacked
from tests.builders.leads import NOON
from tests.builders.scoring import a_fit_rule, a_model, an_engagement_rule

KINDS = st.sampled_from(BehaviourKind)
AGES = st.timedeltas(timedelta(0), timedelta(days=40))
BEHAVED = st.lists(st.builds(lambda kind, ago: Behaved.at(kind, NOON - ago), KINDS, AGES), max_size=12)
RULES = st.builds(
    lambda kinds, points, most, hours: an_engagement_rule(
        kinds=tuple(kinds),
        points=points,
        max_points=most,
        half_life=None if hours is None else timedelta(hours=hours),
    ),
    st.lists(KINDS, min_size=1, max_size=3, unique=True),
    st.integers(1, 50),
    # Seldom reached: what is capped moves no more.
    st.integers(1, 10_000),
    st.none() | st.integers(1, 500),
)


def a_generous_model(rules: list[EngagementRule]) -> ScoreModel:
    """A model whose rules only give."""
    named = tuple(
        an_engagement_rule(
            rule_id=f"r{index}",
            kinds=rule.kinds,
            points=rule.points,
            max_points=rule.max_points,
            half_life=rule.half_life,
        )
        for index, rule in enumerate(rules)
    )
    model = a_model(engagement_rules=named, max_engagement_points=10_000)
    assert not faults_of_model(model)
    return model


@given(st.lists(RULES, min_size=1, max_size=4), BEHAVED, KINDS, AGES)
def test_one_more_behaviour_never_lowers_a_score_of_rules_that_give(
    rules: list[EngagementRule], behaved: list[Behaved], kind: BehaviourKind, ago: timedelta
) -> None:
    model = a_generous_model(rules)

    before = model.rate(Facts(), behaved, as_of=NOON).score

    assert model.rate(Facts(), [*behaved, Behaved.at(kind, NOON - ago)], as_of=NOON).score >= before


@given(st.lists(RULES, min_size=1, max_size=4), BEHAVED, AGES)
def test_time_alone_never_raises_a_score_of_rules_that_give(
    rules: list[EngagementRule], behaved: list[Behaved], later: timedelta
) -> None:
    model = a_generous_model(rules)

    now = model.engagement_points(behaved, as_of=NOON)

    assert model.engagement_points(behaved, as_of=NOON + later) <= now


@given(st.integers(-1000, 1000).filter(bool), st.integers(0, 1000), BEHAVED)
def test_one_more_point_of_a_rule_that_holds_never_lowers_a_score(
    points: int, more: int, behaved: list[Behaved]
) -> None:
    facts = Facts(told=Qualification(segment="retail"))
    less, well = (a_model(fit_rules=(a_fit_rule(points=each),)) for each in (points, points + more))

    assert well.rate(facts, behaved, as_of=NOON).score >= less.rate(facts, behaved, as_of=NOON).score


@given(st.lists(RULES, min_size=1, max_size=4), st.permutations(list(BehaviourKind)), AGES)
def test_the_order_in_which_behaviour_is_told_changes_nothing(
    rules: list[EngagementRule], kinds: list[BehaviourKind], ago: timedelta
) -> None:
    model = a_generous_model(rules)
    told = [Behaved.at(kind, NOON - ago / (index + 1)) for index, kind in enumerate(kinds)]

    assert model.score(Facts(), told, as_of=NOON) == model.score(Facts(), told[::-1], as_of=NOON)


@given(BEHAVED)
def test_points_are_within_the_model_and_the_score_is_that_of_a_cell(behaved: list[Behaved]) -> None:
    model = a_model()
    score = model.score(Facts(), behaved, as_of=NOON)

    assert 0 <= score.engagement_points <= model.max_engagement_points
    assert score.rating.score in {cell.score for cell in model.cells}


@given(BEHAVED)
def test_behaviour_is_kept_to_the_microsecond(behaved: list[Behaved]) -> None:
    assert unpacked(packed(behaved)) == behaved
