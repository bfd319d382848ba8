"""Where a handoff's time went: every moment from its inquiry on, whose it was, and what shows that.

Source lag is marketing's, routing the system's, offered and owner idle are sales', a pause is whose its
reason says, and closed hours are nobody's. What comes after the end of the clock that is explained is
nobody's either: nothing that it measures was owed any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from itertools import pairwise
from typing import Final

from services.sla.domain.agreement import AgreementVersion, CommitmentKind, Party, PauseReason
from services.sla.domain.calendar import WALL, Calendars, CalendarVersion
from services.sla.domain.clock import ClockState, standing_facts
from services.sla.domain.course import IntervalKind
from services.sla.domain.timeline import Fact, FactKind, Timeline, with_implied_acceptance
from smarketing.businesstime import from_us, to_us


class PartKind(Enum):
    """What a stretch of a handoff's time was."""

    SOURCE_LAG = "SOURCE_LAG"
    ROUTING = "ROUTING"
    OFFERED = "OFFERED"
    OWNER_IDLE = "OWNER_IDLE"
    PAUSED = "PAUSED"
    CLOSED = "CLOSED"
    NURTURED = "NURTURED"
    SETTLED = "SETTLED"


SIDES: Final = {
    PartKind.SOURCE_LAG: "MARKETING",
    PartKind.ROUTING: "SYSTEM",
    PartKind.OFFERED: "SALES",
    PartKind.OWNER_IDLE: "SALES",
    PartKind.CLOSED: "NONE",
    PartKind.NURTURED: "MARKETING",
    PartKind.SETTLED: "NONE",
}
"""Whose each kind is; of a pause its reason says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A half-open stretch, and what is behind it.

    `event` began the stretch of the handoff's life in which it lies; `window` is the opening of the calendar
    in which it lies, as far as the account goes; `pause_reason` is the code of a pause's.
    """

    kind: PartKind
    side: str
    start_time: datetime
    end_time: datetime
    event: Fact
    calendar: str = ""
    window: tuple[datetime, datetime] | None = None
    pause_reason: str = ""


@dataclass(frozen=True, slots=True)
class _Phase:
    """A stretch of the handoff's life, and the fact that began it."""

    kind: PartKind
    start: int
    event: Fact


_BEGINS: Final = {
    FactKind.INQUIRED: PartKind.SOURCE_LAG,
    FactKind.SUBMITTED: PartKind.ROUTING,
    FactKind.OFFERED: PartKind.OFFERED,
    FactKind.OFFER_ENDED: PartKind.ROUTING,
    FactKind.TAKEN_OVER: PartKind.ROUTING,
    FactKind.ACCEPTED: PartKind.OWNER_IDLE,
    FactKind.ASSIGNED: PartKind.OWNER_IDLE,
    FactKind.QUALIFIED: PartKind.OWNER_IDLE,
    FactKind.CONVERTED: PartKind.OWNER_IDLE,
    FactKind.REOPENED: PartKind.OWNER_IDLE,
    FactKind.REJECTED: PartKind.SETTLED,
    FactKind.DISPUTE_OVERTURNED: PartKind.ROUTING,
    FactKind.CLOSED: PartKind.SETTLED,
    FactKind.RECYCLED: PartKind.NURTURED,
    FactKind.REQUALIFIED: PartKind.SETTLED,
    FactKind.VOIDED: PartKind.SETTLED,
    FactKind.RESTORED: PartKind.ROUTING,
}
"""What the handoff's life is from each kind of fact on."""

_NEVER_CLOSED: Final = frozenset({PartKind.SOURCE_LAG, PartKind.SETTLED})
"""Marketing answers for all the time until it hands over; what is over has no hours."""


def account(
    agreement: AgreementVersion,
    calendars: Calendars,
    timeline: Timeline,
    state: ClockState,
    as_of: datetime,
) -> tuple[Part, ...]:
    """Return the parts, touching, oldest first: from the inquiry, or else the first thing known, to `as_of`.

    `state` is the clock as evaluated at `as_of`, with its intervals. Empty when nothing had happened by then.
    """
    facts = [
        fact
        for fact in with_implied_acceptance(iter(standing_facts(agreement, calendars, timeline)))
        if fact.source is None and fact.occur_time <= as_of
    ]
    phases = list(_phases(facts))
    if not phases:
        return ()
    calendar = _calendar_of(state, calendars)
    return tuple(_Account(agreement, state, facts, phases, calendar, to_us(as_of)).parts())


def _phases(facts: Sequence[Fact]) -> Iterator[_Phase]:
    """Yield the stretches of the handoff's life. What an import tells late begins none that is over."""
    before: list[_Phase] = []
    unseen = PartKind.SOURCE_LAG
    inquired = next((fact for fact in facts if fact.kind is FactKind.INQUIRED), None)
    for fact in facts:
        kind = _BEGINS.get(fact.kind)
        if kind is None:
            continue
        if inquired is not None and fact.occur_time < inquired.occur_time:
            # Some sender's clock is ahead: what had begun by the inquiry goes on.
            unseen = kind
            continue
        if fact is inquired:
            kind = unseen
        is_late = fact.kind is FactKind.SUBMITTED and before and before[-1].kind is not PartKind.SOURCE_LAG
        if is_late or (fact.kind is FactKind.INQUIRED and before):
            continue
        phase = _Phase(kind, to_us(fact.occur_time), fact)
        if fact.kind is FactKind.RESTORED:
            phase = _as_before(before, phase)
        before.append(phase)
        yield phase


def _as_before(before: Sequence[_Phase], restored: _Phase) -> _Phase:
    """Return what the handoff's life is once its voiding is taken back: what it was then."""
    voided = next((at for at, each in enumerate(before) if each.event.kind is FactKind.VOIDED), len(before))
    return replace(restored, kind=before[voided - 1].kind) if voided else restored


def _calendar_of(state: ClockState, calendars: Calendars) -> CalendarVersion:
    versions = (*calendars.default, *(each for own in calendars.by_team.values() for each in own))
    pinned = (state.calendar, state.calendar_version)
    return next((each for each in versions if (each.name, each.version) == pinned), WALL)


@dataclass(frozen=True, slots=True)
class _Account:
    agreement: AgreementVersion
    state: ClockState
    facts: Sequence[Fact]
    phases: Sequence[_Phase]
    calendar: CalendarVersion
    now: int

    def parts(self) -> Iterator[Part]:
        """Yield the parts; where nothing about two neighbours differs they are one."""
        last: Part | None = None
        for part in self._pieces():
            if last is None:
                last = part
            elif replace(last, end_time=part.end_time) == replace(part, start_time=last.start_time):
                last = replace(last, end_time=part.end_time)
            else:
                yield last
                last = part
        if last is not None:
            yield last

    def _pieces(self) -> Iterator[Part]:
        begin = self.phases[0].start
        windows = self.calendar.openings.intervals_us(begin, self.now)
        cuts = {begin, self.now, to_us(self.state.start_time), self._end}
        cuts.update(phase.start for phase in self.phases)
        cuts.update(edge for window in windows for edge in window)
        cuts.update(to_us(edge) for each in self.state.intervals for edge in (each.start_time, each.end_time))
        cuts.update(to_us(edge) for each in self.state.earlier for edge in (each.stop_time, each.reopen_time))
        at = 0
        for start, end in pairwise(sorted(cut for cut in cuts if begin <= cut <= self.now)):
            while at + 1 < len(self.phases) and self.phases[at + 1].start <= start:
                at += 1
            window = next(((a, b) for a, b in windows if a <= start < b), None)
            yield self._part(self.phases[at], start, end, window)

    @property
    def _end(self) -> int:
        return self.now if self.state.end_time is None else to_us(self.state.end_time)

    def _part(self, phase: _Phase, start: int, end: int, window: tuple[int, int] | None) -> Part:
        kind, reason = self._kind(phase, start, is_open=window is not None), ""
        side = SIDES.get(kind, "")
        if kind is PartKind.PAUSED:
            side, reason = self._pause(start)
        is_asked = kind not in _NEVER_CLOSED and self.calendar is not WALL
        return Part(
            kind=kind,
            side=side,
            start_time=from_us(start),
            end_time=from_us(end),
            event=phase.event,
            calendar=self.calendar.name if is_asked else "",
            window=(from_us(window[0]), from_us(window[1])) if is_asked and window else None,
            pause_reason=reason,
        )

    def _kind(self, phase: _Phase, at: int, *, is_open: bool) -> PartKind:
        if self._is_over(at):
            return PartKind.SETTLED
        kind = phase.kind
        if kind is PartKind.SETTLED and self._runs(at):
            # Over for the handoff, and yet something is owed: an answer, a reason.
            kind = self._owed()
        if kind in _NEVER_CLOSED:
            return kind
        if not is_open:
            return PartKind.CLOSED
        return PartKind.PAUSED if self._is_paused(at) else kind

    def _owed(self) -> PartKind:
        if self.state.party is Party.MARKETING:
            is_return = self.state.kind is CommitmentKind.NURTURE_RETURN
            return PartKind.NURTURED if is_return else PartKind.SOURCE_LAG
        return PartKind.ROUTING if self.state.party is Party.SYSTEM else PartKind.OWNER_IDLE

    def _is_over(self, at: int) -> bool:
        """Tell whether what the clock measures was done then, for good or until that was undone."""
        gaps = ((to_us(each.stop_time), to_us(each.reopen_time)) for each in self.state.earlier)
        if any(stop <= at < reopen for stop, reopen in gaps):
            return True
        return self.state.end_time is not None and at >= self._end

    def _runs(self, at: int) -> bool:
        return to_us(self.state.start_time) <= at

    def _is_paused(self, at: int) -> bool:
        return any(
            each.kind is IntervalKind.PAUSED and to_us(each.start_time) <= at < to_us(each.end_time)
            for each in self.state.intervals
        )

    def _pause(self, at: int) -> tuple[str, str]:
        """Return whose a pause is and its reason: of several at once, the one that was given first."""
        key = self.state.key
        held: dict[str, int] = {}
        for fact in self.facts:
            mine = fact.commitment in (None, key.commitment) and fact.about in (None, key.origin)
            if not mine or to_us(fact.occur_time) > at:
                continue
            reason = self.agreement.pause_reason(fact.reason)
            if fact.kind is FactKind.PAUSED and reason is not None:
                if self._lasts(fact, reason, at):
                    held.setdefault(reason.code, to_us(fact.occur_time))
            elif fact.kind is FactKind.RESUMED:
                held = {} if fact.reason is None else {k: v for k, v in held.items() if k != fact.reason}
        code = next(iter(held), "")
        named = self.agreement.pause_reason(code)
        return ("BUYER" if named is None else named.side), code

    def _lasts(self, fact: Fact, reason: PauseReason, at: int) -> bool:
        """Tell whether a pause's cap had not ended it by an instant."""
        if reason.cap is None:
            return True
        return at < self.calendar.openings.add_us(to_us(fact.occur_time), reason.cap.microseconds)
