"""What comes next on every open handoff, by when, and why it stands where it stands in a ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from services.leads.domain.claims import claim_place
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.playbook import Playbook
from services.leads.domain.replies import Reply
from services.leads.domain.states import HandoffState, NextAction
from services.leads.domain.terms import FollowUpChannel

_SOON: Final = timedelta(days=1)


class Ground(IntEnum):
    """Who said so, numbered as in the contract."""

    PERSON = 1
    CLOCK = 2
    PLAYBOOK = 3


class Reason(IntEnum):
    """Why it stands where it stands, numbered as in the contract."""

    OVERDUE = 1
    REPLIED = 2
    DUE_SOON = 3
    UNTOUCHED = 4
    VALUABLE = 5
    HIGH_SCORE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAction:
    """What a person said is next; it holds until the next follow-up or change of state."""

    handoff: HandoffId
    action: NextAction
    due_time: datetime
    channel: FollowUpChannel | None
    person: str
    state: HandoffState
    follow_up_count: int

    def holds(self, handoff: Handoff) -> bool:
        """Whether nothing has happened since that makes it old."""
        return handoff.state is self.state and handoff.follow_up_count == self.follow_up_count


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What to do next, by when, and who said so."""

    handoff: HandoffId
    action: NextAction
    due_time: datetime
    ground: Ground
    channel: FollowUpChannel | None = None
    person: str = ""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A next step and its place: the least comes first."""

    place: tuple[datetime, int, int, str, int]
    step: NextStep


def next_step(handoff: Handoff, said: SetAction | None, playbook: Playbook) -> NextStep | None:
    """Return what comes next; None for a closed or archived handoff, and something for every other."""
    if handoff.next_action is NextAction.NOTHING:
        return None
    if said is not None and said.holds(handoff):
        return NextStep(
            handoff=handoff.id,
            action=said.action,
            due_time=said.due_time,
            ground=Ground.PERSON,
            channel=said.channel,
            person=said.person,
        )
    usual = NextStep(
        handoff=handoff.id,
        action=handoff.next_action,
        due_time=_usual_due(handoff, playbook),
        ground=Ground.PLAYBOOK,
    )
    if handoff.next_due_time is None:
        return usual
    return replace(usual, due_time=handoff.next_due_time, ground=Ground.CLOCK)


def rank(
    handoffs: Sequence[Handoff],
    said: Mapping[HandoffId, SetAction],
    replies: Mapping[HandoffId, Reply],
    playbook: Playbook,
    *,
    currency_code: str,
    now: datetime,
) -> list[Ranked]:
    """Return what comes next on each, in the order of what is due, sooner for its worth as in a queue.

    A reply that nobody answered is due since it came.
    """
    valuable, scored = _most_valuable(handoffs), _best_scored(handoffs)
    ranked = []
    for handoff in handoffs:
        step = next_step(handoff, said.get(handoff.id), playbook)
        if step is None:
            continue
        reply = replies.get(handoff.id)
        waiting = reply if reply is not None and reply.is_unanswered(handoff) else None
        place = claim_place(handoff.qualification, playbook.claim_order, currency_code=currency_code)
        due = step.due_time if waiting is None else min(step.due_time, waiting.occur_time)
        reasons = {
            Reason.OVERDUE: step.due_time < now,
            Reason.REPLIED: waiting is not None,
            Reason.DUE_SOON: now <= step.due_time <= now + _SOON,
            Reason.UNTOUCHED: not handoff.follow_up_count,
            Reason.VALUABLE: handoff.id in valuable,
            Reason.HIGH_SCORE: handoff.id in scored,
        }
        told = replace(step, reasons=tuple(reason for reason, holds in reasons.items() if holds))
        order = (due - place.advance, -place.value, -place.score, handoff.id.lead, handoff.id.number)
        ranked.append(Ranked(order, told))
    return sorted(ranked, key=lambda each: each.place)


def _usual_due(handoff: Handoff, playbook: Playbook) -> datetime:
    offer = handoff.open_offer
    if offer is not None:
        return offer.expire_time or offer.offer_time + playbook.action_time(NextAction.ACCEPT)
    since = {
        HandoffState.ACCEPTED: handoff.accept_time,
        HandoffState.WORKING: handoff.first_follow_up_time,
        HandoffState.QUALIFIED: handoff.update_time,
        HandoffState.CONVERTED: handoff.update_time,
    }.get(handoff.state)
    return (since or handoff.submit_time) + playbook.action_time(handoff.next_action)


def _most_valuable(handoffs: Sequence[Handoff]) -> frozenset[HandoffId]:
    worth = {
        each.id: each.qualification.value.minor_units
        for each in handoffs
        if each.qualification.value is not None and each.qualification.value.minor_units
    }
    return _upper_quarter(worth)


def _best_scored(handoffs: Sequence[Handoff]) -> frozenset[HandoffId]:
    return _upper_quarter(
        {each.id: score for each in handoffs if (score := each.qualification.deciding_score) is not None}
    )


def _upper_quarter(figures: Mapping[HandoffId, int]) -> frozenset[HandoffId]:
    """Return those with more than three quarters of the others, when there are enough to say so."""
    if len(figures) < 4:
        return frozenset()
    bar = sorted(figures.values())[len(figures) * 3 // 4 - 1]
    return frozenset(each for each, figure in figures.items() if figure > bar)
