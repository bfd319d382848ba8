"""Terms that cannot be kept, counted or reached are refused, all of what is wrong at once."""

from typing import Any

import pytest

from services.sla.domain.agreement import CommitmentKind, Party, Role, TimeBasis
from services.sla.domain.budget_terms import BudgetTerms, policy_of
from services.sla.domain.condition import Condition
from services.sla.domain.consequence import BudgetTrigger, Consequence, ConsequenceKind
from services.sla.domain.marketing_terms import Amount, LeadValue, MarketingTerms, Quota, QuotaPeriod
from services.sla.domain.openness import faults_of_calendar
from services.sla.domain.responsibility import Responsibilities
from services.sla.domain.terms import Step, Target, faults_of
from smarketing.businesstime import BusinessTime, Calendar, Openings
from tests.builders.sla_engine import MONDAY_NINE, a_promise, hours, some_terms


def words(text: str) -> Condition:
    return Condition(expression=text)


def paths(**changed: Any) -> list[str]:
    """Return where the terms with this one commitment are at fault."""
    return [fault.path for fault in faults_of(some_terms(a_promise(**changed)), calendar_exists=True)]


def step(id_: str, percent: int | None = None, offset: float | None = None) -> Step:
    return Step(id=id_, percent=percent, offset=None if offset is None else hours(offset))


# Tiers.


@pytest.mark.parametrize(
    ("first", "second", "gets_there"),
    [
        (Condition(), words("score >= 80"), False),
        (words("score >= 80"), Condition(), True),
        (words("score >= 80"), words("score  >=  80"), False),
        (words("score >= 80"), words("score >= 60"), True),
        (Condition(min_score=60), Condition(min_score=80), False),
        (Condition(min_score=80), Condition(min_score=60), True),
        (Condition(regions=frozenset({"EMEA", "APAC"})), Condition(regions=frozenset({"EMEA"})), False),
        (Condition(regions=frozenset({"EMEA"})), Condition(regions=frozenset({"EMEA", "APAC"})), True),
        (Condition(regions=frozenset({"EMEA"})), Condition(), True),
        (Condition(regions=frozenset({"EMEA"})), words("score >= 80"), True),
        (
            Condition(regions=frozenset({"EMEA"})),
            Condition(regions=frozenset({"EMEA"}), expression="score >= 80"),
            False,
        ),
        (
            Condition(regions=frozenset({"EMEA"}), expression="score >= 80"),
            Condition(regions=frozenset({"EMEA"})),
            True,
        ),
    ],
)
def test_a_tier_that_an_earlier_one_leaves_no_handoff_is_refused(
    first: Condition, second: Condition, gets_there: bool
) -> None:
    targets = (Target(amount=hours(1), condition=first), Target(amount=hours(4), condition=second))

    assert paths(targets=targets) == ([] if gets_there else ["commitments[0].tiers[1]"])


def test_conditions_that_cannot_be_asked_are_refused_wherever_they_stand() -> None:
    wrong = words("scor >= 80")
    promise = a_promise(condition=wrong, targets=(Target(amount=hours(1), condition=wrong),))

    faults = faults_of(some_terms(promise, scope=wrong), calendar_exists=True)

    assert {fault.path for fault in faults} == {
        "commitments[0].condition",
        "commitments[0].tiers[0].condition",
        "scope",
    }
    assert all("asks for `scor` at column 1" in fault.description for fault in faults)


# Rungs.


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([step("a", 50), step("b", 80), step("c", 100), step("d", offset=1)], []),
        ([step("a", 80), step("b", 50)], [1]),
        ([step("a", 100), step("b", offset=0)], [1]),
        ([step("a", offset=1), step("b", 100)], [1]),
        # An hour before due is 75 % of four hours: with that target alone it comes first.
        ([step("a", offset=-1), step("b", 80)], []),
        ([step("a", offset=-1), step("b", 60)], [1]),
        ([step("a", 80), step("b", 60), step("c", 50)], [1, 2]),
    ],
)
def test_a_rung_that_cannot_follow_the_one_before_it_is_refused(steps: list[Step], wrong: list[int]) -> None:
    assert paths(target=4, steps=steps) == [f"commitments[0].rungs[{at}]" for at in wrong]


def test_rungs_must_follow_each_other_under_every_target() -> None:
    # 15 minutes before due are 94 % of four hours, and 75 % of one.
    steps = [step("a", 80), step("b", offset=-0.25)]
    targets = (Target(amount=hours(4), condition=words("score < 80")), Target(amount=hours(1)))

    assert paths(targets=targets[:1], steps=steps) == []
    assert paths(targets=targets, steps=steps) == ["commitments[0].rungs[1]"]


# Budgets.


@pytest.mark.parametrize(
    ("objective", "reachable"),
    [(4_900, False), (5_000, False), (5_001, True), (9_000, True), (9_999, True)],
)
def test_the_default_alert_burns_at_two_and_needs_an_objective_above_half(
    objective: int, reachable: bool
) -> None:
    # A tenth of a budget of 160 hours within 8: 0.1 * 160 / 8 = 2; no burn is above 1 / (1 - objective).
    found = paths(objective_basis_points=objective)

    assert found == ([] if reachable else ["commitments[0].error_budget.fast_share_basis_points"])


@pytest.mark.parametrize(
    ("objective", "reachable"), [(9_000, False), (9_305, False), (9_306, True), (9_500, True)]
)
def test_an_alert_copied_from_servers_is_dead_at_the_objectives_of_people(
    objective: int, reachable: bool
) -> None:
    # 2 % of a budget of 720 hours within one hour: a burn of 14.4.
    copied = BudgetTerms(window=hours(720), fast_share=200, fast_window=hours(1))

    found = paths(objective_basis_points=objective, budget=copied)

    assert found == ([] if reachable else ["commitments[0].error_budget.fast_share_basis_points"])


def test_windows_of_alerts_are_shorter_than_the_budgets() -> None:
    budget = BudgetTerms(window=hours(8), fast_window=hours(8), slow_window=hours(9))

    assert paths(budget=budget) == [
        "commitments[0].error_budget.fast_window",
        "commitments[0].error_budget.slow_window",
    ]


def test_what_is_written_of_a_budget_is_by_what_it_is_judged() -> None:
    written = BudgetTerms(
        window=hours(100), fast_share=2_000, fast_window=hours(12), slow_window=hours(50), least_settled=10
    )

    policy = policy_of(written, TimeBasis.BUSINESS, hours(9))

    assert (policy.window, policy.minimum_settled) == (hours(100), 10)
    assert (policy.fast.long, policy.fast.short) == (hours(12), hours(1))
    assert (policy.slow.long, policy.slow.short) == (hours(50), hours(10))
    # A fifth of 100 hours within 12.
    assert policy.fast.threshold * 12 == 20


# Who answers, and what follows.


def test_somebody_answers_and_somebody_does_it() -> None:
    nobody = Responsibilities(accountable=None, informed=(Role.OWNER, Role.OWNER))

    assert paths(responsibilities=nobody) == [
        "commitments[0].responsibilities.accountable",
        "commitments[0].responsibilities.responsible",
        "commitments[0].responsibilities.informed",
    ]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"rung": "due"}, ""),
        ({"budget": BudgetTrigger.WARN}, ""),
        ({}, "."),
        ({"rung": "nowhere"}, ".rung_id"),
        ({"rung": "due", "id": ""}, ".consequence_id"),
        ({"rung": "due", "kind": None}, ".kind"),
        ({"rung": "due", "percent": 50}, ".percent"),
        ({"rung": "due", "recipients": (Role.OWNER,)}, ".recipients"),
        ({"rung": "due", "kind": ConsequenceKind.REASSIGN}, ""),
        ({"budget": BudgetTrigger.WARN, "kind": ConsequenceKind.REASSIGN}, ".budget_trigger"),
        (
            {"budget": BudgetTrigger.WARN, "kind": ConsequenceKind.ALERT, "recipients": (Role.OWNER,)},
            "",
        ),
        ({"budget": BudgetTrigger.WARN, "kind": ConsequenceKind.ALERT}, ".recipients"),
        ({"rung": "due", "kind": ConsequenceKind.ALERT, "recipients": (Role.OWNER,)}, ".rung_id"),
        ({"rung": "due", "kind": ConsequenceKind.THROTTLE_INTAKE, "percent": 0}, ""),
        ({"rung": "due", "kind": ConsequenceKind.THROTTLE_INTAKE, "percent": 100}, ".percent"),
        ({"rung": "due", "kind": ConsequenceKind.THROTTLE_INTAKE}, ".percent"),
        ({"rung": "due", "kind": ConsequenceKind.CHANGE_CAPACITY, "percent": -100}, ""),
        ({"rung": "due", "kind": ConsequenceKind.CHANGE_CAPACITY, "percent": 0}, ".percent"),
        ({"rung": "due", "kind": ConsequenceKind.PAYOUT_FACTOR, "percent": 90}, ""),
        ({"rung": "due", "kind": ConsequenceKind.PAYOUT_FACTOR, "percent": 100}, ".percent"),
    ],
)
def test_a_consequence_has_a_trigger_and_what_its_kind_needs(changed: dict[str, Any], wrong: str) -> None:
    consequence = Consequence(**{"id": "c", "kind": ConsequenceKind.REVIEW, **changed})

    found = paths(steps=[step("due", 100)], consequences=(consequence,))

    assert found == ([f"commitments[0].consequences[0]{wrong.removesuffix('.')}"] if wrong else [])


def test_nothing_is_taken_from_anybody_before_it_was_missed_however_that_is_written() -> None:
    taking = Consequence(id="c", kind=ConsequenceKind.REASSIGN, rung="early")

    found = paths(steps=[step("early", 50)], consequences=(taking,))

    assert found == ["commitments[0].rungs[0].consequence"]


# Marketing's side.

EUROS = Amount(currency="EUR", minor_units=100_000)


def marketing(**changed: Any) -> list[str]:
    said = {
        "mql_definition": "mql-7",
        "lead_values": (LeadValue(segment="smb", value=EUROS), LeadValue(segment="", value=EUROS)),
        "quota": Quota(period=QuotaPeriod.MONTH, value=EUROS),
        **changed,
    }
    terms = some_terms(marketing=MarketingTerms(**said))
    return [fault.path.removeprefix("marketing_terms.") for fault in faults_of(terms, calendar_exists=True)]


def test_a_table_of_values_a_quota_and_a_definition_can_be_agreed_to() -> None:
    assert marketing() == []
    assert marketing(quota=None, lead_values=()) == []


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"mql_definition": "seven point one"}, ["mql_definition"]),
        ({"mql_definition": "x" * 201}, ["mql_definition"]),
        ({"lead_values": ()}, ["lead_values"]),
        ({"lead_values": (LeadValue(segment="a", value=EUROS),) * 2}, ["lead_values[1].segment"]),
        (
            {"lead_values": (LeadValue(segment="a", value=Amount(currency="EUR", minor_units=0)),)},
            ["lead_values[0].value.minor_units"],
        ),
        (
            {
                "lead_values": (
                    LeadValue(segment="a", value=EUROS),
                    LeadValue(segment="b", value=Amount(currency="USD", minor_units=1)),
                )
            },
            ["lead_values[1].value.currency_code"],
        ),
        (
            {"quota": Quota(period=None, value=Amount(currency="USD", minor_units=0))},
            ["quota.period", "quota.value.currency_code", "quota.value.minor_units"],
        ),
        (
            {"quota": Quota(period=QuotaPeriod.YEAR, value=EUROS, least_pace=100, most_pace=100)},
            ["quota.minimum_pace_percent", "quota.maximum_pace_percent"],
        ),
    ],
)
def test_what_marketing_cannot_be_counted_by_is_refused(changed: dict[str, Any], wrong: list[str]) -> None:
    assert marketing(**changed) == wrong


def test_a_segment_that_is_not_listed_is_worth_what_all_others_are() -> None:
    other = Amount(currency="EUR", minor_units=5)
    terms = MarketingTerms(
        lead_values=(LeadValue(segment="smb", value=EUROS), LeadValue(segment="", value=other))
    )

    assert [terms.value_of(segment) for segment in ("smb", "bank", None)] == [EUROS, other, other]
    assert MarketingTerms(lead_values=terms.lead_values[:1]).value_of("bank") is None


# Between whom.


def test_who_is_absent_promises_nothing_and_only_one_side_can_be() -> None:
    terms = some_terms(a_promise(), absent=(Party.SALES, Party.MARKETING))

    assert [fault.path for fault in faults_of(terms, calendar_exists=True)] == [
        "absent_parties",
        "commitments[0].parties",
    ]


def test_an_internal_agreement_names_no_contract() -> None:
    terms = some_terms(customer_reference="C-1")

    assert [fault.path for fault in faults_of(terms, calendar_exists=True)] == ["customer_reference"]


# Calendars.


def opened_only_on(*days: str) -> Openings:
    return Openings(Calendar.of("Asia/Seoul", {}, overrides={day: [["09:00", "18:00"]] for day in days}))


def test_a_calendar_that_never_opens_again_is_refused_for_promises_in_open_time_alone() -> None:
    past = opened_only_on("2020-01-06")
    in_wall_time = some_terms(a_promise(CommitmentKind.ROUTE, basis=TimeBasis.WALL))

    found = [fault.path for fault in faults_of_calendar(some_terms(), past, now=MONDAY_NINE)]

    assert found == ["calendar_version"]
    assert list(faults_of_calendar(in_wall_time, past, now=MONDAY_NINE)) == []


def test_a_target_beyond_the_last_opening_is_refused() -> None:
    one_day = opened_only_on("2026-09-22")
    kept, beyond = a_promise(id="kept", target=9), a_promise(id="beyond", target=9.5)

    found = [fault.path for fault in faults_of_calendar(some_terms(kept, beyond), one_day, now=MONDAY_NINE)]

    assert found == ["commitments[1].tiers[0].target_duration"]


def test_every_fault_is_told_in_one_answer() -> None:
    terms = some_terms(
        a_promise(
            objective_basis_points=10_000,
            targets=(Target(amount=BusinessTime()), Target(amount=hours(1))),
            steps=[step("a", 80), step("a", 50)],
        ),
        customer_reference="C-1",
    )

    found = [fault.path for fault in faults_of(terms, calendar_exists=False)]

    assert found == [
        "calendar_version",
        "commitments[0].objective_basis_points",
        "commitments[0].tiers[0].target_duration",
        "commitments[0].rungs[1].rung_id",
        "commitments[0].tiers[1]",
        "commitments[0].rungs[1]",
        "customer_reference",
    ]
