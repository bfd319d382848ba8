"""Fold what the leads log tells into marketing's periods, and settle them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.sla.domain.accord import Accord
from services.sla.domain.marketing_terms import MarketingTerms, QuotaPeriod
from services.sla.domain.period import (
    NOTHING,
    Entry,
    PeriodCounts,
    Statement,
    Verdict,
    counts_of,
    period_at,
    settle,
)
from services.sla.domain.period_facts import HandedOver, Turn, turned
from services.sla.domain.period_promises import PeriodPromise, judge_promises, next_look, watched_pace
from services.sla.domain.terms import AgreementKind, Mode
from services.sla.store.periods import (
    Kept,
    Key,
    PeriodRow,
    add_counts,
    drop_unbegun,
    due_finals,
    due_periods,
    entries_of,
    find_period,
    open_period,
    put_entries,
    save_looked_at,
)
from services.sla.store.said import SELF
from services.sla.store.tx import SlaTx
from services.sla.usecases.period_alerts import tell_of_period
from services.sla.wire.periods import period_settled
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.names import AGREEMENT, tenant_of

__all__ = ["begin_periods", "fold", "settle_due", "stated", "terms_of_period"]

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


def begin_periods(tx: SlaTx, accord: Accord) -> None:
    """Open the first whole period of a version that is put in force.

    So one in which nothing is handed over is settled as well. A period that has begun keeps its yardstick.
    """
    since = max(accord.effective_time or tx.now, tx.now)
    drop_unbegun(tx.connection, accord.tenant, accord.agreement, since=since)
    terms = accord.terms.marketing
    if terms is None or accord.terms.kind is not AgreementKind.INTERNAL:
        return
    current = period_at(since, kind_of(terms), _zone(tx, accord))
    _period_row(tx, accord, terms, current.end_time if current.start_time < since else since)


def _settle(tx: SlaTx, row: PeriodRow) -> None:
    statement, terms = stated(tx, row), terms_of_period(tx, row)
    measure = tx.measure(row.agreement_version)
    day = measure.calendar.calendar.business_days(1)
    judged = judge_promises(terms, statement, as_of=tx.now)
    verdicts = {
        each.promise.value: each.verdict for each in judged if each.promise is not PeriodPromise.VALUE
    }
    pace = watched_pace(terms.quota, statement, row.pace, measure.openings, day, as_of=tx.now)
    looked = replace(row, verdict=statement.verdict, verdicts=verdicts, pace=pace)
    coming = next_look(terms.quota, row.period, row.counts, measure.openings, day, as_of=tx.now)
    save_looked_at(tx.connection, looked, coming)
    if measure.terms.mode is Mode.ENFORCE:
        tell_of_period(tx, row, looked, is_whole=_was_in_force(tx, row))
    if tx.now >= row.period.end_time and row.verdict is Verdict.RUNNING:
        _open_following(tx, row)
    if _settled(looked) != _settled(row):
        _say(tx, row, statement)


def _settled(row: PeriodRow) -> dict[str, Verdict]:
    """Return the verdicts of what is over; while a period runs there is none."""
    found = {PeriodPromise.VALUE.value: row.verdict, **row.verdicts}
    return {name: each for name, each in found.items() if each is not Verdict.RUNNING}


def _open_following(tx: SlaTx, row: PeriodRow) -> None:
    at = row.period.end_time
    for accord in tx.accords([row.key.tenant])[row.key.tenant]:
        is_next = accord.agreement == row.key.agreement and accord.is_in_force(at)
        if is_next and accord.terms.marketing is not None:
            _period_row(tx, accord, accord.terms.marketing, at)


def _was_in_force(tx: SlaTx, row: PeriodRow) -> bool:
    """Tell whether the agreement held from the period's start on: less than a period has no pace."""
    return any(
        accord.effective_time is not None and accord.effective_time <= row.period.start_time
        for accord in tx.accords([row.key.tenant])[row.key.tenant]
        if accord.agreement == row.key.agreement
    )


def _say(tx: SlaTx, row: PeriodRow, statement: Statement) -> None:
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


def kind_of(terms: MarketingTerms) -> QuotaPeriod:
    """Return how long a period is: a month where there is no quota."""
    return terms.quota.period if terms.quota and terms.quota.period else QuotaPeriod.MONTH


def _zone(tx: SlaTx, accord: Accord) -> str:
    return tx.measure(accord.name).calendar.calendar.zone


def _period_row(tx: SlaTx, accord: Accord, terms: MarketingTerms, at: datetime) -> PeriodRow:
    period = period_at(at, kind_of(terms), _zone(tx, accord))
    key = Key(accord.tenant, accord.agreement, period.id)
    known = find_period(tx.connection, key)
    if known is not None:
        return known
    row = PeriodRow(key=key, agreement_version=accord.name, period=period)
    open_period(tx.connection, row)
    return row


def _turned(tx: SlaTx, kept: Kept, turn: Turn) -> Kept:
    def final_time_of(at: datetime) -> datetime:
        row = find_period(tx.connection, kept.key)
        assert row is not None, kept.key  # noqa: S101 - written before the entry
        measure = tx.measure(row.agreement_version)
        return measure.openings.add(at, measure.calendar.calendar.business_days(_DAYS_TO_DISPUTE))

    return replace(kept, entry=turned(kept.entry, turn, final_time_of=final_time_of))
