"""One transaction of the handoff: what the use cases load in batch, change, and tell.

Everything loaded is kept by its id, so that a batch sees its own changes; everything changed is
written by `flush`, with a few multi-row statements however large the batch is.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from google.protobuf.message import Message
from sqlalchemy import Connection

from services.leads.domain import events as happened
from services.leads.domain.claims import NOT_WAITING, ClaimPlace, claim_place
from services.leads.domain.desk import Desk
from services.leads.domain.directory import Directory
from services.leads.domain.errors import TenantUnknown
from services.leads.domain.events import HandoffEvent
from services.leads.domain.follow_up import FollowUp
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact, Submission
from services.leads.domain.matching import PossibleDuplicate
from services.leads.domain.merging import next_in_place_of
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.work_events import HandoffRated
from services.leads.store import rows, statements
from services.leads.store.accounts import Accounts
from services.leads.store.day_quotas import DayQuotas
from services.leads.store.directory import Directories
from services.leads.store.duplicates import put_possible_duplicates
from services.leads.store.intake import Intake
from services.leads.store.merges import Merges
from services.leads.store.people import LeadKey, People
from services.leads.store.routing import RoutingCaches, RoutingState
from services.leads.store.scoring import NO_STANDARD, Scoring, ScoringCaches, Standard
from services.leads.store.sealing import Sealer
from services.leads.store.subjects import NOBODY, Subjects
from services.leads.store.totals import totals_of
from services.leads.store.working import WorkTx
from services.leads.store.write_back import WriteBacks
from services.leads.wire.events import event_message
from smarketing import names
from smarketing.businesstime import Openings
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.values import value

SubmissionKey = tuple[str, str, str]

_MOST_SHARED: Final = 20
"""What so many leads share, like the number of a form's example, tells nobody apart: no more are kept."""


@value(frozen=True, slots=True)
class By:
    """Who made it happen, and within which trace."""

    actor: str
    traceparent: str = ""


class LeadTx:
    """Loads, keeps and writes; made for one call of a use case, and `flush`ed at its end."""

    def __init__(
        self,
        connection: Connection,
        *,
        now: datetime,
        directories: Directories,
        sealer: Sealer,
        routing: RoutingCaches,
        scoring: ScoringCaches,
        new_id: Callable[[], str],
    ) -> None:
        self.now: Final = now
        self.new_id: Final = new_id
        self._connection = connection
        self._directories = directories
        self._sealer = sealer
        self.people: Final = People(connection, sealer, now)
        self.subjects: Final = Subjects(connection, self.people, now)
        self.intake: Final = Intake(connection, sealer, now)
        self.write_backs: Final = WriteBacks(connection, sealer, self.people, now)
        self._known_directories: dict[str, Directory] = {}
        self._scoring_caches, self._scoring_versions = scoring, dict[str, int]()
        self._routing = RoutingState(connection, now=now, caches=routing)
        self._handoffs: dict[HandoffId, Handoff] = {}
        self._handoffs_of: dict[LeadKey, list[HandoffId]] = {}
        self._new_handoffs, self._changed_handoffs = set[HandoffId](), set[HandoffId]()
        self._submissions: dict[SubmissionKey, dict[int, HandoffId]] = {}
        self._matches: dict[tuple[str, bytes], dict[str, None]] = {}
        self._external_digests: dict[SubmissionKey, bytes] = {}
        self._new_submissions: list[tuple[Submission, HandoffId]] = []
        self._new_matches: list[rows.Row] = []
        self._follow_ups: dict[tuple[HandoffId, bytes], FollowUp] = {}
        self._new_follow_ups: list[FollowUp] = []
        self._opportunities: dict[tuple[str, str], Opportunity] = {}
        self._new_opportunities: set[tuple[str, str]] = set()
        self._changed_opportunities: set[tuple[str, str]] = set()
        self._events: list[tuple[HandoffEvent, By]] = []
        self.day_quotas: Final = DayQuotas(connection)
        self._suppressed: set[tuple[str, bytes]] = set()
        self.work: Final = WorkTx(connection, now=now)
        """What surrounds handoffs."""

    # Who there is.

    @cached_property
    def accounts(self) -> Accounts:
        """Who has something at a company."""
        return Accounts(self._connection, self._sealer)

    @cached_property
    def scoring(self) -> Scoring:
        """How leads are scored, and what they did."""
        return Scoring(self._connection, self.now)

    @cached_property
    def merges(self) -> Merges:
        """Which leads are known as others."""
        return Merges(self._connection)

    def directory(self, tenant: str) -> Directory:
        """Return the tenant's directory.

        Raises:
            TenantUnknown: there is none.
        """
        directory = self._known_directories.get(tenant)
        if directory is None:
            directory, scoring = self._directories.find_scored(self._connection, f"tenants/{tenant}")
            if directory is None:
                raise TenantUnknown(f"tenants/{tenant}")
            self._scoring_versions[tenant] = scoring
            self._known_directories[tenant] = directory
        return directory

    def assume(self, directory: Directory) -> None:
        """Go by this directory for the rest of a transaction that will be undone."""
        self._known_directories[names.tenant_of(directory.tenant)] = directory

    def standard(self, tenant: str) -> Standard:
        """Return by what the tenant's leads are scored; costs nothing for one that activated nothing."""
        self.directory(tenant)
        version = self._scoring_versions.get(tenant, 0)
        if not version:
            return NO_STANDARD
        return self._scoring_caches.standard(self._connection, tenant, version)

    def desk(self, tenant: str) -> Desk:
        """Return the desk where the tenant's handoffs are given out; the turns it gives are written."""
        return self._routing.desk(tenant, self.directory(tenant))

    def openings_of_team(self, team: str) -> Openings | None:
        """Return when a team works, as `sla` counts its clocks; None while it has told nothing."""
        return self._routing.openings_of_team(team)

    # Handoffs.

    def load_handoffs(self, ids: Iterable[HandoffId]) -> None:
        """Load these handoffs, as far as they are there, with one statement."""
        missing = [each for each in ids if each not in self._handoffs]
        if missing:
            self._keep(statements.FIND_HANDOFFS.find(self._connection, missing))

    def handoff(self, handoff_id: HandoffId) -> Handoff | None:
        """Return a loaded handoff as this transaction left it."""
        return self._handoffs.get(handoff_id)

    def load_handoffs_of(self, leads: Iterable[LeadKey]) -> None:
        """Load every handoff of these leads."""
        missing = dict.fromkeys(lead for lead in leads if lead not in self._handoffs_of)
        if missing:
            found = self._keep(statements.FIND_HANDOFFS_OF_LEADS.find(self._connection, missing))
            self._handoffs_of.update({lead: [] for lead in missing})
            for each in found:
                self._handoffs_of[each.tenant, each.lead].append(each)

    def handoffs_of(self, lead: LeadKey) -> list[Handoff]:
        """Return the loaded lead's handoffs by number."""
        return [self._handoffs[each] for each in sorted(self._handoffs_of[lead])]

    def merged_into(self, handoff_id: HandoffId) -> list[Handoff]:
        """Load and return the handoffs for which this one goes on."""
        self.load_handoffs(self.merges.merged_into(handoff_id))
        return [each for each in self._handoffs.values() if next_in_place_of(each) == handoff_id]

    def waiting_in(self, tenant: str, queue: str, *, limit: int) -> list[Handoff]:
        """Return the best of what waits in the queue, best first."""
        found = statements.waiting_in(self._connection, tenant, queue, limit + len(self._changed_handoffs))
        self.load_handoffs(found)
        still = (self._handoffs[each] for each in found)
        return [each for each in still if each.open_offer is not None and each.queue == queue][:limit]

    def lapsed(self, *, limit: int) -> list[Handoff]:
        """Return handoffs whose offer's lease ran out, longest ago first."""
        found = statements.lapsed(self._connection, self.now, limit)
        self.load_handoffs(found)
        return [self._handoffs[each] for each in found]

    def unrouted(self, *, limit: int) -> list[Handoff]:
        """Return handoffs that nobody could be offered yet, oldest first."""
        found = statements.unrouted(self._connection, limit)
        self.load_handoffs(found)
        return [self._handoffs[each] for each in found]

    def held_by(self, tenant: str, person: str, *, limit: int) -> list[Handoff]:
        """Return open handoffs that a person owns or is offered, archived ones aside."""
        found = statements.held_by(self._connection, tenant, person, limit)
        self.load_handoffs(found)
        return [self._handoffs[each] for each in found]

    def add_handoff(self, handoff: Handoff) -> None:
        """Keep a new handoff."""
        self._handoffs[handoff.id] = handoff
        self._new_handoffs.add(handoff.id)
        self._routing.work(handoff.id.tenant).move(None, handoff)
        lead = (handoff.id.tenant, handoff.id.lead)
        self._handoffs_of.setdefault(lead, []).append(handoff.id)

    def save_handoff(self, handoff: Handoff) -> None:
        """Keep what became of a handoff."""
        before = self._handoffs.get(handoff.id)
        if before is handoff:
            return
        self._routing.work(handoff.id.tenant).move(before, handoff)
        self._handoffs[handoff.id] = handoff
        if handoff.id not in self._new_handoffs:
            self._changed_handoffs.add(handoff.id)

    def tell(self, by: By, *events: HandoffEvent) -> None:
        """Record what happened, in this order."""
        self._events += [(event, by) for event in events]

    def tell_of_lead(self, by: By, payload: Any) -> None:
        """Record what happened to a person; who does not know of such events may pass over it."""
        self.tell_of(names.tenant_of(payload.lead), payload.lead, by, payload, skippable=True)

    def tell_of(
        self, tenant: str, subject: str, by: By, payload: Message, *, skippable: bool = False
    ) -> None:
        """Record what happened now to something else than a handoff."""
        self.work.told.append(
            NewEvent(
                tenant=f"tenants/{tenant}",
                subject=subject,
                occur_time=self.now,
                actor=by.actor,
                payload=payload,
                skippable=skippable,
                traceparent=by.traceparent,
            )
        )

    def reorder_queues(self, tenant: str) -> None:
        """Bring what waits in the tenant's queues into the order of its present playbook."""
        waiting = statements.waiting(self._connection, tenant)
        self.load_handoffs(waiting)
        self._changed_handoffs.update(each for each in waiting if each not in self._new_handoffs)

    # Submissions and people.

    def load_submissions(self, keys: Iterable[SubmissionKey]) -> None:
        """Load the revisions known of these submissions."""
        missing = {(*key[:2], self.external_digest(key)): key for key in keys if key not in self._submissions}
        self._submissions.update({key: {} for key in missing.values()})
        if missing:
            for row in statements.FIND_SUBMISSIONS.find(self._connection, missing):
                tenant, system, digest, revision, lead, number = row
                key = missing[tenant, system, bytes(digest)]
                self._submissions[key][revision] = HandoffId(tenant, lead, number)

    def revisions(self, key: SubmissionKey) -> Mapping[int, HandoffId]:
        """Return the loaded submission's revisions and their handoffs."""
        return self._submissions[key]

    def add_submission(self, submission: Submission, handoff_id: HandoffId) -> None:
        """Keep for ever that this submission came, and to which handoff it belongs."""
        self._submissions.setdefault(submission.key, {})[submission.revision] = handoff_id
        self._new_submissions.append((submission, handoff_id))

    def external_digest(self, key: SubmissionKey) -> bytes:
        """Return the digest under which the submission is kept."""
        digest = self._external_digests.get(key)
        if digest is None:
            digest = self._external_digests[key] = self._sealer.external_digest(*key)
        return digest

    def digests(self, submission: Submission) -> list[bytes]:
        """Return the digests by which the submission's lead is recognised, the surest first."""
        identity, tenant = submission.identity, submission.tenant
        digest = self._sealer.match_digest
        known = (("email", identity.email), ("phone", identity.phone))
        return [digest(tenant, kind, value) for kind, value in known if value]

    def load_matches(self, digests: Collection[tuple[str, bytes]]) -> None:
        """Load which leads these (tenant, digest) belong to."""
        missing = [key for key in digests if key not in self._matches]
        if missing:
            self._matches.update({key: {} for key in missing})
            found = statements.FIND_MATCHES.find(self._connection, missing)
            for tenant, digest, _, lead in sorted((row[0], bytes(row[1]), *row[2:]) for row in found):
                if lead == NOBODY:
                    self._suppressed.add((tenant, digest))
                else:
                    self._matches[tenant, digest][lead] = None

    def is_suppressed(self, tenant: str, digest: bytes) -> bool:
        """Whether somebody who was erased was known by a loaded digest."""
        return (tenant, digest) in self._suppressed

    def digest_of(self, tenant: str, kind: str, value: str) -> bytes:
        """Return the digest by which a lead with this address or number is recognised."""
        return self._sealer.match_digest(tenant, kind, value)

    def match(self, tenant: str, digest: bytes) -> str | None:
        """Return the lead that has a loaded digest; of several, the one known by it for longest."""
        return next(iter(self._matches.get((tenant, digest), ())), None)

    def leads_known_by(self, tenant: str, digest: bytes) -> Iterable[str]:
        """Return the leads that have a loaded digest, the one known by it for longest first."""
        return self._matches.get((tenant, digest), ())

    def note_possible_duplicates(self, found: Iterable[PossibleDuplicate]) -> None:
        """Keep who may be one person."""
        put_possible_duplicates(self._connection, list(found))

    def add_matches(self, tenant: str, lead: str, digests: Iterable[bytes]) -> None:
        """Recognise the lead by these loaded digests; who is known by them already comes first."""
        for digest in digests:
            leads = self._matches[tenant, digest]
            if lead not in leads and len(leads) < _MOST_SHARED:
                leads[lead] = None
                self._new_matches.append((tenant, digest, lead, self.now))

    def add_person(self, tenant: str, lead: str, contact: Contact) -> None:
        """Keep a new lead's personal data, sealed."""
        self._handoffs_of[tenant, lead] = []
        self.people.add(tenant, lead, contact)

    def change_person(self, tenant: str, lead: str, change: Callable[[Contact], Contact]) -> None:
        """Change a lead's personal data; a lead of this very batch or an erased one stays as it is."""
        self.people.change((tenant, lead), change)

    # Follow-ups and opportunities.

    def load_follow_ups(self, keys: Collection[tuple[HandoffId, str]]) -> None:
        """Load the follow-ups with these external ids."""
        wanted = [(*handoff_id, self.touch_digest(handoff_id, name)) for handoff_id, name in keys if name]
        if wanted:
            for row in statements.FIND_FOLLOW_UPS.find(self._connection, wanted):
                follow_up = rows.follow_up_of(row)
                self._follow_ups[follow_up.handoff, follow_up.external_digest] = follow_up

    def touch_digest(self, handoff_id: HandoffId, external_id: str) -> bytes:
        """Return the digest under which a follow-up or reply with this external id is kept; none for none."""
        if not external_id:
            return b""
        return self._sealer.match_digest(
            handoff_id.tenant, "touch", f"{handoff_id.lead}/{handoff_id.number}\x00{external_id}"
        )

    def follow_up(self, handoff_id: HandoffId, external_id: str) -> FollowUp | None:
        """Return the loaded follow-up with this external id."""
        return self._follow_ups.get((handoff_id, self.touch_digest(handoff_id, external_id)))

    def add_follow_up(self, follow_up: FollowUp) -> None:
        """Keep a new follow-up."""
        self._new_follow_ups.append(follow_up)
        if follow_up.external_digest:
            self._follow_ups[follow_up.handoff, follow_up.external_digest] = follow_up

    def load_opportunities(self, keys: Iterable[tuple[str, str]]) -> None:
        """Load these opportunities, given as (tenant, id)."""
        missing = [key for key in keys if key not in self._opportunities]
        if missing:
            for row in statements.FIND_OPPORTUNITIES.find(self._connection, missing):
                self._opportunities[row[0], row[1]] = rows.opportunity_of(row)

    def opportunity(self, tenant: str, opportunity_id: str) -> Opportunity | None:
        """Return a loaded opportunity as this transaction left it."""
        return self._opportunities.get((tenant, opportunity_id))

    def add_opportunity(self, opportunity: Opportunity) -> None:
        """Keep a new opportunity."""
        key = (opportunity.tenant, opportunity.opportunity_id)
        self._opportunities[key] = opportunity
        self._new_opportunities.add(key)

    def save_opportunity(self, opportunity: Opportunity) -> None:
        """Keep what became of an opportunity."""
        key = (opportunity.tenant, opportunity.opportunity_id)
        self._opportunities[key] = opportunity
        if key not in self._new_opportunities:
            self._changed_opportunities.add(key)

    # The end.

    @property
    def earliest_expiry(self) -> datetime | None:
        """When the first lease ends of those that this transaction gave."""
        told = (event for event, _ in self._events if isinstance(event, happened.HandoffOffered))
        given = [event.expire_time for event in told if event.expire_time]
        return min((*given, *self.merges.restored_expiries), default=None)

    def flush(self) -> None:
        """Write all that changed, and the log; nothing may be changed afterwards."""
        connection, handoffs = self._connection, self._handoffs
        self.people.flush()
        statements.PUT_MATCHES.upsert(connection, self._new_matches)
        statements.INSERT_HANDOFFS.insert(
            connection,
            [
                rows.handoff_row(handoffs[each], self._claim_place(handoffs[each]))
                for each in sorted(self._new_handoffs)
            ],
        )
        if self._changed_handoffs:
            changed = (handoffs[each] for each in sorted(self._changed_handoffs))
            statements.update_handoffs(connection, [(each, self._claim_place(each)) for each in changed])
        self._flush_submissions()
        self._flush_work()
        self._routing.flush()
        self._flush_events()

    def _keep(self, found: Sequence[rows.Row]) -> list[HandoffId]:
        """Add what was read, except where this transaction knows better."""
        ids: list[HandoffId] = []
        for row in found:
            handoff_id = HandoffId(row[0], row[1], row[2])
            ids.append(handoff_id)
            if handoff_id not in self._handoffs:
                self._handoffs[handoff_id] = rows.handoff_of(row)
        return ids

    def _flush_submissions(self) -> None:
        people = self.people
        people.load((to.tenant, to.lead) for _, to in self._new_submissions)
        new = [
            (
                *each.key[:2],
                self.external_digest(each.key),
                each.revision,
                *to[1:],
                self.now,
                people.sealed_external_id((to.tenant, to.lead), each.external_id),
            )
            for each, to in self._new_submissions
        ]
        statements.INSERT_SUBMISSIONS.insert(self._connection, new)

    def _claim_place(self, handoff: Handoff) -> ClaimPlace:
        if not handoff.queue:
            return NOT_WAITING
        tenant = handoff.id.tenant
        order = self.work.playbook(tenant).claim_order
        currency_code = self.directory(tenant).settings.currency_code
        return claim_place(handoff.qualification, order, currency_code=currency_code)

    def _flush_work(self) -> None:
        connection = self._connection
        statements.INSERT_FOLLOW_UPS.insert(connection, [rows.follow_up_row(f) for f in self._new_follow_ups])
        opportunities = self._opportunities
        statements.INSERT_OPPORTUNITIES.insert(
            connection, [rows.opportunity_row(opportunities[key]) for key in sorted(self._new_opportunities)]
        )
        if self._changed_opportunities:
            changed = [rows.opportunity_row(opportunities[key]) for key in self._changed_opportunities]
            statements.UPDATE_OPPORTUNITIES.update(connection, changed)

    def _flush_events(self) -> None:
        told = [_new_event(event, by) for event, by in self._events]
        append(self._connection, told + self.work.told, now=self.now)
        self.write_backs.enqueue((event for event, _ in self._events), self._handoffs)
        totals = Counter(total for event, _ in self._events for total in totals_of(event))
        totals.update(self.day_quotas.taken)
        statements.PUT_TOTALS.upsert(self._connection, [(*key, amount) for key, amount in totals.items()])


_SKIPPABLE: Final = (happened.BehaviourRecorded, HandoffRated)
"""What a lead did, and how it is rated, decides nothing elsewhere: who does not know it may pass over it."""


def _new_event(event: HandoffEvent, by: By) -> NewEvent:
    return NewEvent(
        tenant=f"tenants/{event.handoff.tenant}",
        subject=event.handoff.name,
        occur_time=event.occur_time,
        actor=by.actor,
        payload=event_message(event),
        skippable=isinstance(event, _SKIPPABLE),
        traceparent=by.traceparent,
    )
