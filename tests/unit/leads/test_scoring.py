"""A score is whole numbers by rules: halves at a half-life, caps, cells, and reasons that name nobody."""

from datetime import timedelta

import pytest

from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead import Contact, Qualification, Rating
from services.leads.domain.lead_fields import Facts, number_in
from services.leads.domain.scoring import Cell, Operator, ScoreReason, Step
from services.leads.domain.scoring_faults import faults_of_model
from services.leads.domain.terms import Money
from tests.builders.leads import NOON
from tests.builders.scoring import HALF_LIFE, a_fit_rule, a_model, a_visit, an_engagement_rule

RETAIL = Facts(told=Qualification(segment="retail"))
NOBODY = Facts()


def points_thousandths(ago: timedelta) -> int:
    model = a_model(engagement_rules=(an_engagement_rule(points=8),))
    [reason] = model.score(NOBODY, [a_visit(ago)], as_of=NOON).reasons
    return reason.points_thousandths


def holds(rule_field: str, operator: Operator, *values: str, facts: Facts) -> bool:
    return a_fit_rule(reads=rule_field, operator=operator, values=values).holds(facts)


def test_a_behaviour_counts_in_full_at_its_instant_and_for_half_after_exactly_one_half_life() -> None:
    assert points_thousandths(timedelta(0)) == 8 * 1000
    assert points_thousandths(HALF_LIFE) == 8 * 1000 // 2
    assert points_thousandths(3 * HALF_LIFE) == 8 * 1000 // 2**3


def test_between_half_lives_points_fall_by_the_exponential_to_a_thousandth() -> None:
    ago = HALF_LIFE / 2

    assert points_thousandths(ago) == pytest.approx(8 * 1000 * 2**-0.5, abs=1)


def test_what_has_no_half_life_counts_in_full_for_ever_and_what_has_one_is_nothing_in_the_end() -> None:
    lasting = a_model(engagement_rules=(an_engagement_rule(half_life=None),))
    years = [a_visit(timedelta(days=3000))]

    assert lasting.engagement_points(years, as_of=NOON) == 10
    assert a_model().engagement_points(years, as_of=NOON) == 0


def test_a_behaviour_after_the_instant_does_not_count() -> None:
    visit = a_visit(-timedelta(microseconds=1))

    assert a_model().engagement_points([visit], as_of=NOON) == 0


def test_a_rule_gives_no_more_than_its_most_and_says_so() -> None:
    model = a_model(engagement_rules=(an_engagement_rule(points=10, max_points=25),))

    score = model.score(NOBODY, [a_visit()] * 3, as_of=NOON)

    assert score.engagement_points == 25
    assert score.reasons == (ScoreReason("visits", 25_000, behaviour_count=3, capped=True),)


def test_a_rule_that_takes_takes_no_more_than_its_most() -> None:
    taking = an_engagement_rule(
        rule_id="leaves", kinds=(BehaviourKind.SUBSCRIPTION_CHANGED,), points=-10, max_points=15
    )
    model = a_model(engagement_rules=(an_engagement_rule(points=20, half_life=None), taking))
    left = a_visit()._replace(kind=BehaviourKind.SUBSCRIPTION_CHANGED)

    assert model.engagement_points([a_visit(), left, left], as_of=NOON) == 20 - 15


def test_a_dimension_counts_for_no_more_than_its_most_and_for_no_less_than_nothing() -> None:
    generous = a_model(fit_rules=(a_fit_rule(points=90), a_fit_rule(rule_id="again", points=90)))
    severe = a_model(fit_rules=(a_fit_rule(points=-90),))

    assert generous.fit_points(RETAIL) == generous.max_fit_points
    assert severe.fit_points(RETAIL) == 0


@pytest.mark.parametrize(
    ("fit", "visits", "rating"),
    [
        (39, 0, Rating(10, "COLD", 0)),
        (40, 0, Rating(60, "WARM", 0)),
        (39, 2, Rating(40, "COLD", 0)),
        (40, 1, Rating(60, "WARM", 0)),
        (40, 2, Rating(90, "HOT", 0)),
    ],
)
def test_a_grade_and_a_level_begin_at_their_own_first_point(fit: int, visits: int, rating: Rating) -> None:
    model = a_model(fit_rules=(a_fit_rule(points=fit),))

    assert model.rate(RETAIL, [a_visit()] * visits, as_of=NOON) == rating


def test_the_score_with_its_reasons_is_the_one_that_is_rated_by() -> None:
    model, visits = a_model(), [a_visit(), a_visit(HALF_LIFE)]

    score = model.score(RETAIL, visits, as_of=NOON)

    assert score.rating == model.rate(RETAIL, visits, as_of=NOON)
    assert (score.fit_points, score.fit_grade) == (40, "A")
    assert (score.engagement_points, score.engagement_level) == (10 + 5, "2")


def test_reasons_name_rules_and_fields_and_nothing_that_a_field_says() -> None:
    secret = "Rosa-Maria"
    facts = Facts(
        contact=Contact(given_name=secret, job_title=f"{secret}'s office", attributes={"pet": secret})
    )
    model = a_model(
        fit_rules=(
            a_fit_rule(rule_id="named", reads="given_name", operator=Operator.PRESENT, values=()),
            a_fit_rule(rule_id="office", reads="job_title", operator=Operator.CONTAINS, values=("office",)),
            a_fit_rule(rule_id="pet", reads="attributes.pet", operator=Operator.ONE_OF, values=(secret,)),
        )
    )

    score = model.score(facts, [], as_of=NOON)

    assert [(each.rule_id, each.field) for each in score.reasons] == [
        ("named", "given_name"),
        ("office", "job_title"),
        ("pet", "attributes.pet"),
    ]
    assert secret not in repr(score)


def test_words_are_compared_without_case_and_outer_blanks() -> None:
    facts = Facts(told=Qualification(segment=" Retail "))

    assert holds("segment", Operator.ONE_OF, "RETAIL", facts=facts)
    assert not holds("segment", Operator.ONE_OF, "retail trade", facts=facts)


def test_a_word_occurs_anywhere_in_a_title() -> None:
    facts = Facts(contact=Contact(job_title="Senior Buyer"))

    assert holds("job_title", Operator.CONTAINS, "buyer", facts=facts)
    assert not holds("job_title", Operator.CONTAINS, "chief", facts=facts)


@pytest.mark.parametrize(
    ("region", "domain", "inside"),
    [
        ("kr", "acme.com", True),
        ("KR/Seoul", "eu.acme.com", True),
        ("kr.seoul", "EU.Acme.com", True),
        ("krabi", "notacme.com", False),
        ("north.kr", "acme.com.example.org", False),
    ],
)
def test_regions_lie_below_one_another_from_the_left_and_domains_from_the_right(
    region: str, domain: str, *, inside: bool
) -> None:
    facts = Facts(contact=Contact(company_domain=domain), told=Qualification(region=region))

    assert holds("region", Operator.WITHIN, "kr", facts=facts) is inside
    assert holds("company_domain", Operator.WITHIN, "acme.com", facts=facts) is inside


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [("250", True, True), ("250.000001", True, False), ("249.999999", False, True), ("many", False, False)],
)
def test_numbers_are_compared_exactly_and_what_is_none_fulfils_nothing(
    told: str, *, least: bool, most: bool
) -> None:
    facts = Facts(contact=Contact(attributes={"employees": told}))

    assert holds("attributes.employees", Operator.AT_LEAST, "250", facts=facts) is least
    assert holds("attributes.employees", Operator.AT_MOST, "250", facts=facts) is most


def test_a_value_in_another_currency_than_the_tenants_says_nothing() -> None:
    told = Qualification(value=Money("EUR", 500_000))

    assert holds("value", Operator.AT_LEAST, "500000", facts=Facts(told=told, currency_code="EUR"))
    assert not holds("value", Operator.PRESENT, facts=Facts(told=told, currency_code="USD"))


@pytest.mark.parametrize("text", ["", "1e3", "1,000", "٣", "0x10", "1.0000001", "1" * 16, "NaN"])
def test_what_is_no_plain_number_is_none(text: str) -> None:
    assert number_in(text) is None


def test_a_number_is_kept_to_its_last_decimal() -> None:
    assert number_in("-12.5") == -12_500_000


def test_a_model_without_faults_has_none() -> None:
    assert faults_of_model(a_model()) == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fit_rules": (a_fit_rule(), a_fit_rule())}, "fit_rules[1].rule_id"),
        ({"fit_rules": (a_fit_rule(rule_id="Not An Id"),)}, "fit_rules[0].rule_id"),
        ({"fit_rules": (a_fit_rule(points=0),)}, "fit_rules[0].points"),
        ({"fit_rules": (a_fit_rule(reads="shoe_size"),)}, "fit_rules[0].field"),
        ({"fit_rules": (a_fit_rule(reads="given_name"),)}, "fit_rules[0].operator"),
        ({"fit_rules": (a_fit_rule(operator=None),)}, "fit_rules[0].operator"),
        ({"fit_rules": (a_fit_rule(operator=Operator.AT_LEAST),)}, "fit_rules[0].values"),
        ({"fit_rules": (a_fit_rule(values=()),)}, "fit_rules[0].values"),
        ({"fit_rules": (a_fit_rule(operator=Operator.PRESENT),)}, "fit_rules[0].values"),
        ({"engagement_rules": (an_engagement_rule(kinds=()),)}, "engagement_rules[0].kinds"),
        ({"engagement_rules": (an_engagement_rule(max_points=0),)}, "engagement_rules[0].max_points"),
        (
            {"engagement_rules": (an_engagement_rule(half_life=timedelta(0)),)},
            "engagement_rules[0].half_life_duration",
        ),
        ({"max_fit_points": 0}, "max_fit_points"),
        ({"fit_grades": (Step("A", 40), Step("B", 1))}, "fit_grades"),
        ({"fit_grades": (Step("A", 101), Step("B", 0))}, "fit_grades[0].from_points"),
        ({"bands": (Step("COLD", 0), Step("COLD", 50))}, "bands"),
        ({"cells": a_model().cells[1:]}, "cells"),
        ({"cells": (*a_model().cells, Cell("C", "1", 5))}, "cells"),
        ({"cells": (Cell("B", "2", 101), *a_model().cells[1:])}, "cells[0].score"),
    ],
)
def test_a_model_that_cannot_rate_is_refused_with_the_place(changes: dict[str, object], field: str) -> None:
    assert field in [fault.field for fault in faults_of_model(a_model(**changes))]


def test_a_model_in_which_a_better_lead_scores_lower_is_refused() -> None:
    upside_down = (Cell("B", "2", 10), Cell("B", "1", 40), Cell("A", "2", 60), Cell("A", "1", 59))

    assert [fault.field for fault in faults_of_model(a_model(cells=upside_down))] == ["cells"]
