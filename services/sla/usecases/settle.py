"""Bring the clocks of some handoffs up to date: the one path by which clocks start, stop, warn and miss."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.sla.domain.accord import Accord
from services.sla.domain.alert import Alert, alert_id
from services.sla.domain.decide import Aside, Decision
from services.sla.domain.history import History, Told
from services.sla.domain.in_turn import decide_in_turn
from services.sla.domain.recorded import Clock
from services.sla.domain.takeover import takeover_of
from services.sla.store.said import Moved, Opened
from services.sla.store.tx import SlaTx
from services.sla.usecases.consequences import say_what_follows
from services.sla.usecases.poison import Verdict, decided_apart, promised_by, put_aside
from services.sla.usecases.takeovers import ask_for_takeover
from services.sla.usecases.uniting import with_shared
from smarketing.eventlog.outbox import Cause
from smarketing.names import tenant_of

_log = structlog.get_logger(__name__)

Observer = Callable[[str, float], None]
"""Is told of each timer that fired: its kind, and how many seconds after its instant."""


def record(
    tx: SlaTx,
    told: Sequence[Told],
    *,
    as_of: datetime,
    causes: Mapping[str, Cause],
    observe: Observer | None = None,
) -> None:
    """Keep what was told and settle every handoff that it is about; what is known already changes nothing."""
    by_handoff: dict[str, list[Told]] = {}
    for each in told:
        by_handoff.setdefault(each.handoff, []).append(each)
    by_handoff = with_shared(tx, by_handoff)
    histories = tx.histories(by_handoff)
    touched: dict[str, History] = {}
    read: dict[str, Sequence[Told]] = {}
    for handoff, new in by_handoff.items():
        joined, fresh = histories[handoff].joined(new)
        if fresh:
            touched[handoff], read[handoff] = joined, fresh
            tx.tell(fresh)
    _settle(tx, touched, as_of=as_of, fresh=read, causes=causes, observe=observe)


def settle(tx: SlaTx, handoffs: Sequence[str], *, observe: Observer | None = None) -> None:
    """Settle handoffs as of the transaction's instant."""
    _settle(tx, tx.histories(handoffs), as_of=tx.now, fresh={}, causes={}, observe=observe, sweeping=True)


@dataclass(frozen=True, slots=True)
class Foretold:
    """A decision, and all that will be written because of it."""

    decision: Decision
    moved: Moved
    opened: Opened | None
    has_consequences: bool
    """More may follow from it than an alert."""

    @classmethod
    def of(cls, tx: SlaTx, decision: Decision, before: Clock) -> "Foretold":
        """Write out what comes of a decision."""
        clock = decision.change.clock
        terms = tx.measure(clock.agreement_version).terms
        follows = takeover_of(decision, terms) or terms.promise(clock.commitment_id).consequences
        return cls(decision, Moved.of(before, decision.change), _opened(tx, decision), bool(follows))


def settle_decided(tx: SlaTx, decided: Iterable[Foretold], *, observe: Observer | None = None) -> None:
    """Keep what was decided and written out before; nothing may have come between."""
    decisions = []
    for each in decided:
        decisions.append(each.decision)
        tx.move(each.moved)
        if each.opened is not None:
            tx.open_alert(each.opened)
        if each.has_consequences:
            _ask_for_more(tx, each.decision)
    _resolve(tx, decisions)
    if observe is not None:
        _observe(tx, decisions, observe)


def _settle(
    tx: SlaTx,
    histories: Mapping[str, History],
    *,
    as_of: datetime,
    fresh: Mapping[str, Sequence[Told]],
    causes: Mapping[str, Cause],
    observe: Observer | None,
    sweeping: bool = False,
) -> None:
    clocks = tx.clocks(histories)
    accords = tx.accords({tenant_of(handoff) for handoff in histories})
    decisions: list[tuple[Decision, Cause | None]] = []
    for handoff, history in histories.items():
        known = clocks.get(handoff, [])
        in_order = accords.get(tenant_of(handoff), [])
        new = fresh.get(handoff, ())
        verdict = _decided(tx, history, known, in_order, as_of=as_of, fresh=new, sweeping=sweeping)
        decisions += [(decision, causes.get(handoff)) for decision in verdict.decisions]
    _keep(tx, decisions)
    if observe is not None:
        _observe(tx, [decision for decision, _ in decisions], observe)


def _decided(
    tx: SlaTx,
    history: History,
    clocks: Sequence[Clock],
    accords: Sequence[Accord],
    *,
    as_of: datetime,
    fresh: Sequence[Told],
    sweeping: bool,
) -> Verdict:
    """Decide a handoff; a clock that cannot be decided is put aside alone."""

    def deciding(aside: Aside) -> list[Decision]:
        return decide_in_turn(
            history, fresh, clocks, accords, tx.measuring, as_of=as_of, now=tx.now, aside=aside
        )

    unreadable = tx.unreadable.get(history.handoff, ())
    aside = frozenset((each.agreement, each.commitment_id) for each in unreadable)
    verdict = decided_apart(deciding, lambda: promised_by(clocks, accords), aside)
    if culprits := verdict.culprits | aside:
        names = sorted(f"{agreement}/{commitment}" for agreement, commitment in culprits)
        _log.error("clocks_not_decided", handoff=history.handoff, of=names, problem=repr(verdict.error))
        put_aside(tx, clocks, unreadable, culprits, sweeping=sweeping)
    return verdict


def _keep(tx: SlaTx, decisions: Sequence[tuple[Decision, Cause | None]]) -> None:
    for decision, cause in decisions:
        tx.advance(decision.before, decision.change, cause)
    _act_on(tx, [decision for decision, _ in decisions])


def _act_on(tx: SlaTx, decisions: Sequence[Decision]) -> None:
    _resolve(tx, decisions)
    for decision in decisions:
        opened = _opened(tx, decision)
        if opened is not None:
            tx.open_alert(opened)
        _ask_for_more(tx, decision)


def _ask_for_more(tx: SlaTx, decision: Decision) -> None:
    ask_for_takeover(tx, decision)
    say_what_follows(tx, decision)


def _resolve(tx: SlaTx, decisions: Sequence[Decision]) -> None:
    """Deal with the alerts of clocks that are over, without anybody's hand."""
    over = {
        decision.change.clock.name: decision.change
        for decision in decisions
        if decision.before is not None and decision.change.resolve is not None
    }
    for alert in tx.open_alerts(change.clock for change in over.values()):
        change = over[alert.clock]
        assert change.resolve is not None, alert.clock  # noqa: S101 - chosen so above
        resolved = alert.resolve(change.resolve, by="", now=tx.now)
        tx.change_alert(resolved, tx.measure(change.clock.agreement_version))


def _opened(tx: SlaTx, decision: Decision) -> Opened | None:
    """Return the alert that a decision makes, to whoever has the roles now; None when it tells nobody."""
    tell, clock = decision.change.tell, decision.change.clock
    if tell is None:
        return None
    measure = tx.measure(clock.agreement_version)
    recipients = tx.staff(clock.tenant).recipients(
        tell.roles,
        owner=clock.owner,
        team=clock.team,
        parties=[party.value for party in clock.parties],
    )
    return Opened.of(
        Alert(
            tenant=clock.tenant,
            id=alert_id(clock.name, clock.cycle, tell.rung),
            clock=clock.name,
            cycle=clock.cycle,
            handoff=clock.handoff,
            commitment_id=clock.commitment_id,
            commitment_title=measure.terms.promise(clock.commitment_id).title,
            rung_id=tell.rung,
            missed=tell.missed,
            due_time=clock.due_time,
            create_time=tx.now,
            owner=clock.owner,
            team=clock.team,
            recipients=recipients,
        ),
        measure,
    )


def _observe(tx: SlaTx, decisions: Sequence[Decision], observe: Observer) -> None:
    kinds = {"RungFired": "rung", "ClockBreached": "breach"}
    for decision in decisions:
        for happening in decision.change.happenings:
            kind = kinds.get(type(happening).__name__)
            if kind is not None:
                observe(kind, (tx.now - happening.occur_time).total_seconds())
