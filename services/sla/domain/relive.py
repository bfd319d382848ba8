"""One handoff lived through once more: `decide` asked at every instant at which live operation asks it.

A fact counts from when it was recorded, as it did then, and between two records every clock is looked at
when it falls due. Under what was agreed then it gives the clocks that are on record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from services.sla.domain.accord import Accord
from services.sla.domain.decide import Decision, Measuring, decide
from services.sla.domain.events import RungFired
from services.sla.domain.history import History, Told
from services.sla.domain.holders import Holder
from services.sla.domain.recorded import Clock, Happening
from services.sla.domain.takeover import takeover_of

_EVER: Final = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that happened to a clock, in the order in which the log would say it."""

    clock: str
    """The clock's id."""
    happening: Happening
    holder: Holder
    """Who answers for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """A request to take the handoff from its owner."""

    clock: str
    """The clock's id."""
    cycle: int
    rung: str
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class Relived:
    """What becomes of a handoff's clocks, by id in the order in which they began."""

    clocks: tuple[Clock, ...]
    said: tuple[Said, ...]
    takeovers: tuple[Takeover, ...]


def relive(history: History, accords: Sequence[Accord], measuring: Measuring, *, as_of: datetime) -> Relived:
    """Return what becomes of a handoff under these accords until an instant.

    `accords` come in the tenant's order, all that were ever in force; each counts from when it was activated.

    Raises:
        BusinessTimeError: when a due instant cannot be worked out.
    """
    life = _Life(history.handoff, accords, measuring)
    for at, new in _arrivals(history, accords, as_of):
        # What falls due at the very instant of a record was due before anybody could know of it.
        life.pass_time(at)
        life.learn(new, at)
    life.pass_time(as_of)
    return Relived(tuple(life.clocks.values()), tuple(life.said), tuple(life.takeovers))


def known_at(accords: Sequence[Accord], at: datetime) -> list[Accord]:
    """Return the accords as they stood at an instant: later activations, and what they retired, undone."""
    known = [each for each in accords if each.activate_time is None or each.activate_time <= at]
    last, last_known = _last_activated(accords), _last_activated(known)
    return [
        replace(each, retire_time=None)
        if each is last_known[each.agreement] and each is not last[each.agreement]
        else each
        for each in known
    ]


def _last_activated(accords: Iterable[Accord]) -> dict[str, Accord]:
    # One without an instant was never not in force.
    ordered = sorted(accords, key=lambda each: (each.activate_time is not None, each.activate_time or _EVER))
    return {each.agreement: each for each in ordered}


def is_same_course(one: Clock, other: Clock) -> bool:
    """Tell whether two records of a clock say the same of its course.

    When it was found out and is looked at next is left out: that hangs on when this service read of it.
    """
    return _course(one) == _course(other)


def _course(clock: Clock) -> Clock:
    return replace(clock, generation=0, detect_time=None, next_time=None)


def _arrivals(
    history: History, accords: Iterable[Accord], as_of: datetime
) -> list[tuple[datetime, list[Told]]]:
    """Return the instants at which something new was known, and what; an activation into the past is one."""
    found: dict[datetime, list[Told]] = {}
    for each in sorted(history.told, key=lambda told: (told.fact.record_time, told.fact.position)):
        if each.fact.record_time <= as_of:
            found.setdefault(each.fact.record_time, []).append(each)
    if not found:
        return []
    first = min(found)
    for accord in accords:
        activated = accord.activate_time
        is_late = activated is not None and accord.is_late_for(accord.effective_time or activated)
        if activated is not None and is_late and first < activated <= as_of:
            found.setdefault(activated, [])
    return sorted(found.items(), key=lambda item: item[0])


@dataclass(slots=True)
class _Life:
    """The state between two instants; one handoff, one use."""

    handoff: str
    accords: Sequence[Accord]
    measuring: Measuring
    clocks: dict[str, Clock] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    takeovers: list[Takeover] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def learn(self, new: Sequence[Told], at: datetime) -> None:
        """Take in what was recorded at an instant."""
        self.told += new
        self._decide(at)

    def pass_time(self, until: datetime) -> None:
        """Look at every clock when it falls due."""
        last: datetime | None = None
        while True:
            due = [clock.next_time for clock in self.clocks.values() if clock.next_time is not None]
            nearest = min(due, default=None)
            # Whatever is still due at an instant at which it was looked at, waits for the next fact.
            if nearest is None or nearest > until or (last is not None and nearest <= last):
                return
            self._decide(nearest)
            last = nearest

    def _decide(self, at: datetime) -> None:
        history = History.of(self.handoff, self.told)
        decisions = decide(
            history,
            sorted(self.clocks.values(), key=lambda clock: (clock.start_time, clock.id)),
            known_at(self.accords, at),
            self.measuring,
            as_of=at,
            now=at,
        )
        for decision in decisions:
            self._keep(decision)

    def _keep(self, decision: Decision) -> None:
        clock = decision.change.clock
        self.clocks[clock.id] = clock
        change = decision.change
        self.said += [
            Said(clock=clock.id, happening=each, holder=holder)
            for each, holder in zip(change.happenings, change.held, strict=True)
        ]
        terms, _, _ = self.measuring(clock.agreement_version)
        rung: RungFired | None = takeover_of(decision, terms)
        if rung is not None:
            self.takeovers.append(
                Takeover(clock=clock.id, cycle=rung.cycle, rung=rung.rung, occur_time=rung.occur_time)
            )
