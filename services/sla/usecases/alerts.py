"""Deal with alerts by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.alert import Alert, ResolveReason
from services.sla.domain.refused import AlertUnknown, NotYours, Refused
from services.sla.store.alerts import find_alert, version_of
from services.sla.store.tx import SlaTx


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAlert:
    """Somebody says something of an alert; `only_for` is the one person the caller may speak for."""

    name: str
    actor: str
    only_for: str | None


def acknowledge(tx: SlaTx, requests: Sequence[OnAlert], *, now: datetime) -> list[Alert | Exception]:
    """Return each alert as seen."""
    answers: list[Alert | Exception] = []
    for request in requests:
        try:
            alert = _mine(tx, request)
            seen = alert.acknowledge(by=request.actor, now=now)
        except Refused as refused:
            answers.append(refused)
            continue
        if seen is not alert:
            tx.change_alert(seen, actor=request.actor)
        answers.append(seen)
    return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Snooze(OnAlert):
    """Somebody puts an alert off."""

    until: datetime


def snooze(tx: SlaTx, requests: Sequence[Snooze], *, now: datetime) -> list[Alert | Exception]:  # noqa: ARG001 - a use case is given the instant
    """Return each alert as put off; its people are reminded when that is over."""
    answers: list[Alert | Exception] = []
    for request in requests:
        try:
            alert = _mine(tx, request)
            put_off = alert.snooze(request.until, by=request.actor)
        except Refused as refused:
            answers.append(refused)
            continue
        tx.put_off_alert(put_off, tx.measure(version_of(tx.connection, alert)), actor=request.actor)
        answers.append(put_off)
    return answers


def resolve(tx: SlaTx, requests: Sequence[OnAlert], *, now: datetime) -> list[Alert | Exception]:
    """Return each alert as dealt with."""
    answers: list[Alert | Exception] = []
    for request in requests:
        try:
            alert = _mine(tx, request)
            resolved = alert.resolve(ResolveReason.BY_HAND, by=request.actor, now=now)
        except Refused as refused:
            answers.append(refused)
            continue
        measure = tx.measure(version_of(tx.connection, alert))
        tx.change_alert(resolved, measure, actor=request.actor)
        answers.append(resolved)
    return answers


def _mine(tx: SlaTx, request: OnAlert) -> Alert:
    alert = tx.changed_alert(request.name) or find_alert(tx.connection, request.name)
    if alert is None:
        raise AlertUnknown(request.name)
    if request.only_for is not None and request.only_for not in {alert.owner, *alert.recipients}:
        raise NotYours(alert.name)
    return alert
