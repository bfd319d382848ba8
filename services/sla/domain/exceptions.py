"""Exceptions from what was promised: who asks, who answers, until when, and what an approved one excuses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from services.sla.domain.agreement import Party
from services.sla.domain.course import Outcome
from services.sla.domain.history import Told
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import EtagStale, NoParty, Refused, StateForbids, Unknown
from services.sla.domain.timeline import Excuse, Fact, FactKind
from smarketing.businesstime import Calendar, Openings

__all__ = [
    "ExceptionInvalid",
    "ExceptionReason",
    "ExceptionState",
    "ExceptionTooLate",
    "ExceptionUnknown",
    "SlaException",
    "Span",
    "excuses_of",
    "lapse_time_of",
    "require_askable",
    "sides_of",
]

_DAYS_TO_ASK: Final = 10
"""Business days after due within which an exception can be asked for, and after that answered."""
_LONGEST: Final = timedelta(days=92)
_ASKABLE: Final = (Outcome.RUNNING, Outcome.PAUSED, Outcome.BREACHED)
_BOTH: Final = (Party.MARKETING, Party.SALES)


class ExceptionUnknown(Unknown):
    """There is no such exception."""


class ExceptionInvalid(Refused):
    """A request that cannot be understood; names the field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ExceptionTooLate(Refused):
    """What was due is too long ago to be excused."""

    def __init__(self, latest: datetime) -> None:
        super().__init__(f"it could be asked for until {latest.isoformat()}")
        self.latest = latest


class ExceptionState(Enum):
    """Where a request stands."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    LAPSED = "LAPSED"


class ExceptionReason(Enum):
    """Why an exception is asked for."""

    OUTAGE = "OUTAGE"
    STAFFING = "STAFFING"
    BAD_DATA = "BAD_DATA"
    BUYER = "BUYER"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A half-open stretch of time; what falls due in it is meant."""

    start_time: datetime
    end_time: datetime

    def require_sound(self) -> None:
        """Refuse one that is empty or too long.

        Raises:
            ExceptionInvalid: names the field.
        """
        if self.end_time <= self.start_time:
            raise ExceptionInvalid("exception.end_time", "after `start_time`")
        if self.end_time - self.start_time > _LONGEST:
            raise ExceptionInvalid(
                "exception.end_time", f"at most {_LONGEST.days} days after `start_time`; ask again for more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaException:
    """A request to excuse one clock, or what falls due in a span, with the answer to it.

    `since_time` is when the clock, or the span, began; an excuse holds from then on, whenever it was granted.
    """

    tenant: str
    id: str
    revision: int = 1
    state: ExceptionState = ExceptionState.REQUESTED
    agreement: str
    commitment_id: str
    clock: str = ""
    handoff: str = ""
    since_time: datetime
    span: Span | None = None
    reason: ExceptionReason
    note: str
    requesting_party: Party
    deciding_party: Party
    request_principal: str
    request_time: datetime
    lapse_time: datetime
    decide_principal: str = ""
    decide_time: datetime | None = None
    self_approved: bool = False

    @property
    def name(self) -> str:
        """`tenants/{tenant}/exceptions/{exception}`."""
        return f"tenants/{self.tenant}/exceptions/{self.id}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return str(self.revision)

    def approve(self, *, by: str, parties: Sequence[Party], etag: str, now: datetime) -> "SlaException":
        """Return it granted, by somebody who speaks for these parties.

        Raises:
            NoParty: when they do not speak for the other party.
            StateForbids: when it was answered, or has lapsed.
            EtagStale: when `etag` is given and is not this one's.
        """
        decided = self._decided(ExceptionState.APPROVED, by=by, parties=parties, etag=etag, now=now)
        return replace(decided, self_approved=self.requesting_party in parties)

    def decline(self, *, by: str, parties: Sequence[Party], etag: str, now: datetime) -> "SlaException":
        """Return it refused.

        Raises:
            NoParty, StateForbids, EtagStale: as `approve`.
        """
        return self._decided(ExceptionState.DECLINED, by=by, parties=parties, etag=etag, now=now)

    def lapse(self) -> "SlaException":
        """Return it as one that nobody answered in time; that happened at its own instant."""
        return replace(
            self, state=ExceptionState.LAPSED, decide_time=self.lapse_time, revision=self.revision + 1
        )

    def _decided(
        self, state: ExceptionState, *, by: str, parties: Sequence[Party], etag: str, now: datetime
    ) -> "SlaException":
        if self.deciding_party not in parties:
            raise NoParty
        if etag and etag != self.etag:
            raise EtagStale(self.name, self.etag)
        if self.state is not ExceptionState.REQUESTED:
            raise StateForbids(self.name, self.state.value)
        if now > self.lapse_time:
            # Its time was over, whether or not anybody has noted that yet.
            raise StateForbids(self.name, ExceptionState.LAPSED.value)
        return replace(self, state=state, decide_principal=by, decide_time=now, revision=self.revision + 1)


def sides_of(promisers: Sequence[Party], speakers: Sequence[Party]) -> tuple[Party, Party]:
    """Return who asks and who answers, when somebody of these sides asks about a promise.

    What one side promised, that side asks about; a joint promise, and one of the system, whoever speaks.

    Raises:
        NoParty: when they are of no side that can ask.
    """
    promised = [party for party in _BOTH if party in promisers]
    able = promised if len(promised) == 1 else list(_BOTH)
    asking = next((party for party in able if party in speakers), None)
    if asking is None:
        raise NoParty
    return asking, next(party for party in _BOTH if party is not asking)


def lapse_time_of(request_time: datetime, calendar: Calendar, openings: Openings) -> datetime:
    """Return until when a request can be answered: as many business days as there are to ask."""
    return openings.add(request_time, calendar.business_days(_DAYS_TO_ASK))


def require_askable(due: Clock | Span, calendar: Calendar, openings: Openings, *, now: datetime) -> None:
    """Refuse a request for a clock that cannot be excused any more, or for a span that reaches too far back.

    The time runs in the agreement's calendar. It is over after the last instant, not at it.

    Raises:
        StateForbids: when the clock was not missed and cannot be any more.
        ExceptionTooLate: says until when it was possible.
    """
    if isinstance(due, Clock):
        if due.outcome not in _ASKABLE:
            raise StateForbids(due.name, due.outcome.value)
        first = due.due_time
    else:
        due.require_sound()
        # What fell due first in it must not be out of time either.
        first = due.start_time
    latest = openings.add(first, calendar.business_days(_DAYS_TO_ASK))
    if now > latest:
        raise ExceptionTooLate(latest)


def excuses_of(handoff: str, exceptions: Iterable[SlaException]) -> list[Told]:
    """Return what approved exceptions tell of a handoff, as facts by which its clocks are decided.

    Their positions are below those of anything that a log told.
    """
    ordered = sorted(exceptions, key=lambda each: each.id)
    return [
        Told(handoff=handoff, fact=_fact(each, -1 - at))
        for at, each in enumerate(ordered)
        if each.state is ExceptionState.APPROVED
    ]


def _fact(exception: SlaException, position: int) -> Fact:
    span = exception.span
    return Fact(
        position=position,
        kind=FactKind.EXCUSED,
        occur_time=exception.since_time,
        record_time=exception.decide_time or exception.request_time,
        commitment=exception.commitment_id,
        excuse=Excuse(
            agreement=exception.agreement,
            start_time=span.start_time if span else None,
            end_time=span.end_time if span else None,
        ),
    )
