"""Judge budgets: when what is counted in one of their windows changes, and when somebody asks."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import structlog
from google.protobuf.message import Message

from services.sla.domain.accord import Accord, AccordState
from services.sla.domain.agreement import Role, TimeBasis
from services.sla.domain.alert import Topic
from services.sla.domain.budget import BudgetState, judge
from services.sla.domain.budget_terms import policy_of
from services.sla.domain.budget_windows import BudgetWindows
from services.sla.domain.calendar import WALL
from services.sla.domain.consequence import ConsequenceKind
from services.sla.domain.judged import Judged
from services.sla.domain.terms import Mode, Promise
from services.sla.store.budgets import BudgetRow, Of, counts_in, due_budgets, first_minutes, save_budget
from services.sla.store.said import SELF
from services.sla.store.topic_alerts import open_topic, resolve_topics
from services.sla.store.tx import SlaTx
from services.sla.wire.budgets import budget_state_changed, consequence_due
from smarketing.businesstime import BusinessTimeError
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.names import AGREEMENT

__all__ = ["budget_of", "budgets_in_force", "judge_due"]

_log = structlog.get_logger(__name__)

_OF_NO_HANDOFF: Final = frozenset({Role.PARTY, Role.OTHER_PARTY, Role.LEADERSHIP})
"""A budget has no owner, manager and queue of its own: those roles are the managers of who promised."""
_TOPICS: Final = {BudgetState.WARN: Topic.BUDGET_WARN, BudgetState.EXHAUSTED: Topic.BUDGET_EXHAUSTED}


def budget_of(tx: SlaTx, of: Of) -> Judged | None:
    """Return a budget as of the transaction's instant; None when no version in force has its commitment."""
    for accord, promise in _in_force(tx, of.tenant):
        if (accord.agreement, promise.id) == (of.agreement, of.commitment_id):
            return _judged(tx, accord, promise)
    return None


def budgets_in_force(tx: SlaTx, tenant: str, *, limit: int, after: Sequence[str] | None) -> list[Judged]:
    """Return the budgets of a tenant, by agreement and commitment; `after`: the last one seen."""
    promised = {
        (accord.agreement, promise.id): (accord, promise) for accord, promise in _in_force(tx, tenant)
    }
    wanted = sorted(key for key in promised if after is None or key > tuple(after))
    return [_judged(tx, *promised[key]) for key in wanted[:limit]]


def judge_due(tx: SlaTx, *, limit: int) -> int:
    """Judge the budgets that are due, and say which got into another state; return how many were due."""
    due = due_budgets(tx.connection, now=tx.now, limit=limit)
    for row in due:
        try:
            judged = budget_of(tx, row.of)
        except BusinessTimeError:
            # One calendar that does not open must not stop the budgets of all the others.
            _log.exception("budget_not_judged", agreement=row.of.agreement, commitment=row.of.commitment_id)
            judged = None
        _keep(tx, row, judged)
    return len(due)


def _keep(tx: SlaTx, row: BudgetRow, judged: Judged | None) -> None:
    if judged is None:
        # What is not in force any more is judged no more.
        save_budget(tx.connection, row.of, row.state, None)
        return
    state = judged.budget.state
    save_budget(tx.connection, row.of, state, judged.next_time)
    if state is row.state:
        return
    events = [_event(tx, judged, budget_state_changed(judged, row.state), skippable=True)]
    if judged.accord.terms.mode is Mode.ENFORCE:
        events += [
            _event(tx, judged, consequence_due(judged.accord, judged.promise, each), skippable=False)
            for each in judged.consequences
        ]
        _tell(tx, row, judged)
    append(tx.connection, events, now=tx.now)


def _tell(tx: SlaTx, row: BudgetRow, judged: Judged) -> None:
    """Alert whom the agreement names for the new state; what was told of the one before is over."""
    resolve_topics(tx, _TOPICS.values(), agreement=_agreement_of(judged), commitment_id=judged.promise.id)
    topic = _TOPICS.get(judged.budget.state)
    for each in judged.consequences:
        if each.kind is not ConsequenceKind.ALERT or topic is None:
            continue
        recipients = tx.staff(row.of.tenant).recipients(
            [role if role in _OF_NO_HANDOFF else Role.PARTY for role in each.recipients],
            owner="",
            team="",
            parties=[party.value for party in judged.promise.parties],
        )
        open_topic(
            tx,
            topic,
            version=judged.accord.name,
            commitment_id=judged.promise.id,
            title=judged.promise.title,
            about=each.id,
            due=tx.now,
            recipients=recipients,
        )


def _agreement_of(judged: Judged) -> str:
    return AGREEMENT.build(judged.accord.tenant, judged.accord.agreement)


def _event(tx: SlaTx, judged: Judged, payload: Message, *, skippable: bool) -> NewEvent:
    return NewEvent(
        tenant=f"tenants/{judged.accord.tenant}",
        subject=_agreement_of(judged),
        occur_time=tx.now,
        actor=SELF,
        payload=payload,
        skippable=skippable,
    )


def _in_force(tx: SlaTx, tenant: str) -> Iterator[tuple[Accord, Promise]]:
    for accord in tx.accords([tenant])[tenant]:
        if accord.state is AccordState.ACTIVE:
            for promise in accord.terms.promises:
                yield accord, promise


def _judged(tx: SlaTx, accord: Accord, promise: Promise) -> Judged:
    measure = tx.measure(accord.name)
    basis = promise.basis or TimeBasis.BUSINESS
    policy = policy_of(promise.budget, basis, measure.calendar.calendar.business_days(1))
    openings = WALL.openings if basis is TimeBasis.WALL else measure.openings
    of = Of(accord.tenant, accord.agreement, promise.id)
    at = BudgetWindows.at(policy, openings, tx.now)
    windows = at.windows()
    *first, upcoming = first_minutes(tx.connection, of, [*(each.after for each in windows), at.until])
    counts = at.counts(counts_in(tx.connection, of, windows), _measured_since(tx, accord))
    return Judged(
        accord=accord,
        promise=promise,
        policy=policy,
        counts=counts,
        budget=judge(policy, promise.objective_basis_points, counts),
        as_of=tx.now,
        next_time=at.next_time(first, upcoming),
    )


def _measured_since(tx: SlaTx, accord: Accord) -> datetime:
    """Return from when on the agreement measures anything, by any of its versions."""
    versions = (
        each for each in tx.accords([accord.tenant])[accord.tenant] if each.agreement == accord.agreement
    )
    return min((each.effective_time for each in versions if each.effective_time), default=tx.now)
