"""A running clock measured by another version than it was started under: explicitly, never by itself."""

from collections.abc import Iterable
from datetime import datetime

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import AgreementVersion
from services.sla.domain.calendar import Calendars
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.decide import measured_anew
from services.sla.domain.history import History
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import EtagStale, StateForbids


def require_reassessable(clock: Clock, *, etag: str) -> None:
    """Refuse a clock that somebody changed meanwhile, or that has its verdict.

    Raises:
        EtagStale, StateForbids: as they say.
    """
    if etag and etag != str(clock.generation):
        raise EtagStale(clock.name, str(clock.generation))
    if clock.outcome not in (Outcome.RUNNING, Outcome.PAUSED):
        raise StateForbids(clock.name, clock.outcome.value)


def version_now(clock: Clock, accords: Iterable[Accord], now: datetime) -> Accord:
    """Return the version of the clock's agreement that is in force.

    Raises:
        StateForbids: when none is, or that does not make this promise any more.
    """
    in_force = (each for each in accords if each.agreement == clock.agreement and each.is_in_force(now))
    found = next(in_force, None)
    if found is None or all(promise.id != clock.commitment_id for promise in found.terms.promises):
        raise StateForbids(clock.name, "NOT_PROMISED")
    return found


def measured_by(
    clock: Clock, accord: Accord, agreement: AgreementVersion, calendars: Calendars, history: History
) -> Clock:
    """Return the clock as it is to be measured; its course is decided by the next evaluation.

    Raises:
        StateForbids: when the version in force promises nothing of such a handoff, or another kind of thing.
    """
    # The target and the calendar do not depend on the instant that is looked at.
    state = _state_by(clock, agreement, calendars, history, clock.start_time)
    if state is None or state.kind is not clock.kind:
        raise StateForbids(clock.name, "NOT_PROMISED")
    return measured_anew(clock, accord.terms, state, accord.name)


def ends_elsewhere_by(
    clock: Clock, agreement: AgreementVersion, calendars: Calendars, history: History, *, now: datetime
) -> bool:
    """Tell whether a clock is due at another instant than it was planned for, counted like this.

    Whatever moved its end until now counts: pauses that are over, and that it was opened again.
    """
    state = _state_by(clock, agreement, calendars, history, now)
    return state is not None and state.due_time != clock.due_time


def _state_by(
    clock: Clock, agreement: AgreementVersion, calendars: Calendars, history: History, as_of: datetime
) -> ClockState | None:
    states = evaluate(agreement, calendars, history.timeline, as_of, with_intervals=False)
    key = (clock.commitment_id, clock.origin)
    return next((each for each in states if (each.key.commitment, each.key.origin) == key), None)
