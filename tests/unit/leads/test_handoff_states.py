"""What a handoff may become, and what it may not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.leads.domain import outcomes
from services.leads.domain.answers import answerable_offer, check_may_answer
from services.leads.domain.errors import (
    EvidenceRequired,
    FencingTokenStale,
    NotYourOffer,
    OfferEnded,
    OfferExpired,
    OfferTaken,
    OfferUnknown,
    ReasonCodeUnknown,
    StateForbids,
)
from services.leads.domain.events import (
    HandoffAccepted,
    HandoffConverted,
    HandoffOffered,
    HandoffVoided,
    Manner,
    OfferClosed,
    OfferState,
    OpportunityClosed,
)
from services.leads.domain.follow_up import FollowUp, grade_of
from services.leads.domain.handoff import Handoff
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.reasons import REASON_CODES, ReasonUse, find_reason
from services.leads.domain.states import HandoffState, NextAction
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel
from tests.builders.leads import (
    ANNA,
    BEN,
    CARA,
    NOON,
    OFFER_DURATION,
    QUEUE,
    TEAM,
    a_directory,
    a_handoff,
    a_placement,
    an_accepted_handoff,
    an_offered_handoff,
)

LATER = NOON + timedelta(minutes=10)


def a_follow_up(**changes: Any) -> FollowUp:
    follow_up = FollowUp(
        handoff=a_handoff().id,
        follow_up_id="f1",
        person=ANNA,
        channel=FollowUpChannel.CALL,
        occur_time=LATER,
        record_time=LATER,
        grade=EvidenceGrade.SELF_REPORTED,
    )
    return replace(follow_up, **changes)


def an_opportunity(**changes: Any) -> Opportunity:
    opportunity = Opportunity(
        tenant="default", opportunity_id="o1", handoff=a_handoff().id, owner=ANNA, create_time=LATER
    )
    return replace(opportunity, **changes)


def test_an_offer_to_a_person_ends_by_itself_and_one_to_a_queue_never() -> None:
    directory = a_directory()
    to_person = a_placement(directory)
    to_queue = replace(to_person, assignee=QUEUE, is_queue=True)

    leased, _ = a_handoff().place(to_person, expire_time=LATER, now=NOON)
    waiting, _ = a_handoff().place(to_queue, expire_time=LATER, now=NOON)

    assert (leased.offer and leased.offer.expire_time, leased.queue) == (LATER, "")
    assert (waiting.offer and waiting.offer.expire_time, waiting.queue) == (None, QUEUE)


def test_every_further_offer_has_a_greater_fencing_token() -> None:
    first = an_offered_handoff()
    ended, _ = first.end_offer(OfferState.DECLINED, at=LATER, now=LATER)

    second, event = ended.place(
        replace(a_placement(a_directory()), assignee=BEN), expire_time=None, now=LATER
    )

    assert isinstance(event, HandoffOffered)
    assert event.offer == 2
    assert second.tried == (ANNA, BEN)


def test_who_accepts_owns_the_handoff_and_the_offer_is_over() -> None:
    accepted, event = an_offered_handoff().accept(ANNA, TEAM, Manner.ACCEPTED, at=LATER, now=LATER)

    assert (accepted.state, accepted.owner, accepted.accept_time) == (HandoffState.ACCEPTED, ANNA, LATER)
    assert accepted.open_offer is None
    assert isinstance(event, HandoffAccepted)
    with pytest.raises(StateForbids):
        accepted.accept(BEN, TEAM, Manner.ACCEPTED, at=LATER, now=LATER)


def test_an_offer_is_over_at_the_very_instant_at_which_its_lease_ends() -> None:
    offered = an_offered_handoff()
    end = NOON + OFFER_DURATION

    assert answerable_offer(offered, 1, 1, now=end - timedelta(microseconds=1)) is offered.offer
    with pytest.raises(OfferExpired):
        answerable_offer(offered, 1, 1, now=end)


def test_an_answer_with_another_offers_token_is_refused() -> None:
    with pytest.raises(FencingTokenStale):
        answerable_offer(an_offered_handoff(), 1, 7, now=NOON)


@pytest.mark.parametrize(
    ("handoff", "number", "error"),
    [
        (an_accepted_handoff(), 1, OfferTaken),
        (an_accepted_handoff(), 2, OfferUnknown),
        (a_handoff(), 1, OfferUnknown),
        (an_offered_handoff(number=2), 1, OfferEnded),
        (an_offered_handoff().end_offer(OfferState.EXPIRED, at=LATER, now=LATER)[0], 1, OfferExpired),
        (an_offered_handoff().end_offer(OfferState.WITHDRAWN, at=LATER, now=LATER)[0], 1, OfferEnded),
    ],
)
def test_an_answer_that_comes_too_late_is_told_why(
    handoff: Handoff, number: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        answerable_offer(handoff, number, number, now=LATER)


def test_an_offer_to_one_rep_is_not_anothers_but_a_queues_is_its_teams() -> None:
    directory = a_directory()
    to_anna, to_queue = an_offered_handoff(), an_offered_handoff(to=QUEUE)
    assert to_anna.offer is not None
    assert to_queue.offer is not None

    check_may_answer(to_queue, to_queue.offer, CARA, directory)
    with pytest.raises(NotYourOffer):
        check_may_answer(to_anna, to_anna.offer, BEN, directory)
    with pytest.raises(NotYourOffer):
        check_may_answer(to_queue, to_queue.offer, "tenants/default/people/max", directory)


def test_a_follow_up_by_the_rep_to_whom_it_is_offered_accepts_it_then_and_not_when_it_was_logged() -> None:
    called = NOON + timedelta(minutes=5)

    working, events = an_offered_handoff().follow_up(a_follow_up(occur_time=called), TEAM, now=LATER)

    assert (working.state, working.owner) == (HandoffState.WORKING, ANNA)
    assert (working.accept_time, working.first_follow_up_time) == (called, called)
    assert [type(event).__name__ for event in events] == ["HandoffAccepted", "FollowUpLogged"]


def test_a_call_made_before_the_offer_accepts_it_no_earlier_than_it_was_made() -> None:
    called = NOON - timedelta(minutes=5)

    working, _ = an_offered_handoff().follow_up(a_follow_up(occur_time=called), TEAM, now=LATER)

    assert (working.accept_time, working.first_follow_up_time) == (NOON, called)


def test_nobody_else_accepts_by_a_follow_up_and_nobody_after_the_lease() -> None:
    with pytest.raises(StateForbids):
        an_offered_handoff().follow_up(a_follow_up(person=BEN), TEAM, now=LATER)
    with pytest.raises(StateForbids):
        an_offered_handoff().follow_up(a_follow_up(), TEAM, now=NOON + OFFER_DURATION)


def test_the_first_follow_up_is_the_earliest_even_when_it_is_told_last() -> None:
    working, _ = an_accepted_handoff().follow_up(a_follow_up(), TEAM, now=LATER)
    earlier = NOON + timedelta(minutes=1)

    working, _ = working.follow_up(a_follow_up(occur_time=earlier), TEAM, now=LATER)

    assert (working.first_follow_up_time, working.follow_up_count) == (earlier, 2)


def test_evidence_of_work_before_the_end_is_taken_after_it_and_work_after_it_is_not() -> None:
    working, _ = an_accepted_handoff().follow_up(a_follow_up(), TEAM, now=LATER)
    reason = find_reason(ReasonUse.DISQUALIFY, "NO_NEED")
    closed, _ = outcomes.disqualify(working, ANNA, reason, evidence="", now=LATER)

    told, _ = closed.follow_up(a_follow_up(occur_time=NOON), TEAM, now=LATER)

    assert (told.state, told.follow_up_count) == (HandoffState.DISQUALIFIED, 2)
    with pytest.raises(StateForbids):
        closed.follow_up(a_follow_up(occur_time=LATER + timedelta(seconds=1)), TEAM, now=LATER)


def test_reassigning_a_worked_handoff_changes_its_owner_and_nothing_else_of_its_state() -> None:
    working, _ = an_accepted_handoff().follow_up(a_follow_up(), TEAM, now=LATER)

    given, [event] = working.assign(BEN, TEAM, Manner.ASSIGNED, at=LATER, now=LATER)

    assert (given.state, given.owner, given.accept_time) == (HandoffState.WORKING, BEN, NOON)
    assert isinstance(event, HandoffAccepted)
    assert (event.owner, event.previous_owner) == (BEN, ANNA)


def test_assigning_an_offered_handoff_takes_the_offer_back_first() -> None:
    given, events = an_offered_handoff().assign(BEN, TEAM, Manner.ASSIGNED, at=LATER, now=LATER)

    assert (given.state, given.open_offer) == (HandoffState.ACCEPTED, None)
    withdrawn, _accepted = events
    assert isinstance(withdrawn, OfferClosed)
    assert withdrawn.state is OfferState.WITHDRAWN


def test_an_archived_handoff_is_taken_up_by_a_follow_up_or_an_assignment() -> None:
    archived = a_handoff(archived=True, historical=True)
    assert archived.next_action is NextAction.NOTHING

    called, _ = archived.follow_up(a_follow_up(), TEAM, now=LATER)
    given, _ = archived.assign(BEN, TEAM, Manner.ASSIGNED, at=LATER, now=LATER)

    assert (called.archived, called.state, called.owner) == (False, HandoffState.WORKING, ANNA)
    assert (given.archived, given.state, given.owner) == (False, HandoffState.ACCEPTED, BEN)


def test_a_handoff_that_nobody_owns_cannot_be_qualified() -> None:
    for handoff in (a_handoff(), an_offered_handoff()):
        with pytest.raises(StateForbids):
            outcomes.qualify(handoff, ANNA, now=LATER)


def test_a_step_may_be_skipped_forwards_and_never_taken_back() -> None:
    converted, events = outcomes.convert(an_accepted_handoff(), an_opportunity(), at=LATER, now=LATER)

    assert converted.state is HandoffState.CONVERTED
    assert [type(event) for event in events] == [HandoffConverted]
    for back in (
        lambda: outcomes.qualify(converted, ANNA, now=LATER),
        lambda: outcomes.convert(converted, an_opportunity(), at=LATER, now=LATER),
        lambda: converted.release(a_placement(a_directory()), now=LATER),
    ):
        with pytest.raises(StateForbids):
            back()


def test_a_won_opportunity_wins_its_handoff_and_refines_what_is_known_of_it() -> None:
    converted, _ = outcomes.convert(an_accepted_handoff(), an_opportunity(), at=LATER, now=LATER)
    won = an_opportunity().close(OpportunityState.WON, at=LATER, amount=None, reason_code="")

    closed, event = outcomes.close(converted, won, now=LATER, segment="watches")

    assert (closed.state, closed.close_time) == (HandoffState.WON, LATER)
    assert closed.qualification.segment == "watches"
    assert isinstance(event, OpportunityClosed)
    assert event.segment == "watches"


def test_an_opportunity_ends_once() -> None:
    won = an_opportunity().close(OpportunityState.WON, at=LATER, amount=None, reason_code="")

    with pytest.raises(StateForbids):
        won.close(OpportunityState.LOST, at=LATER, amount=None, reason_code="PRICE")


def test_anything_can_turn_out_never_to_have_been_but_once() -> None:
    for handoff in (a_handoff(), an_offered_handoff(), an_accepted_handoff()):
        voided, events = outcomes.void(handoff, "TEST", now=LATER)

        assert voided.state is HandoffState.VOID
        assert isinstance(events[-1], HandoffVoided)
        assert voided.open_offer is None
        with pytest.raises(StateForbids):
            outcomes.void(voided, "TEST", now=LATER)


def test_a_closed_handoff_never_opens_again() -> None:
    reason = find_reason(ReasonUse.REJECT, "NO_CAPACITY")
    rejected, _ = an_offered_handoff().reject(ANNA, TEAM, reason, evidence="", now=LATER)

    for step in (
        lambda: rejected.assign(BEN, TEAM, Manner.ASSIGNED, at=LATER, now=LATER),
        lambda: rejected.follow_up(a_follow_up(), TEAM, now=LATER),
        lambda: outcomes.convert(rejected, an_opportunity(), at=LATER, now=LATER),
        lambda: rejected.revise(rejected.qualification, revision=2, now=LATER),
    ):
        with pytest.raises(StateForbids):
            step()


def test_every_step_gives_the_handoff_another_etag() -> None:
    offered = an_offered_handoff()
    accepted, _ = offered.accept(ANNA, TEAM, Manner.ACCEPTED, at=LATER, now=LATER)
    qualified, _ = outcomes.qualify(accepted, ANNA, now=LATER)

    assert len({offered.etag, accepted.etag, qualified.etag}) == 3


def test_a_code_that_blames_marketing_for_a_rejection_must_be_proved() -> None:
    for reason in REASON_CODES:
        if reason.use is ReasonUse.REJECT and reason.accountable_party.name == "MARKETING":
            with pytest.raises(EvidenceRequired):
                find_reason(ReasonUse.REJECT, reason.code)


def test_a_code_of_another_use_is_unknown() -> None:
    with pytest.raises(ReasonCodeUnknown):
        find_reason(ReasonUse.LOSE, "NO_CAPACITY")


def test_a_person_can_only_say_so_and_a_channels_own_system_can_confirm() -> None:
    assert grade_of(EvidenceGrade.CONFIRMED, by_system=False) is EvidenceGrade.SELF_REPORTED
    assert grade_of(EvidenceGrade.CONFIRMED, by_system=True) is EvidenceGrade.CONFIRMED
    assert grade_of(None, by_system=True) is EvidenceGrade.SELF_REPORTED
