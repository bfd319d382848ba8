"""What a directory may say, what follows it, and how two differ."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.leads.domain.directory import (
    Change,
    ChangeKind,
    Directory,
    Party,
    Person,
    Queue,
    Role,
    Routing,
    RoutingMember,
    RoutingRule,
    System,
    Team,
    TenantSettings,
    diff,
    succeed,
)
from services.leads.domain.directory_faults import faults_of
from services.leads.domain.routing_rules import Condition
from smarketing.server import auth

T = "tenants/acme"
SALES = Team(name=f"{T}/teams/sales", party=Party.SALES, manager=f"{T}/people/kim")
INSIDE = Team(name=f"{T}/teams/inside", party=Party.SALES, parent_team=SALES.name)
MARKETING = Team(name=f"{T}/teams/marketing", party=Party.MARKETING)
KIM = Person(name=f"{T}/people/kim", roles=frozenset({Role.SALES_MANAGER}), team=SALES.name)
LEE = Person(name=f"{T}/people/lee", roles=frozenset({Role.SALES_REP}), team=INSIDE.name)
MOON = Person(name=f"{T}/people/moon", roles=frozenset({Role.MARKETING_MANAGER}), team=MARKETING.name)
DIALLER = System(name=f"{T}/systems/dialler", roles=frozenset({Role.SALES_REP}), teams=(INSIDE.name,))
INBOUND = Queue(name=f"{T}/queues/inbound", team=SALES.name)


def a_directory(**changes: object) -> Directory:
    directory = Directory(
        tenant=T,
        settings=TenantSettings(time_zone="Asia/Seoul", region_code="KR", currency_code="KRW"),
        teams=(INSIDE, MARKETING, SALES),
        people=(KIM, LEE, MOON),
        systems=(DIALLER,),
        queues=(INBOUND,),
        routing=a_routing(LEE),
    )
    return replace(directory, **changes)


def a_routing(*people: Person) -> Routing:
    members = tuple(RoutingMember(person=person.name) for person in people)
    return Routing(rules=(RoutingRule(rule_id="all", members=members),), fallback_queue=INBOUND.name)


def paths(directory: Directory, old: Directory | None = None) -> list[str]:
    return [fault.path for fault in faults_of(directory, old=old)]


def test_a_sound_directory_has_no_fault() -> None:
    assert faults_of(a_directory()) == ()


def test_every_fault_is_named_with_its_path_at_once() -> None:
    settings = TenantSettings(time_zone="Mars/Olympus", region_code="kr", currency_code="won")
    nobody = replace(LEE, team=f"{T}/teams/none", roles=frozenset())
    wanted = a_directory(settings=settings, people=(KIM, nobody, MOON))

    assert paths(wanted) == [
        "time_zone",
        "region_code",
        "currency_code",
        "people[1].roles",
        "people[1].team",
        "routing.rules[0].members[0].person",
    ]


@pytest.mark.parametrize(
    "name",
    ["tenants/other/people/lee", "people/lee", "lee", f"{T}/people/Lee", f"{T}/people/", f"{T}/teams/lee"],
)
def test_a_person_is_named_within_the_tenant(name: str) -> None:
    assert "people[0].name" in paths(a_directory(people=(replace(LEE, name=name), KIM, MOON)))


def test_a_name_occurs_once() -> None:
    assert paths(a_directory(people=(KIM, LEE, MOON, LEE))) == ["people[1].name", "people[3].name"]


def test_nobody_can_apply_the_role_of_our_own_services() -> None:
    peer = replace(DIALLER, roles=frozenset({Role.SERVICE}))

    assert paths(a_directory(systems=(peer,))) == ["systems[0].roles"]


def test_a_team_does_not_stand_above_itself() -> None:
    sales = replace(SALES, parent_team=INSIDE.name)

    assert paths(a_directory(teams=(INSIDE, MARKETING, sales))) == [
        "teams[0].parent_team",
        "teams[2].parent_team",
    ]


def test_a_team_never_changes_its_party_because_past_figures_are_counted_by_it() -> None:
    old = a_directory()
    turned = replace(MARKETING, party=Party.SALES)

    assert paths(a_directory(teams=(INSIDE, turned, SALES)), old) == ["teams[1].party"]


@pytest.mark.parametrize("person", [MOON, replace(LEE, roles=frozenset({Role.AUDITOR}))])
def test_a_pool_holds_only_people_of_sales_who_can_own_a_handoff(person: Person) -> None:
    people = tuple(person if each.name == person.name else each for each in (KIM, LEE, MOON))

    assert paths(a_directory(people=people, routing=a_routing(person))) == [
        "routing.rules[0].members[0].person"
    ]


@pytest.mark.parametrize(("members_of_last", "faults"), [(400, []), (401, ["routing.rules"])])
def test_all_rules_together_hold_at_most_a_thousand_members(members_of_last: int, faults: list[str]) -> None:
    reps = tuple(replace(LEE, name=f"{T}/people/rep{number}") for number in range(600))
    members = tuple(RoutingMember(person=rep.name) for rep in reps)
    rules = tuple(
        RoutingRule(rule_id=rule_id, members=members[:count], condition=Condition(segments=(rule_id,)))
        for rule_id, count in (("first", 600), ("last", members_of_last))
    )
    wanted = a_directory(people=(KIM, LEE, MOON, *reps), routing=replace(a_routing(), rules=rules))

    assert paths(wanted) == faults


def test_the_bounds_of_routing_are_kept() -> None:
    short = replace(a_routing(LEE), offer_duration=timedelta(milliseconds=999), max_offers=21)
    heavy = RoutingRule(rule_id="all", members=(RoutingMember(person=LEE.name, weight=1001),))

    assert paths(a_directory(routing=short)) == ["routing.offer_duration", "routing.max_offers"]
    assert paths(a_directory(routing=replace(a_routing(), rules=(heavy,)))) == [
        "routing.rules[0].members[0].weight"
    ]


def test_a_pool_cannot_name_somebody_who_is_inactive() -> None:
    left = replace(LEE, inactive=True)

    assert paths(a_directory(people=(KIM, left, MOON))) == ["routing.rules[0].members[0].person"]


def test_who_is_left_out_becomes_inactive_and_keeps_the_name() -> None:
    old = succeed(None, a_directory())

    new = succeed(old, a_directory(people=(KIM, MOON), routing=a_routing(KIM)))

    assert new.person(LEE.name) == replace(LEE, inactive=True)
    assert diff(old, new)[0] == Change(resource=LEE.name, kind=ChangeKind.REMOVED)


def test_a_directory_that_was_read_can_be_applied_as_it_is() -> None:
    first = succeed(None, a_directory())
    present = succeed(first, a_directory(people=(KIM, MOON), routing=a_routing(KIM)))

    again = succeed(present, present)

    assert again == present
    assert diff(present, again) == ()


def test_an_inactive_entry_of_a_wanted_directory_makes_nobody_and_changes_nobody() -> None:
    old = succeed(None, a_directory())
    stranger = Person(name=f"{T}/people/stranger", roles=frozenset({Role.AUDITOR}), inactive=True)
    renamed = replace(LEE, display_name="Somebody else", inactive=True)

    new = succeed(old, a_directory(people=(KIM, MOON, renamed, stranger), routing=a_routing(KIM)))

    assert new.person(stranger.name) is None
    assert new.person(LEE.name) == replace(LEE, inactive=True)


def test_the_order_in_a_file_changes_nothing() -> None:
    one = succeed(None, a_directory())
    other = succeed(one, a_directory(people=(MOON, LEE, KIM), teams=(SALES, MARKETING, INSIDE)))

    assert diff(one, other) == ()
    assert one.etag == other.etag


def test_the_routing_version_grows_with_a_change_of_routing_and_with_nothing_else() -> None:
    first = succeed(None, a_directory())
    second = succeed(first, a_directory(settings=replace(first.settings, time_zone="UTC")))
    third = succeed(second, a_directory(routing=a_routing(KIM, LEE)))

    assert [each.routing.version for each in (first, second, third)] == [1, 1, 2]


def test_a_difference_names_the_fields_that_differ() -> None:
    old = succeed(None, a_directory())
    renamed = replace(LEE, display_name="Lee", roles=frozenset({Role.SALES_REP, Role.SALES_SPECIALIST}))
    new = succeed(old, a_directory(people=(KIM, renamed, MOON), routing=a_routing(LEE, KIM)))

    assert diff(old, new) == (
        Change(resource=LEE.name, kind=ChangeKind.CHANGED, fields=("display_name", "roles")),
        Change(resource="routing", kind=ChangeKind.CHANGED, fields=("rules",)),
    )


def test_everything_of_a_new_tenant_is_added() -> None:
    new = succeed(None, a_directory())

    assert {change.kind for change in diff(None, new)} == {ChangeKind.ADDED}
    assert len(diff(None, new)) == 1 + 3 + 3 + 1 + 1 + 1


def test_the_etag_changes_with_every_single_field() -> None:
    base = a_directory()
    others = [
        a_directory(settings=replace(base.settings, region_code="")),
        a_directory(people=(replace(KIM, display_name="Kim"), LEE, MOON)),
        a_directory(people=(KIM, LEE, replace(MOON, inactive=True))),
        a_directory(systems=(replace(DIALLER, teams=()),)),
        a_directory(routing=replace(base.routing, max_offers=4)),
        # Neighbouring texts must not run into one another.
        a_directory(queues=(replace(INBOUND, display_name=INBOUND.team, team=""),)),
    ]

    assert len({each.etag for each in [base, *others]}) == 1 + len(others)


def test_a_system_acts_for_active_members_of_its_own_teams_alone() -> None:
    directory = a_directory()
    left = a_directory(people=(KIM, replace(LEE, inactive=True), MOON))

    assert directory.may_act_for(DIALLER.name, LEE.name)
    assert not directory.may_act_for(DIALLER.name, KIM.name)
    assert not left.may_act_for(DIALLER.name, LEE.name)


def test_a_member_of_a_team_below_takes_from_the_queue_above() -> None:
    directory = a_directory()

    assert directory.may_take_from(INBOUND.name, LEE.name)
    assert not directory.may_take_from(INBOUND.name, MOON.name)


def test_who_answers_is_looked_for_upwards_and_among_the_active() -> None:
    directory = a_directory()
    without = a_directory(people=(replace(KIM, inactive=True), LEE, MOON))

    assert directory.manager_of(INSIDE.name) == KIM.name
    assert directory.manager_of(INBOUND.name) == KIM.name
    assert without.manager_of(INBOUND.name) == ""


def test_roles_are_spelled_as_the_server_spells_them() -> None:
    assert {role.value for role in Role} == {role.value for role in auth.Role}


def test_a_member_can_what_the_team_can_besides_their_own() -> None:
    inside = replace(INSIDE, skills=("inbound",), territories=("kr",), languages=("ko",), capacity=30)
    lee = replace(LEE, skills=("enterprise",), territories=("jp.kanto",))
    abilities = a_directory(teams=(inside, MARKETING, SALES), people=(KIM, lee, MOON)).abilities_of(lee)

    assert abilities.skills == {"inbound", "enterprise"}
    assert abilities.languages == {"ko"}
    assert abilities.capacity == 30


def test_a_capacity_of_ones_own_goes_before_the_teams_and_none_at_all_is_no_limit() -> None:
    inside = replace(INSIDE, capacity=30)
    lee = replace(LEE, capacity=5)

    assert a_directory(teams=(inside, MARKETING, SALES)).abilities_of(lee).capacity == 5
    assert a_directory().abilities_of(LEE).capacity is None


@pytest.mark.parametrize(
    ("territory", "covered"),
    [
        ("kr", True),
        ("kr.seoul.gangnam", True),
        ("kro", False),
        ("jp", False),
        ("jp.kanto", True),
        ("", False),
    ],
)
def test_a_territory_covers_what_lies_inside_it_and_nothing_beside(territory: str, *, covered: bool) -> None:
    lee = replace(LEE, territories=("kr", "jp.kanto"))

    assert a_directory(people=(KIM, lee, MOON)).abilities_of(lee).covers(territory) is covered


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("skills", ("Enterprise deals",)),
        ("territories", ("kr/seoul",)),
        ("languages", ("Korean!",)),
        ("skills", tuple(f"skill-{number}" for number in range(51))),
        ("capacity", -1),
        ("capacity", 10_001),
    ],
)
def test_an_ability_that_routing_could_not_compare_is_refused(field: str, value: object) -> None:
    people = (KIM, replace(LEE, **{field: value}), MOON)

    assert paths(a_directory(people=people)) == [f"people[1].{field}"]
