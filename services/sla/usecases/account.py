"""What is behind a clock: where the handoff's time went, and what each owner made of theirs."""

from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.account import Part, account
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.calendar import openings_of
from services.sla.domain.clock import ClockState
from services.sla.domain.recorded import Clock
from services.sla.domain.segments import Owners, OwnTime, Segment
from services.sla.store.archive import Archive
from services.sla.store.calendars import page_of_leave
from services.sla.store.planning import rota_of
from services.sla.store.tx import SlaTx
from smarketing.businesstime import Interval
from smarketing.sql import Connection

_MOST_LEAVE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What is behind a clock."""

    parts: tuple[Part, ...]
    segments: tuple[Segment, ...]


def behind(
    connection: Connection, archive: Archive, clock: Clock, state: ClockState, *, as_of: datetime
) -> Behind:
    """Return what is behind a clock as evaluated at an instant."""
    tx = SlaTx(connection, archive, now=as_of)
    measure = tx.measure(clock.agreement_version)
    timeline = tx.histories([clock.handoff])[clock.handoff].timeline
    calendars = tx.calendars_of(clock, timeline.facts)
    rota = rota_of(connection, clock.tenant)

    def made_calendar(version: str) -> MadeCalendar:
        made = tx.calendar(clock.tenant, version)
        assert made is not None, version  # noqa: S101 - looked up before it was given to anybody
        return made

    def own_time(person: str, team: str, at: datetime) -> OwnTime:
        parts = rota.calendars_of(person, team, measure.calendar, made_calendar)
        made = next(made for since, made in reversed(parts) if since <= at)
        away = page_of_leave(connection, clock.tenant, person, now=at, limit=_MOST_LEAVE, after=None)
        return OwnTime(
            openings=openings_of(made.calendar),
            away=[Interval(each.start_time, each.end_time) for each in away if each.cancel_time is None],
        )

    commitment = next(each for each in measure.agreement.commitments if each.id == clock.commitment_id)
    return Behind(
        parts=account(measure.agreement, calendars, timeline, state, as_of),
        segments=Owners(measure.agreement, commitment, calendars, timeline, own_time).segments(as_of),
    )
