"""A month of handoffs played through an `Engine`, from dice: work in time and late, evidence that comes late,
offers that pass on, takeovers, rejections, merged duplicates, opportunities opened again.

The engine reads its log in batches, minutes after it was written, and looks at clocks at the very instants at
which they fall due, with the log read before.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import select

from services.sla.domain.agreement import CommitmentKind, Party, Role, TimeBasis
from services.sla.domain.relive import Relived, relive
from services.sla.domain.terms import Step, Terms
from services.sla.store import schema
from services.sla.store.archive import Archive
from services.sla.store.backtests import Measures
from services.sla.store.due import next_due
from services.sla.store.tx import SlaTx
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.sql import Database
from tests.builders.sla_engine import (
    AN_HOUR_AFTER,
    AT_DUE,
    OTHER_REP,
    REP,
    SALES,
    TENANT,
    WARN_AT_HALF,
    Engine,
    a_promise,
    some_terms,
)

MONTH = timedelta(days=28)
TAKE_OVER = Step(id="take", percent=150, recipients=(Role.MANAGER,), reassigns=True)
_LAG = timedelta(minutes=7)


def terms_of_the_month() -> Terms:
    """Return an agreement with a ladder, a takeover, and a promise in wall time."""
    return some_terms(
        a_promise(CommitmentKind.ROUTE, target=1, steps=[AT_DUE]),
        a_promise(CommitmentKind.ACCEPT, target=2, steps=[WARN_AT_HALF, AT_DUE]),
        a_promise(target=4, steps=[WARN_AT_HALF, AT_DUE, TAKE_OVER]),
        a_promise(target=30, steps=[WARN_AT_HALF, AN_HOUR_AFTER], id="buyer-time", basis=TimeBasis.WALL),
        a_promise(CommitmentKind.FRESHNESS, target=1, parties=(Party.MARKETING,)),
    )


@dataclass
class Month:
    """Plays handoffs; `play` returns the engine at the month's end."""

    seed: int
    handoffs: int
    engine: Engine = field(default_factory=Engine)
    is_prompt: bool = False
    """Everything is entered as it is done."""
    events: list[eventlogpb.Event] = field(default_factory=list)
    """All that the leads log told, in order."""
    _agenda: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _order: Any = field(default_factory=count)
    _unread: list[Any] = field(default_factory=list)
    _read_at: datetime | None = None

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)

    def play(self) -> Engine:
        """Play the month."""
        engine = self.engine
        engine.agree(terms_of_the_month())
        start = engine.now
        for number in range(self.handoffs):
            at = start + MONTH * (0.9 * self.dice.random())
            self._plan(at, partial(self._begin, number))
        while self._agenda:
            at, _, act = heapq.heappop(self._agenda)
            if at > start + MONTH:
                break
            self._pass_time(at)
            act()
        self._pass_time(start + MONTH)
        self._read()
        self._settle()
        return engine

    # Time.

    def _pass_time(self, until: datetime) -> None:
        while True:
            with self.engine.database.reading() as connection:
                due = next_due(connection)
            nearest = min((at for at in (due, self._read_at) if at is not None and at <= until), default=None)
            if nearest is None:
                break
            self.engine.now = max(self.engine.now, nearest)
            self._read()
            self._settle()
        self.engine.now = max(self.engine.now, until)

    def _read(self) -> None:
        unread, self._unread, self._read_at = self._unread, [], None
        if unread:
            self.engine.deliver(unread)

    def _settle(self) -> None:
        while self.engine.sweep():
            pass

    def _plan(self, at: datetime, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), act))

    def _after(self, median_hours: float) -> datetime:
        return self.engine.now + timedelta(hours=median_hours * self.dice.lognormvariate(0, 1.0))

    def _tell(self, payload: Message, *, at: datetime | None = None) -> None:
        handoff: str = payload.handoff  # type: ignore[attr-defined] # every event here is about one
        self.events.append(self.engine.event(handoff, payload, at=at))
        self._unread.append(self.events[-1])
        self._read_at = self._read_at or self.engine.now + _LAG * self.dice.random()

    # What people do.

    def _begin(self, number: int) -> None:
        handoff = f"{TENANT}/leads/l{number:05}/handoffs/1"
        qualification = leadspb.Qualification(score=self.dice.randrange(100))
        inquired = self.engine.now - timedelta(minutes=self.dice.lognormvariate(3, 1))
        qualification.inquire_time.FromDatetime(inquired)
        self._tell(leadeventspb.HandoffSubmitted(handoff=handoff, qualification=qualification))
        self._plan(self._after(0.2), lambda: self._offer(handoff, REP))
        if self.dice.random() < 0.05:
            voided = leadeventspb.HandoffVoided(handoff=handoff, reason_code="TEST")
            self._plan(self._after(8), lambda: self._tell(voided))

    def _offer(self, handoff: str, to: str) -> None:
        self._tell(leadeventspb.HandoffOffered(handoff=handoff, assignee=to, team=SALES))
        answer = self.dice.random()
        if answer < 0.1 and to == REP:
            ended = leadeventspb.OfferEnded(handoff=handoff)
            passed_on = self._after(2)
            self._plan(passed_on, lambda: self._tell(ended))
            self._plan(passed_on, lambda: self._offer(handoff, OTHER_REP))
        elif answer < 0.18:
            rejected = leadeventspb.HandoffRejected(handoff=handoff, person=to, reason_code="NO_FIT")
            self._plan(self._after(3), lambda: self._tell(rejected))
        elif answer < 0.95:
            self._plan(self._after(1), lambda: self._accept(handoff, to))

    def _accept(self, handoff: str, owner: str) -> None:
        self._tell(leadeventspb.HandoffAccepted(handoff=handoff, owner=owner, team=SALES))
        if self.dice.random() < 0.15:
            self._plan(self._after(9), lambda: self._reassign(handoff))
        for _ in range(self.dice.choice((0, 1, 1, 1, 2, 3))):
            self._plan(self._after(4), lambda: self._follow_up(handoff, owner))
        if self.dice.random() < 0.2:
            closed = leadeventspb.HandoffDisqualified(handoff=handoff, reason_code="NO_NEED")
            self._plan(self._after(12), lambda: self._tell(closed))

    def _reassign(self, handoff: str) -> None:
        accepted = leadeventspb.HandoffAccepted(
            handoff=handoff,
            owner=OTHER_REP,
            team=SALES,
            manner=leadeventspb.HandoffAccepted.MANNER_ASSIGNED,
        )
        self._tell(accepted)

    def _follow_up(self, handoff: str, person: str) -> None:
        occurred = self.engine.now
        followed = leadeventspb.FollowUpLogged(
            handoff=handoff, person=person, team=SALES, grade=termspb.EVIDENCE_GRADE_SELF_REPORTED
        )
        # A third is entered later than it was done, some of it after the clock had run out.
        told = occurred if self.dice.random() < 0.66 or self.is_prompt else self._after(6)
        self._plan(told, lambda: self._tell(followed, at=occurred))


def a_month(handoffs: int = 40, *, seed: int = 4) -> Engine:
    """Return an engine behind which lies a month."""
    return Month(seed, handoffs).play()


def relived(database: Database, *, now: datetime) -> dict[str, Relived]:
    """Return every handoff of the default tenant, lived through once more under what was agreed."""
    archive = Archive()
    with database.reading() as connection:
        measures = Measures(SlaTx(connection, archive, now=now), archive, "default")
        handoffs = list(connection.execute(select(schema.fact.c.handoff).distinct()).scalars())
        histories = measures.tx.histories(handoffs)
        return {
            handoff: relive(histories[handoff], measures.accords, measures.measuring, as_of=now)
            for handoff in handoffs
        }


__all__ = ["MONTH", "TAKE_OVER", "Month", "a_month", "relived", "terms_of_the_month"]
