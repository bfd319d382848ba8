"""Set and remove the ways by which people are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.notice import Channel, ChannelWay
from services.sla.domain.refused import AlertChannelUnknown, CalendarUnknown, NotYours, Refused
from services.sla.store.calendars import newest_calendar
from services.sla.store.notices import find_channel, put_channel, remove_channel
from services.sla.store.tx import SlaTx
from smarketing.delivery import Sealer
from smarketing.names import CALENDAR


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChannel:
    """Somebody is to be told this way; `only_for` is the one person the caller may speak for."""

    channel: Channel
    address: str
    only_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveChannel:
    """Somebody is no longer to be told this way."""

    tenant: str
    person: str
    way: ChannelWay
    only_for: str | None


def set_channels(
    tx: SlaTx, requests: Sequence[SetChannel], *, now: datetime, sealer: Sealer
) -> list[Channel | Exception]:
    """Return each way as it is now. Nothing of it goes to the log: addresses are personal data."""
    kept: list[Channel | Exception] = []
    for request in requests:
        try:
            _may_speak(request.only_for, request.channel.person)
            _require_calendar(tx, request.channel.calendar)
        except Refused as refused:
            kept.append(refused)
            continue
        kept.append(put_channel(tx.connection, request.channel, request.address, sealer=sealer, now=now))
    return kept


def remove_channels(
    tx: SlaTx, requests: Sequence[RemoveChannel], *, now: datetime
) -> list[Channel | Exception]:
    """Return each way as it was."""
    removed: list[Channel | Exception] = []
    for request in requests:
        try:
            _may_speak(request.only_for, request.person)
            channel = find_channel(tx.connection, request.tenant, request.person, request.way)
            if channel is None:
                raise AlertChannelUnknown(f"{request.person}/alertChannels/{request.way.value}")
        except Refused as refused:
            removed.append(refused)
            continue
        remove_channel(tx.connection, channel, now=now)
        removed.append(channel)
    return removed


def _may_speak(only_for: str | None, person: str) -> None:
    if only_for is not None and only_for != person:
        raise NotYours(person)


def _require_calendar(tx: SlaTx, calendar: str) -> None:
    if calendar and newest_calendar(tx.connection, *CALENDAR.parse(calendar)) is None:
        raise CalendarUnknown(calendar)
