"""A rung may ask that a handoff be taken from whoever missed it: once, and never too early."""

from datetime import timedelta

import pytest

from services.sla.domain.agreement import CommitmentKind, Role
from services.sla.domain.refused import AgreementInvalid
from services.sla.domain.terms import Mode, Step
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from tests.builders.sla_engine import (
    HANDOFF,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    TENANT,
    Engine,
    a_promise,
    hours,
    some_terms,
)

DUE = MONDAY_NINE + timedelta(hours=4)
TAKE = Step(id="take", offset=hours(1), recipients=(Role.OWNER,), reassigns=True)


def an_engine(
    *steps: Step, mode: Mode = Mode.ENFORCE, kind: CommitmentKind = CommitmentKind.FIRST_FOLLOW_UP
) -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(kind, steps=steps or (TAKE,)), mode=mode))
    engine.submit()
    return engine


def asked(engine: Engine) -> list[slaeventspb.TakeoverRequested]:
    return [payload for kind, payload in engine.log() if kind == "TakeoverRequested"]


def test_a_takeover_is_asked_once_of_the_owner_who_missed_it() -> None:
    engine = an_engine()
    engine.assign()
    engine.now = DUE + timedelta(minutes=59)
    engine.sweep()
    assert asked(engine) == []
    engine.now = DUE + timedelta(hours=1)
    for _ in range(3):
        engine.sweep()
        engine.restart()
        engine.advance(minutes=10)
    (event,) = asked(engine)
    assert (event.rung_id, event.clock.handoff, event.clock.owner) == ("take", HANDOFF, REP)


@pytest.mark.parametrize("minutes", [5, 90])
def test_what_was_done_before_its_rung_was_found_is_taken_from_nobody(minutes: int) -> None:
    engine = an_engine()
    engine.assign()
    engine.now = DUE + timedelta(hours=2)
    engine.follow_up(at=DUE + timedelta(minutes=minutes))
    engine.sweep()
    assert engine.clock().stop_time == DUE + timedelta(minutes=minutes)
    assert asked(engine) == []


def test_of_two_rungs_found_past_together_one_asks() -> None:
    later = Step(id="again", offset=hours(2), recipients=(Role.OWNER,), reassigns=True)
    engine = an_engine(TAKE, later)
    engine.assign()
    engine.now = DUE + timedelta(hours=3)
    engine.sweep()
    assert [event.rung_id for event in asked(engine)] == ["again"]


def test_the_next_owner_may_lose_it_by_the_next_rung_but_not_by_the_same_one() -> None:
    later = Step(id="again", offset=hours(2), recipients=(Role.OWNER,), reassigns=True)
    engine = an_engine(TAKE, later)
    engine.assign()
    engine.now = DUE + timedelta(hours=1)
    engine.sweep()
    engine.assign(to=OTHER_REP)
    engine.sweep()
    engine.now = DUE + timedelta(hours=2)
    engine.sweep()
    assert [(event.rung_id, event.clock.owner) for event in asked(engine)] == [
        ("take", REP),
        ("again", OTHER_REP),
    ]


def test_nothing_is_asked_of_a_queue() -> None:
    engine = an_engine(TAKE, kind=CommitmentKind.ACCEPT)
    engine.offer(to=f"{TENANT}/queues/inbound")
    engine.now = DUE + timedelta(hours=2)
    engine.sweep()
    assert engine.clock().breach_time == DUE
    assert asked(engine) == []


def test_an_agreement_that_observes_takes_nothing_away() -> None:
    engine = an_engine(mode=Mode.OBSERVE)
    engine.assign()
    engine.now = DUE + timedelta(hours=2)
    engine.sweep()
    assert asked(engine) == []


@pytest.mark.parametrize(
    "step",
    [
        Step(id="early", percent=99, recipients=(Role.OWNER,), reassigns=True),
        Step(id="early", offset=hours(-1), recipients=(Role.OWNER,), reassigns=True),
    ],
)
def test_nothing_can_be_agreed_that_takes_a_handoff_before_it_was_missed(step: Step) -> None:
    with pytest.raises(AgreementInvalid) as caught:
        an_engine(step)
    assert [fault.path for fault in caught.value.faults] == ["commitments[0].rungs[0].consequence"]
