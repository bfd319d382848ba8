"""Who may let a clock stand still, for what, and when that makes sense."""

from collections.abc import Callable, Iterable, Sequence

from services.sla.domain.agreement import AgreementVersion, PauseReason, Role
from services.sla.domain.course import Outcome
from services.sla.domain.history import History
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import EtagStale, NotYours, Refused, StateForbids
from services.sla.domain.timeline import FactKind

People = Callable[[Iterable[Role]], Sequence[str]]
"""Gives the people behind roles, as seen from a clock."""


class PauseReasonUnknown(Refused):
    """The clock's agreement does not know this reason."""

    def __init__(self, code: str, known: Sequence[str]) -> None:
        super().__init__(f"{code} is no reason to pause")
        self.code = code
        self.known = tuple(known)


def require_pausable(
    clock: Clock, agreement: AgreementVersion, code: str, *, etag: str, actor: str, people: People
) -> PauseReason:
    """Return the reason for which a clock is to stand still.

    Raises:
        EtagStale, PauseReasonUnknown, NotYours: as they say.
        StateForbids: when it is over or past due: a pause would move nothing.
    """
    reason = _reason(clock, agreement, code, etag=etag)
    if actor not in people(reason.grantors):
        raise NotYours(clock.name)
    if clock.outcome not in (Outcome.RUNNING, Outcome.PAUSED):
        raise StateForbids(clock.name, clock.outcome.value)
    return reason


def require_resumable(
    clock: Clock, agreement: AgreementVersion, code: str, *, etag: str, actor: str, people: People
) -> PauseReason:
    """Return the reason for which a clock is to stand still no more.

    Raises:
        EtagStale, PauseReasonUnknown, NotYours: as they say.
    """
    reason = _reason(clock, agreement, code, etag=etag)
    if actor not in {clock.owner, *people(reason.grantors)}:
        raise NotYours(clock.name)
    return reason


def is_paused_for(history: History, clock: Clock, code: str) -> bool:
    """Tell whether the last word on this clock and reason is that it stands still."""
    words = [
        each.fact.kind
        for each in history.told
        if each.fact.kind in (FactKind.PAUSED, FactKind.RESUMED)
        and (each.fact.commitment, each.fact.about) == (clock.commitment_id, clock.origin)
        and each.fact.reason == code
    ]
    return bool(words) and words[-1] is FactKind.PAUSED


def _reason(clock: Clock, agreement: AgreementVersion, code: str, *, etag: str) -> PauseReason:
    if etag and etag != str(clock.generation):
        raise EtagStale(clock.name, str(clock.generation))
    reason = agreement.pause_reason(code)
    if reason is None:
        raise PauseReasonUnknown(code, [each.code for each in agreement.pause_reasons])
    return reason
