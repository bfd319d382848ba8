"""Who owns a clock now, by whose word an agreement holds, and what a tenant's own clocks suggest."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.sla.domain.accord import Consent
from services.sla.domain.agreement import CommitmentKind, Party, Role
from services.sla.domain.refused import AgreementInvalid, NotAcceptedByBoth
from services.sla.domain.responsibility import Responsibilities
from services.sla.domain.targets import Durations, Unknown
from services.sla.domain.terms import Mode, Promise
from services.sla.usecases.agreements import Accept, Activate, Propose, accept, activate, propose
from services.sla.usecases.answers import proposals, responsible_for
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.businesstime import BusinessTime
from tests.builders.sla_engine import (
    LEADER,
    MARKETING_MANAGER,
    OTHER_REP,
    REP,
    SALES,
    SALES_MANAGER,
    TENANT,
    Engine,
    a_promise,
    hours,
    some_terms,
)

# By whose word.


def proposed(
    engine: Engine, *promises: Promise, parties: Sequence[Party], by: str = SALES_MANAGER, **changed: Any
) -> Any:
    request = Propose(
        tenant="default",
        agreement="main",
        terms=some_terms(*promises, **changed),
        principal=by,
        parties=tuple(parties),
    )
    (answer,) = engine._act(propose, [request])
    if isinstance(answer, Exception):
        raise answer
    return answer


def dismiss(engine: Engine, person: str) -> None:
    """Leave a person without a role."""
    engine.tell(person, leadeventspb.PersonChanged(person=person, roles=[directorypb.ROLE_PRODUCT_READER]))


def test_two_people_who_accept_it_for_their_sides_are_both_parties() -> None:
    engine = Engine()
    accord = proposed(engine, parties=[Party.SALES])
    wanted = Accept(name=accord.name, etag="", principal=MARKETING_MANAGER, parties=(Party.MARKETING,))

    (accepted,) = engine._act(accept, [wanted])

    assert (accord.consent, accepted.consent) == (Consent.PENDING, Consent.BOTH_PARTIES)


def test_one_person_who_holds_both_roles_gives_both_words_and_that_is_shown() -> None:
    engine = Engine()

    accord = proposed(engine, parties=[Party.MARKETING, Party.SALES])

    assert accord.consent is Consent.ONE_PERSON_FOR_BOTH


def test_where_there_is_no_sales_party_marketings_word_alone_is_enough_and_that_is_shown() -> None:
    engine = Engine()
    dismiss(engine, SALES_MANAGER)
    freshness = a_promise(CommitmentKind.FRESHNESS, parties=(Party.MARKETING,))

    accord = proposed(
        engine, freshness, parties=[Party.MARKETING], by=MARKETING_MANAGER, absent=(Party.SALES,)
    )
    active = engine.activate(accord.name)

    assert accord.consent is Consent.SINGLE_PARTY
    assert active.state.value == "ACTIVE"


def test_a_party_that_somebody_can_speak_for_is_not_absent() -> None:
    engine = Engine()
    freshness = a_promise(CommitmentKind.FRESHNESS, parties=(Party.MARKETING,))

    with pytest.raises(AgreementInvalid, match="sales has a manager here"):
        proposed(engine, freshness, parties=[Party.MARKETING], absent=(Party.SALES,))


def test_a_party_that_appears_before_it_is_in_force_is_asked_first() -> None:
    engine = Engine()
    dismiss(engine, SALES_MANAGER)
    freshness = a_promise(CommitmentKind.FRESHNESS, parties=(Party.MARKETING,))
    accord = proposed(engine, freshness, parties=[Party.MARKETING], absent=(Party.SALES,))
    engine.staff()

    refused = engine.activate(accord.name)
    engine.accept(accord.name, Party.SALES)
    (active,) = engine._act(
        activate, [Activate(name=accord.name, etag="", principal=SALES_MANAGER, effective_time=None)]
    )

    assert isinstance(refused, NotAcceptedByBoth)
    assert refused.missing == ("SALES",)
    assert active.state.value == "ACTIVE"


# Who owns this now.


def parts(engine: Engine) -> dict[str, tuple[str, ...]]:
    clock = engine.clock()
    with engine.database.reading() as connection:
        people, _ = responsible_for(connection, engine.archive, clock, now=engine.now)
    return dict(people)


def test_the_owner_does_it_and_the_manager_answers_for_it_where_nothing_else_is_agreed() -> None:
    engine = Engine()
    engine.agree()
    engine.submit()
    engine.assign()

    assert parts(engine) == {
        "accountable": (SALES_MANAGER,),
        "responsible": (REP,),
        "consulted": (),
        "informed": (MARKETING_MANAGER,),
    }


def test_who_owns_it_changes_with_the_handoff() -> None:
    engine = Engine()
    engine.agree()
    engine.submit()
    engine.assign()

    engine.assign(to=OTHER_REP)

    assert parts(engine)["responsible"] == (OTHER_REP,)


def test_what_marketing_promises_is_marketings() -> None:
    engine = Engine()
    engine.agree(some_terms(a_promise(CommitmentKind.FRESHNESS, parties=(Party.MARKETING,))))
    engine.advance(hours=2)
    engine.submit(qualification={"inquire_time": engine.now - timedelta(hours=1)})

    assert parts(engine)["accountable"] == (MARKETING_MANAGER,)
    assert parts(engine)["responsible"] == (MARKETING_MANAGER,)
    assert parts(engine)["informed"] == (SALES_MANAGER,)


def test_what_the_agreement_says_of_it_goes_before() -> None:
    engine = Engine()
    agreed = Responsibilities(
        accountable=Role.LEADERSHIP, responsible=(Role.OWNER, Role.MANAGER), consulted=(Role.PARTY,)
    )
    engine.agree(some_terms(a_promise(responsibilities=agreed)))
    engine.submit()
    engine.assign()

    assert parts(engine) == {
        "accountable": (LEADER,),
        "responsible": (REP, SALES_MANAGER),
        "consulted": (SALES_MANAGER,),
        "informed": (),
    }


# Targets from one's own clocks.


def suggested(engine: Engine, version: str) -> list[Durations]:
    with engine.database.reading() as connection:
        found = proposals(
            connection, version, start=engine.now - timedelta(days=28), end=engine.now + timedelta(days=1)
        )
    assert found is not None
    return [each for _, each in found]


def worked(engine: Engine, minutes: Sequence[int], *, never: int = 0) -> None:
    """Have a handoff followed up after each of so many minutes, on one morning; some never."""
    start = engine.now
    names = [f"{TENANT}/leads/l{number}/handoffs/1" for number in range(len(minutes) + never)]
    told: list[Any] = []
    for name in names:
        told.append(engine.event(name, leadeventspb.HandoffSubmitted(handoff=name)))
        told.append(engine.event(name, leadeventspb.HandoffAccepted(handoff=name, owner=REP, team=SALES)))
    engine.deliver(told)
    engine.advance(minutes=31)
    grade = termspb.EVIDENCE_GRADE_CONFIRMED
    engine.deliver(
        engine.event(
            name,
            leadeventspb.FollowUpLogged(handoff=name, person=REP, team=SALES, grade=grade),
            at=start + timedelta(minutes=after),
        )
        for name, after in zip(names, minutes, strict=False)
    )
    engine.advance(hours=8)
    engine.sweep()


def test_the_proposal_is_what_four_of_five_kept() -> None:
    engine = Engine()
    version = engine.agree(some_terms(a_promise(target=4)))

    worked(engine, range(1, 31))

    (found,) = suggested(engine, version)
    # Of 1 … 30 minutes the 15th is half of them, the 24th four of five.
    assert (found.settled, found.done) == (30, 30)
    assert (found.p50, found.p80) == (hours(15 / 60), hours(24 / 60))
    assert found.proposed == hours(24 / 60)


def test_nothing_is_proposed_from_twenty_nine_clocks() -> None:
    engine = Engine()
    version = engine.agree(some_terms(a_promise(target=4)))

    worked(engine, range(1, 30))

    (found,) = suggested(engine, version)
    assert (found.settled, found.unknown, found.proposed) == (29, Unknown.TOO_FEW, None)


def test_what_was_never_done_took_longer_than_anything_that_was() -> None:
    engine = Engine()
    version = engine.agree(some_terms(a_promise(target=4)))

    worked(engine, range(1, 25), never=6)

    (found,) = suggested(engine, version)
    # The 24th of 30 is the last that was done.
    assert (found.settled, found.done, found.p80) == (30, 24, hours(24 / 60))


def test_where_more_than_a_fifth_was_never_done_nothing_is_proposed() -> None:
    engine = Engine()
    version = engine.agree(some_terms(a_promise(target=4)))

    worked(engine, range(1, 24), never=7)

    (found,) = suggested(engine, version)
    assert (found.p50, found.p80, found.unknown) == (hours(15 / 60), None, Unknown.NOT_REACHED)


def test_observe_mode_measures_what_targets_are_proposed_from_and_alerts_nobody() -> None:
    engine = Engine()
    version = engine.agree(some_terms(a_promise(target=4), mode=Mode.OBSERVE))

    worked(engine, range(1, 30), never=1)

    (found,) = suggested(engine, version)
    assert found.settled == 30
    assert engine.alerts() == []


def test_a_proposal_is_a_whole_minute() -> None:
    odd = BusinessTime(61_000_001)

    found = Durations(commitment_id="c", target=hours(1), settled=30, done=30, p50=odd, p80=odd)

    assert found.proposed == BusinessTime.of(minutes=2)
