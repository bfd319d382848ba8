"""The leads log: who may call, who answers for a queue, and what happened to handoffs."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from services.sla.store.archive import Archive
from services.sla.store.definitions import put_definitions
from services.sla.store.staff import put_queues
from services.sla.store.tx import SlaTx
from services.sla.usecases.periods import fold
from services.sla.usecases.settle import Observer, record
from services.sla.wire.facts import TOLD_TYPES, told_of
from services.sla.wire.instants import instant
from services.sla.wire.periods import period_facts_of
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.eventlog.directory import DIRECTORY_TYPES, DirectoryKeeper
from smarketing.eventlog.group import Progress
from smarketing.eventlog.outbox import Cause
from smarketing.names import tenant_of
from smarketing.sql import Connection

CONSUMER: Final = "sla.leads"

HANDLED: Final = (
    TOLD_TYPES
    | DIRECTORY_TYPES
    | {
        leadeventspb.MqlDefinitionActivated.DESCRIPTOR.full_name,
        leadeventspb.QueueChanged.DESCRIPTOR.full_name,
    }
)
IGNORED: Final = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        leadeventspb.BehaviourRecorded,
        leadeventspb.ConsentRecorded,
        leadeventspb.DistinctionWithdrawn,
        leadeventspb.FeedbackRecorded,
        leadeventspb.FeedbackStatusChanged,
        leadeventspb.HandoffContinued,
        leadeventspb.HandoffRated,
        leadeventspb.HandoffsRerated,
        leadeventspb.LeadsDistinguished,
        leadeventspb.NextActionSet,
        leadeventspb.PlaybookChanged,
        leadeventspb.RoutingChanged,
        leadeventspb.ScoreModelActivated,
        leadeventspb.SubjectErased,
        leadeventspb.SubmissionJoined,
        leadeventspb.TenantChanged,
    )
)
"""Passed over knowingly: they are of no concern here."""
PAYLOAD_TYPES: Final = HANDLED | IGNORED

_PATIENCE_SECONDS: Final = 30.0
_A_MOMENT: Final = timedelta(seconds=2)


def ingest(
    connection: Connection,
    archive: Archive,
    events: Sequence[eventlogpb.Event],
    *,
    now: datetime,
    observe: Observer | None = None,
) -> None:
    """Take in what contiguous events say of queues and handoffs, in one transaction.

    Clocks are decided as of the newest event, not as of now: what happened until then is all here, so
    nothing is called missed that a later event of a backlog shows to have been done. What is due between
    then and now is the sweeper's.
    """
    put_queues(connection, [queue for event in events for queue in _queues(event)])
    put_definitions(connection, [each for event in events for each in _definitions(event)])
    told = [each for event in events for each in told_of(event)]
    if told:
        causes = {event.subject: _cause(event) for event in events}
        as_of = min(max(instant(event.record_time) for event in events), now)
        tx = SlaTx(connection, archive, now=now)
        record(tx, told, as_of=as_of, causes=causes, observe=observe)
        fold(tx, [fact for event in events for fact in period_facts_of(event)])
        tx.flush()


def _cause(event: eventlogpb.Event) -> Cause:
    return Cause(event.log_id, event.position, event.tenant_position)


def _queues(event: eventlogpb.Event) -> list[tuple[str, str, str, str]]:
    if event.payload.TypeName() != leadeventspb.QueueChanged.DESCRIPTOR.full_name:
        return []
    payload = leadeventspb.QueueChanged.FromString(event.payload.value)
    return [(tenant_of(payload.queue), payload.queue, payload.team, payload.manager)]


def _definitions(event: eventlogpb.Event) -> list[tuple[str, str, str]]:
    if event.payload.TypeName() != leadeventspb.MqlDefinitionActivated.DESCRIPTOR.full_name:
        return []
    definition = leadeventspb.MqlDefinitionActivated.FromString(event.payload.value).mql_definition
    return [(tenant_of(definition.name), definition.name, definition.display_name)]


class LeadsLog:
    """Gives the consumer of the leads log its `apply`."""

    def __init__(self, archive: Archive, keeper: DirectoryKeeper, *, observe: Observer | None = None) -> None:
        self._archive = archive
        self._keeper = keeper
        self._observe = observe

    def apply(self, connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        """Take in a batch; on the writer's thread."""
        self._keeper.fold(connection, events)
        ingest(connection, self._archive, events, now=now, observe=self._observe)


class CaughtUp:
    """Whether the leads log is read to its end, so that what is due now may be called missed.

    A reader that is a moment behind a busy log is as good as at its end. A peer that is away has nothing
    newer to say after a while: then due is due.
    """

    def __init__(
        self,
        consumer: Progress,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._consumer = consumer
        self._now = now
        self._monotonic = monotonic
        self._patience_seconds = patience_seconds
        self._position = -1
        self._moved_at = monotonic()

    def __call__(self) -> bool:
        """Tell whether timers may fire."""
        consumer = self._consumer
        # What the log held when it was last met says nothing of now: this run must have heard from it.
        heard = consumer.caught_up and consumer.head_position > 0
        if heard and consumer.position >= consumer.head_position:
            self._moved_at, self._position = self._monotonic(), consumer.position
            return True
        read_until = consumer.read_until
        if read_until is not None and self._now() - read_until < _A_MOMENT:
            return True
        if consumer.position != self._position:
            self._moved_at, self._position = self._monotonic(), consumer.position
        return self._monotonic() - self._moved_at > self._patience_seconds
