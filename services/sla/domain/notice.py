"""Reaching people with alerts: by which ways, in which hours, and who covers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from services.sla.domain.agreement import Delivery
from services.sla.domain.alert import Alert
from smarketing.businesstime import BusinessTime, CalendarNeverOpens, Openings

_LEAST = BusinessTime(1)
_MOST_TURNS = 100


class ChannelWay(Enum):
    """By which way a person is told; the value ends the channel's name."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    CHAT = "chat"


class Language(Enum):
    """In which language."""

    ENGLISH = "en"
    KOREAN = "ko"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to a person, without the address."""

    tenant: str
    person: str
    """Resource name."""
    way: ChannelWay
    endpoint_id: str
    language: Language = Language.ENGLISH
    calendar: str = ""
    """Resource name of the calendar of their hours; empty for any hour."""
    cover: str = ""
    """Resource name of who is told outside those hours; empty for nobody."""
    update_time: datetime

    @property
    def name(self) -> str:
        """`tenants/{tenant}/people/{person}/alertChannels/{way}`."""
        return f"{self.person}/alertChannels/{self.way.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When somebody can be told: their calendar's open time, less their leave."""

    openings: Openings | None = None
    leave: Sequence[tuple[datetime, datetime]] = ()

    def next_opening(self, at: datetime) -> datetime:
        """Return `at` when it is inside, else the next instant that is.

        A calendar that never opens again holds nothing back: better told at night than never.
        """
        for _ in range(_MOST_TURNS):
            found = self._after_leave(self._opening(at))
            if found == at:
                break
            at = found
        return at

    def _opening(self, at: datetime) -> datetime:
        if self.openings is None or self.openings.is_open(at):
            return at
        try:
            return self.openings.add(at, _LEAST) - timedelta(microseconds=1)
        except CalendarNeverOpens:
            return at

    def _after_leave(self, at: datetime) -> datetime:
        return next((end for start, end in self.leave if start <= at < end), at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An alert that is still to reach a person by a way; not before `ready_time`."""

    tenant: str
    person: str
    way: ChannelWay
    alert: str
    """Its id."""
    round: int
    ready_time: datetime
    is_urgent: bool = False
    """Does not wait for others to join it."""
    instead_of: str = ""
    """The person whose place it is, where this one covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The ways to some people, with the hours of each."""

    channels: Mapping[str, Sequence[Channel]] = field(default_factory=dict)
    """Person → ways."""
    hours: Mapping[str, Hours] = field(default_factory=dict)
    """Name of the way → hours."""

    def notices(self, alert: Alert, delivery: Delivery, *, at: datetime) -> list[Notice]:
        """Return whom to reach with an alert, each person and way once; `at` is when it may first be told."""
        found: dict[tuple[str, ChannelWay], Notice] = {}
        for person in alert.recipients:
            for channel in self.channels.get(person, ()):
                for notice in self._by(channel, alert, delivery, at):
                    # Who is told for themselves and as cover is told for themselves.
                    key = (notice.person, notice.way)
                    if key not in found or not notice.instead_of:
                        found[key] = notice
        return list(found.values())

    def _by(self, channel: Channel, alert: Alert, delivery: Delivery, at: datetime) -> Iterable[Notice]:
        if delivery is Delivery.AT_ONCE:
            yield _notice(channel, alert, at, is_urgent=True)
            return
        ready = self.hours[channel.name].next_opening(at)
        if delivery is Delivery.COVER and ready > at:
            covers = [each for each in self.channels.get(channel.cover, ()) if self._is_open(each, at)]
            if covers:
                yield from (_notice(each, alert, at, instead_of=channel.person) for each in covers)
                return
        yield _notice(channel, alert, ready)

    def _is_open(self, channel: Channel, at: datetime) -> bool:
        return self.hours[channel.name].next_opening(at) == at


def _notice(
    channel: Channel, alert: Alert, ready: datetime, *, is_urgent: bool = False, instead_of: str = ""
) -> Notice:
    return Notice(
        tenant=alert.tenant,
        person=channel.person,
        way=channel.way,
        alert=alert.id,
        round=alert.revision,
        ready_time=ready,
        is_urgent=is_urgent,
        instead_of=instead_of,
    )
