"""Alerts that are of no clock: made and dealt with in the transaction that finds them."""

from collections.abc import Collection
from datetime import datetime

from services.sla.domain.agreement import Delivery
from services.sla.domain.alert import Alert, ResolveReason, Topic, alert_id
from services.sla.store.alerts import open_alerts_of
from services.sla.store.rows import alert_values
from services.sla.store.said import Opened
from services.sla.store.tx import SlaTx
from services.sla.wire.changes import NewAlert
from smarketing.names import AGREEMENT, AGREEMENT_VERSION

__all__ = ["open_topic", "resolve_topics"]


def open_topic(
    tx: SlaTx,
    topic: Topic,
    *,
    version: str,
    commitment_id: str,
    title: str,
    about: str,
    due: datetime,
    recipients: tuple[str, ...],
) -> None:
    """Tell people of something that is of no clock; `about` is what of the promise it is, and `due` when.

    Told once for each instant at which it is found: whoever calls keeps what it has told, in the same
    transaction.
    """
    tenant, agreement, _ = AGREEMENT_VERSION.parse(version)
    subject = f"{AGREEMENT.build(tenant, agreement)} {topic.value} {commitment_id} {tx.now.isoformat()}"
    alert = Alert(
        tenant=tenant,
        id=alert_id(subject, 0, about),
        clock="",
        cycle=0,
        handoff="",
        commitment_id=commitment_id,
        commitment_title=title,
        rung_id=about,
        missed=topic in {Topic.BUDGET_EXHAUSTED, Topic.PERIOD_MISSED},
        due_time=due,
        create_time=tx.now,
        owner="",
        team="",
        recipients=recipients,
        topic=topic,
        agreement_version=version,
    )
    row = tuple(alert_values(alert).values())
    tx.open_alert(Opened(alert, tx.measure(version), Delivery.IN_HOURS, row, NewAlert(alert)))


def resolve_topics(
    tx: SlaTx, topics: Collection[Topic], *, agreement: str, commitment_id: str, about: str = ""
) -> None:
    """Deal with what is open of these topics, because what it tells is over; `about` empty: all of it."""
    tenant, _ = AGREEMENT.parse(agreement)
    for alert in open_alerts_of(tx.connection, tenant, topics, commitment_id):
        is_of_it = alert.agreement_version.startswith(f"{agreement}/versions/")
        if is_of_it and alert.rung_id == (about or alert.rung_id):
            resolved = alert.resolve(ResolveReason.RETRACTED, by="", now=tx.now)
            tx.change_alert(resolved, tx.measure(alert.agreement_version))
