"""Rows and domain values, each the other's inverse."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any, Final

from services.sla.domain.agreement import CommitmentKind, Grade, Party, TimeBasis
from services.sla.domain.alert import Alert, AlertState, ResolveReason, Topic
from services.sla.domain.condition import Attributes
from services.sla.domain.course import Outcome
from services.sla.domain.history import Told
from services.sla.domain.recorded import Clock
from services.sla.domain.timeline import Fact, FactKind
from services.sla.store import schema
from smarketing.businesstime import BusinessTime
from smarketing.sql import from_micros, to_micros

CLOCK_COLUMNS: Final = tuple(
    column.name for column in schema.clock.columns if column.name not in ("attempts", "quarantine_time")
)
CLOCK_CHANGES: Final = tuple(
    name
    for name in CLOCK_COLUMNS
    if name
    not in {
        "id",
        "tenant",
        "handoff",
        "agreement",
        "agreement_version",
        "calendar_version",
        "commitment_id",
        "kind",
        "basis",
        "parties",
        "historical",
        "silent",
        "origin",
    }
)
"""What changes over a clock's life; the rest is pinned when it starts."""
_changes: Final = itemgetter(*CLOCK_CHANGES)
# Members by value, without the ceremony of calling an Enum: a million clocks are read.
_KINDS: Final = {member.value: member for member in CommitmentKind}
_BASES: Final = {member.value: member for member in TimeBasis}
_OUTCOMES: Final = {member.value: member for member in Outcome}
_FACT_KINDS: Final = {member.value: member for member in FactKind}


def clock_values(clock: Clock) -> dict[str, Any]:
    """Return a clock's columns by name."""
    return {
        "id": clock.id,
        "tenant": clock.tenant,
        "handoff": clock.handoff,
        "agreement": clock.agreement,
        "agreement_version": clock.agreement_version,
        "calendar_version": clock.calendar_version,
        "commitment_id": clock.commitment_id,
        "kind": clock.kind.value,
        "basis": clock.basis.value,
        "parties": " ".join(party.value for party in clock.parties),
        "generation": clock.generation,
        "cycle": clock.cycle,
        "outcome": clock.outcome.value,
        "target": clock.target.microseconds,
        "start_time": clock.start_time,
        "original_due_time": clock.original_due_time,
        "due_time": clock.due_time,
        "stop_time": clock.stop_time,
        "end_time": clock.end_time,
        "breach_time": clock.breach_time,
        "detect_time": clock.detect_time,
        "elapsed": clock.elapsed.microseconds,
        "paused": clock.paused.microseconds,
        "owner": clock.owner,
        "team": clock.team,
        "fired": json.dumps(clock.fired) if clock.fired else "",
        "paused_at": _instants_text(clock.paused_at),
        "open_pauses": _instants_text(clock.open_pauses),
        "historical": int(clock.historical),
        "silent": int(clock.silent),
        "void_reason": clock.void_reason,
        "retractions": clock.retractions,
        "next_time": clock.next_time,
        "origin": clock.origin,
    }


def clock_changes(clock: Clock) -> tuple[Any, ...]:
    """Return what changes over a clock's life, in order of `CLOCK_CHANGES`."""
    changes: tuple[Any, ...] = _changes(clock_values(clock))
    return changes


def clock_of(row: Sequence[Any]) -> Clock:
    """Return the clock of a row of `CLOCK_COLUMNS`."""
    values = dict(zip(CLOCK_COLUMNS, row, strict=True))
    values["kind"] = _KINDS[values["kind"]]
    values["basis"] = _BASES[values["basis"]]
    values["parties"] = _parties(values["parties"])
    values["outcome"] = _OUTCOMES[values["outcome"]]
    for name in ("target", "elapsed", "paused"):
        values[name] = BusinessTime(values[name])
    values["fired"] = tuple(json.loads(values["fired"])) if values["fired"] else ()
    values["paused_at"] = _instants(values["paused_at"])
    values["open_pauses"] = _instants(values["open_pauses"])
    values["historical"] = bool(values["historical"])
    values["silent"] = bool(values["silent"])
    return Clock(**values)


@cache
def _parties(text: str) -> tuple[Party, ...]:
    return tuple(Party(party) for party in text.split())


def told_row(told: Told) -> tuple[Any, ...]:
    """Return the row of `schema.fact`."""
    fact = told.fact
    return (
        told.handoff,
        fact.position,
        fact.kind.value,
        fact.occur_time,
        fact.record_time,
        fact.person,
        fact.team,
        told.assignee or None,
        fact.grade.value if fact.grade else None,
        fact.reason,
        _attributes_text(fact.attributes),
        int(fact.is_history),
        int(fact.is_archived),
        fact.channel,
        int(fact.is_contact),
        fact.until,
        fact.source,
        fact.commitment,
        fact.about,
    )


def told_of_row(row: Sequence[Any]) -> Told:
    """Return the fact of a row of `schema.fact`."""
    handoff, position, kind, occur, record, person, team, assignee, grade, reason, attributes, *more = row
    is_history, is_archived, channel, is_contact, until, source, commitment, about = more
    fact = Fact(
        position=position,
        kind=_FACT_KINDS[kind],
        occur_time=occur,
        record_time=record,
        attributes=Attributes(**json.loads(attributes)) if attributes else None,
        person=person,
        team=team,
        grade=Grade(grade) if grade else None,
        reason=reason,
        is_history=bool(is_history),
        is_archived=bool(is_archived),
        channel=channel,
        is_contact=bool(is_contact),
        until=until,
        source=source,
        commitment=commitment,
        about=about,
    )
    return Told(handoff=handoff, fact=fact, assignee=assignee or "")


def alert_values(alert: Alert) -> dict[str, Any]:
    """Return an alert's columns by name."""
    return {
        "tenant": alert.tenant,
        "id": alert.id,
        "revision": alert.revision,
        "state": alert.state.value,
        "clock": alert.clock,
        "cycle": alert.cycle,
        "handoff": alert.handoff,
        "commitment_id": alert.commitment_id,
        "commitment_title": alert.commitment_title,
        "rung_id": alert.rung_id,
        "missed": int(alert.missed),
        "due_time": alert.due_time,
        "create_time": alert.create_time,
        "owner": alert.owner,
        "team": alert.team,
        "recipients": " ".join(alert.recipients),
        "acknowledged_by": alert.acknowledged_by,
        "acknowledge_time": alert.acknowledge_time,
        "resolved_by": alert.resolved_by,
        "resolve_time": alert.resolve_time,
        "resolve_reason": alert.resolve_reason.value if alert.resolve_reason else None,
        "snooze_until_time": alert.snooze_until_time,
        "snoozed_by": alert.snoozed_by,
        "topic": alert.topic.value if alert.topic else "",
        "agreement_version": alert.agreement_version,
    }


def alert_of(values: Mapping[str, Any]) -> Alert:
    """Return the alert of a row of `schema.alert`."""
    reason = values["resolve_reason"]
    return Alert(
        **{
            **values,
            "state": AlertState(values["state"]),
            "missed": bool(values["missed"]),
            "recipients": tuple(values["recipients"].split()),
            "resolve_reason": ResolveReason(reason) if reason else None,
            "topic": Topic(values["topic"]) if values["topic"] else None,
        }
    )


def _attributes_text(attributes: Attributes | None) -> str | None:
    if attributes is None:
        return None
    return json.dumps(
        {
            each.name: value
            for each in fields(attributes)
            if (value := getattr(attributes, each.name)) is not None
        }
    )


def _instants_text(instants: Sequence[datetime]) -> str:
    return " ".join(str(to_micros(each)) for each in instants)


def _instants(text: str) -> tuple[datetime, ...]:
    if not text:
        return ()
    return tuple(from_micros(int(each)) for each in text.split())
