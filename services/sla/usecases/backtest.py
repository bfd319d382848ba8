"""Live through a period once more under other terms: a walk over one snapshot, a few handoffs at a time.

A walk never writes, runs on a thread of its own, works in short steps with rests between them, and holds
totals and one page of differences, whatever the length of the log.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.sla.domain.almanac import MadeCalendar, require_opening
from services.sla.domain.backtest import (
    Comparison,
    Difference,
    Lives,
    Staffing,
    Supposed,
    Supposition,
    Totals,
    compare,
    first_of_kind,
    is_seen,
)
from services.sla.domain.fault import Fault
from services.sla.domain.history import History
from services.sla.domain.pins import without_pins
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import AgreementUnknown, CalendarUnknown
from services.sla.domain.relive import Relived, is_same_course, relive
from services.sla.domain.sight import Sight
from services.sla.domain.terms import BOTH, Terms
from services.sla.store.accords import find_accord
from services.sla.store.archive import Archive
from services.sla.store.backtests import Measures, count_handoffs, handoffs_after
from services.sla.store.tx import SlaTx
from services.sla.usecases.agreements import Propose, look
from smarketing.businesstime import BusinessTimeError, Calendar, tzdata_version
from smarketing.names import TEAM
from smarketing.sql import Connection, Database

SUPPOSED: Final = "backtest"
"""The id of what has no other: an agreement or a calendar that is only supposed."""
_STEP_HANDOFFS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be supposed of which period; names as the caller wrote them, empty for none."""

    tenant: str
    start: datetime
    end: datetime
    """Of `[start, end)`, in which the handoffs were submitted."""
    version: str = ""
    terms: Terms | None = None
    blanks: tuple[Fault, ...] = ()
    """What was found wrong when the terms were read."""
    agreement: str = ""
    """Id of the agreement in whose place `terms` stand; empty: the first of their kind."""
    calendar_version: str = ""
    calendar: Calendar | None = None
    team_calendars: tuple[tuple[str, str], ...] = ()
    """Team and calendar version."""
    staffing: tuple[Staffing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page of differences begins: at a handoff, behind so many of its differences."""

    handoff: str = ""
    given: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What one step of a walk brought."""

    done: int
    differences: tuple[Difference, ...]
    is_over: bool


@dataclass(slots=True)
class Walk:
    """One back-test. Every method is called by one thread at a time; `close` ends the snapshot.

    The first page goes through the whole period for its totals; a later one ends with its last difference.
    """

    database: Database
    archive: Archive
    question: Question
    now: datetime
    sight: Sight | None
    page: int
    """How many differences are wanted."""
    place: Place | None = None
    """Where a later page begins; None for the first."""
    total: int = 0
    next_place: Place | None = None
    """Where the next page begins; None while this one has room."""
    totals: Totals = field(default_factory=Totals)
    _stack: ExitStack = field(default_factory=ExitStack)
    _tx: SlaTx = field(init=False)
    _actual: Measures = field(init=False)
    _supposed: Measures = field(init=False)
    _after: str = ""
    _given: int = 0

    def open(self) -> None:
        """Begin the snapshot and look up everything that the question names.

        Raises:
            AgreementUnknown, CalendarUnknown: there is none of this name in the tenant.
            AgreementInvalid, CalendarClosed: what is supposed could not be agreed to.
        """
        connection = self._stack.enter_context(self.database.reading())
        self._tx = SlaTx(connection, self.archive, now=self.now)
        self._actual = Measures(self._tx, self.archive, self.question.tenant)
        supposition = _supposition(self._actual, connection, self.question, self.now)
        self._supposed = Measures(self._tx, self.archive, self.question.tenant, supposition)
        self.totals.sight = self.sight
        self.total = count_handoffs(connection, self.question.tenant, self.question.start, self.question.end)
        self._after = self.place.handoff if self.place else ""

    def step(self) -> Stretch:
        """Go on by a few handoffs."""
        question = self.question
        handoffs = handoffs_after(
            self._tx.connection,
            question.tenant,
            question.start,
            question.end,
            after=self._after,
            limit=_STEP_HANDOFFS,
        )
        histories, clocks = self._tx.histories(handoffs), self._tx.clocks(handoffs)
        found: list[Difference] = []
        for handoff in handoffs:
            comparison = self._compared(histories[handoff], clocks.get(handoff, []))
            if comparison is None:
                self.totals.undecided += 1
                self.totals.handoffs += 1
                continue
            self.totals.add(comparison)
            found += self._wanted(handoff, comparison)
        if handoffs:
            # The least name behind the last one; a NUL would be less, but PostgreSQL has none in texts.
            self._after = handoffs[-1] + "\1"
        is_over = len(handoffs) < _STEP_HANDOFFS or (self.place is not None and self.next_place is not None)
        return Stretch(done=self.totals.handoffs, differences=tuple(found), is_over=is_over)

    def close(self) -> None:
        """End the snapshot."""
        self._stack.close()

    def _wanted(self, handoff: str, comparison: Comparison) -> Sequence[Difference]:
        if self.next_place is not None:
            return ()
        seen = [each for each in comparison.differences if _is_shown(each, self.sight)]
        skipped = self.place.given if self.place and self.place.handoff == handoff else 0
        room = self.page - self._given
        given = seen[skipped : skipped + room]
        self._given += len(given)
        if skipped + len(given) < len(seen):
            self.next_place = Place(handoff=handoff, given=skipped + len(given))
        return given

    def _compared(self, history: History, recorded: Sequence[Clock]) -> Comparison | None:
        """Return None for a handoff whose instants cannot be worked out: live, it is quarantined."""
        actual, supposed = self._actual, self._supposed
        try:
            was = relive(history, actual.accords, actual.measuring, as_of=self.now)
            would = was
            if not supposed.supposition.decides_as_it_was:
                would = relive(without_pins(history), supposed.accords, supposed.measuring, as_of=self.now)
        except BusinessTimeError:
            return None
        for clock in recorded:
            actual.ask(clock.agreement_version)
        return compare(
            Lives(history=history, recorded=recorded, actual=was, supposed=would),
            actual_terms=actual.terms,
            supposed_terms={**actual.terms, **supposed.terms},
            staffing=supposed.supposition.staffing,
            is_reproduced=_is_reproduced(recorded, was),
        )


def _is_reproduced(recorded: Sequence[Clock], was: Relived) -> bool:
    known = {clock.id: clock for clock in recorded}
    if known.keys() != {clock.id for clock in was.clocks}:
        return False
    return all(is_same_course(known[clock.id], clock) for clock in was.clocks)


def _is_shown(difference: Difference, sight: Sight | None) -> bool:
    fates = (difference.happened, difference.would)
    return any(fate is not None and is_seen(fate.clock, sight) for fate in fates)


def _supposition(actual: Measures, connection: Connection, question: Question, now: datetime) -> Supposition:
    calendar = None
    if question.calendar is not None:
        require_opening(question.calendar, now=now)
        calendar = _unnamed(question, question.calendar, now)
    elif question.calendar_version:
        calendar = _calendar(actual, question.calendar_version)
    return Supposition(
        terms=_terms(actual, connection, question, now),
        calendar=calendar,
        team_calendars={
            TEAM.build(*TEAM.parse(team, field="team_calendars.team")): _calendar(actual, version)
            for team, version in question.team_calendars
        },
        staffing=question.staffing,
    )


def _terms(actual: Measures, connection: Connection, question: Question, now: datetime) -> Supposed | None:
    if question.version:
        accord = find_accord(connection, question.version)
        if accord is None or accord.tenant != question.tenant:
            raise AgreementUnknown(question.version)
        return Supposed(agreement=accord.agreement, number=accord.number, terms=accord.terms)
    if question.terms is None:
        return None
    agreement = question.agreement or first_of_kind(actual.accords, question.terms.kind) or SUPPOSED
    # What could not be proposed cannot be supposed, and days are durations as they would be then.
    proposal = Propose(
        tenant=question.tenant,
        agreement=agreement,
        terms=question.terms,
        principal="",
        parties=BOTH,
        blanks=question.blanks,
    )
    would_be = look(actual.tx, proposal, now=now)
    # No version has the number 0, so that nothing on record is taken for what is only supposed.
    return Supposed(agreement=agreement, number=would_be.number, terms=would_be.terms)


def _calendar(actual: Measures, name: str) -> MadeCalendar:
    found = actual.archive.calendar(actual.tx.connection, name)
    if found is None or found.tenant != actual.tenant:
        raise CalendarUnknown(name)
    return found


def _unnamed(question: Question, calendar: Calendar, now: datetime) -> MadeCalendar:
    return MadeCalendar(
        tenant=question.tenant,
        id=SUPPOSED,
        number=0,
        title="",
        calendar=calendar,
        create_time=now,
        tzdata_version=tzdata_version(),
    )
