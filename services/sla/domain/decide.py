"""Which clocks a handoff has, and what has become of each: the evaluation laid beside the record."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import AgreementVersion
from services.sla.domain.calendar import Calendars
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.history import History
from services.sla.domain.pins import Pin, pins_of
from services.sla.domain.recorded import Advance, Clock, Setting, advance, begin
from services.sla.domain.terms import AgreementKind, Mode, Terms
from smarketing.businesstime import BusinessTime


class Measuring(Protocol):
    """Gives what an agreement version, by name, measures by; with another calendar where one is named."""

    def __call__(self, version: str, calendar: str = "") -> tuple[Terms, AgreementVersion, Calendars]:
        """Return terms, promises and calendars."""


Aside = frozenset[tuple[str, str]]
"""Agreement and commitment of clocks that are left as they are, because they cannot be decided."""

_Which = tuple[str, int]
"""A commitment, and which of its clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is new about one clock; `before` is None when it was seen for the first time."""

    before: Clock | None
    change: Advance


def decide(
    history: History,
    clocks: Sequence[Clock],
    accords: Sequence[Accord],
    measuring: Measuring,
    *,
    as_of: datetime,
    now: datetime,
    aside: Aside = frozenset(),
) -> list[Decision]:
    """Return what is new about the handoff's clocks as of an instant; `now` is when that is found out.

    `accords` come in the tenant's order. An instant before one at which a miss was already found is moved
    up to that: what was found stays found.

    Raises:
        BusinessTimeError: when a due instant cannot be worked out.
    """
    as_of = max([as_of, *(clock.detect_time for clock in clocks if clock.detect_time is not None)])
    return _Deciding(history, clocks, measuring, as_of=as_of, now=now, aside=aside).decided(accords)


def measured_anew(clock: Clock, terms: Terms, state: ClockState, version: str) -> Clock:
    """Return a clock as it is measured by an agreement version, of which this is its state."""
    promise = terms.promise(clock.commitment_id)
    return replace(
        clock,
        agreement_version=version,
        calendar_version=state.calendar or terms.calendar_version,
        basis=promise.basis or clock.basis,
        parties=promise.parties,
        target=state.target,
    )


def clock_id(handoff: str, agreement: str, commitment_id: str, origin: int = 0) -> str:
    """Return the one id that a clock of a commitment on a handoff can have."""
    which = f"\n{origin}" if origin else ""
    return hashlib.sha256(f"{handoff}\n{agreement}\n{commitment_id}{which}".encode()).hexdigest()[:26]


class _Deciding:
    """One handoff, once."""

    def __init__(
        self,
        history: History,
        clocks: Sequence[Clock],
        measuring: Measuring,
        *,
        as_of: datetime,
        now: datetime,
        aside: Aside,
    ) -> None:
        self._history = history
        self._timeline = history.timeline
        self._clocks = clocks
        self._measuring = measuring
        self._as_of = as_of
        self._now = now
        self._aside = aside
        self._holders = history.holders
        self._pins = pins_of(self._timeline.facts)
        self._states: dict[Pin, dict[_Which, ClockState]] = {}

    def decided(self, accords: Sequence[Accord]) -> list[Decision]:
        found = [
            self._moved(clock)
            for clock in self._clocks
            if (clock.agreement, clock.commitment_id) not in self._aside
        ]
        begun = self._begun(accords)
        return [decision for decision in (*found, *begun) if decision is not None]

    def _moved(self, clock: Clock) -> Decision | None:
        pin = self._pins.get((clock.agreement, clock.commitment_id, clock.origin))
        pin = pin or Pin(clock.agreement_version)
        state = self._evaluated(pin).get((clock.commitment_id, clock.origin))
        if state is None:
            # What started it does not count any more; what was said of it stays said.
            if clock.next_time is None:
                return None
            ended = replace(clock, next_time=None, generation=clock.generation + 1)
            return Decision(before=clock, change=Advance(clock=ended))
        pinned = self._pinned(clock, pin, state)
        change = advance(pinned, state, self._setting(pin.agreement_version))
        return None if change is None else Decision(before=clock, change=change)

    def _pinned(self, clock: Clock, pin: Pin, state: ClockState) -> Clock:
        """Return the clock as it is measured since it was moved; on record it is that already."""
        if clock.agreement_version == pin.agreement_version and not pin.calendar_version:
            return clock
        terms, _, _ = self._measuring(pin.agreement_version)
        return measured_anew(clock, terms, state, pin.agreement_version)

    def _begun(self, accords: Sequence[Accord]) -> list[Decision]:
        """Start the clocks that the record does not have, under one agreement of each kind.

        Which ones these are the first clock of each decides, for good.
        """
        known = {(clock.agreement, clock.commitment_id, clock.origin) for clock in self._clocks}
        bound = {self._kind(clock, accords): clock.agreement for clock in self._clocks}
        begun: dict[tuple[str, str, int], Decision] = {}
        possible = [each for each in accords if bound.get(each.terms.kind, each.agreement) == each.agreement]
        for accord, state in self._candidates(possible):
            kind = accord.terms.kind
            key = (accord.agreement, state.key.commitment, state.key.origin)
            if key in known or key in begun or bound.get(kind, accord.agreement) != accord.agreement:
                continue
            rivals = [] if kind in bound else [each for each in accords if each.terms.kind is kind]
            if self._starts(accord, state, rivals):
                bound[kind] = accord.agreement
                begun[key] = self._start(accord, state)
        return list(begun.values())

    def _candidates(self, accords: Sequence[Accord]) -> list[tuple[Accord, ClockState]]:
        """Return the clocks that each of the agreements would have, the one that starts first at the head."""
        found = [
            (accord, state)
            for accord in accords
            if any(accord.is_in_force(told.fact.occur_time) for told in self._history.told)
            for state in self._evaluated(Pin(accord.name)).values()
        ]
        return sorted(found, key=lambda candidate: candidate[1].start_time)

    def _starts(self, accord: Accord, state: ClockState, rivals: Sequence[Accord]) -> bool:
        start = state.start_time
        if not accord.is_in_force(start):
            return False
        # A version that reaches into the past starts clocks only on handoffs that have none.
        if accord.is_late_for(start) and self._clocks:
            return False
        in_force = [each for each in rivals if each.is_in_force(start)]
        if len(in_force) < 2:
            return True
        facts = (told.fact for told in self._history.told)
        recorded = next((fact.record_time for fact in facts if fact.occur_time == start), self._as_of)
        attributes = self._timeline.attributes_at(recorded)
        first = next((each for each in in_force if each.terms.scope.matches(attributes)), accord)
        return first.agreement == accord.agreement

    def _kind(self, clock: Clock, accords: Sequence[Accord]) -> AgreementKind | None:
        if (clock.agreement, clock.commitment_id) in self._aside:
            # Its own version may be what cannot be read.
            return next((each.terms.kind for each in accords if each.agreement == clock.agreement), None)
        terms, _, _ = self._measuring(clock.agreement_version)
        return terms.kind

    def _start(self, accord: Accord, state: ClockState) -> Decision:
        blank = self._blank(accord, state)
        change = begin(blank, state, self._setting(accord.name))
        return Decision(before=None, change=change)

    def _blank(self, accord: Accord, state: ClockState) -> Clock:
        promise = accord.terms.promise(state.key.commitment)
        assert promise.basis is not None, promise.id  # noqa: S101 - checked when it was proposed
        return Clock(
            tenant=accord.tenant,
            id=clock_id(self._history.handoff, accord.agreement, promise.id, state.key.origin),
            handoff=self._history.handoff,
            agreement=accord.agreement,
            agreement_version=accord.name,
            # Wall time is in no calendar; the agreement's stands for it.
            calendar_version=state.calendar or accord.terms.calendar_version,
            commitment_id=promise.id,
            origin=state.key.origin,
            kind=state.kind,
            basis=promise.basis,
            parties=promise.parties,
            target=state.target,
            start_time=state.start_time,
            original_due_time=state.original_due_time,
            due_time=state.original_due_time,
            elapsed=BusinessTime(),
            paused=BusinessTime(),
            historical=state.is_history,
            silent=state.is_history or accord.is_late_for(state.start_time),
        )

    def _evaluated(self, pin: Pin) -> dict[_Which, ClockState]:
        if pin not in self._states:
            _, agreement, calendars = self._measuring(pin.agreement_version, pin.calendar_version)
            agreement = self._without_aside(agreement, pin.agreement_version)
            states = evaluate(agreement, calendars, self._timeline, self._as_of, with_intervals=False)
            self._states[pin] = {(state.key.commitment, state.key.origin): state for state in states}
        return self._states[pin]

    def _without_aside(self, agreement: AgreementVersion, version: str) -> AgreementVersion:
        if not self._aside:
            return agreement
        _, of, _, _ = version.rsplit("/", 3)
        left = tuple(each for each in agreement.commitments if (of, each.id) not in self._aside)
        return replace(agreement, commitments=left)

    def _setting(self, version: str) -> Setting:
        terms, _, _ = self._measuring(version)
        return Setting(self._holders, terms.mode is Mode.ENFORCE, self._as_of, self._now)
