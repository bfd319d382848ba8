"""Fold what the leads log tells into marketing's periods, and settle them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.sla.domain.accord import Accord
from services.sla.domain.marketing_terms import MarketingTerms, QuotaPeriod
from services.sla.domain.period import NOTHING, Entry, PeriodCounts, Statement, counts_of, period_at, settle
from services.sla.domain.period_facts import HandedOver, Turn, turned
from services.sla.domain.terms import AgreementKind
from services.sla.store.periods import (
    Kept,
    Key,
    PeriodRow,
    add_counts,
    due_finals,
    due_periods,
    entries_of,
    find_period,
    open_period,
    put_entries,
    save_verdict,
)
from services.sla.store.said import SELF
from services.sla.store.tx import SlaTx
from services.sla.wire.periods import period_settled
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.names import AGREEMENT, tenant_of

__all__ = ["fold", "settle_due", "stated", "terms_of_period"]

_DAYS_TO_DISPUTE: Final = 5


def fold(tx: SlaTx, facts: Sequence[HandedOver | Turn]) -> None:
    """Take in what became of handoffs, in order; only what changed is written."""
    if not facts:
        return
    before = entries_of(tx.connection, {fact.handoff for fact in facts})
    after = dict(before)
    for fact in facts:
        known = after.get(fact.handoff)
        if isinstance(fact, HandedOver):
            kept = _handed_over(tx, fact) if known is None else known
        else:
            kept = None if known is None else _turned(tx, known, fact)
        if kept is not None:
            after[fact.handoff] = kept
    _keep(tx, before, after)


def settle_due(tx: SlaTx, *, limit: int) -> int:
    """Make rejections final that nobody disputed, and settle the periods that are over; return how many."""
    finals = due_finals(tx.connection, now=tx.now, limit=limit)
    before = {each.handoff: each for each in finals}
    _keep(tx, before, {name: replace(each, entry=each.entry.as_of(tx.now)) for name, each in before.items()})
    periods = due_periods(tx.connection, now=tx.now, limit=limit)
    for row in periods:
        _settle(tx, row)
    return len(finals) + len(periods)


def stated(tx: SlaTx, row: PeriodRow) -> Statement:
    """Return a period as of the transaction's instant."""
    measure = tx.measure(row.agreement_version)
    return settle(terms_of_period(tx, row), row.period, row.counts, measure.openings, as_of=tx.now)


def terms_of_period(tx: SlaTx, row: PeriodRow) -> MarketingTerms:
    """Return the values and the quota that hold for a period."""
    return tx.measure(row.agreement_version).terms.marketing or MarketingTerms()


def _settle(tx: SlaTx, row: PeriodRow) -> None:
    statement = stated(tx, row)
    save_verdict(tx.connection, row.key, statement.verdict)
    if statement.verdict is row.verdict:
        return
    agreement = AGREEMENT.build(row.key.tenant, row.key.agreement)
    event = NewEvent(
        tenant=f"tenants/{row.key.tenant}",
        subject=agreement,
        occur_time=row.period.end_time,
        actor=SELF,
        payload=period_settled(
            statement,
            terms_of_period(tx, row),
            agreement=agreement,
            version=row.agreement_version,
            as_of=tx.now,
        ),
        skippable=True,
    )
    append(tx.connection, [event], now=tx.now)


def _keep(tx: SlaTx, before: dict[str, Kept], after: dict[str, Kept]) -> None:
    changed = [each for name, each in after.items() if before.get(name) != each]
    added: dict[Key, PeriodCounts] = {}
    for each in changed:
        known = before.get(each.handoff)
        gone = NOTHING if known is None else counts_of(known.entry)
        added[each.key] = added.get(each.key, NOTHING) + counts_of(each.entry) - gone
    if not changed:
        return
    put_entries(tx.connection, changed)
    add_counts(tx.connection, {key: counts for key, counts in added.items() if counts != NOTHING}, now=tx.now)


def _handed_over(tx: SlaTx, fact: HandedOver) -> Kept | None:
    """Return what a new handoff counts; None when no agreement says what marketing is counted by."""
    accord = _accord_of(tx, fact)
    if accord is None or accord.terms.marketing is None:
        return None
    row = _period_row(tx, accord, accord.terms.marketing, fact.at)
    worth = terms_of_period(tx, row).value_of(fact.attributes.segment)
    entry = Entry(
        value=None if worth is None else worth.minor_units,
        conforms=fact.conforms,
        required=fact.required,
        filled=fact.filled,
    )
    return Kept(handoff=fact.handoff, key=row.key, entry=entry)


def _accord_of(tx: SlaTx, fact: HandedOver) -> Accord | None:
    """Return the agreement of a handoff: the first in force, in the tenant's order, whose scope means it."""
    tenant = tenant_of(fact.handoff)
    for accord in tx.accords([tenant])[tenant]:
        if accord.terms.kind is not AgreementKind.INTERNAL or not accord.is_in_force(fact.at):
            continue
        if tx.measure(accord.name).agreement.scope.matches(fact.attributes):
            return accord
    return None


def _period_row(tx: SlaTx, accord: Accord, terms: MarketingTerms, at: datetime) -> PeriodRow:
    kind = terms.quota.period if terms.quota and terms.quota.period else QuotaPeriod.MONTH
    period = period_at(at, kind, tx.measure(accord.name).calendar.calendar.zone)
    key = Key(accord.tenant, accord.agreement, period.id)
    known = find_period(tx.connection, key)
    if known is not None:
        return known
    row = PeriodRow(key=key, agreement_version=accord.name, period=period)
    open_period(tx.connection, row)
    return row


def _turned(tx: SlaTx, kept: Kept, turn: Turn) -> Kept:
    row = find_period(tx.connection, kept.key)
    assert row is not None, kept.key  # noqa: S101 - written before the entry
    measure = tx.measure(row.agreement_version)
    final_time = measure.openings.add(turn.at, measure.calendar.calendar.business_days(_DAYS_TO_DISPUTE))
    return replace(kept, entry=turned(kept.entry, turn, final_time=final_time))
