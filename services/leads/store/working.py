"""What surrounds a handoff in one transaction: the playbook, disputes, takeovers, work in the field."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, or_, select

from services.leads.domain.directory import Party
from services.leads.domain.disputes import Dispute
from services.leads.domain.feedback import Feedback
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.next_steps import SetAction
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.opportunity_changes import OpportunityChange
from services.leads.domain.playbook import THE_DEFAULTS, Playbook
from services.leads.domain.replies import Reply
from services.leads.domain.takeovers import Takeover
from services.leads.domain.work_events import DisputeState
from services.leads.store import field_work
from services.leads.store.schema import SCHEMA
from services.leads.wire.playbook import playbook_bytes, playbook_from_bytes
from smarketing.eventlog.outbox import NewEvent
from smarketing.sql import FindRows, InsertRows, UpdateRows, UpsertRows

_T = SCHEMA.work
_HANDOFF_KEY: Final = ["tenant", "lead", "number"]
_d = _T.dispute.c

_find_playbook: Final = FindRows(_T.playbook, key=["tenant"], columns=["version", "content"])
_put_playbook: Final = UpsertRows(_T.playbook, key=["tenant"], replace=["version", "content"])
_find_dispute: Final = FindRows(_T.dispute, key=_HANDOFF_KEY)
_insert_dispute: Final = InsertRows(_T.dispute)
_update_dispute: Final = UpdateRows(
    _T.dispute, key=_HANDOFF_KEY, columns=[column.name for column in _T.dispute.columns][3:]
)
_find_takeovers: Final = FindRows(
    _T.takeover, key=_HANDOFF_KEY, columns=["clock", "cycle", "rung_id", "taken"]
)
_insert_takeover: Final = InsertRows(_T.takeover)


class WorkTx:
    """Reads and writes at once, within the transaction that it is a part of."""

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._playbooks: dict[str, Playbook] = {}
        self.told: list[NewEvent] = []
        """What happened to something else than a handoff; recorded at the end, after the handoffs' events."""

    def playbook(self, tenant: str) -> Playbook:
        """Return the tenant's playbook; the defaults when it applied none."""
        known = self._playbooks.get(tenant)
        if known is None:
            known = self._playbooks[tenant] = find_playbook(tenant)(self._connection)
        return known

    def put_playbook(self, tenant: str, playbook: Playbook) -> None:
        """Keep the tenant's playbook."""
        self._playbooks[tenant] = playbook
        _put_playbook.upsert(self._connection, [(tenant, playbook.version, playbook_bytes(playbook))])

    def dispute(self, handoff_id: HandoffId) -> Dispute | None:
        """Return the dispute about the handoff's rejection."""
        found = find_disputes([handoff_id])(self._connection)
        return found[0] if found else None

    def add_dispute(self, dispute: Dispute) -> None:
        """Keep a new dispute."""
        _insert_dispute.insert(self._connection, [_dispute_row(dispute)])

    def save_dispute(self, dispute: Dispute) -> None:
        """Keep what became of a dispute."""
        _update_dispute.update(self._connection, [_dispute_row(dispute)])

    def is_known_takeover(self, takeover: Takeover) -> bool:
        """Whether the same was asked before."""
        key = (takeover.clock, takeover.cycle, takeover.rung_id)
        return any(tuple(row[:3]) == key for row in self._takeovers(takeover.handoff))

    def count_takeovers(self, handoff_id: HandoffId) -> int:
        """Return how often the handoff changed hands for a miss."""
        return sum(bool(taken) for *_, taken in self._takeovers(handoff_id))

    def add_takeover(self, takeover: Takeover, *, taken: bool) -> None:
        """Keep that this was asked, and whether the handoff changed hands."""
        key = (*takeover.handoff, takeover.clock, takeover.cycle, takeover.rung_id)
        _insert_takeover.insert(self._connection, [(*key, taken, self._now)])

    def replies(self, handoff_id: HandoffId) -> list[Reply]:
        """Return the replies to a handoff."""
        return field_work.replies_of(self._connection, [handoff_id])

    def add_reply(self, reply: Reply) -> None:
        """Keep a new reply."""
        field_work.add_reply(self._connection, reply)

    def put_action(self, said: SetAction) -> None:
        """Keep what a person said comes next."""
        field_work.put_action(self._connection, said)

    def count_changes(self, opportunity: Opportunity) -> int:
        """Return how many changes are known of an opportunity."""
        return field_work.count_changes(self._connection, opportunity)

    def add_change(self, opportunity: Opportunity, change: OpportunityChange) -> None:
        """Keep a change of an opportunity."""
        field_work.add_change(self._connection, opportunity, change)

    def feedback(self, tenant: str, feedback_id: str) -> Feedback | None:
        """Return one piece of feedback."""
        return field_work.find_feedback(self._connection, tenant, feedback_id)

    def add_feedback(self, feedback: Feedback, sealed_verbatim: bytes | None) -> None:
        """Keep new feedback, its words sealed."""
        field_work.add_feedback(self._connection, feedback, sealed_verbatim)

    def save_feedback(self, feedback: Feedback) -> None:
        """Keep what becomes of feedback."""
        field_work.save_feedback(self._connection, feedback)

    def _takeovers(self, handoff_id: HandoffId) -> list[Any]:
        return list(_find_takeovers.find(self._connection, [handoff_id]))


def find_playbook(tenant: str) -> Callable[[Connection], Playbook]:
    """Return the query for a tenant's playbook."""

    def query(connection: Connection) -> Playbook:
        found = _find_playbook.find(connection, [(tenant,)])
        return playbook_from_bytes(bytes(found[0][1]), version=found[0][0]) if found else THE_DEFAULTS

    return query


def find_disputes(handoffs: Sequence[HandoffId]) -> Callable[[Connection], list[Dispute]]:
    """Return the query for the disputes about the rejections of these handoffs."""
    return lambda connection: [_dispute_of(row) for row in _find_dispute.find(connection, handoffs)]


def list_disputes(
    tenant: str, state: DisputeState | None, *, after: tuple[int, datetime, str, int] | None, limit: int
) -> Callable[[Connection], list[Dispute]]:
    """Return the query for a page of disputes, by state and then the one to be answered first."""
    query: Select[Any] = select(_T.dispute).where(_d.tenant == tenant)
    if state is not None:
        query = query.where(_d.state == state.value)
    if after is not None:
        number, due, lead, handoff = after
        behind = or_(
            _d.answer_due_time > due,
            and_(_d.answer_due_time == due, or_(_d.lead > lead, and_(_d.lead == lead, _d.number > handoff))),
        )
        query = query.where(or_(_d.state > number, and_(_d.state == number, behind)))
    query = query.order_by(_d.state, _d.answer_due_time, _d.lead, _d.number).limit(limit)
    return lambda connection: [_dispute_of(row) for row in connection.execute(query)]


def _dispute_row(dispute: Dispute) -> tuple[Any, ...]:
    party = dispute.accountable_party
    return (
        *dispute.handoff,
        dispute.version,
        dispute.state.value,
        dispute.reason_code,
        None if party is None else party.name,
        dispute.person,
        dispute.sealed_evidence or None,
        dispute.rejecting_team,
        dispute.dispute_time,
        dispute.answer_due_time,
        dispute.resolver,
        dispute.resolve_time,
    )


def _dispute_of(row: Any) -> Dispute:
    tenant, lead, number, version, state, reason_code, party, person, sealed, team, *rest = row
    dispute_time, answer_due_time, resolver, resolve_time = rest
    return Dispute(
        handoff=HandoffId(tenant, lead, number),
        version=version,
        state=DisputeState(state),
        reason_code=reason_code,
        accountable_party=None if party is None else Party[party],
        person=person,
        sealed_evidence=bytes(sealed or b""),
        rejecting_team=team,
        dispute_time=dispute_time,
        answer_due_time=answer_due_time,
        resolver=resolver,
        resolve_time=resolve_time,
    )
