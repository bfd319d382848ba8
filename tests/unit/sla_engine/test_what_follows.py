"""What the parties agreed to do when a promise is not kept is said in the log, once each time."""

from collections.abc import Sequence
from typing import Any

from services.sla.domain.agreement import Role
from services.sla.domain.consequence import Consequence, ConsequenceKind
from services.sla.domain.terms import Mode, Step
from tests.builders.sla_engine import (
    AN_HOUR_AFTER,
    AT_DUE,
    WARN_AT_HALF,
    Engine,
    a_promise,
    hours,
    some_terms,
)

THROTTLE = Consequence(id="slow-down", kind=ConsequenceKind.THROTTLE_INTAKE, rung="late", percent=50)
REVIEW = Consequence(id="sit-down", kind=ConsequenceKind.REVIEW, rung="due")
TAKE = Consequence(id="take", kind=ConsequenceKind.REASSIGN, rung="due")


def an_engine(
    *consequences: Consequence, steps: Sequence[Step] = (WARN_AT_HALF, AT_DUE, AN_HOUR_AFTER), **changed: Any
) -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(target=4, steps=steps, consequences=consequences), **changed))
    return engine


def missed(engine: Engine, *, by: float) -> None:
    engine.submit()
    engine.assign()
    engine.advance(hours=4 + by)
    engine.sweep()


def due(engine: Engine) -> list[str]:
    return [payload.consequence.consequence_id for kind, payload in engine.log() if kind == "ConsequenceDue"]


def test_a_consequence_is_said_when_its_rung_fires_and_not_before() -> None:
    engine = an_engine(THROTTLE, REVIEW)

    missed(engine, by=0.5)
    at_first = due(engine)
    engine.advance(hours=1)
    engine.sweep()

    assert at_first == ["sit-down"]
    assert due(engine) == ["sit-down", "slow-down"]


def test_consequences_of_rungs_found_past_together_are_all_said() -> None:
    engine = an_engine(THROTTLE, REVIEW)

    missed(engine, by=3)

    assert due(engine) == ["sit-down", "slow-down"]


def test_a_consequence_says_what_and_how_much_and_of_which_clock() -> None:
    engine = an_engine(THROTTLE)

    missed(engine, by=3)

    (said,) = [payload for kind, payload in engine.log() if kind == "ConsequenceDue"]
    assert said.consequence.percent == 50
    assert said.clock.clock == engine.clock().name
    assert engine.occur_times("ConsequenceDue") == [engine.clock().due_time.replace(hour=5)]


def test_nothing_is_said_twice_however_often_somebody_looks() -> None:
    engine = an_engine(REVIEW)
    missed(engine, by=0.5)

    engine.restart()
    engine.sweep()
    engine.assign(to=engine.clock().owner)

    assert due(engine) == ["sit-down"]


def test_nothing_follows_in_observe_mode() -> None:
    engine = an_engine(REVIEW, TAKE, mode=Mode.OBSERVE)

    missed(engine, by=3)

    assert [kind for kind, _ in engine.log() if kind in ("ConsequenceDue", "TakeoverRequested")] == []


def test_nothing_follows_of_what_is_done_by_the_time_it_is_found() -> None:
    engine = an_engine(REVIEW)
    engine.submit()
    engine.assign()
    engine.advance(hours=6)

    engine.follow_up()

    assert engine.clock().outcome.value == "BREACHED"
    assert due(engine) == []


def test_a_reassignment_is_asked_for_as_a_takeover_and_said_as_nothing_else() -> None:
    engine = an_engine(TAKE)

    missed(engine, by=0.5)

    takeovers = [payload.rung_id for kind, payload in engine.log() if kind == "TakeoverRequested"]
    assert (takeovers, due(engine)) == (["due"], [])


def test_an_alert_of_a_rung_is_the_rungs_own_and_a_consequence_needs_none() -> None:
    alone = Step(id="due", percent=100, recipients=(Role.MANAGER,))
    engine = an_engine(Consequence(id="c", kind=ConsequenceKind.REVIEW, rung="due"), steps=[alone])

    missed(engine, by=0.1)

    assert [alert.rung_id for alert in engine.alerts()] == ["due"]
    assert hours(4) == engine.clock().target
