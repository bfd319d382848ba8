"""Tell marketing's managers how their period goes: its pace leaves its band, or a promise was missed."""

from services.sla.domain.alert import Topic
from services.sla.domain.period import Pace, Verdict
from services.sla.domain.period_promises import PeriodPromise
from services.sla.store.periods import PeriodRow
from services.sla.store.topic_alerts import open_topic, resolve_topics
from services.sla.store.tx import SlaTx
from smarketing.names import AGREEMENT

__all__ = ["tell_of_period"]

_PACES = {Pace.BEHIND: Topic.PACE_BEHIND, Pace.AHEAD: Topic.PACE_AHEAD}


def tell_of_period(tx: SlaTx, before: PeriodRow, after: PeriodRow, *, is_whole: bool) -> None:
    """Alert of what changed, and deal with what was told and is over."""
    if after.pace is not before.pace:
        _resolve(tx, after, tuple(_PACES.values()), PeriodPromise.VALUE.value)
        topic = _PACES.get(after.pace) if after.pace else None
        if topic is not None and is_whole:
            _open(tx, after, topic, PeriodPromise.VALUE.value)
    was, now = _verdicts(before), _verdicts(after)
    for promise, verdict in now.items():
        if verdict is was.get(promise):
            continue
        if verdict is Verdict.BREACHED:
            _open(tx, after, Topic.PERIOD_MISSED, promise)
        elif was.get(promise) is Verdict.BREACHED:
            _resolve(tx, after, (Topic.PERIOD_MISSED,), promise)


def _verdicts(row: PeriodRow) -> dict[str, Verdict]:
    return {PeriodPromise.VALUE.value: row.verdict, **row.verdicts}


def _open(tx: SlaTx, row: PeriodRow, topic: Topic, promise: str) -> None:
    open_topic(
        tx,
        topic,
        version=row.agreement_version,
        commitment_id=promise.lower(),
        title=tx.measure(row.agreement_version).terms.title,
        about=row.period.id,
        due=row.period.end_time,
        recipients=tuple(sorted(tx.staff(row.key.tenant).marketing_managers)),
    )


def _resolve(tx: SlaTx, row: PeriodRow, topics: tuple[Topic, ...], promise: str) -> None:
    agreement = AGREEMENT.build(row.key.tenant, row.key.agreement)
    resolve_topics(tx, topics, agreement=agreement, commitment_id=promise.lower(), about=row.period.id)
