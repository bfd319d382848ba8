"""An sla service without its edge: a database, a leads log to write to, and a clock to turn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import select

from services.sla.consumers.leads_log import ingest
from services.sla.domain.agreement import CommitmentKind, Party, Role, TimeBasis
from services.sla.domain.alert import Alert
from services.sla.domain.recorded import Clock
from services.sla.domain.terms import AgreementKind, Mode, Promise, Step, Target, Terms
from services.sla.store import schema
from services.sla.store.archive import Archive
from services.sla.store.rows import CLOCK_COLUMNS, alert_of, clock_of
from services.sla.store.tx import SlaTx
from services.sla.usecases.agreements import Accept, Activate, Propose, accept, activate, propose
from services.sla.usecases.calendars import MakeCalendar, make_calendars
from services.sla.usecases.sweep import sweep_batch
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.sla.v1 import clocks_pb2 as slaclockspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.businesstime import BusinessTime, Calendar
from smarketing.eventlog.directory import fold_events
from smarketing.sql import Database, from_micros
from smarketing.sql.migrate import migrate, schema_revision
from tests.builders.kept import a_kept_database

LEADS_LOG = "11111111-1111-1111-1111-111111111111"
TENANT = "tenants/default"
SALES = f"{TENANT}/teams/sales"
REP = f"{TENANT}/people/rep"
OTHER_REP = f"{TENANT}/people/other-rep"
SALES_MANAGER = f"{TENANT}/people/sales-manager"
MARKETING_MANAGER = f"{TENANT}/people/marketing-manager"
LEADER = f"{TENANT}/people/leader"
HANDOFF = f"{TENANT}/leads/l1/handoffs/h1"

MONDAY_NINE = datetime(2026, 9, 21, 0, 0, tzinfo=UTC)
"""Nine o'clock in Seoul, on a working day."""

_NOT_OF_CLOCKS = {
    "BudgetStateChanged",
    "ExceptionChanged",
    "AgreementVersionChanged",
    "CalendarAssigned",
    "CalendarVersionCreated",
    "HolidayReviewChanged",
    "LeaveChanged",
    "MarketingPeriodSettled",
}
_HOURS = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def hours(count: float) -> BusinessTime:
    """Return so many hours of a clock's own time."""
    return BusinessTime(round(count * 3_600_000_000))


def a_promise(
    kind: CommitmentKind = CommitmentKind.FIRST_FOLLOW_UP,
    *,
    target: float = 4,
    steps: Sequence[Step] = (),
    basis: TimeBasis = TimeBasis.BUSINESS,
    **changed: Any,
) -> Promise:
    """Return a commitment of four hours to the first follow-up, unless told otherwise."""
    parties = (Party.SYSTEM,) if kind is CommitmentKind.ROUTE else (Party.SALES,)
    return Promise(
        **{
            "id": kind.value.lower().replace("_", "-"),
            "title": kind.value.replace("_", " ").capitalize(),
            "parties": parties,
            "kind": kind,
            "basis": basis,
            "targets": (Target(amount=hours(target)),),
            "objective_basis_points": 9_000,
            "steps": tuple(steps),
            **changed,
        }
    )


WARN_AT_HALF = Step(id="warn", percent=50, recipients=(Role.OWNER,))
AT_DUE = Step(id="due", percent=100, recipients=(Role.OWNER, Role.MANAGER))
AN_HOUR_AFTER = Step(id="late", offset=hours(1), recipients=(Role.MANAGER, Role.LEADERSHIP))


def some_terms(*promises: Promise, mode: Mode = Mode.ENFORCE, **changed: Any) -> Terms:
    """Return the terms of an internal agreement that alerts."""
    return Terms(
        **{
            "title": "Between us",
            "kind": AgreementKind.INTERNAL,
            "mode": mode,
            "calendar_version": f"{TENANT}/calendars/office/versions/1",
            "promises": promises or (a_promise(),),
            **changed,
        }
    )


@dataclass
class Engine:
    """What a test turns and looks at; `now` is moved by hand alone."""

    now: datetime = MONDAY_NINE
    database: Database = field(default_factory=lambda: a_kept_database("services.sla.store.migrations"))
    archive: Archive = field(default_factory=Archive)
    position: int = 0

    def __post_init__(self) -> None:
        with self.database.reading() as connection:
            is_new = not schema_revision(connection)
        if is_new:
            migrate(self.database, "services.sla.store.migrations")
        self.make_calendar(Calendar.of("Asia/Seoul", _HOURS))
        self.staff()

    # What is agreed.

    def make_calendar(self, calendar: Calendar) -> str:
        """Make the next version of the office's calendar and return its name."""
        request = MakeCalendar(
            tenant="default", id="office", title="Office", calendar=calendar, actor=SALES_MANAGER
        )
        (made,) = self._act(make_calendars, [request])
        return str(made.name)

    def agree(self, terms: Terms | None = None, *, effective_time: datetime | None = None) -> str:
        """Have both parties agree and put it in force; return the version's name."""
        both = (Party.MARKETING, Party.SALES)
        request = Propose(
            tenant="default",
            agreement="main",
            terms=terms or some_terms(),
            principal=SALES_MANAGER,
            parties=both,
        )
        (proposed,) = self._act(propose, [request])
        if isinstance(proposed, Exception):
            raise proposed
        self._act(
            activate,
            [Activate(name=proposed.name, etag="", principal=SALES_MANAGER, effective_time=effective_time)],
        )
        return str(proposed.name)

    def accept(self, name: str, *parties: Party) -> Any:
        """Accept a version for parties."""
        request = Accept(name=name, etag="", principal=SALES_MANAGER, parties=parties)
        (answer,) = self._act(accept, [request])
        return answer

    def activate(self, name: str) -> Any:
        """Put a version in force."""
        (answer,) = self._act(
            activate, [Activate(name=name, etag="", principal=SALES_MANAGER, effective_time=None)]
        )
        return answer

    def _act(self, use_case: Any, requests: Sequence[Any]) -> list[Any]:
        with self.database.writer_engine.begin() as connection:
            tx = SlaTx(connection, self.archive, now=self.now)
            answers = use_case(tx, requests, now=self.now)
            tx.flush()
        return list(answers)

    # What happens.

    def staff(self) -> None:
        """Tell of the people of the house."""
        party = termspb.PARTY_SALES
        self.tell(SALES, leadeventspb.TeamChanged(team=SALES, party=party, manager=SALES_MANAGER))
        for person, role, team in (
            (REP, directorypb.ROLE_SALES_REP, SALES),
            (OTHER_REP, directorypb.ROLE_SALES_REP, SALES),
            (SALES_MANAGER, directorypb.ROLE_SALES_MANAGER, SALES),
            (MARKETING_MANAGER, directorypb.ROLE_MARKETING_MANAGER, ""),
            (LEADER, directorypb.ROLE_LEADERSHIP, ""),
        ):
            self.tell(person, leadeventspb.PersonChanged(person=person, roles=[role], team=team))

    def event(
        self, subject: str, payload: Message, *, at: datetime | None = None, record: datetime | None = None
    ) -> eventlogpb.Event:
        """Return the next event of the leads log, not yet told."""
        self.position += 1
        event = eventlogpb.Event(
            log_id=LEADS_LOG, position=self.position, tenant=TENANT, subject=subject, actor=REP
        )
        event.occur_time.FromDatetime(at or self.now)
        event.record_time.FromDatetime(record or self.now)
        event.payload.Pack(payload)
        return event

    def deliver(self, events: Iterable[eventlogpb.Event]) -> None:
        """Have the service take events from the leads log, as one batch."""
        with self.database.writer_engine.begin() as connection:
            batch = list(events)
            fold_events(schema.directory_tables, connection, batch)
            ingest(connection, self.archive, batch, now=self.now)

    def tell(self, subject: str, payload: Message, *, at: datetime | None = None) -> eventlogpb.Event:
        """Record an event in the leads log and deliver it at once."""
        event = self.event(subject, payload, at=at)
        self.deliver([event])
        return event

    def submit(self, handoff: str = HANDOFF, **changed: Any) -> None:
        """Submit a handoff."""
        qualification = leadspb.Qualification(**changed.pop("qualification", {}))
        payload = leadeventspb.HandoffSubmitted(handoff=handoff, qualification=qualification, **changed)
        self.tell(handoff, payload)

    def offer(self, handoff: str = HANDOFF, *, to: str = REP) -> None:
        """Offer a handoff to somebody."""
        payload = leadeventspb.HandoffOffered(handoff=handoff, assignee=to, team=SALES)
        self.tell(handoff, payload)

    def assign(self, handoff: str = HANDOFF, *, to: str = REP, **changed: Any) -> None:
        """Give a handoff an owner."""
        payload = leadeventspb.HandoffAccepted(handoff=handoff, owner=to, team=SALES, **changed)
        self.tell(handoff, payload)

    def follow_up(
        self, handoff: str = HANDOFF, *, by: str = REP, at: datetime | None = None, **changed: Any
    ) -> eventlogpb.Event:
        """Log a follow-up that happened now, or then."""
        payload = leadeventspb.FollowUpLogged(
            **{
                "handoff": handoff,
                "person": by,
                "team": SALES,
                "grade": termspb.EVIDENCE_GRADE_SELF_REPORTED,
                **changed,
            }
        )
        return self.tell(handoff, payload, at=at)

    def void(self, handoff: str = HANDOFF) -> None:
        """Take a handoff out of the world."""
        self.tell(handoff, leadeventspb.HandoffVoided(handoff=handoff, reason_code="TEST"))

    # Time.

    def advance(self, **amount: float) -> None:
        """Turn the clock forward, without looking at anything."""
        self.now += timedelta(**amount)

    def sweep(self, *, limit: int = 1000) -> int:
        """Look at what is due once; return how many clocks that was."""
        with self.database.writer_engine.begin() as connection:
            return sweep_batch(connection, self.archive, limit, now=self.now)

    def restart(self) -> None:
        """Forget everything that is not in the database."""
        self.archive = Archive()

    # What came of it.

    def clocks(self) -> list[Clock]:
        """Return every clock, in order of handoff and commitment."""
        columns = [schema.clock.columns[name] for name in CLOCK_COLUMNS]
        query = select(*columns).order_by(schema.clock.c.handoff, schema.clock.c.commitment_id)
        with self.database.reading() as connection:
            return [clock_of(tuple(row)) for row in connection.execute(query)]

    def clock(self) -> Clock:
        """Return the only clock there is."""
        (clock,) = self.clocks()
        return clock

    def alerts(self) -> list[Alert]:
        """Return every alert, in the order they were made."""
        query = select(schema.alert).order_by(schema.alert.c.create_time, schema.alert.c.due_time)
        with self.database.reading() as connection:
            return [alert_of(dict(row)) for row in connection.execute(query).mappings()]

    def log(self) -> list[tuple[str, Any]]:
        """Return what the sla log says, as type and payload of it, without agreements and calendars."""
        query = select(schema.eventlog_tables.event_log).order_by("position")
        found = []
        with self.database.reading() as connection:
            for row in connection.execute(query):
                kind = row.payload_type.rsplit(".", 1)[1]
                if kind not in _NOT_OF_CLOCKS:
                    module = slaeventspb if hasattr(slaeventspb, kind) else slaclockspb
                    found.append((kind, getattr(module, kind).FromString(row.payload)))
        return found

    def payloads_of(self, kind: str) -> list[bytes]:
        """Return what the log holds of a kind of payload, by its full name."""
        table = schema.eventlog_tables.event_log
        query = select(table.c.payload).where(table.c.payload_type == kind).order_by(table.c.position)
        with self.database.reading() as connection:
            return list(connection.execute(query).scalars())

    def said(self) -> list[str]:
        """Return the kinds of what was said of clocks, in order; a rung with its id."""
        return [
            f"RungFired:{payload.rung_id}" if kind == "RungFired" else kind
            for kind, payload in self.log()
            if kind != "AlertChanged"
        ]

    def occur_times(self, kind: str) -> list[datetime]:
        """Return when, by the log, everything of a kind happened."""
        table = schema.eventlog_tables.event_log
        query = select(table.c.occur_time, table.c.payload_type).order_by(table.c.position)
        with self.database.reading() as connection:
            return [
                at if isinstance(at, datetime) else from_micros(at)
                for at, payload_type in connection.execute(query)
                if payload_type.endswith(f".{kind}")
            ]
