"""Tell people: gather what waits for somebody, write one message of it, and put that in the queue.

What waits lies in the database, so a restart at any instant tells it neither twice nor not at all: notices
leave in the transaction in which their message joins the queue.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.sla.domain.agreement import TimeBasis
from services.sla.domain.alert import Alert, AlertState, Staff
from services.sla.domain.notice import Channel, ChannelWay
from services.sla.store.alerts import version_of
from services.sla.store.archive import Archive
from services.sla.store.calendars import newest_calendar
from services.sla.store.notices import (
    Told,
    Waiting,
    find_channel,
    next_ready,
    put_off_notices,
    ready_groups,
    take_notices,
)
from services.sla.store.schema import delivery_tables
from services.sla.store.staff import staff_of
from services.sla.usecases.waking import take_turns
from services.sla.wire.notices import MOST_NAMED, TYPE, Item, Place, notice_json, subject_of, text_of
from smarketing.businesstime import BusinessTime
from smarketing.delivery import NewMessage, enqueue, mail_payload
from smarketing.names import CALENDAR
from smarketing.sql import Connection, StorageError, Writer

_log = structlog.get_logger(__name__)

_REST_SECONDS: Final = 0.02
_LONGEST_SLEEP_SECONDS: Final = 30.0
_MESSAGES_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How people are told."""

    window: timedelta = timedelta(seconds=60)
    """How long what may be told waits for more, so that a bad morning is one message."""
    link_base: str = ""
    """What stands before a handoff's name in links: where the installation is reached."""


class Notifier:
    """Turns what waits into messages, woken by commits and driven by the next instant."""

    def __init__(
        self,
        writer: Writer,
        archive: Archive,
        *,
        telling: Telling,
        now: Callable[[], datetime],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._archive = archive
        self._telling = telling
        self._now = now
        self._succeeded = succeeded

    async def run(self) -> None:
        """Tell until cancelled."""
        await take_turns(self._writer, self._turn, rest_seconds=_REST_SECONDS)

    async def tell_due(self) -> int:
        """Queue everything that is due now; return how many messages that made."""
        total = 0
        while True:
            due, _ = await self._writer.read(self._look)
            if not due:
                return total
            (made,) = await self._writer.run(self._unit, [None])
            total += made

    def _look(self, connection: Connection) -> tuple[list[Waiting], datetime | None]:
        now = self._now()
        due, later = ready_groups(connection, now=now, window=self._telling.window, limit=_MESSAGES_AT_ONCE)
        coming = (later, next_ready(connection, after=now))
        return due, min((each for each in coming if each is not None), default=None)

    async def _turn(self) -> float:
        try:
            await self.tell_due()
            _, following = await self._writer.read(self._look)
        except StorageError as error:
            _log.warning("notices_not_told", problem=str(error))
            return 1.0
        self._succeeded()
        if following is None:
            return _LONGEST_SLEEP_SECONDS
        return min(max((following - self._now()).total_seconds(), 0.0), _LONGEST_SLEEP_SECONDS)

    def _unit(self, connection: Connection, requests: Sequence[None], now: datetime) -> list[int]:
        made = tell_batch(connection, self._archive, self._telling, now=now)
        return [made] * len(requests)


def tell_batch(connection: Connection, archive: Archive, telling: Telling, *, now: datetime) -> int:
    """Queue the messages that are due, in one transaction; return how many."""
    due, _ = ready_groups(connection, now=now, window=telling.window, limit=_MESSAGES_AT_ONCE)
    messages = [_message(connection, archive, telling, waiting, now) for waiting in due]
    made = [message for message in messages if message is not None]
    enqueue(connection, delivery_tables, made, now=now)
    return len(made)


def _message(
    connection: Connection, archive: Archive, telling: Telling, waiting: Waiting, now: datetime
) -> NewMessage | None:
    """Take what waits for somebody and write it down; None when nothing of it is to be told any more."""
    taken = take_notices(connection, waiting, now=now, limit=MOST_NAMED)
    channel = find_channel(connection, waiting.tenant, waiting.person, waiting.way)
    put_off = [told for told in taken if _is_put_off(told.alert, now)]
    put_off_notices(connection, put_off)
    told = [each for each in taken if each.alert.state is not AlertState.RESOLVED and each not in put_off]
    if channel is None or not told:
        return None
    staff = staff_of(connection, waiting.tenant)
    items = [_item(connection, archive, channel, each, staff=staff, now=now) for each in told]
    return NewMessage(
        tenant=waiting.tenant,
        message_id=_message_id(waiting, told),
        event_type=TYPE,
        payload_json=_payload(channel, items, telling, now),
        endpoints=frozenset({channel.endpoint_id}),
    )


def _is_put_off(alert: Alert, now: datetime) -> bool:
    return alert.snooze_until_time is not None and alert.snooze_until_time > now


def _message_id(waiting: Waiting, told: Sequence[Told]) -> str:
    """Name a message after what it tells whom: the same, made again, has the same name."""
    parts = [waiting.tenant, waiting.person, waiting.way.value]
    parts += sorted(f"{each.alert.id}/{each.notice.round}" for each in told)
    return f"notice-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:32]}"


def _payload(channel: Channel, items: Sequence[Item], telling: Telling, now: datetime) -> bytes:
    base = telling.link_base.rstrip("/")
    if channel.way is ChannelWay.WEBHOOK:
        return notice_json(items, channel.language, person=channel.person, at=now, link_base=base)
    return mail_payload(
        subject_of(items, channel.language, at=now),
        text_of(items, channel.language, at=now, link_base=base),
        language=channel.language.value,
        now=now,
    )


def _item(
    connection: Connection, archive: Archive, channel: Channel, told: Told, *, staff: Staff, now: datetime
) -> Item:
    alert = told.alert
    measure = archive.measure(connection, version_of(connection, alert))
    promise = None if alert.topic is not None else measure.terms.promise(alert.commitment_id)
    in_business_time = promise is not None and promise.basis is TimeBasis.BUSINESS
    if in_business_time:
        late = measure.calendars.default[0].openings.between(alert.due_time, now)
    else:
        late = BusinessTime((now - alert.due_time) // timedelta(microseconds=1))
    return Item(
        alert=alert,
        kind=promise.kind.value if promise is not None and promise.kind else "",
        place=_place(alert, told.notice.instead_of or channel.person, staff),
        late=late,
        in_business_time=in_business_time,
        zone=_zone_of(connection, channel) or measure.calendar.calendar.zone,
        instead_of=told.notice.instead_of,
    )


def _zone_of(connection: Connection, channel: Channel) -> str:
    if not channel.calendar:
        return ""
    tenant, calendar = CALENDAR.parse(channel.calendar)
    newest = newest_calendar(connection, tenant, calendar)
    return "" if newest is None else newest.calendar.zone


def _place(alert: Alert, person: str, staff: Staff) -> Place:
    if person == alert.owner:
        return Place.OWNER
    if person in {staff.managers.get(alert.owner), staff.managers.get(alert.team)}:
        return Place.MANAGER
    return Place.LEADERSHIP if person in staff.leadership else Place.OTHER_PARTY
