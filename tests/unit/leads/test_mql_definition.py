"""Whether a lead is marketing-qualified: points of fit and of late engagement, or a hand raised."""

from datetime import timedelta

import pytest

from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead import Contact, Qualification
from services.leads.domain.lead_fields import Facts
from services.leads.domain.mql_definition import HandRaise, MqlDefinition, Shortfall
from services.leads.domain.scoring_faults import faults_of_definition
from services.leads.domain.terms import SourceChannel
from tests.builders.leads import NOON
from tests.builders.scoring import a_definition, a_model, a_visit, an_engagement_rule

MODEL = a_model(engagement_rules=(an_engagement_rule(half_life=None),))
RETAIL = Facts(contact=Contact(email="kim@example.com", company="Acme"), told=Qualification(segment="retail"))
WINDOW = timedelta(days=30)


def test_a_lead_with_the_points_asked_for_conforms() -> None:
    found = a_definition().verdict(MODEL, RETAIL, [a_visit(), a_visit()], as_of=NOON)

    assert (found.conforming, found.shortfalls, found.hand_raised) == (True, (), False)
    assert (found.fit_points, found.engagement_points) == (40, 20)


def test_every_shortfall_is_named() -> None:
    found = a_definition().verdict(MODEL, Facts(), [a_visit()], as_of=NOON)

    assert not found.conforming
    assert found.shortfalls == (Shortfall.FIT, Shortfall.ENGAGEMENT)


def test_behaviour_at_the_window_s_edge_counts_and_a_microsecond_before_it_does_not() -> None:
    within = [a_visit(), a_visit(WINDOW)]
    before = [a_visit(), a_visit(WINDOW + timedelta(microseconds=1))]

    assert a_definition().verdict(MODEL, RETAIL, within, as_of=NOON).conforming
    assert not a_definition().verdict(MODEL, RETAIL, before, as_of=NOON).conforming


@pytest.mark.parametrize(
    ("raises", "told"),
    [
        (HandRaise(lead_types=("demo_request",)), Qualification(lead_type=" Demo_Request")),
        (
            HandRaise(source_channels=(SourceChannel.WEBSITE_FORM,)),
            Qualification(source_channel=SourceChannel.WEBSITE_FORM),
        ),
        (HandRaise(behaviours=(BehaviourKind.PAGE_VISITED,)), Qualification()),
    ],
)
def test_a_raised_hand_conforms_whatever_the_points(raises: HandRaise, told: Qualification) -> None:
    strict = a_definition(min_fit_points=100, min_engagement_points=100, hand_raise=raises)

    found = strict.verdict(MODEL, Facts(told=told), [a_visit()], as_of=NOON)

    assert (found.conforming, found.hand_raised, found.shortfalls) == (True, True, ())


def test_a_hand_raised_before_the_window_is_down_again() -> None:
    strict = a_definition(hand_raise=HandRaise(behaviours=(BehaviourKind.PAGE_VISITED,)))

    assert not strict.verdict(MODEL, Facts(), [a_visit(WINDOW * 2)], as_of=NOON).conforming


def test_completeness_is_counted_beside_conformance_and_names_what_is_missing() -> None:
    wanted = a_definition(required_fields=("email", "phone", "company", "attributes.budget"))
    contact = Contact(email="kim@example.com", company="-", attributes={"budget": "200k"})

    found = wanted.verdict(MODEL, Facts(contact=contact), [], as_of=NOON)

    assert (found.required_field_count, found.filled_field_count) == (4, 2)
    assert found.missing_fields == ("phone", "company")


def test_a_channel_that_nobody_mapped_says_nothing() -> None:
    wanted = a_definition(required_fields=("source_channel",))

    assert wanted.verdict(MODEL, Facts(), [], as_of=NOON).missing_fields == ("source_channel",)


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        (a_definition(model_version=0), "score_model"),
        (a_definition(min_fit_points=-1), "min_fit_points"),
        (a_definition(engagement_window=timedelta(hours=1)), "engagement_window"),
        (a_definition(required_fields=("email", "email")), "required_fields"),
        (a_definition(required_fields=("shoe_size",)), "required_fields[0]"),
        (a_definition(hand_raise=HandRaise(lead_types=("",))), "hand_raise.lead_types"),
    ],
)
def test_a_definition_that_cannot_be_held_against_is_refused_with_the_place(
    definition: MqlDefinition, field: str
) -> None:
    assert field in [fault.field for fault in faults_of_definition(definition)]


def test_a_definition_by_raised_hands_alone_needs_no_model() -> None:
    hands = MqlDefinition(hand_raise=HandRaise(lead_types=("demo_request",)))

    assert faults_of_definition(hands) == ()
    assert hands.verdict(None, Facts(), [], as_of=NOON).conforming
