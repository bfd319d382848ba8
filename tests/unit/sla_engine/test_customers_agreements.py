"""An agreement with a customer runs beside the internal one, on the same engine."""

from typing import Any

import pytest

from services.sla.domain.agreement import CommitmentKind, Party
from services.sla.domain.condition import Condition
from services.sla.domain.refused import AgreementInvalid
from services.sla.domain.terms import AgreementKind, Promise, Step
from services.sla.usecases.agreements import Activate, Propose, activate, propose
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from tests.builders.sla_engine import (
    HANDOFF,
    REP,
    SALES,
    SALES_MANAGER,
    WARN_AT_HALF,
    Engine,
    a_promise,
    hours,
    some_terms,
)

BOTH = (Party.MARKETING, Party.SALES)


def in_force(engine: Engine, agreement: str, *promises: Promise, **changed: Any) -> str:
    request = Propose(
        tenant="default",
        agreement=agreement,
        terms=some_terms(*promises, **changed),
        principal=SALES_MANAGER,
        parties=BOTH,
    )
    (proposed,) = engine._act(propose, [request])
    if isinstance(proposed, Exception):
        raise proposed
    active = Activate(name=proposed.name, etag="", principal=SALES_MANAGER, effective_time=None)
    engine._act(activate, [active])
    return str(proposed.name)


def with_customer(engine: Engine, agreement: str, *promises: Promise, scope: str = "") -> str:
    return in_force(
        engine,
        agreement,
        *promises,
        kind=AgreementKind.CUSTOMER,
        customer_reference="C-2026-17",
        scope=Condition(expression=scope),
    )


def started(engine: Engine) -> list[tuple[str, str]]:
    return [(clock.agreement, clock.commitment_id) for clock in engine.clocks()]


def test_a_customers_clock_of_the_same_commitment_runs_beside_the_internal_one() -> None:
    engine = Engine()
    in_force(engine, "main", a_promise(target=4))
    with_customer(engine, "acme", a_promise(target=2))

    engine.submit()
    engine.assign()
    engine.advance(hours=3)
    engine.sweep()

    outcomes = {clock.agreement: clock.outcome.value for clock in engine.clocks()}
    assert outcomes == {"acme": "BREACHED", "main": "RUNNING"}


def test_a_handoff_is_under_one_agreement_of_each_kind_the_first_whose_scope_means_it() -> None:
    engine = Engine()
    with_customer(engine, "acme", a_promise(), scope="segment == 'acme'")
    with_customer(engine, "everybody", a_promise())
    in_force(engine, "main", a_promise())
    in_force(engine, "other", a_promise())

    engine.submit(qualification={"segment": "acme"})
    engine.assign()

    assert {("acme", "first-follow-up"), ("main", "first-follow-up")} == set(started(engine))


def test_who_is_outside_of_the_first_scope_is_under_the_next() -> None:
    engine = Engine()
    with_customer(engine, "acme", a_promise(), scope="segment == 'acme'")
    with_customer(engine, "everybody", a_promise())

    engine.submit(qualification={"segment": "other"})
    engine.assign()

    assert started(engine) == [("everybody", "first-follow-up")]


def test_an_agreement_that_promises_a_handoff_nothing_still_keeps_the_next_one_away_from_it() -> None:
    engine = Engine()
    in_force(engine, "main", a_promise(condition=Condition(expression="score >= 80")))
    in_force(engine, "other", a_promise())

    engine.submit(qualification={"score": 10})
    engine.assign()

    assert started(engine) == []


def test_who_is_outside_of_the_only_scope_is_promised_nothing() -> None:
    engine = Engine()
    in_force(engine, "emea", a_promise(), scope=Condition(expression="region == 'EMEA'"))

    engine.submit(qualification={"region": "APAC"})
    engine.assign()

    assert started(engine) == []


def test_the_agreement_of_the_first_clock_is_the_handoffs_even_when_all_is_learned_at_once() -> None:
    engine = Engine()
    in_force(engine, "a-later", a_promise(), scope=Condition(expression="score >= 80"))
    in_force(engine, "first", a_promise(CommitmentKind.ROUTE), a_promise())
    submitted = leadeventspb.HandoffSubmitted(handoff=HANDOFF, qualification=leadspb.Qualification(score=10))
    revised = leadeventspb.HandoffRevised(handoff=HANDOFF, qualification=leadspb.Qualification(score=90))
    assigned = leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)
    events = [engine.event(HANDOFF, submitted)]
    engine.advance(minutes=1)
    events += [engine.event(HANDOFF, revised), engine.event(HANDOFF, assigned)]

    engine.deliver(events)

    assert {agreement for agreement, _ in started(engine)} == {"first"}


def test_a_handoff_stays_with_its_agreement_when_its_attributes_change() -> None:
    engine = Engine()
    in_force(
        engine,
        "emea",
        a_promise(CommitmentKind.ROUTE),
        a_promise(),
        scope=Condition(expression="region == 'EMEA'"),
    )
    in_force(engine, "rest", a_promise(CommitmentKind.ROUTE), a_promise())
    engine.submit(qualification={"region": "APAC"})

    engine.submit(qualification={"region": "EMEA"})
    engine.assign()

    assert {"rest"} == {agreement for agreement, _ in started(engine)}


def test_customers_are_promised_something_by_name_of_their_contract() -> None:
    engine = Engine()
    with pytest.raises(AgreementInvalid) as refused:
        in_force(engine, "acme", a_promise(CommitmentKind.ROUTE), kind=AgreementKind.CUSTOMER)

    assert [fault.path for fault in refused.value.faults] == ["customer_reference", "commitments"]


def test_only_who_promises_to_a_customer_needs_to_accept() -> None:
    engine = Engine()
    request = Propose(
        tenant="default",
        agreement="acme",
        terms=some_terms(
            a_promise(steps=[WARN_AT_HALF, Step(id="late", offset=hours(1))]),
            kind=AgreementKind.CUSTOMER,
            customer_reference="C-1",
        ),
        principal=SALES_MANAGER,
        parties=(Party.SALES,),
    )

    (proposed,) = engine._act(propose, [request])

    assert (proposed.state.value, proposed.consent.value) == ("ACCEPTED", "PROMISING_PARTIES")
