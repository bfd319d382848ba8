"""Clocks that are to count by a newer version of their calendar.

A year's holidays were looked through, until which their due instants were provisional; or the rules of the
calendar's zone are others.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from services.sla.domain.accord import Accord
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.history import Told
from services.sla.domain.holidays import HolidayReview
from services.sla.domain.pins import Pin
from services.sla.domain.reassess import ends_elsewhere_by, measured_by
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import StateForbids
from services.sla.store.archive import Archive
from services.sla.store.clocks import find_clock
from services.sla.store.moves import ANY_YEAR, CalendarMove, clocks_behind, end_move, find_move, put_move
from services.sla.store.planning import last_reviewed_year
from services.sla.store.repinning import repin
from services.sla.store.tx import ClockMoved, SlaTx
from services.sla.usecases.reassess import say_reassessed, told_of_pin
from services.sla.usecases.settle import record
from smarketing.businesstime import load_zone
from smarketing.names import CALENDAR_VERSION
from smarketing.sql import Connection


def begin_move(tx: SlaTx, review: HolidayReview, made: MadeCalendar, *, actor: str) -> None:
    """Have the clocks moved whose due instant was provisional until this year was looked through.

    Call it before the review is kept as in force. A year that was looked through before moves no clock.
    """
    last = last_reviewed_year(tx.connection, review.tenant, review.calendar)
    if last is not None and review.year <= last:
        return
    year = datetime.combine(date(review.year, 1, 1), time(), load_zone(made.calendar.zone).info)
    move = CalendarMove(
        tenant=review.tenant,
        calendar=review.calendar,
        year=review.year,
        calendar_version=made.name,
        principal=actor,
        after_due_time=year.astimezone(UTC),
    )
    put_move(tx.connection, move)


def move_batch(connection: Connection, archive: Archive, limit: int, *, now: datetime) -> int | None:
    """Move the next clocks of a year; return how many were looked at, None when no year is left."""
    move = find_move(connection)
    if move is None:
        return None
    clocks = clocks_behind(connection, move, limit=limit)
    if clocks:
        put_move(connection, move.behind(clocks[-1]))
        _move(SlaTx(connection, archive, now=now), move, [each for each in clocks if _is_meant(each, move)])
    else:
        end_move(connection, move)
    return len(clocks)


def _is_meant(clock: Clock, move: CalendarMove) -> bool:
    """Tell whether a clock counts by an older version of the calendar."""
    tenant, calendar, number = CALENDAR_VERSION.parse(clock.calendar_version)
    _, _, newer = CALENDAR_VERSION.parse(move.calendar_version)
    return (tenant, calendar) == (move.tenant, move.calendar) and int(number) < int(newer)


def _counts_equally(tx: SlaTx, clock: Clock, made: MadeCalendar) -> bool:
    """Tell whether a clock's own version has the same hours and days: newer ones bind newer clocks alone."""
    own = tx.calendar(clock.tenant, clock.calendar_version)
    return own is not None and own.calendar == made.calendar


def _move(tx: SlaTx, move: CalendarMove, clocks: Sequence[Clock]) -> None:
    made = tx.calendar(move.tenant, move.calendar_version)
    assert made is not None, move.calendar_version  # noqa: S101 - the review made it
    accords = {each.name: each for each in tx.accords([move.tenant])[move.tenant]}
    histories = tx.histories({clock.handoff for clock in clocks})
    moved: list[Clock] = []
    told: list[Told] = []
    for clock in clocks:
        accord: Accord = accords[clock.agreement_version]
        _, agreement, _ = tx.measuring(accord.name)
        history = histories[clock.handoff]
        if move.year == ANY_YEAR and not (
            _counts_equally(tx, clock, made)
            and ends_elsewhere_by(clock, agreement, made.pinned(), history, now=tx.now)
        ):
            continue
        try:
            pinned = measured_by(clock, accord, agreement, made.pinned(), history)
        except StateForbids:
            # Nothing starts it any more; the next fact about its handoff says what becomes of it.
            continue
        if not repin(tx.connection, pinned):
            raise ClockMoved
        fact = told_of_pin(history, clock, Pin(accord.name, made.name), actor=move.principal, now=tx.now)
        histories[clock.handoff], _ = history.joined([fact])
        moved.append(clock)
        told.append(fact)
    record(tx, told, as_of=tx.now, causes={})
    tx.flush()
    for clock in moved:
        after = find_clock(tx.connection, clock.name)
        assert after is not None, clock.name  # noqa: S101 - it was read in this transaction
        say_reassessed(tx, after, clock, actor=move.principal)
