"""Whatever is asked in whatever order, every handoff is in one state and every open one is somebody's.

A machine drives the real store through random commands, with time passing in between, and looks after
each step at every row and every event.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.leads.domain.disputes import Answerer
from services.leads.domain.errors import LeadError
from services.leads.domain.events import OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact, History
from services.leads.domain.next_steps import next_step
from services.leads.domain.open_work import holder_of
from services.leads.domain.opportunity import OpportunityState
from services.leads.domain.playbook import THE_DEFAULTS, Playbook
from services.leads.domain.states import HandoffState
from services.leads.domain.takeovers import Takeover
from services.leads.domain.terms import FollowUpChannel, Money
from services.leads.domain.work_events import DisputeState
from services.leads.store import rows
from services.leads.store.figures import read_figures
from services.leads.store.schema import SCHEMA
from services.leads.store.transaction import By
from services.leads.usecases.disputes import (
    DisputeRejection,
    ResolveDispute,
    dispute_rejections,
    resolve_disputes,
)
from services.leads.usecases.following import ReopenOpportunity, reopen_opportunities
from services.leads.usecases.offers import (
    AnswerOffer,
    ClaimOffer,
    ReassignHandoff,
    accept_offers,
    claim_offers,
    decline_offers,
    reassign_handoffs,
    reject_offers,
)
from services.leads.usecases.outcomes import RecordOutcome, VoidHandoff, record_outcomes, void_handoffs
from services.leads.usecases.playbook import ApplyPlaybook, apply_playbooks
from services.leads.usecases.routing import expire_offers, route_waiting
from services.leads.usecases.submit import SubmitLead, submit
from services.leads.usecases.takeovers import take_over_handoffs
from services.leads.usecases.work import (
    Decide,
    LogFollowUp,
    convert_handoffs,
    disqualify_handoffs,
    log_follow_ups,
    qualify_handoffs,
    recycle_handoffs,
)
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.leads import (
    FORM,
    MANAGER,
    MARKETER,
    OFFER_DURATION,
    QUEUE,
    REPS,
    House,
    a_submission,
    asked_by,
)

PEOPLE = st.sampled_from(REPS)
PICKS = st.integers(0, 10**6)
ENDINGS = (
    leadeventspb.HandoffRejected,
    leadeventspb.HandoffDisqualified,
    leadeventspb.HandoffRecycled,
    leadeventspb.OpportunityClosed,
    leadeventspb.HandoffVoided,
)
OWNED = (HandoffState.ACCEPTED, HandoffState.WORKING, HandoffState.QUALIFIED, HandoffState.CONVERTED)


class HandoffMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.house = House()
        self.submitted: dict[tuple[str, int], HandoffId] = {}

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def open(self) -> None:
        self.run(self.house.__aenter__())

    def teardown(self) -> None:
        self.run(self.house.__aexit__())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def handoffs(self) -> list[Handoff]:
        def read(connection: Any) -> list[Handoff]:
            return [rows.handoff_of(row) for row in connection.execute(SCHEMA.leads.handoff.select())]

        found: list[Handoff] = self.run(self.house.rows(read))
        return sorted(found, key=lambda handoff: handoff.id)

    def undone(self) -> Counter[str]:
        """Return how often each handoff's end was undone."""
        query = "SELECT subject, payload_type, payload FROM event_log"
        told = self.run(self.house.rows(lambda connection: connection.exec_driver_sql(query).all()))
        resolved, reopened = leadeventspb.DisputeResolved, leadeventspb.OpportunityReopened
        found: Counter[str] = Counter()
        for subject, kind, payload in told:
            if kind == resolved.DESCRIPTOR.full_name:
                found[subject] += resolved.FromString(payload).state == disputespb.Dispute.STATE_OVERTURNED
            found[subject] += kind == reopened.DESCRIPTOR.full_name
        return found

    def ask(self, use_case: Any, *requests: Any) -> list[Any]:
        """Ask, as a batch; a refusal is fine, as long as it is one of the domain's."""
        answers: list[Any] = self.run(self.house.all(use_case, *requests))
        for answer in answers:
            assert isinstance(answer, LeadError) or not isinstance(answer, Exception), answer
        return answers

    def pick(self, number: int) -> Handoff | None:
        handoffs = self.handoffs()
        return handoffs[number % len(handoffs)] if handoffs else None

    @rule(
        number=st.integers(0, 6),
        person=st.integers(0, 3),
        revision=st.integers(0, 2),
        history=st.sampled_from([None, None, History(), History(still_open=True)]),
        twice=st.booleans(),
    )
    def submit_a_lead(
        self, number: int, person: int, revision: int, history: History | None, twice: bool
    ) -> None:
        submission = a_submission(
            number, revision=revision, contact=Contact(email=f"kim{person}@example.com"), history=history
        )
        request = SubmitLead(submission, By(FORM))
        for answer in self.ask(submit, *[request] * (1 + twice)):
            key = (submission.external_id, revision)
            assert self.submitted.setdefault(key, answer.handoff.id) == answer.handoff.id

    @rule(number=PICKS, people=st.lists(PEOPLE, min_size=1, max_size=4), stale=st.booleans())
    def accept(self, number: int, people: list[str], stale: bool) -> None:
        handoff = self.pick(number)
        if handoff is None or handoff.offer is None:
            return
        offer = handoff.offer
        lapsed = offer.has_lapsed(self.house.now)
        token = offer.number + stale
        answers = self.ask(
            accept_offers,
            *(
                AnswerOffer(
                    handoff=handoff.id, offer=offer.number, fencing_token=token, asker=asked_by(person)
                )
                for person in people
            ),
        )
        won = [answer for answer in answers if isinstance(answer, Handoff)]
        assert len(won) <= 1
        assert not won or not (stale or lapsed or offer.state is not OfferState.OPEN)

    @rule(number=PICKS, person=PEOPLE, says_no=st.sampled_from(["decline", "reject"]))
    def say_no(self, number: int, person: str, says_no: str) -> None:
        handoff = self.pick(number)
        if handoff is None or handoff.offer is None:
            return
        offer = handoff.offer.number
        use_case, code = (
            (decline_offers, "AWAY") if says_no == "decline" else (reject_offers, "WRONG_TERRITORY")
        )
        self.ask(
            use_case,
            AnswerOffer(
                handoff=handoff.id,
                offer=offer,
                fencing_token=offer,
                asker=asked_by(person),
                reason_code=code,
            ),
        )

    @rule(people=st.lists(PEOPLE, min_size=1, max_size=3))
    def claim(self, people: list[str]) -> None:
        claims = (ClaimOffer(tenant="default", queue=QUEUE, asker=asked_by(person)) for person in people)
        answers = self.ask(claim_offers, *claims)
        taken = [answer.id for answer in answers if isinstance(answer, Handoff)]
        assert len(taken) == len(set(taken))

    @rule(number=PICKS, assignee=st.sampled_from([*REPS, QUEUE]))
    def reassign(self, number: int, assignee: str) -> None:
        handoff = self.pick(number)
        if handoff is not None:
            self.ask(
                reassign_handoffs,
                ReassignHandoff(handoff=handoff.id, etag="", assignee=assignee, asker=asked_by(MANAGER)),
            )

    @rule(number=PICKS, person=PEOPLE, ago=st.integers(-2, 90), external_id=st.sampled_from(["", "a", "b"]))
    def follow_up(self, number: int, person: str, ago: int, external_id: str) -> None:
        handoff = self.pick(number)
        if handoff is not None:
            self.ask(
                log_follow_ups,
                LogFollowUp(
                    handoff=handoff.id,
                    asker=asked_by(person),
                    channel=FollowUpChannel.CALL,
                    occur_time=self.house.now - timedelta(minutes=ago),
                    external_id=external_id,
                ),
            )

    @rule(
        number=PICKS,
        decision=st.sampled_from(["qualify", "disqualify", "recycle", "convert"]),
        principal=st.sampled_from([*REPS, MANAGER]),
    )
    def decide(self, number: int, decision: str, principal: str) -> None:
        handoff = self.pick(number)
        if handoff is None:
            return
        use_case, code = {
            "qualify": (qualify_handoffs, ""),
            "disqualify": (disqualify_handoffs, "NO_NEED"),
            "recycle": (recycle_handoffs, "NOT_NOW"),
            "convert": (convert_handoffs, ""),
        }[decision]
        request = Decide(
            handoff=handoff.id,
            asker=asked_by(principal),
            reason_code=code,
            recycle_until_time=self.house.now + timedelta(days=30),
        )
        self.ask(use_case, request)

    @rule(number=st.integers(0, 6), state=st.sampled_from([OpportunityState.WON, OpportunityState.LOST]))
    def record_an_outcome(self, number: int, state: OpportunityState) -> None:
        outcome = RecordOutcome(
            tenant="default",
            source_system="website",
            external_id=f"form-{number}",
            state=state,
            by=By(FORM),
            occur_time=self.house.now,
            amount=Money("EUR", 1),
        )
        self.ask(record_outcomes, outcome)

    @rule(number=PICKS)
    def void(self, number: int) -> None:
        handoff = self.pick(number)
        if handoff is not None:
            self.ask(void_handoffs, VoidHandoff(handoff.id, "TEST_RECORD", By(MANAGER)))

    @rule(number=PICKS, person=PEOPLE)
    def reopen(self, number: int, person: str) -> None:
        handoff = self.pick(number)
        if handoff is not None and handoff.opportunity:
            opportunity_id = handoff.opportunity.rpartition("/")[2]
            asker = asked_by(MANAGER if not handoff.owner else person)
            self.ask(
                reopen_opportunities,
                ReopenOpportunity(tenant="default", opportunity_id=opportunity_id, asker=asker),
            )

    @rule(number=PICKS, answer=st.sampled_from([None, DisputeState.UPHELD, DisputeState.OVERTURNED]))
    def dispute_a_rejection(self, number: int, answer: DisputeState | None) -> None:
        rejected = [each for each in self.handoffs() if each.state is HandoffState.REJECTED]
        if not rejected:
            return
        handoff = rejected[number % len(rejected)].id
        self.ask(dispute_rejections, DisputeRejection(handoff=handoff, asker=asked_by(MARKETER)))
        if answer is not None:
            answerer = Answerer(MANAGER, manages=True, leads=False)
            resolved = ResolveDispute(handoff=handoff, answerer=answerer, by=By(MANAGER), state=answer)
            self.ask(resolve_disputes, resolved)

    @rule(number=PICKS, cycle=st.integers(1, 3), again=st.booleans())
    def take_over(self, number: int, cycle: int, again: bool) -> None:
        handoff = self.pick(number)
        if handoff is not None and handoff.owner:
            takeover = Takeover(
                handoff=handoff.id,
                clock="tenants/default/clocks/c",
                cycle=cycle,
                rung_id="overdue",
                previous_owner=handoff.owner,
                occur_time=self.house.now,
            )
            self.run(self.house.store.sweep(lambda tx: take_over_handoffs(tx, [takeover] * (1 + again))))

    @rule(after_win=st.booleans(), most=st.integers(0, 2))
    def apply_a_playbook(self, after_win: bool, most: int) -> None:
        wanted = Playbook(after_win_queue=QUEUE if after_win else "", max_takeovers=most)
        self.ask(apply_playbooks, ApplyPlaybook(tenant="default", wanted=wanted, etag="", by=By(MANAGER)))

    @rule(minutes=st.sampled_from([1, 10, OFFER_DURATION // timedelta(minutes=1)]), sweep=st.booleans())
    def time_passes(self, minutes: int, sweep: bool) -> None:
        self.house.later(minutes=minutes)
        if sweep:
            self.run(self.house.store.sweep(expire_offers))
            self.run(self.house.store.sweep(route_waiting))

    @invariant()
    def every_open_handoff_is_somebodys(self) -> None:
        if not hasattr(self.house, "writer"):
            return
        for handoff in self.handoffs():
            offer = handoff.open_offer
            if handoff.archived:
                assert handoff.state is HandoffState.SUBMITTED
                assert (handoff.owner, handoff.queue, offer) == ("", "", None)
            elif handoff.state is HandoffState.OFFERED:
                assert offer is not None
                assert (handoff.queue == offer.assignee) is (offer.expire_time is None)
                assert handoff.owner == ""
            else:
                assert (handoff.queue, offer) == ("", None)
            if handoff.state in OWNED and handoff.state is not HandoffState.CONVERTED:
                assert handoff.owner
            assert (handoff.close_time is None) is handoff.is_open
            step = next_step(handoff, None, THE_DEFAULTS)
            assert (step is not None) is handoff.is_live
            assert step is None or (step.action and step.due_time)
        figures = self.run(self.house.rows(lambda connection: read_figures(connection, ["default"])))
        assert figures.are_conserved

    @invariant()
    def no_lead_has_two_live_handoffs_unless_history_was_taken_up_or_an_end_undone(self) -> None:
        if not hasattr(self.house, "writer"):
            return
        undone = self.undone()
        live = Counter(
            handoff.id.lead
            for handoff in self.handoffs()
            if handoff.is_live and not handoff.historical and not undone[handoff.name]
        )
        assert all(count == 1 for count in live.values())

    @invariant()
    def open_work_is_what_a_recount_finds(self) -> None:
        if not hasattr(self.house, "writer"):
            return
        table = SCHEMA.routing.open_work
        kept = self.run(self.house.rows(lambda connection: connection.execute(table.select()).all()))
        held = Counter(holder for handoff in self.handoffs() if (holder := holder_of(handoff)))
        assert {row.person: row.handoffs for row in kept if row.handoffs} == dict(held)

    @invariant()
    def the_log_tells_the_same_story(self) -> None:
        if not hasattr(self.house, "writer"):
            return
        events = self.run(
            self.house.rows(
                lambda connection: connection.exec_driver_sql(
                    "SELECT position, subject, subject_version, payload_type FROM event_log ORDER BY position"
                ).all()
            )
        )
        assert [event.position for event in events] == list(range(1, len(events) + 1))
        undone = self.undone()
        told = Counter((event.subject, event.payload_type.rpartition(".")[2]) for event in events)
        for handoff in self.handoffs():
            name = handoff.name
            assert told[name, "HandoffSubmitted"] == 1
            # There is one end that was not undone, and VOID may come after it.
            ends = sum(told[name, kind.DESCRIPTOR.name] for kind in ENDINGS[:-1]) - undone[name]
            assert 0 <= ends <= 1
            assert bool(ends + told[name, "HandoffVoided"]) is not handoff.is_open
            offers = told[name, "HandoffOffered"]
            assert offers == (handoff.offer.number if handoff.offer else 0)


TestHandoffs = HandoffMachine.TestCase
TestHandoffs.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
