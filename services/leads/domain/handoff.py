"""Handoff: one passing of one lead from marketing to sales, and the steps it may take."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.leads.domain import events
from services.leads.domain.copying import changed
from services.leads.domain.directory import Party
from services.leads.domain.errors import EtagStale, StateForbids
from services.leads.domain.events import HandoffEvent, Manner, OfferState
from services.leads.domain.follow_up import FollowUp
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Qualification
from services.leads.domain.reasons import ReasonCode
from services.leads.domain.routing import Placement
from services.leads.domain.states import (
    NEXT_ACTIONS,
    OPEN_STATES,
    OWNED_STATES,
    RELEASABLE_STATES,
    HandoffState,
    NextAction,
    Offer,
)
from services.leads.domain.terms import EvidenceGrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """One passing of one lead. A step returns the handoff after it and what happened, or raises."""

    id: HandoffId
    source_system: str
    external_digest: bytes = b""
    """Under which its first submission is known; what the sender called it is kept sealed."""
    external_id: str = ""
    """What the sender called it: told to those who may see personal data, absent everywhere else."""
    account: bytes = b""
    """The digest of the company's domain; empty for a private address."""
    submit_time: datetime
    update_time: datetime
    state: HandoffState = HandoffState.SUBMITTED
    version: int = 1
    revision: int = 0
    qualification: Qualification
    offer: Offer | None = None
    tried: tuple[str, ...] = ()
    """Everybody to whom it was ever offered by routing, in order."""
    owner: str = ""
    queue: str = ""
    accept_time: datetime | None = None
    first_follow_up_time: datetime | None = None
    follow_up_count: int = 0
    close_time: datetime | None = None
    reason_code: str = ""
    accountable_party: Party | None = None
    evidence: str = ""
    """What was said to prove the reason: told to those who may see personal data, otherwise absent."""
    sealed_evidence: bytes = b""
    """The same as it is kept."""
    recycle_until_time: datetime | None = None
    opportunity: str = ""
    kept_lead: str = ""
    """The lead with which its own was merged; empty while it stands for itself."""
    kept_number: int = 0
    """The handoff of that lead which goes on in its place; 0 when none does."""
    previous: HandoffId | None = None
    """The lead's handoff that it follows: recycled before this one, or won."""
    archived: bool = False
    historical: bool = False
    next_due_time: datetime | None = None
    """As the service `sla` last said it; no step of ours changes it."""

    @property
    def name(self) -> str:
        """The resource name."""
        return self.id.name

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return str(self.version)

    @property
    def is_open(self) -> bool:
        """Whether something may still come of it."""
        return self.state in OPEN_STATES

    @property
    def is_live(self) -> bool:
        """Open, and somebody's: not archived."""
        return not self.archived and self.state in OPEN_STATES

    @property
    def open_offer(self) -> Offer | None:
        """The offer that waits for an answer."""
        offer = self.offer
        return offer if offer is not None and offer.state is OfferState.OPEN else None

    @property
    def next_action(self) -> NextAction:
        """What to do next."""
        return NextAction.NOTHING if self.archived else NEXT_ACTIONS.get(self.state, NextAction.NOTHING)

    def check_etag(self, etag: str) -> None:
        """Refuse who read an older version.

        Raises:
            EtagStale: unless `etag` is empty or the present one.
        """
        if etag and etag != self.etag:
            raise EtagStale(self.name, self.etag)

    def revise(
        self, qualification: Qualification, *, revision: int, now: datetime
    ) -> tuple["Handoff", tuple[HandoffEvent, ...]]:
        """Take over what marketing says of it now; nothing happened when it says nothing new.

        Raises:
            StateForbids: it is closed.
        """
        self.must_be(self.is_open)
        if qualification == self.qualification and revision == self.revision:
            return self, ()
        changed = self.step(now, qualification=qualification, revision=revision)
        if qualification == self.qualification:
            return changed, ()
        return changed, (events.HandoffRevised(handoff=self.id, occur_time=now, qualification=qualification),)

    def place(
        self, placement: Placement, *, expire_time: datetime | None, now: datetime
    ) -> tuple["Handoff", events.HandoffOffered]:
        """Offer it to a person until `expire_time`, or to a queue.

        Raises:
            StateForbids: it is worked or closed, or an offer is open.
        """
        self.must_be(self.state in RELEASABLE_STATES and self.open_offer is None)
        number = self.offer.number + 1 if self.offer else 1
        offer = Offer(
            number=number,
            assignee=placement.assignee,
            state=OfferState.OPEN,
            offer_time=now,
            expire_time=None if placement.is_queue else expire_time,
            decision=placement.decision,
        )
        offered = self.step(
            now,
            state=HandoffState.OFFERED,
            offer=offer,
            tried=self.tried if placement.is_queue else (*self.tried, placement.assignee),
            owner="",
            accept_time=None,
            queue=placement.assignee if placement.is_queue else "",
            archived=False,
        )
        happened = events.HandoffOffered(
            handoff=self.id,
            occur_time=now,
            offer=number,
            assignee=placement.assignee,
            team=placement.team,
            expire_time=offer.expire_time,
            decision=placement.decision,
        )
        return offered, happened

    def end_offer(
        self, state: OfferState, *, at: datetime, now: datetime, reason_code: str = ""
    ) -> tuple["Handoff", events.OfferClosed]:
        """End the open offer without an answer that counts; the next step must place it again.

        Raises:
            StateForbids: no offer is open.
        """
        offer = self.open_offer
        if offer is None:
            raise self._forbidden()
        ended = self.step(now, offer=offer.ended(state, at), queue="")
        happened = events.OfferClosed(
            handoff=self.id,
            occur_time=at,
            offer=offer.number,
            assignee=offer.assignee,
            state=state,
            reason_code=reason_code,
        )
        return ended, happened

    def wait(self, *, now: datetime) -> "Handoff":
        """Let it wait for routing, when nobody and no queue could be found.

        Raises:
            StateForbids: it is worked or closed, or an offer is open.
        """
        self.must_be(self.state in RELEASABLE_STATES and self.open_offer is None)
        return self.step(now, state=HandoffState.SUBMITTED, owner="", queue="")

    def accept(
        self, person: str, team: str, manner: Manner, *, at: datetime, now: datetime
    ) -> tuple["Handoff", events.HandoffAccepted]:
        """Give it to the person who accepted, claimed or followed up; they own it from `at`.

        Raises:
            StateForbids: no offer is open.
        """
        offer = self.open_offer
        if offer is None:
            raise self._forbidden()
        accepted = self.step(
            now,
            state=HandoffState.WORKING if self.follow_up_count else HandoffState.ACCEPTED,
            offer=offer.ended(OfferState.ACCEPTED, at),
            owner=person,
            queue="",
            accept_time=at,
        )
        return accepted, self._accepted(offer.number, person, team, manner, at)

    def assign(
        self, person: str, team: str, manner: Manner, *, at: datetime, now: datetime
    ) -> tuple["Handoff", tuple[HandoffEvent, ...]]:
        """Give it to a person directly, taking an open offer back; an archived one is taken up.

        Raises:
            StateForbids: it is closed.
        """
        self.must_be(self.is_open)
        before, happened = self.without_offer(now)
        owned = before.state in OWNED_STATES
        arrived = HandoffState.WORKING if before.follow_up_count else HandoffState.ACCEPTED
        assigned = before.step(
            now,
            state=before.state if owned else arrived,
            owner=person,
            queue="",
            accept_time=before.accept_time if owned else at,
            archived=False,
        )
        return assigned, (*happened, self._accepted(0, person, team, manner, at))

    def release(self, placement: Placement, *, now: datetime) -> tuple["Handoff", tuple[HandoffEvent, ...]]:
        """Offer it to a queue, whoever had it.

        Raises:
            StateForbids: it is qualified already, or closed.
        """
        self.must_be(self.state in RELEASABLE_STATES)
        before, happened = self.without_offer(now)
        offered, placed = before.place(placement, expire_time=None, now=now)
        return offered, (*happened, placed)

    def reject(
        self, person: str, team: str, reason: ReasonCode, *, evidence: str, now: datetime
    ) -> tuple["Handoff", events.HandoffRejected]:
        """Say that it is no lead for sales.

        Raises:
            StateForbids: no offer is open.
        """
        offer = self.open_offer
        if offer is None:
            raise self._forbidden()
        rejected = self.closed(
            HandoffState.REJECTED,
            now,
            now,
            **because(reason),
            evidence=evidence,
            offer=offer.ended(OfferState.REJECTED, now),
        )
        happened = events.HandoffRejected(
            handoff=self.id,
            occur_time=now,
            offer=offer.number,
            person=person,
            team=team,
            **because(reason),
            with_evidence=bool(evidence.strip()),
        )
        return rejected, happened

    def follow_up(
        self, follow_up: FollowUp, team: str, *, now: datetime
    ) -> tuple["Handoff", tuple[HandoffEvent, ...]]:
        """Count an attempt to reach the lead; the first one makes it WORKING.

        The person to whom it is offered accepts it by that. An archived one is taken up. Evidence of an
        attempt made before it was closed is taken after, and changes no state.

        Raises:
            StateForbids: it is somebody else's to accept, or was closed before.
        """
        before, happened = self._owned_for(follow_up, team, now)
        first, at = before.first_follow_up_time, follow_up.occur_time
        counted = before.step(
            now,
            state=HandoffState.WORKING if before.state is HandoffState.ACCEPTED else before.state,
            first_follow_up_time=at if first is None else min(first, at),
            follow_up_count=before.follow_up_count + 1,
        )
        logged = events.FollowUpLogged(
            handoff=self.id,
            occur_time=at,
            follow_up=follow_up.follow_up_id,
            person=follow_up.person,
            team=team,
            channel=follow_up.channel,
            grade=follow_up.grade,
            contact=follow_up.contact,
            outcome=follow_up.outcome,
            historical=follow_up.grade is EvidenceGrade.IMPORTED,
        )
        return counted, (*happened, logged)

    def _owned_for(
        self, follow_up: FollowUp, team: str, now: datetime
    ) -> tuple["Handoff", tuple[HandoffEvent, ...]]:
        person, occurred = follow_up.person, follow_up.occur_time
        if self.state in OWNED_STATES and not self.archived:
            return self, ()
        if self.archived and self.is_open:
            return self.assign(person, team, Manner.FOLLOWED_UP, at=occurred, now=now)
        offer = self.open_offer
        if offer is not None and offer.assignee == person and not offer.has_lapsed(now):
            at = max(occurred, offer.offer_time)
            accepted, happened = self.accept(person, team, Manner.FOLLOWED_UP, at=at, now=now)
            return accepted, (happened,)
        # The dialler is slow: who had the offer then tried then, whoever has it by now.
        if offer is not None and person in self.tried and occurred < offer.offer_time:
            return self, ()
        was_in_time = self.close_time is not None and occurred <= self.close_time
        self.must_be(was_in_time and bool(self.owner) and self.state is not HandoffState.VOID)
        return self, ()

    def without_offer(self, now: datetime) -> tuple["Handoff", tuple[HandoffEvent, ...]]:
        """Take back an open offer, as far as there is one."""
        if self.open_offer is None:
            return self, ()
        ended, happened = self.end_offer(OfferState.WITHDRAWN, at=now, now=now)
        return ended, (happened,)

    def _accepted(
        self, offer: int, person: str, team: str, manner: Manner, at: datetime
    ) -> events.HandoffAccepted:
        return events.HandoffAccepted(
            handoff=self.id,
            occur_time=at,
            offer=offer,
            owner=person,
            team=team,
            manner=manner,
            previous_owner=self.owner,
        )

    def closed(self, state: HandoffState, at: datetime, now: datetime, **changes: Any) -> "Handoff":
        """Return it closed at an instant, and in no queue."""
        return self.step(now, state=state, close_time=at, queue="", archived=False, **changes)

    def step(self, now: datetime, **changes: Any) -> "Handoff":
        """Return it changed; what follows a rule of its own asks here."""
        return changed(self, version=self.version + 1, update_time=now, **changes)

    def must_be(self, allowed: bool) -> None:
        """Refuse what its state forbids.

        Raises:
            StateForbids: unless allowed.
        """
        if not allowed:
            raise self._forbidden()

    def _forbidden(self) -> StateForbids:
        return StateForbids(self.name, self.state.name, self.etag)


def because(reason: ReasonCode) -> dict[str, Any]:
    """Return what a reason says of a handoff and of what happened to it."""
    return {"reason_code": reason.code, "accountable_party": reason.accountable_party}
