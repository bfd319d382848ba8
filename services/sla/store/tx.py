"""One unit of work: loads in batches, collects what changed, and writes it in a few statements at the end."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import Message
from sqlalchemy import Connection

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import AgreementVersion, Delivery
from services.sla.domain.alert import Alert, AlertState, Staff
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.calendar import Calendars
from services.sla.domain.consequence import Consequence
from services.sla.domain.events import RungFired
from services.sla.domain.history import History, Told
from services.sla.domain.pins import pins_of
from services.sla.domain.recorded import Advance, Clock
from services.sla.domain.rota import Rota
from services.sla.domain.slots import settlements
from services.sla.domain.terms import Terms
from services.sla.domain.timeline import Fact
from services.sla.store import schema
from services.sla.store.archive import Archive, Measure
from services.sla.store.budgets import BudgetCounts
from services.sla.store.exceptions import excuses_for
from services.sla.store.notices import drop_notices, plan_notices
from services.sla.store.planning import rota_of
from services.sla.store.rows import (
    CLOCK_CHANGES,
    CLOCK_COLUMNS,
    alert_of,
    alert_values,
    clock_of,
    clock_values,
    told_of_row,
    told_row,
)
from services.sla.store.said import SELF, Moved, Opened, Said, said_of
from services.sla.store.staff import staff_of
from services.sla.store.stamps import counts_of
from services.sla.store.tallies import Tallies
from services.sla.wire.changes import alert_changed
from services.sla.wire.clocks import consequence_due, takeover_requested
from services.sla.wire.instants import stamp
from services.sla.wire.messages import OPENED, RESOLVED, alert_json
from smarketing.businesstime import BusinessTime
from smarketing.delivery import NewMessage, enqueue, listening
from smarketing.eventlog.outbox import Cause, NewEvent, append
from smarketing.sql import FindRows, InsertRows, UpdateRows

_ALERT_COLUMNS: Final = tuple(column.name for column in schema.alert.columns)
_find_facts: Final = FindRows(schema.fact, key=["handoff"])
_find_clocks: Final = FindRows(schema.clock, key=["handoff"], columns=CLOCK_COLUMNS)
_find_alerts: Final = FindRows(schema.alert, key=["clock", "state"])
_add_facts: Final = InsertRows(schema.fact)
_add_clocks: Final = InsertRows(schema.clock)
_add_said: Final = InsertRows(schema.clock_said)
_add_alerts: Final = InsertRows(schema.alert)
_change_clocks: Final = UpdateRows(
    schema.clock,
    key=["id", "generation"],
    columns=[*CLOCK_CHANGES, "attempts", "quarantine_time"],
)
_change_alerts: Final = UpdateRows(
    schema.alert,
    key=["tenant", "id"],
    columns=[
        "revision",
        "state",
        "acknowledged_by",
        "acknowledge_time",
        "resolved_by",
        "resolve_time",
        "resolve_reason",
        "snooze_until_time",
        "snoozed_by",
    ],
)


Stamp = tuple[object, ...]
"""Says, when it is equal to an earlier one, that nothing about a handoff came between."""


@dataclass(frozen=True, slots=True)
class UnreadableClock:
    """A row that no clock can be made of, as far as its columns can be told."""

    id: str
    handoff: str
    agreement: str
    commitment_id: str
    next_time: datetime | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> "UnreadableClock":
        """Tell what can be told of a row."""
        values = dict(zip(CLOCK_COLUMNS, row, strict=True))
        return cls(**{each.name: values[each.name] for each in fields(cls)})


class ClockMoved(Exception):
    """A clock is not as it was when it was read: somebody else decided it meanwhile."""


class SlaTx:
    """A transaction of this service, for one batch; nothing is written before `flush`."""

    def __init__(self, connection: Connection, archive: Archive, *, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._archive = archive
        self._told: list[Told] = []
        self._begun: list[Clock] = []
        self._moved: list[tuple[object, ...]] = []
        self._said: list[tuple[str, int, str]] = []
        self._opened: list[tuple[object, ...]] = []
        self._stamp = stamp(now)
        self._to_reach: dict[str, dict[str, tuple[Alert, Delivery]]] = {}
        self._changed: dict[str, Alert] = {}
        self._events: list[NewEvent] = []
        self._to_send: list[tuple[Alert, Measure, str, str]] = []
        self._staff: dict[str, Staff] = {}
        self._measures: dict[str, Measure] = {}
        self._rotas: dict[str, Rota] = {}
        self.unreadable: dict[str, list[UnreadableClock]] = {}
        self.tallies = Tallies()
        self._budgets = BudgetCounts()

    # Loading.

    def histories(self, handoffs: Iterable[str]) -> dict[str, History]:
        """Return what was told of these handoffs; an empty history for one that is unknown."""
        told: dict[str, list[Told]] = {handoff: [] for handoff in handoffs}
        for row in _find_facts.find(self.connection, [(handoff,) for handoff in told]):
            each = told_of_row(row)
            told[each.handoff].append(each)
        for handoff, excuses in excuses_for(self.connection, told).items():
            told[handoff] += excuses
        return {handoff: History.of(handoff, facts) for handoff, facts in told.items()}

    def clocks(self, handoffs: Iterable[str]) -> dict[str, list[Clock]]:
        """Return the clocks of these handoffs, the one that started first at the head.

        Rows that no clock can be made of are not among them, but in `unreadable` from then on.
        """
        found: dict[str, list[Clock]] = {}
        for row in _find_clocks.find(self.connection, [(handoff,) for handoff in handoffs]):
            try:
                clock = clock_of(row)
            except (LookupError, TypeError, ValueError):
                unreadable = UnreadableClock.of(row)
                self.unreadable.setdefault(unreadable.handoff, []).append(unreadable)
                continue
            found.setdefault(clock.handoff, []).append(clock)
        for clocks in found.values():
            clocks.sort(key=lambda each: (each.start_time, each.id))
        return found

    def stamps(self, handoffs: Collection[str]) -> dict[str, Stamp]:
        """Return by handoff what differs as soon as `histories` or `clocks` would return anything else."""
        excuses = excuses_for(self.connection, handoffs)
        counted = counts_of(self.connection, handoffs)
        return {handoff: (*counts, tuple(excuses.get(handoff, ()))) for handoff, counts in counted.items()}

    def accords(self, tenants: Iterable[str]) -> dict[str, list[Accord]]:
        """Return every agreement version that was put in force, by tenant, in the tenant's order."""
        return {tenant: self._archive.accords(self.connection, tenant) for tenant in tenants}

    def measure(self, version: str) -> Measure:
        """Return what clocks under an agreement version are decided by, teams' own calendars included."""
        known = self._measures.get(version)
        if known is None:
            known = self._measures[version] = self._measure(self._archive.measure(self.connection, version))
        return known

    def measuring(self, version: str, calendar: str = "") -> tuple[Terms, AgreementVersion, Calendars]:
        """Return what of a measure a decision needs; with one calendar version for all, where it is named."""
        measure = self.measure(version)
        calendars = self._calendar(calendar).pinned() if calendar else measure.calendars
        return measure.terms, measure.agreement, calendars

    def calendars_of(self, clock: Clock, facts: Iterable[Fact]) -> Calendars:
        """Return by which calendars a clock is decided, among these facts of its handoff."""
        pin = pins_of(facts).get((clock.agreement, clock.commitment_id, clock.origin))
        return self.measuring(clock.agreement_version, pin.calendar_version if pin else "")[2]

    def rota(self, tenant: str) -> Rota:
        """Return who has which calendar of their own in a tenant."""
        if tenant not in self._rotas:
            self._rotas[tenant] = rota_of(self.connection, tenant)
        return self._rotas[tenant]

    def _measure(self, plain: Measure) -> Measure:
        rota = self.rota(plain.calendar.tenant)
        if not rota.by_holder:
            return plain
        return replace(plain, calendars=rota.with_teams(plain.calendar, self._calendar))

    def _calendar(self, version: str) -> MadeCalendar:
        made = self._archive.calendar(self.connection, version)
        assert made is not None, version  # noqa: S101 - looked up before it was given to anybody
        return made

    def calendar(self, tenant: str, version: str) -> MadeCalendar | None:
        """Return a tenant's calendar version of this name; None when they have none."""
        calendar = self._archive.calendar(self.connection, version)
        return calendar if calendar is not None and calendar.tenant == tenant else None

    def calendar_exists(self, tenant: str, version: str) -> bool:
        """Tell whether a tenant has a calendar version of this name."""
        return self.calendar(tenant, version) is not None

    def changed_alert(self, name: str) -> Alert | None:
        """Return an alert as this transaction has already changed it."""
        return self._changed.get(name)

    def staff(self, tenant: str) -> Staff:
        """Return who is whom in a tenant."""
        if tenant not in self._staff:
            self._staff[tenant] = staff_of(self.connection, tenant)
        return self._staff[tenant]

    def open_alerts(self, clocks: Iterable[Clock]) -> list[Alert]:
        """Return the alerts of these clocks that nobody has dealt with."""
        keys = [
            (clock.name, state.value)
            for clock in clocks
            for state in (AlertState.OPEN, AlertState.ACKNOWLEDGED)
        ]
        rows = _find_alerts.find(self.connection, keys)
        return [alert_of(dict(zip(_ALERT_COLUMNS, row, strict=True))) for row in rows]

    # Collecting.

    def tell(self, told: Iterable[Told]) -> None:
        """Keep new facts."""
        self._told += told

    def advance(self, before: Clock | None, change: Advance, cause: Cause | None) -> None:
        """Keep what an evaluation changed in a clock, and say it in the log."""
        if before is None:
            self._begun.append(change.clock)
            self._budgets.count(settlements(None, change.clock))
            self._say(said_of(change, cause))
        else:
            self.move(Moved.of(before, change, cause))

    def move(self, moved: "Moved") -> None:
        """Keep what an evaluation changed in a clock, written out before: it may have been long ago."""
        self._moved.append(moved.row_at(self.now))
        self._budgets.count(moved.settlements)
        self._say(moved.said)

    def open_alert(self, opened: Opened) -> None:
        """Keep a new alert, made now, and send it."""
        alert = opened.alert
        self._opened.append(opened.row_at(self.now))
        self._reach(alert, opened.delivery)
        self.say(alert.tenant, alert.name, opened.event.made_at(self._stamp))
        self._send(alert, opened.measure, alert.message_id, OPENED)

    def change_alert(self, alert: Alert, measure: Measure | None = None, *, actor: str = SELF) -> None:
        """Keep where an alert stands; tell the tenant's endpoints when it is dealt with."""
        self._changed[alert.name] = alert
        self._alert_said(alert, actor)
        if measure is not None:
            self._send(alert, measure, f"{alert.message_id}-resolved", RESOLVED)

    def ask_takeover(self, clock: Clock, rung: RungFired) -> None:
        """Ask for the handoff to be taken from its owner: once for each clock, cycle and rung."""
        self._said.append((clock.id, rung.cycle, f"TakeoverRequested:{rung.rung}"))
        self._events.append(
            NewEvent(
                tenant=f"tenants/{clock.tenant}",
                subject=clock.name,
                # Who has got it since is not whom it is taken from.
                occur_time=rung.occur_time,
                actor=SELF,
                payload=takeover_requested(clock, rung),
            )
        )

    def say_consequence(self, clock: Clock, rung: RungFired, due: Consequence) -> None:
        """Say that something agreed is to be done: once for each clock, cycle and consequence."""
        self._said.append((clock.id, rung.cycle, f"ConsequenceDue:{due.id}"))
        self._events.append(
            NewEvent(
                tenant=f"tenants/{clock.tenant}",
                subject=clock.name,
                occur_time=rung.occur_time,
                actor=SELF,
                payload=consequence_due(clock, rung, due),
            )
        )

    def put_off_alert(self, alert: Alert, measure: Measure, *, actor: str) -> None:
        """Keep that an alert is put off, and have its people reminded once that is over."""
        self.change_alert(alert, actor=actor)
        drop_notices(self.connection, alert)
        step = measure.terms.step(alert.commitment_id, alert.rung_id)
        self._reach(alert, step.delivery if step else Delivery.IN_HOURS)

    def _reach(self, alert: Alert, delivery: Delivery) -> None:
        # Put off twice in one transaction: the last word counts.
        self._to_reach.setdefault(alert.tenant, {})[alert.id] = (alert, delivery)

    def say(self, tenant: str, subject: str, payload: Message, *, actor: str = SELF) -> None:
        """Put an event of something other than a clock in the log."""
        self._events.append(
            NewEvent(
                tenant=f"tenants/{tenant}",
                subject=subject,
                occur_time=self.now,
                actor=actor,
                payload=payload,
            )
        )

    def flush(self) -> None:
        """Write everything that was collected.

        Raises:
            ClockMoved: when a clock is not as it was read; the transaction must be rolled back.
        """
        connection = self.connection
        _add_facts.insert(connection, [told_row(told) for told in self._told])
        _add_clocks.insert(connection, [(*clock_values(clock).values(), 0, None) for clock in self._begun])
        self._flush_moved()
        _add_said.insert(connection, self._said)
        _add_alerts.insert(connection, self._opened)
        _change_alerts.update(connection, [_alert_change(alert) for alert in self._changed.values()])
        for tenant, alerts in self._to_reach.items():
            plan_notices(connection, tenant, list(alerts.values()), now=self.now)
        self.tallies.flush(connection)
        self._budgets.flush(connection, now=self.now)
        append(connection, self._events, now=self.now)
        enqueue(connection, schema.delivery_tables, self._messages(), now=self.now)

    def _flush_moved(self) -> None:
        """Compare and set: a row that moved on since it was read is not matched."""
        if _change_clocks.update(self.connection, self._moved) != len(self._moved):
            raise ClockMoved

    def _say(self, said: "Said") -> None:
        self._said += said.once
        self._events += said.events
        for clock, happening in said.told:
            self.tallies.count(clock, happening)

    def _alert_said(self, alert: Alert, actor: str) -> None:
        payload = alert_changed(alert)
        self.say(alert.tenant, alert.name, payload, actor=actor)

    def _send(self, alert: Alert, measure: Measure, message_id: str, event_type: str) -> None:
        self._to_send.append((alert, measure, message_id, event_type))

    def _messages(self) -> list[NewMessage]:
        """Write what is to be sent, for the tenants where somebody listens."""
        if not self._to_send:
            return []
        tenants = {alert.tenant for alert, *_ in self._to_send}
        heard = listening(self.connection, schema.delivery_tables, tenants)
        return [self._message(*each) for each in self._to_send if each[0].tenant in heard]

    def _message(self, alert: Alert, measure: Measure, message_id: str, event_type: str) -> NewMessage:
        late = measure.openings.between(alert.due_time, self.now)
        body = alert_json(alert, measure.calendar.calendar, late=BusinessTime(late.microseconds), at=self.now)
        return NewMessage(
            tenant=alert.tenant, message_id=message_id, event_type=event_type, payload_json=body
        )


def _alert_change(alert: Alert) -> tuple[object, ...]:
    values = alert_values(alert)
    return tuple(
        values[name]
        for name in (
            "tenant",
            "id",
            "revision",
            "state",
            "acknowledged_by",
            "acknowledge_time",
            "resolved_by",
            "resolve_time",
            "resolve_reason",
            "snooze_until_time",
            "snoozed_by",
        )
    )
