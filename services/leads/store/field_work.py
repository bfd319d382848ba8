"""Replies, next actions, changes of opportunities and feedback: rows, and what reads them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, false, select

from services.leads.domain.feedback import Feedback, FeedbackStatus, FeedbackType
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.next_steps import SetAction
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.opportunity_changes import ChangeKind, OpportunityChange
from services.leads.domain.replies import Reply
from services.leads.domain.states import OPEN_STATES, HandoffState, NextAction
from services.leads.domain.terms import FollowUpChannel, Money
from services.leads.store import rows, statements
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.sql import FindRows, InsertRows, UpdateRows, UpsertRows

_T = SCHEMA.work
_h = SCHEMA.leads.handoff.c
_f = _T.feedback.c
_c = _T.opportunity_change.c
_HANDOFF_KEY: Final = ["tenant", "lead", "number"]
VERBATIM: Final = "#verbatim"
"""For what a verbatim is sealed, so that it never passes for something else of the lead."""
MOST_RANKED: Final = 2_000
"""Handoffs of one person that are ranked at a time."""

_find_replies: Final = FindRows(_T.reply, key=_HANDOFF_KEY)
_insert_reply: Final = InsertRows(_T.reply)
_find_actions: Final = FindRows(_T.next_action, key=_HANDOFF_KEY)
_put_action: Final = UpsertRows(
    _T.next_action,
    key=_HANDOFF_KEY,
    replace=["action", "due_time", "channel", "person", "state", "follow_up_count"],
)
_find_changes: Final = FindRows(_T.opportunity_change, key=["tenant", "opportunity"], columns=["change"])
_insert_change: Final = InsertRows(_T.opportunity_change)
_find_feedback: Final = FindRows(_T.feedback, key=["tenant", "feedback"])
_insert_feedback: Final = InsertRows(_T.feedback)
_update_feedback: Final = UpdateRows(
    _T.feedback, key=["tenant", "feedback"], columns=["version", "status", "status_person"]
)


def replies_of(connection: Connection, handoffs: Collection[HandoffId]) -> list[Reply]:
    """Return the replies to these handoffs."""
    return [_reply_of(row) for row in _find_replies.find(connection, list(handoffs))]


def add_reply(connection: Connection, reply: Reply) -> None:
    """Keep a new reply."""
    row = (
        *reply.handoff,
        reply.reply_id,
        reply.channel.value,
        reply.occur_time,
        reply.record_time,
        reply.contact,
        reply.external_digest or None,
        reply.sealed_external_id or None,
        reply.follow_up_count,
    )
    _insert_reply.insert(connection, [row])


def actions_of(connection: Connection, handoffs: Collection[HandoffId]) -> dict[HandoffId, SetAction]:
    """Return what people said comes next on these handoffs."""
    found = (_action_of(row) for row in _find_actions.find(connection, list(handoffs)))
    return {each.handoff: each for each in found}


def put_action(connection: Connection, said: SetAction) -> None:
    """Keep what a person said comes next."""
    channel = None if said.channel is None else said.channel.value
    row = (
        *said.handoff,
        said.action.value,
        said.due_time,
        channel,
        said.person,
        said.state.value,
        said.follow_up_count,
    )
    _put_action.upsert(connection, [row])


def count_changes(connection: Connection, opportunity: Opportunity) -> int:
    """Return how many changes are known of an opportunity."""
    return len(_find_changes.find(connection, [(opportunity.tenant, opportunity.opportunity_id)]))


def add_change(connection: Connection, opportunity: Opportunity, change: OpportunityChange) -> None:
    """Keep a change of an opportunity."""
    amount, day = change.amount, change.expected_close_date
    row = (
        opportunity.tenant,
        opportunity.opportunity_id,
        change.number,
        opportunity.handoff.lead,
        change.kind.value,
        change.occur_time,
        change.record_time,
        change.person,
        change.stage,
        amount.currency_code if amount else None,
        amount.minor_units if amount else None,
        change.probability_percent,
        day.isoformat() if day else None,
        change.sealed_external_id or None,
    )
    _insert_change.insert(connection, [row])


def list_changes(
    tenant: str, opportunity_id: str, *, after: int, limit: int
) -> Callable[[Connection], list[OpportunityChange]]:
    """Return the query for a page of an opportunity's changes, oldest first."""
    query = (
        select(_T.opportunity_change)
        .where(_c.tenant == tenant, _c.opportunity == opportunity_id, _c.change > after)
        .order_by(_c.change)
        .limit(limit)
    )
    return lambda connection: [_change_of(row) for row in connection.execute(query)]


def find_feedback(connection: Connection, tenant: str, feedback_id: str) -> Feedback | None:
    """Return one piece of feedback."""
    found = _find_feedback.find(connection, [(tenant, feedback_id)])
    return _feedback_of(found[0]) if found else None


def add_feedback(connection: Connection, feedback: Feedback, sealed_verbatim: bytes | None) -> None:
    """Keep new feedback."""
    price = feedback.price
    row = (
        feedback.tenant,
        feedback.feedback_id,
        feedback.handoff.lead,
        feedback.handoff.number,
        feedback.version,
        feedback.type.value,
        feedback.theme,
        feedback.competitor,
        price.currency_code if price else None,
        price.minor_units if price else None,
        feedback.person,
        feedback.create_time,
        feedback.status.value,
        feedback.status_person,
        sealed_verbatim,
    )
    _insert_feedback.insert(connection, [row])


def save_feedback(connection: Connection, feedback: Feedback) -> None:
    """Keep what becomes of feedback."""
    row = (
        feedback.tenant,
        feedback.feedback_id,
        feedback.version,
        feedback.status.value,
        feedback.status_person,
    )
    _update_feedback.update(connection, [row])


def list_feedback(
    tenant: str,
    status: FeedbackStatus | None,
    kind: FeedbackType | None,
    *,
    before: str,
    limit: int,
) -> Callable[[Connection], list[tuple[Feedback, bytes | None]]]:
    """Return the query for a page of feedback with its sealed words, newest first, older than `before`."""
    query = select(_T.feedback).where(_f.tenant == tenant)
    if status is not None:
        query = query.where(_f.status == status.value)
    if kind is not None:
        query = query.where(_f.type == kind.value)
    if before:
        query = query.where(_f.feedback < before)
    query = query.order_by(_f.feedback.desc()).limit(limit)
    return lambda connection: [(_feedback_of(row), row.sealed_verbatim) for row in connection.execute(query)]


def open_verbatims(
    sealer: Sealer, sealed: Sequence[tuple[HandoffId, str, bytes]]
) -> Callable[[Connection], Mapping[str, str]]:
    """Return the query for the words of these pieces of feedback, as far as their leads are not erased."""

    def query(connection: Connection) -> Mapping[str, str]:
        leads = sorted({(handoff.tenant, handoff.lead) for handoff, _, _ in sealed})
        keys = {
            (tenant, lead): sealer.open_key(bytes(wrapped_key), f"{tenant}/{lead}")
            for tenant, lead, wrapped_key, _ in statements.FIND_PEOPLE.find(connection, leads)
            if wrapped_key is not None
        }
        return {
            feedback_id: keys[handoff.tenant, handoff.lead].unseal(bytes(words), purpose=VERBATIM).decode()
            for handoff, feedback_id, words in sealed
            if (handoff.tenant, handoff.lead) in keys
        }

    return query


def held_by(tenant: str, person: str) -> Callable[[Connection], list[Handoff]]:
    """Return the query for what a person works or is offered, at most `MOST_RANKED` of each."""
    owned = (
        select(SCHEMA.leads.handoff)
        .where(
            _h.tenant == tenant,
            _h.owner == person,
            # Said twice, so that SQLite sees that the partial index holds them all.
            _h.owner != "",
            _h.state.in_([state.value for state in OPEN_STATES]),
            _h.archived == false(),
        )
        .limit(MOST_RANKED)
    )
    offered = (
        select(SCHEMA.leads.handoff)
        .where(_h.tenant == tenant, _h.offer_assignee == person, _h.offer_state == 1)
        .limit(MOST_RANKED)
    )

    def query(connection: Connection) -> list[Handoff]:
        found = [*connection.execute(owned), *connection.execute(offered)]
        return [rows.handoff_of(row) for row in found]

    return query


def _reply_of(row: Any) -> Reply:
    tenant, lead, number, reply_id, channel, occurred, recorded, contact, digest, sealed, count = row
    return Reply(
        handoff=HandoffId(tenant, lead, number),
        reply_id=reply_id,
        channel=FollowUpChannel(channel),
        occur_time=occurred,
        record_time=recorded,
        contact=bool(contact),
        external_digest=bytes(digest or b""),
        sealed_external_id=bytes(sealed or b""),
        follow_up_count=count,
    )


def _action_of(row: Any) -> SetAction:
    tenant, lead, number, action, due_time, channel, person, state, count = row
    return SetAction(
        handoff=HandoffId(tenant, lead, number),
        action=NextAction(action),
        due_time=due_time,
        channel=None if channel is None else FollowUpChannel(channel),
        person=person,
        state=HandoffState(state),
        follow_up_count=count,
    )


def _change_of(row: Any) -> OpportunityChange:
    _, _, number, _, kind, occurred, recorded, person, stage, *rest = row
    currency_code, minor_units, percent, day, sealed = rest
    return OpportunityChange(
        number=number,
        kind=ChangeKind(kind),
        occur_time=occurred,
        record_time=recorded,
        person=person,
        stage=stage,
        amount=None if currency_code is None else Money(currency_code, minor_units),
        probability_percent=percent,
        expected_close_date=None if day is None else date.fromisoformat(day),
        sealed_external_id=bytes(sealed or b""),
    )


def _feedback_of(row: Any) -> Feedback:
    tenant, feedback_id, lead, number, version, kind, theme, competitor, *rest = row
    currency_code, minor_units, person, created, status, status_person, _ = rest
    return Feedback(
        tenant=tenant,
        feedback_id=feedback_id,
        handoff=HandoffId(tenant, lead, number),
        version=version,
        type=FeedbackType(kind),
        theme=theme,
        competitor=competitor,
        price=None if currency_code is None else Money(currency_code, minor_units),
        person=person,
        create_time=created,
        status=FeedbackStatus(status),
        status_person=status_person,
    )
