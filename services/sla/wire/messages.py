"""What is sent to people: JSON in words that a manager understands, with ids and no personal data."""

from datetime import datetime

import orjson

from services.sla.domain.alert import Alert
from services.sla.domain.notice import Language
from services.sla.wire.calendars import zoned
from services.sla.wire.clocks import late_text
from services.sla.wire.topics import agreement_of, headline
from smarketing.businesstime import BusinessTime, Calendar

OPENED = "alert.opened"
RESOLVED = "alert.resolved"


def alert_json(alert: Alert, calendar: Calendar, *, late: BusinessTime, at: datetime) -> bytes:
    """Return the body of a message about an alert; `late` is the clock's own time from due to `at`."""
    due = zoned(alert.due_time, calendar)
    return orjson.dumps(
        {
            "type": RESOLVED if alert.resolve_reason else OPENED,
            "timestamp": at.isoformat(),
            "alert": alert.name,
            "text": _sentence(alert, due, late),
            "missed": alert.missed,
            "handoff": alert.handoff,
            "link": f"/{alert.handoff if alert.topic is None else agreement_of(alert)}",
            "topic": alert.topic.value if alert.topic else "CLOCK",
            "agreement_version": alert.agreement_version,
            "commitment": {"id": alert.commitment_id, "title": alert.commitment_title},
            "rung": alert.rung_id,
            "clock": alert.clock,
            "due_time": alert.due_time.isoformat(),
            "due_text": due,
            "late_seconds": max(late.microseconds, 0) // 1_000_000,
            "owner": alert.owner,
            "team": alert.team,
            "recipients": list(alert.recipients),
            "resolve_reason": alert.resolve_reason.value if alert.resolve_reason else None,
        }
    )


def _sentence(alert: Alert, due: str, late: BusinessTime) -> str:
    if alert.topic is not None:
        said = headline(alert, alert.topic, Language.ENGLISH)
        return f"{said} is dealt with." if alert.resolve_reason else f"{said}."
    what = alert.commitment_title or alert.commitment_id
    if alert.resolve_reason:
        return f"{what}, due {due}, is dealt with."
    if not alert.missed:
        return f"{what} is due {due}, in {late_text(late)} of its own time."
    return f"{what} was missed: it was due {due}, {late_text(late)} of its own time ago."
