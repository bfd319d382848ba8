"""One unit of work: loads in batches, collects what changed, and writes it in a few statements at the end."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from google.protobuf.message import Message
from sqlalchemy import Connection

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import Delivery
from services.sla.domain.alert import Alert, AlertState, Staff
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.events import RungFired
from services.sla.domain.history import History, Told
from services.sla.domain.recorded import Advance, Clock, Happening
from services.sla.domain.rota import Rota
from services.sla.store import schema
from services.sla.store.archive import Archive, Measure
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
from services.sla.store.staff import staff_of
from services.sla.store.tallies import Tallies
from services.sla.wire.changes import alert_changed
from services.sla.wire.clocks import happening_message, takeover_requested
from services.sla.wire.messages import OPENED, RESOLVED, alert_json
from smarketing.businesstime import BusinessTime
from smarketing.delivery import NewMessage, enqueue
from smarketing.eventlog.outbox import Cause, NewEvent, append
from smarketing.sql import FindRows, InsertRows, UpdateRows

SELF: Final = "tenants/-/systems/sla"
"""Who made it happen, when nobody asked for it."""

_ALERT_COLUMNS: Final = tuple(column.name for column in schema.alert.columns)
_find_facts: Final = FindRows(schema.fact, key=["handoff"])
_find_clocks: Final = FindRows(schema.clock, key=["handoff"], columns=CLOCK_COLUMNS)
_find_alerts: Final = FindRows(schema.alert, key=["clock", "state"])
_add_facts: Final = InsertRows(schema.fact)
_add_clocks: Final = InsertRows(schema.clock)
_add_said: Final = InsertRows(schema.clock_said)
_add_alerts: Final = InsertRows(schema.alert)
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
        self._moved: list[tuple[Clock, Clock]] = []
        self._said: list[tuple[str, int, str]] = []
        self._opened: list[Alert] = []
        self._to_reach: dict[str, list[tuple[Alert, Delivery]]] = {}
        self._changed: dict[str, Alert] = {}
        self._events: list[NewEvent] = []
        self._messages: list[NewMessage] = []
        self._staff: dict[str, Staff] = {}
        self._measures: dict[str, Measure] = {}
        self._rotas: dict[str, Rota] = {}
        self.tallies = Tallies()

    # Loading.

    def histories(self, handoffs: Iterable[str]) -> dict[str, History]:
        """Return what was told of these handoffs; an empty history for one that is unknown."""
        told: dict[str, list[Told]] = {handoff: [] for handoff in handoffs}
        for row in _find_facts.find(self.connection, [(handoff,) for handoff in told]):
            each = told_of_row(row)
            told[each.handoff].append(each)
        return {handoff: History.of(handoff, facts) for handoff, facts in told.items()}

    def clocks(self, handoffs: Iterable[str]) -> dict[str, list[Clock]]:
        """Return the clocks of these handoffs, the one that started first at the head."""
        found: dict[str, list[Clock]] = {}
        for row in _find_clocks.find(self.connection, [(handoff,) for handoff in handoffs]):
            clock = clock_of(row)
            found.setdefault(clock.handoff, []).append(clock)
        for clocks in found.values():
            clocks.sort(key=lambda each: (each.start_time, each.id))
        return found

    def accords(self, tenants: Iterable[str]) -> dict[str, list[Accord]]:
        """Return every agreement version that was put in force, by tenant, in the tenant's order."""
        return {tenant: self._archive.accords(self.connection, tenant) for tenant in tenants}

    def measure(self, version: str) -> Measure:
        """Return what clocks under an agreement version are decided by, teams' own calendars included."""
        known = self._measures.get(version)
        if known is None:
            known = self._measures[version] = self._measure(self._archive.measure(self.connection, version))
        return known

    def _measure(self, plain: Measure) -> Measure:
        tenant = plain.calendar.tenant
        if tenant not in self._rotas:
            self._rotas[tenant] = rota_of(self.connection, tenant)
        rota = self._rotas[tenant]
        if not rota.by_holder:
            return plain
        return replace(plain, calendars=rota.with_teams(plain.calendar, self._calendar))

    def _calendar(self, version: str) -> MadeCalendar:
        made = self._archive.calendar(self.connection, version)
        assert made is not None, version  # noqa: S101 - looked up before it was given to anybody
        return made

    def calendar_exists(self, tenant: str, version: str) -> bool:
        """Tell whether a tenant has a calendar version of this name."""
        calendar = self._archive.calendar(self.connection, version)
        return calendar is not None and calendar.tenant == tenant

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
        clock = change.clock
        if before is None:
            self._begun.append(clock)
        else:
            self._moved.append((before, clock))
        for happening in change.happenings:
            self._say(clock, happening, cause)

    def open_alert(self, alert: Alert, measure: Measure) -> None:
        """Keep a new alert, and send it."""
        self._opened.append(alert)
        step = measure.terms.step(alert.commitment_id, alert.rung_id)
        self._reach(alert, step.delivery if step else Delivery.IN_HOURS)
        self._alert_said(alert, SELF)
        self._send(alert, measure, alert.message_id, OPENED)

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

    def put_off_alert(self, alert: Alert, measure: Measure, *, actor: str) -> None:
        """Keep that an alert is put off, and have its people reminded once that is over."""
        self.change_alert(alert, actor=actor)
        drop_notices(self.connection, alert)
        step = measure.terms.step(alert.commitment_id, alert.rung_id)
        self._reach(alert, step.delivery if step else Delivery.IN_HOURS)

    def _reach(self, alert: Alert, delivery: Delivery) -> None:
        planned = self._to_reach.setdefault(alert.tenant, [])
        # Put off twice in one transaction: the last word counts.
        planned[:] = [each for each in planned if each[0].id != alert.id]
        planned.append((alert, delivery))

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
        _add_alerts.insert(connection, [tuple(alert_values(alert).values()) for alert in self._opened])
        _change_alerts.update(connection, [_alert_change(alert) for alert in self._changed.values()])
        for tenant, alerts in self._to_reach.items():
            plan_notices(connection, tenant, alerts, now=self.now)
        self.tallies.flush(connection)
        append(connection, self._events, now=self.now)
        enqueue(connection, schema.delivery_tables, self._messages, now=self.now)

    def _flush_moved(self) -> None:
        """Compare and set: a row that moved on since it was read is not matched."""
        rows = []
        for before, after in self._moved:
            values = clock_values(after)
            changed = [values[name] for name in CLOCK_CHANGES]
            # Whatever kept it in quarantine has been got over.
            rows.append((before.id, before.generation, *changed, 0, None))
        if _change_clocks.update(self.connection, rows) != len(rows):
            raise ClockMoved

    def _say(self, clock: Clock, happening: Happening, cause: Cause | None) -> None:
        cycle = getattr(happening, "cycle", clock.cycle)
        key = once_key(happening)
        if key:
            self._said.append((clock.id, cycle, key))
        self.tallies.count(clock, happening)
        self._events.append(
            NewEvent(
                tenant=f"tenants/{clock.tenant}",
                subject=clock.name,
                occur_time=happening.occur_time,
                actor=SELF,
                payload=happening_message(clock, happening),
                cause=cause,
            )
        )

    def _alert_said(self, alert: Alert, actor: str) -> None:
        payload = alert_changed(alert)
        self.say(alert.tenant, alert.name, payload, actor=actor)

    def _send(self, alert: Alert, measure: Measure, message_id: str, event_type: str) -> None:
        calendar = measure.calendar
        late = measure.openings.between(alert.due_time, self.now)
        self._messages.append(
            NewMessage(
                tenant=alert.tenant,
                message_id=message_id,
                event_type=event_type,
                payload_json=alert_json(
                    alert, calendar.calendar, late=BusinessTime(late.microseconds), at=self.now
                ),
            )
        )


_change_clocks: Final = UpdateRows(
    schema.clock,
    key=["id", "generation"],
    columns=[*CLOCK_CHANGES, "attempts", "quarantine_time"],
)


def once_key(happening: Happening) -> str:
    """Name what can be said once in a cycle; empty for what can be said again."""
    rung = getattr(happening, "rung", "")
    kind = type(happening).__name__
    if kind in {"ClockPaused", "ClockResumed", "ClockReassigned"}:
        return ""
    return f"{kind}:{rung}" if rung else kind


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
