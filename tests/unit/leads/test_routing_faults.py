"""What keeps a routing from being applied: above all rules that nothing reaches and nobody can take."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.leads.domain.directory import Directory, Routing, RoutingMember, RoutingRule
from services.leads.domain.directory_faults import faults_of
from services.leads.domain.routing_rules import Condition, Needs
from services.leads.domain.terms import Money, SourceChannel
from services.leads.wire.directory import directory_from, directory_to
from services.leads.wire.routing import routing_bytes, routing_from_bytes, unknown_channels
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.eventlog.outbox import MAX_PAYLOAD_BYTES
from tests.builders.leads import ANNA, BEN, QUEUE, TENANT, a_directory


def a_rule(rule_id: str = "r", *, members: tuple[RoutingMember, ...] = (), **changes: Any) -> RoutingRule:
    return RoutingRule(rule_id=rule_id, members=members or (RoutingMember(person=ANNA),), **changes)


def faults(*rules: RoutingRule, skills: tuple[str, ...] = (), **changes: Any) -> list[tuple[str, str]]:
    base = a_directory()
    people = tuple(
        replace(p, skills=skills, territories=("kr.seoul",), languages=("ko",)) if p.name == ANNA else p
        for p in base.people
    )
    directory = replace(base, people=people, routing=replace(base.routing, rules=rules, **changes))
    return [(fault.path, fault.description) for fault in faults_of(directory)]


def paths(*rules: RoutingRule, **changes: Any) -> list[str]:
    return [path for path, _ in faults(*rules, **changes)]


def on(**condition: Any) -> dict[str, Condition]:
    return {"condition": Condition(**condition)}


def test_a_sound_routing_has_no_fault() -> None:
    sound = a_rule(
        "korea",
        members=(RoutingMember(person=ANNA, calendar=f"{TENANT}/calendars/seoul"),),
        condition=Condition(territories=("kr",), languages=("ko",), min_score=50),
        needs=Needs(skills=("enterprise",), territory=True, language=True, calendar=f"{TENANT}/calendars/x"),
        queue=QUEUE,
    )

    assert paths(sound, a_rule("rest"), skills=("enterprise",)) == []


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({}, {}),
        ({}, on(segments=("retail",))),
        (on(segments=("Retail", "food")), on(segments=("retail",))),
        (on(segments=("retail",)), on(segments=("retail",), min_score=5)),
        (on(territories=("kr",)), on(territories=("kr.seoul", "kr.busan"))),
        (on(languages=("pt",)), on(languages=("pt-BR",))),
        (on(company_domains=("acme.com",)), on(company_domains=("eu.acme.com",))),
        (on(source_channels=tuple(SourceChannel)), on(source_channels=(SourceChannel.EMAIL,))),
        (on(min_score=10), on(min_score=20, max_score=30)),
        (on(max_score=30), on(max_score=30)),
        (on(min_value=Money("EUR", 1)), on(min_value=Money("EUR", 2))),
        (on(max_value=Money("EUR", 2)), on(max_value=Money("EUR", 2))),
    ],
)
def test_a_rule_after_one_that_takes_all_its_handoffs_is_never_reached(
    wide: dict[str, Any], narrow: dict[str, Any]
) -> None:
    [(path, description)] = faults(a_rule("first", **wide), a_rule("second", **narrow))

    assert path == "routing.rules[1]"
    assert "first" in description


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (on(segments=("retail",)), {}),
        (on(segments=("retail",)), on(segments=("retail", "food"))),
        (on(territories=("kr.seoul",)), on(territories=("kr",))),
        (on(territories=("kr",)), on(territories=("kra",))),
        (on(min_score=20), on(min_score=10)),
        (on(min_score=20), on(max_score=30)),
        (on(max_score=20), on(max_score=30)),
        (on(min_value=Money("EUR", 1)), on(min_value=Money("USD", 2))),
        (on(max_value=Money("EUR", 2)), on(max_value=Money("EUR", 3))),
        (on(company_domains=("acme.com",)), on(company_domains=("notacme.com",))),
        (on(products=("crm",)), on(segments=("retail",))),
    ],
)
def test_a_rule_that_something_may_reach_is_no_fault(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert "routing.rules[1]" not in paths(a_rule("first", **first), a_rule("second", **second))


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (on(min_score=5, max_score=4), "condition.max_score"),
        (on(min_value=Money("EUR", 5), max_value=Money("EUR", 4)), "condition.max_value"),
        (on(min_value=Money("EUR", 5), max_value=Money("USD", 9)), "condition.max_value"),
        (on(min_value=Money("eur", 5)), "condition.min_value"),
        (on(territories=("KR Seoul",)), "condition.territories"),
        (on(languages=("korean",)), "condition.languages"),
        (on(company_domains=("acme",)), "condition.company_domains"),
        (on(segments=(" ",)), "condition.segments"),
        (on(segments=("x" * 201,)), "condition.segments"),
        (on(sources=tuple(str(number) for number in range(201))), "condition.sources"),
        ({"needs": Needs(skills=("unknown",))}, "needs.skills"),
        ({"needs": Needs(calendar="seoul")}, "needs.calendar"),
        ({"needs": Needs(territory=True), **on(territories=("de",))}, "condition.territories"),
        ({"needs": Needs(language=True), **on(languages=("en",))}, "condition.languages"),
        ({"queue": f"{TENANT}/queues/none"}, "queue"),
        ({"members": (RoutingMember(person=ANNA, weight=0),)}, "members[0].weight"),
        ({"members": (RoutingMember(person=ANNA), RoutingMember(person=ANNA))}, "members[0].person"),
        ({"members": (RoutingMember(person=ANNA, calendar="x"),)}, "members[0].calendar"),
    ],
)
def test_a_rule_that_nothing_fulfils_or_nobody_can_take_is_refused_at_its_place(
    rule: dict[str, Any], path: str
) -> None:
    assert f"routing.rules[0].{path}" in paths(a_rule(**rule))


def test_a_rule_without_members_is_refused() -> None:
    assert paths(RoutingRule(rule_id="r", members=())) == ["routing.rules[0].members"]


def test_a_queue_in_which_handoffs_may_wait_has_somebody_who_answers_for_it() -> None:
    base = a_directory()
    orphaned = replace(
        base,
        teams=tuple(replace(team, manager="") for team in base.teams),
        queues=tuple(replace(queue, manager="") for queue in base.queues),
    )
    idle = replace(orphaned, routing=replace(base.routing, rules=()))

    assert [fault.path for fault in faults_of(orphaned)] == ["routing.fallback_queue"]
    assert faults_of(idle) == ()


def test_a_cool_off_is_not_longer_than_a_leap_year() -> None:
    day = timedelta(days=1)

    assert paths(a_rule(), previous_owner_cool_off=366 * day) == []
    assert paths(a_rule(), previous_owner_cool_off=367 * day) == ["routing.previous_owner_cool_off_duration"]
    assert paths(a_rule(), previous_owner_cool_off=-day) == ["routing.previous_owner_cool_off_duration"]


def test_skills_that_no_one_member_has_together_are_a_fault() -> None:
    base = a_directory()
    skills = {ANNA: ("a",), BEN: ("b",)}
    people = tuple(replace(p, skills=skills.get(p.name, ())) for p in base.people)
    members = (RoutingMember(person=ANNA), RoutingMember(person=BEN))
    rule = a_rule(members=members, needs=Needs(skills=("a", "b")))
    wanted = replace(base, people=people, routing=replace(base.routing, rules=(rule,)))

    assert [fault.path for fault in faults_of(wanted)] == ["routing.rules[0].needs.skills"]


def test_conditions_of_all_rules_together_are_bounded() -> None:
    words = tuple(f"w{number}" for number in range(200))
    rules = [a_rule(f"r{n}", condition=Condition(segments=words, lead_types=(f"t{n}",))) for n in range(10)]

    assert paths(*rules) == ["routing.rules"]


def test_the_largest_routing_that_is_allowed_fits_into_an_event() -> None:
    tenant = f"tenants/{'t' * 63}"
    people = [f"{tenant}/people/{number:04}{'p' * 59}" for number in range(1_000)]
    # As many bytes of words as are allowed, as short as they come: each has its own overhead.
    words = [f"{number:025}" for number in range(2_000)]
    rules = tuple(
        RoutingRule(
            rule_id=f"{number:03}{'r' * 60}",
            members=tuple(RoutingMember(person=each, weight=1_000) for each in people[number::200]),
            condition=Condition(segments=tuple(words[number::200])),
        )
        for number in range(200)
    )
    routing = Routing(version=10**9, rules=rules, fallback_queue=f"{tenant}/queues/{'q' * 63}")

    assert sum(len(word) for rule in rules for word in rule.condition.segments) == 50_000
    assert len(routing_bytes(routing)) < MAX_PAYLOAD_BYTES


def test_what_stands_beside_the_members_is_bounded() -> None:
    words = tuple(f"{number:03}{'é' * 124}" for number in range(200))

    assert "routing.rules" in paths(a_rule(condition=Condition(segments=words)), a_rule("rest"))
    assert paths(a_rule(condition=Condition(segments=words[:190])), a_rule("rest")) == []


def test_a_channel_that_is_none_is_refused_for_without_it_the_rule_would_be_for_more() -> None:
    rule = directorypb.RoutingRule(
        rule_id="r",
        condition=directorypb.RoutingCondition(source_channels=[17, 999]),  # type: ignore[list-item]  # as a newer caller would
    )

    assert list(unknown_channels(directorypb.Routing(rules=[rule]))) == [
        "routing.rules[0].condition.source_channels[1]"
    ]


def test_a_routing_is_kept_and_sent_as_it_is() -> None:
    rule = a_rule(
        "all",
        members=(RoutingMember(person=ANNA, weight=7, calendar=f"{TENANT}/calendars/x"),),
        condition=Condition(
            sources=("a",),
            source_channels=(SourceChannel.EMAIL,),
            source_systems=("b",),
            territories=("c",),
            languages=("ko",),
            segments=("d",),
            products=("e",),
            lead_types=("f",),
            company_domains=("g.com",),
            min_score=0,
            max_score=9,
            min_value=Money("EUR", 0),
            max_value=Money("EUR", 5),
        ),
        needs=Needs(skills=("s",), territory=True, language=True, calendar=f"{TENANT}/calendars/y"),
        queue=QUEUE,
    )
    routing = Routing(
        version=4,
        rules=(rule, a_rule("rest")),
        fallback_queue=QUEUE,
        offer_duration=timedelta(minutes=5),
        max_offers=7,
        account_owner_first=True,
        previous_owner_cool_off=timedelta(days=2),
    )

    assert routing_from_bytes(routing_bytes(routing)) == routing
    directory: Directory = replace(a_directory(), routing=routing)
    again = directory_from(TENANT, directory_to(directory))
    assert again.routing == routing
    assert again.etag == directory.etag
    changed = replace(directory, routing=replace(routing, rules=(a_rule("all"), a_rule("rest"))))
    assert changed.etag != directory.etag
