"""A build with a newer edition of the zone rules: clocks that it would end at another instant say so."""

from dataclasses import replace
from datetime import datetime

from services.sla.domain.almanac import MadeCalendar
from services.sla.store.archive import Archive
from services.sla.store.calendars import add_calendar, calendars_of_older_editions
from services.sla.store.moves import ANY_YEAR, CalendarMove, put_move
from services.sla.store.said import SELF
from services.sla.store.tx import SlaTx
from services.sla.wire.changes import calendar_created
from smarketing.businesstime import tzdata_version
from smarketing.sql import Connection


def recast_batch(connection: Connection, archive: Archive, limit: int, *, now: datetime) -> int | None:
    """Make versions by the present rules where the newest is of older ones; None when all are.

    Equal in everything else, so that the log and whoever asks can tell by which rules a clock counts.
    Their undecided clocks that are due at another instant by these rules are moved to it next.
    """
    found = calendars_of_older_editions(connection, tzdata_version(), limit=limit)
    if not found:
        return None
    tx = SlaTx(connection, archive, now=now)
    for newest in found:
        made = replace(newest, number=newest.number + 1, create_time=now, tzdata_version=tzdata_version())
        add_calendar(connection, made)
        tx.say(made.tenant, made.name, calendar_created(made))
        put_move(connection, _move_to(made, now))
    tx.flush()
    return len(found)


def _move_to(made: MadeCalendar, now: datetime) -> CalendarMove:
    return CalendarMove(
        tenant=made.tenant,
        calendar=made.id,
        year=ANY_YEAR,
        calendar_version=made.name,
        principal=SELF,
        after_due_time=now,
    )
