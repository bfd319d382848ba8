"""Plays stories through the services, from instant to instant, as if the month were happening.

At each instant first comes what time alone does until then: clocks that fall due are swept at their
very instant, and the services read one another's logs. Then somebody acts.
"""

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final, TypeVar

from services.demo.company import DIALLER, ON_LEAVE, QUEUE, REPS, SALES_MANAGER, WEBSITE, Company
from services.demo.houses import Houses
from services.demo.month import Answer, Deal, Echo, OfferAnswer, Outcome, Story, Touch, Wait, next_story
from services.demo.setting_up import call_of, take_leave
from services.leads.domain.errors import QueueEmpty
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Submission
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.states import OWNED_STATES, RELEASABLE_STATES
from services.leads.domain.terms import EvidenceGrade, Money
from services.leads.store.leads import Batch, UseCase
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases import offers, work
from services.leads.usecases.asking import Asker
from services.leads.usecases.routing import expire_offers
from services.leads.usecases.submit import SubmitLead, submit
from services.leads.wire.leads import follow_up_message, handoff_message, opportunity_message
from smarketing.businesstime import BusinessTime, Openings
from smarketing.server.commands import Command

__all__ = ["Player"]

Q = TypeVar("Q")
A = TypeVar("A")

_SERVICE: Final = "/smarketing.api.leads.v1.LeadService"
_SLA_READS_WITHIN: Final = timedelta(minutes=25)
"""How soon `sla` reads what `leads` said: before anything that this starts could fall due."""
_IN_A_HURRY: Final = timedelta(seconds=1)
"""The same, where seconds are promised."""
_LEADS_READS_WITHIN: Final = timedelta(hours=1)
"""How soon `leads` reads what `sla` said; nobody of this month looks at the due times it keeps."""


@dataclass(slots=True)
class _Case:
    """A handoff, as it was last seen, and the story that is told with it."""

    story: Story
    handoff: Handoff

    @property
    def id(self) -> HandoffId:
        return self.handoff.id


class Player:
    """Plays one month; `said` is told the instant that was reached."""

    def __init__(
        self,
        houses: Houses,
        company: Company,
        stories: Sequence[Story],
        *,
        seed: int,
        new_id: Callable[[], str],
        said: Callable[[datetime], None],
    ) -> None:
        self._houses = houses
        self._openings = Openings(company.calendar)
        self._leave = company.leave
        self._seed = seed
        self._dice = Random(f"{seed}/player")  # noqa: S311 -- a month to look at, not a secret
        self._new_id = new_id
        self._said = said
        self._order = count()
        self._agenda: list[tuple[datetime, int, Callable[[], Awaitable[None]]]] = []
        self._cases: dict[HandoffId, _Case] = {}
        self._leases: dict[HandoffId, datetime] = {}
        self._sla_reads_at: datetime | None = None
        self._leads_reads_at: datetime | None = None
        for story in stories:
            self._plan(story.submit_time, partial(self._submit, story, story.submission))
        self._plan(self._leave[0] - timedelta(days=3), self._announce_leave)
        self._plan(self._leave[0], self._hand_over)

    async def play_until(self, end: datetime) -> None:
        """Let everything happen until `end`."""
        while self._agenda and self._agenda[0][0] <= end:
            at, _, act = heapq.heappop(self._agenda)
            await self._pass_time(at)
            await act()
            self._read_within(_SLA_READS_WITHIN)
            self._said(at)
        await self._pass_time(end)
        await self._houses.sla_reads()
        await self._houses.leads_reads()
        self._said(end)

    async def _pass_time(self, until: datetime) -> None:
        """Let time do what it does, each thing at its instant."""
        houses = self._houses
        while True:
            instants = (houses.due, self._sla_reads_at, self._leads_reads_at)
            nearest = min((each for each in instants if each is not None and each <= until), default=None)
            if nearest is None:
                break
            houses.clock.reach(nearest)
            if self._sla_reads_at is not None:
                # Also before a sweep: nothing is called missed that is known to have been done.
                self._sla_reads_at = None
                await houses.sla_reads()
            await houses.sweep()
            self._leads_reads_at = self._leads_reads_at or self._now + _LEADS_READS_WITHIN
            if self._leads_reads_at <= self._now:
                self._leads_reads_at = None
                await houses.leads_reads()
        houses.clock.reach(until)

    def _read_within(self, lag: timedelta) -> None:
        at = self._now + lag
        self._sla_reads_at = at if self._sla_reads_at is None else min(at, self._sla_reads_at)

    # Marketing.

    async def _submit(self, story: Story, submission: Submission) -> None:
        wanted = SubmitLead(submission, By(WEBSITE))
        call = call_of(WEBSITE, f"{_SERVICE}/SubmitLeads", wanted, self._new_id())
        [result] = await self._houses.leads.batch(submit, Batch([wanted], call))
        if isinstance(result, Exception):
            raise result
        known = self._cases.get(result.handoff.id)
        if known is not None:
            known.handoff = result.handoff
            return
        is_first = submission is story.submission
        case = _Case(story if is_first else next_story(self._seed, story, self._now), result.handoff)
        self._cases[case.id] = case
        if is_first and story.echo is not None:
            again = partial(self._submit, story, _echo(submission, story.echo, self._now + story.echo_after))
            self._plan(self._now + story.echo_after, again)
        self._offered(case)

    # Sales: offers.

    def _offered(self, case: _Case) -> None:
        """Plan what whoever is offered it would do."""
        offer = case.handoff.open_offer
        if offer is None:
            return
        if offer.expire_time is None:
            self._plan_queue(case, offer.number)
            return
        self._leases[case.id] = offer.expire_time
        self._plan(offer.expire_time, partial(self._expire, case, offer.number))
        answers = case.story.answers
        intended = answers[min(offer.number, len(answers)) - 1]
        at = self._after(intended.after)
        if intended.answer is not Answer.IGNORE and at < offer.expire_time:
            self._plan(at, partial(self._answer, case, offer.number, offer.assignee, intended))

    def _plan_queue(self, case: _Case, number: int) -> None:
        intended = case.story.from_queue
        at = self._after(intended.after)
        if intended.answer is Answer.REJECT:
            self._plan(at, partial(self._answer, case, number, "", intended))
        elif intended.answer is Answer.ACCEPT:
            self._plan(at, self._claim)

    async def _answer(self, case: _Case, number: int, person: str, intended: OfferAnswer) -> None:
        if not self._is_open(case, number):
            return
        use_cases: dict[Answer, tuple[str, UseCase[offers.AnswerOffer, Handoff]]] = {
            Answer.ACCEPT: ("AcceptOffer", offers.accept_offers),
            Answer.DECLINE: ("DeclineOffer", offers.decline_offers),
            Answer.REJECT: ("RejectOffer", offers.reject_offers),
        }
        method, use_case = use_cases[intended.answer]
        wanted = offers.AnswerOffer(
            handoff=case.id,
            offer=number,
            fencing_token=number,
            asker=Asker(principal=person or self._somebody()),
            reason_code=intended.reason_code,
            evidence=intended.evidence,
        )
        case.handoff = await self._ask(use_case, method, wanted, handoff_message)
        self._leases.pop(case.id, None)
        if intended.answer is Answer.ACCEPT:
            self._owned(case)
        self._offered(case)

    async def _claim(self) -> None:
        wanted = offers.ClaimOffer(tenant="default", queue=QUEUE, asker=Asker(principal=self._somebody()))
        try:
            claimed: Handoff = await self._ask(offers.claim_offers, "ClaimOffer", wanted, handoff_message)
        except QueueEmpty:
            return
        case = self._cases[claimed.id]
        case.handoff = claimed
        self._owned(case)

    async def _expire(self, case: _Case, number: int) -> None:
        if not self._is_open(case, number):
            return
        lapsed = [each for each, expires in self._leases.items() if expires <= self._now]

        def pass_on(tx: LeadTx) -> list[Handoff | None]:
            expire_offers(tx)
            tx.load_handoffs(lapsed)
            return [tx.handoff(each) for each in lapsed]

        passed_on = await self._houses.leads.sweep(pass_on)
        for each, handoff in zip(lapsed, passed_on, strict=True):
            del self._leases[each]
            moved = self._cases[each]
            moved.handoff = handoff or moved.handoff
            self._offered(moved)

    # Sales: work.

    def _owned(self, case: _Case) -> None:
        """Plan what the owner does first."""
        if case.story.is_urgent:
            self._read_within(_IN_A_HURRY)
        if case.story.touches:
            self._plan_touch(case, 0)

    def _plan_touch(self, case: _Case, index: int) -> None:
        touch = case.story.touches[index]
        occurs = self._after(touch.after)
        told = self._openings.add(occurs, touch.told_after) if touch.told_after else occurs
        self._plan(told, partial(self._touch, case, index, occurs))

    async def _touch(self, case: _Case, index: int, occurred: datetime) -> None:
        touch = case.story.touches[index]
        wanted = work.LogFollowUp(
            handoff=case.id,
            asker=_by(case.handoff.owner, touch),
            channel=touch.channel,
            occur_time=occurred,
            grade=EvidenceGrade.CONFIRMED if touch.confirmed else None,
            contact=touch.contact,
        )
        await self._ask(work.log_follow_ups, "LogFollowUp", wanted, follow_up_message)
        if index + 1 < len(case.story.touches):
            self._plan_touch(case, index + 1)
        else:
            self._plan(self._after(case.story.ending.after), partial(self._end, case))

    async def _end(self, case: _Case) -> None:
        ending = case.story.ending
        use_cases: dict[Outcome, tuple[str, UseCase[work.Decide, Handoff]]] = {
            Outcome.QUALIFY: ("QualifyHandoff", work.qualify_handoffs),
            Outcome.DISQUALIFY: ("DisqualifyHandoff", work.disqualify_handoffs),
            Outcome.RECYCLE: ("RecycleHandoff", work.recycle_handoffs),
        }
        if ending.outcome not in use_cases:
            return
        method, use_case = use_cases[ending.outcome]
        until = self._now + ending.rest
        wanted = self._decision(
            case,
            reason_code=ending.reason_code,
            recycle_until_time=until if ending.outcome is Outcome.RECYCLE else None,
        )
        case.handoff = await self._ask(use_case, method, wanted, handoff_message)
        if ending.deal is not None:
            self._plan(self._after(ending.deal.after), partial(self._convert, case, ending.deal))
        if ending.outcome is Outcome.RECYCLE and case.story.comes_back:
            again = next_story(self._seed, case.story, until).submission
            self._plan(until, partial(self._submit, case.story, again))

    async def _convert(self, case: _Case, deal: Deal) -> None:
        wanted = self._decision(
            case,
            amount=Money("EUR", deal.amount_cents),
            probability_percent=deal.percent,
            expected_close_date=self._after(deal.close_after).date(),
        )
        opportunity: Opportunity = await self._ask(
            work.convert_handoffs, "ConvertHandoff", wanted, opportunity_message
        )
        if deal.won is not None:
            self._plan(self._after(deal.close_after), partial(self._close, case, opportunity, deal))

    async def _close(self, case: _Case, opportunity: Opportunity, deal: Deal) -> None:
        wanted = work.CloseOpportunity(
            tenant="default",
            opportunity_id=opportunity.opportunity_id,
            asker=Asker(principal=case.handoff.owner),
            state=OpportunityState.WON if deal.won else OpportunityState.LOST,
            amount=Money("EUR", deal.amount_cents) if deal.won else None,
            reason_code=deal.reason_code,
        )
        await self._ask(work.close_opportunities, "CloseOpportunity", wanted, opportunity_message)

    # Leave.

    async def _announce_leave(self) -> None:
        await take_leave(self._houses, self._leave, self._new_id())
        await self._houses.leads_reads()

    async def _hand_over(self) -> None:
        """Let the manager give what the absent rep was working on to the others."""
        for case in list(self._cases.values()):
            if case.handoff.owner != ON_LEAVE:
                continue
            await self._look_at(case)
            if case.handoff.state not in RELEASABLE_STATES & OWNED_STATES:
                continue
            wanted = offers.ReassignHandoff(
                handoff=case.id,
                etag=case.handoff.etag,
                assignee=self._somebody(),
                asker=Asker(principal=SALES_MANAGER, manages=True),
            )
            case.handoff = await self._ask(
                offers.reassign_handoffs, "ReassignHandoff", wanted, handoff_message
            )

    # Inside.

    @property
    def _now(self) -> datetime:
        return self._houses.clock.now

    def _plan(self, at: datetime, act: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), act))

    def _after(self, wait: Wait) -> datetime:
        if isinstance(wait, BusinessTime):
            return self._openings.add(self._now, wait)
        return self._now + wait

    def _somebody(self) -> str:
        away = self._leave[0] <= self._now < self._leave[1]
        return self._dice.choice([rep for rep in REPS if not (away and rep == ON_LEAVE)])

    def _is_open(self, case: _Case, number: int) -> bool:
        offer = case.handoff.open_offer
        return offer is not None and offer.number == number

    def _decision(self, case: _Case, **parts: Any) -> work.Decide:
        return work.Decide(handoff=case.id, asker=Asker(principal=case.handoff.owner), **parts)

    async def _look_at(self, case: _Case) -> None:
        def load(tx: LeadTx) -> Handoff | None:
            tx.load_handoffs([case.id])
            return tx.handoff(case.id)

        found = await self._houses.leads.sweep(load)
        case.handoff = found or case.handoff

    async def _ask(self, use_case: UseCase[Q, A], method: str, wanted: Q, render: Callable[[A], Any]) -> A:
        """Return what the command answers.

        Raises:
            Exception: what it is refused with.
        """
        answers: list[A | Exception] = []

        def kept(tx: LeadTx, requests: Sequence[Q]) -> Sequence[A | Exception]:
            answered = use_case(tx, requests)
            answers.extend(answered)
            return answered

        asker: Asker = wanted.asker  # type: ignore[attr-defined] # every request of sales names who asks
        call = replace(
            call_of(asker.principal, f"{_SERVICE}/{method}", wanted, self._new_id()),
            on_behalf_of=asker.person,
        )
        outcome = await self._houses.leads.command(kept, Command(wanted, call), render=render)
        answered = answers[-1]
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(answered, Exception):
            raise answered
        return answered


def _by(owner: str, touch: Touch) -> Asker:
    if touch.confirmed:
        return Asker(principal=DIALLER, is_system=True, person=owner)
    return Asker(principal=owner)


def _echo(submission: Submission, echo: Echo, at: datetime) -> Submission:
    told = submission.qualification
    if echo is Echo.SAME:
        return replace(submission)
    if echo is Echo.REVISED:
        score = min(99, (told.score or 0) + 6)
        return replace(submission, revision=1, qualification=replace(told, score=score))
    return replace(
        submission,
        external_id=f"{submission.external_id}-fair",
        qualification=replace(told, source="conference", inquire_time=at),
    )
