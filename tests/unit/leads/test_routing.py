"""To whom a handoff is offered, on what ground, and why not to the others."""

from dataclasses import replace
from typing import Any

import pytest

from services.leads.domain.desk import Case, to_fallback
from services.leads.domain.directory import Directory, Person, Queue, Role, RoutingMember, RoutingRule
from services.leads.domain.lead import Qualification
from services.leads.domain.routing import (
    Decision,
    Ground,
    Letters,
    PassedOver,
    Placement,
    Reason,
    candidates_in,
    letters_of,
)
from services.leads.domain.routing_rules import Condition, Needs, Traits, traits_of
from services.leads.domain.terms import Money, SourceChannel
from services.leads.domain.turns import Pool
from tests.builders.leads import ANNA, BEN, CARA, QUEUE, REPS, TEAM, TENANT, a_desk, a_directory

OTHER_QUEUE = f"{TENANT}/queues/night"
CALENDAR = f"{TENANT}/calendars/seoul"


def with_rules(*rules: RoutingRule, directory: Directory | None = None, **changes: Any) -> Directory:
    base = directory or a_directory()
    queues = (*base.queues, Queue(name=OTHER_QUEUE, team=TEAM))
    return replace(base, queues=queues, routing=replace(base.routing, rules=rules, **changes))


def a_rule(rule_id: str, *people: str, **changes: Any) -> RoutingRule:
    members = tuple(RoutingMember(person=person) for person in people)
    return RoutingRule(rule_id=rule_id, members=members, **changes)


def skilled(directory: Directory, **abilities: Any) -> Directory:
    """The directory with Anna able to do more."""
    people = tuple(replace(p, **abilities) if p.name == ANNA else p for p in directory.people)
    return replace(directory, people=people)


def decided(directory: Directory, case: Case | None = None, **state: Any) -> Placement:
    placement = a_desk(directory, **state).decide(case or Case(traits=Traits()))
    assert placement is not None
    return placement


def reasons(placement: Placement) -> dict[str, Reason]:
    return {other.person: other.reason for other in placement.decision.passed_over}


def test_who_is_on_leave_gone_or_was_asked_before_is_passed_over_with_the_reason() -> None:
    directory = a_directory(inactive=[BEN])

    placement = decided(directory, Case(traits=Traits(), tried=[ANNA]), on_leave=[CARA])

    assert placement.assignee == QUEUE
    assert placement.decision.ground is Ground.NOBODY_ELIGIBLE
    assert reasons(placement) == {
        ANNA: Reason.ALREADY_OFFERED,
        BEN: Reason.INACTIVE,
        CARA: Reason.ON_LEAVE,
    }


def test_after_as_many_offers_as_agreed_it_goes_to_the_queue() -> None:
    placement = decided(a_directory(max_offers=2), Case(traits=Traits(), tried=[ANNA, BEN]))

    assert placement.is_queue
    assert placement.decision.ground is Ground.OFFERS_USED_UP


def test_without_any_rule_there_is_still_the_fallback_queue() -> None:
    directory = a_directory(with_rule=False)

    placement = decided(directory)

    assert (placement.assignee, placement.is_queue) == (QUEUE, True)
    assert placement.decision.ground is Ground.NO_RULE_MATCHED
    assert to_fallback(directory) == replace(placement, decision=Decision(1, ground=Ground.HISTORY))


def test_without_a_queue_it_waits_for_routing_rather_than_being_everybodys() -> None:
    directory = replace(a_directory(with_rule=False), queues=())

    assert a_desk(directory).decide(Case(traits=Traits())) is None


def test_a_decision_says_by_which_version_and_rule_and_what_became_of_each_candidate() -> None:
    placement = decided(a_directory(), on_leave=[CARA])

    decision = placement.decision
    assert (decision.routing_version, decision.rule_id, decision.ground) == (1, "all", Ground.TURN)
    assert candidates_in(decision, REPS) == [(ANNA, "X"), (BEN, "T"), (CARA, "L")]


def test_the_first_rule_whose_condition_holds_decides_and_nobody_after_it_is_asked() -> None:
    directory = with_rules(
        a_rule("retail", ANNA, condition=Condition(segments=("Retail",)), queue=OTHER_QUEUE),
        a_rule("rest", BEN),
    )
    retail = Case(traits=Traits(segment="retail"))

    assert decided(directory, retail).assignee == ANNA
    assert decided(directory).assignee == BEN
    away = decided(directory, retail, on_leave=[ANNA])
    assert (away.assignee, away.decision.rule_id) == (OTHER_QUEUE, "retail")


def test_a_rules_own_queue_that_is_gone_gives_way_to_the_fallback() -> None:
    directory = with_rules(a_rule("all", ANNA, queue=f"{TENANT}/queues/gone"))

    assert decided(directory, on_leave=[ANNA]).assignee == QUEUE


TOLD = Qualification(
    source="Web Form",
    source_channel=SourceChannel.WEBSITE_FORM,
    segment="Retail",
    region="KR/Seoul",
    product="crm",
    lead_type="demo",
    language="pt-BR",
    score=70,
    value=Money("EUR", 5_000),
)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition(), True),
        (Condition(sources=("web form", "other")), True),
        (Condition(sources=("other",)), False),
        (Condition(source_channels=(SourceChannel.WEBSITE_FORM,)), True),
        (Condition(source_channels=(SourceChannel.EMAIL,)), False),
        (Condition(source_systems=("website",)), True),
        (Condition(source_systems=("hubspot",)), False),
        (Condition(territories=("kr",)), True),
        (Condition(territories=("kr.seoul",)), True),
        (Condition(territories=("kr.seoul.gangnam",)), False),
        (Condition(territories=("k",)), False),
        (Condition(languages=("pt",)), True),
        (Condition(languages=("pt-PT",)), False),
        (Condition(segments=("RETAIL",)), True),
        (Condition(products=("erp",)), False),
        (Condition(lead_types=("demo",)), True),
        (Condition(min_score=70, max_score=70), True),
        (Condition(min_score=71), False),
        (Condition(max_score=69), False),
        (Condition(min_value=Money("EUR", 5_000)), True),
        (Condition(min_value=Money("EUR", 5_001)), False),
        (Condition(max_value=Money("EUR", 4_999)), False),
        (Condition(max_value=Money("EUR", 5_000)), True),
        (Condition(min_value=Money("USD", 1)), False),
        (Condition(max_value=Money("USD", 10**9)), False),
        (Condition(segments=("retail",), min_score=80), False),
    ],
)
def test_a_condition_holds_when_all_that_is_set_does(condition: Condition, holds: bool) -> None:
    traits = traits_of(TOLD, "website")

    assert a_rule("r", ANNA, condition=condition).holds_for(traits) is holds


@pytest.mark.parametrize(
    "condition",
    [
        Condition(min_score=0),
        Condition(max_score=100),
        Condition(min_value=Money("EUR", 0)),
        Condition(max_value=Money("EUR", 10**9)),
        Condition(territories=("kr",)),
        Condition(languages=("ko",)),
        Condition(sources=("x",)),
    ],
)
def test_what_is_not_known_of_a_handoff_fulfils_no_condition(condition: Condition) -> None:
    assert not a_rule("r", ANNA, condition=condition).holds_for(traits_of(Qualification(), "website"))


@pytest.mark.parametrize(
    ("domain", "rule"),
    [("acme.com", "acme"), ("eu.acme.com", "acme"), ("notacme.com", "rest"), ("", "rest")],
)
def test_a_companys_domain_is_that_of_those_below_it_too(domain: str, rule: str) -> None:
    directory = with_rules(
        a_rule("acme", ANNA, condition=Condition(company_domains=("Acme.com",))), a_rule("rest", BEN)
    )

    placement = decided(directory, Case(traits=Traits(), company_domain=lambda: domain))

    assert placement.decision.rule_id == rule


def test_a_company_is_looked_up_only_where_a_rule_asks_for_it() -> None:
    def forbidden() -> str:
        raise AssertionError

    decided(a_directory(), Case(traits=Traits(), company_domain=forbidden, account_owner=forbidden))


def test_a_rule_is_for_those_who_have_all_its_skills() -> None:
    directory = skilled(
        with_rules(a_rule("all", *REPS, needs=Needs(skills=("enterprise", "legal")))),
        skills=("enterprise", "legal", "more"),
    )

    placement = decided(directory)

    assert placement.assignee == ANNA
    assert reasons(placement) == {BEN: Reason.SKILL_MISSING, CARA: Reason.SKILL_MISSING}


def test_a_territory_is_covered_by_those_who_cover_what_holds_it() -> None:
    directory = skilled(with_rules(a_rule("all", *REPS, needs=Needs(territory=True))), territories=("kr",))

    placement = decided(directory, Case(traits=Traits(territory="kr.seoul")))

    assert placement.assignee == ANNA
    assert reasons(placement) == {BEN: Reason.OTHER_TERRITORY, CARA: Reason.OTHER_TERRITORY}


def test_a_handoff_without_territory_or_language_is_for_everybody() -> None:
    directory = with_rules(a_rule("all", *REPS, needs=Needs(territory=True, language=True)))

    assert decided(directory).decision.passed_over == ()


@pytest.mark.parametrize(
    ("spoken", "wanted", "able"),
    [("pt", "pt-br", True), ("pt-BR", "pt", True), ("pt-BR", "pt-pt", False), ("ko", "en", False)],
)
def test_a_language_is_spoken_by_those_who_speak_it_or_any_form_of_it(
    spoken: str, wanted: str, able: bool
) -> None:
    directory = skilled(with_rules(a_rule("all", ANNA, needs=Needs(language=True))), languages=(spoken,))

    placement = decided(directory, Case(traits=Traits(language=wanted)))

    assert (placement.assignee == ANNA) is able


def test_who_has_as_much_open_work_as_they_take_is_passed_over() -> None:
    directory = skilled(a_directory(), capacity=2)

    assert ANNA not in reasons(decided(directory, work={ANNA: 1}))
    assert reasons(decided(directory, work={ANNA: 2})) == {ANNA: Reason.AT_CAPACITY}


def test_outside_working_hours_nobody_is_offered_anything() -> None:
    member = RoutingMember(person=BEN, calendar=f"{TENANT}/calendars/night")
    rule = a_rule("all", ANNA, needs=Needs(calendar=CALENDAR))
    directory = with_rules(replace(rule, members=(*rule.members, member)))

    placement = decided(directory, closed=[CALENDAR])

    assert placement.assignee == BEN
    assert reasons(placement) == {ANNA: Reason.OUT_OF_HOURS}


def test_who_could_never_take_it_is_told_that_reason_also_while_away() -> None:
    directory = skilled(
        with_rules(a_rule("all", *REPS, needs=Needs(skills=("enterprise",)))), skills=("enterprise",)
    )

    placement = decided(directory, on_leave=[BEN], work={CARA: 10**6})

    assert reasons(placement) == {BEN: Reason.SKILL_MISSING, CARA: Reason.SKILL_MISSING}


def test_who_owned_the_lead_lately_is_not_offered_it_again() -> None:
    placement = decided(a_directory(), Case(traits=Traits(), cooling_off={ANNA}))

    assert placement.assignee == BEN
    assert reasons(placement) == {ANNA: Reason.COOLING_OFF}


def account_first(**people: Any) -> Directory:
    base = skilled(a_directory(), **people)
    return replace(base, routing=replace(base.routing, account_owner_first=True))


def owned_by(person: str) -> Case:
    return Case(traits=Traits(), account_owner=lambda: person)


def test_the_owner_of_the_account_is_asked_before_any_rule_and_pays_no_turn() -> None:
    pools: dict[str, Pool] = {}
    placement = decided(account_first(), owned_by(CARA), pools=pools)

    assert (placement.assignee, placement.is_queue) == (CARA, False)
    assert placement.decision == Decision(1, ground=Ground.ACCOUNT_OWNER, account_owner=CARA)
    assert pools == {}


@pytest.mark.parametrize(
    ("directory", "state", "reason"),
    [
        (account_first(), {"on_leave": [ANNA]}, Reason.ON_LEAVE),
        (account_first(capacity=1), {"work": {ANNA: 1}}, Reason.AT_CAPACITY),
        (account_first(inactive=True), {}, Reason.INACTIVE),
    ],
)
def test_an_owner_of_the_account_who_cannot_take_it_is_passed_over_with_the_reason(
    directory: Directory, state: dict[str, Any], reason: Reason
) -> None:
    placement = decided(directory, owned_by(ANNA), **state)

    assert placement.assignee != ANNA
    assert placement.decision.account_owner == ANNA
    assert placement.decision.passed_over[0] == PassedOver(ANNA, reason)


def test_where_the_routing_does_not_ask_for_it_an_account_changes_nothing() -> None:
    assert decided(a_directory(), owned_by(CARA)).assignee == ANNA


def test_what_one_decision_gives_counts_for_the_next_of_the_batch() -> None:
    directory = skilled(a_directory(), capacity=1)
    desk = a_desk(directory)
    case = Case(traits=Traits())

    turns = [placement.assignee for _ in range(4) if (placement := desk.decide(case))]

    # Nothing was kept open, so nobody is full: the desk counts turns, the work is what was moved.
    assert turns == [ANNA, BEN, CARA, ANNA]


def test_many_passed_over_are_named_up_to_ten_and_lettered_to_the_last() -> None:
    people = [f"{TENANT}/people/rep{number:03}" for number in range(200)]
    staff = tuple(Person(name=name, roles=frozenset({Role.SALES_REP}), team=TEAM) for name in people)
    base = replace(a_directory(), people=staff)
    directory = with_rules(a_rule("all", *people), directory=base)

    decision = decided(directory, on_leave=people[:150]).decision

    assert len(decision.passed_over) == 10
    assert decision.candidates == "150LX49T"
    assert candidates_in(decision, people)[149:152] == [
        (people[149], "L"),
        (people[150], "X"),
        (people[151], "T"),
    ]


def test_letters_are_shortened_and_read_back() -> None:
    for letters in ("", "X", "TTXLLLT", "T" * 199 + "X"):
        assert letters_of(Letters(letters).shortened()) == letters
        for place in range(len(letters)):
            chosen = f"{letters[:place]}X{letters[place + 1 :]}"
            assert letters_of(Letters(letters).with_chosen(place)) == chosen
