"""The queue of outgoing messages: enqueued with their cause, claimed when due, settled once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, and_, bindparam, func, select, update

from smarketing.delivery.tables import DeliveryTables, MessageState
from smarketing.sql import FindRows, InsertRows

RETRY_DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Waits between attempts: ten attempts over 75 h 35 min, as Standard Webhooks recommends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """Something to tell a tenant's endpoints."""

    tenant: str
    message_id: str
    """Stable: the receiver knows a repeat by it."""
    event_type: str
    payload_json: bytes
    """The body, UTF-8 JSON, sent byte for byte on every attempt."""
    endpoints: frozenset[str] | None = None
    """Those of the tenant's endpoints that it is for; None for all but the people's own addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMessage:
    """A message whose attempt is due, with the address it goes to."""

    tenant: str
    endpoint_id: str
    message_id: str
    payload: bytes
    attempts: int
    url: str
    sealed_secret: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What came of an attempt."""

    message: DueMessage
    delivered: bool
    problem: str = ""
    """Why not, in a few words without content of the message; empty when delivered."""
    gone: bool = False
    """The endpoint answered 410: it wants no more messages at all."""


class Waking:
    """Whether something was made due in this process: the mark is another one after each time."""

    def __init__(self) -> None:
        self.mark = object()


waking: Final = Waking()


def enqueue(
    connection: Connection, tables: DeliveryTables, messages: Sequence[NewMessage], *, now: datetime
) -> int:
    """Queue messages for every live endpoint of their tenants, in the caller's transaction.

    A message id that an endpoint has already is passed over, so a repeated cause sends nothing twice.

    Returns:
        How many were queued, one for each message and endpoint.
    """
    if not messages:
        return 0
    live = _live_endpoints(connection, tables, sorted({message.tenant for message in messages}))
    rows = {
        (message.tenant, endpoint_id, message.message_id): message
        for message in messages
        for endpoint_id, is_shared in live.get(message.tenant, ())
        if (is_shared if message.endpoints is None else endpoint_id in message.endpoints)
    }
    known = _known(connection, tables, rows)
    fresh = [
        (
            *key,
            message.event_type,
            message.payload_json,
            MessageState.PENDING.value,
            0,
            now,
            now,
            None,
            "",
        )
        for key, message in rows.items()
        if key not in known
    ]
    _inserting(tables.message).insert(connection, fresh)
    if fresh:
        waking.mark = object()
    return len(fresh)


def listening(connection: Connection, tables: DeliveryTables, tenants: Iterable[str]) -> frozenset[str]:
    """Return those of the tenants with a live endpoint for the whole tenant's messages.

    To the others nothing need be written: it would be queued for nobody.
    """
    live = _live_endpoints(connection, tables, sorted(tenants))
    return frozenset(
        tenant for tenant, endpoints in live.items() if any(is_shared for _, is_shared in endpoints)
    )


def _live_endpoints(
    connection: Connection, tables: DeliveryTables, tenants: Sequence[str]
) -> dict[str, list[tuple[str, bool]]]:
    """Return the ids by tenant, each with whether the whole tenant's messages go there."""
    endpoint = tables.endpoint
    query = select(endpoint.c.tenant, endpoint.c.endpoint_id, endpoint.c.url).where(
        endpoint.c.tenant.in_(tenants), endpoint.c.delete_time.is_(None), endpoint.c.disable_time.is_(None)
    )
    live: dict[str, list[tuple[str, bool]]] = {}
    for tenant, endpoint_id, url in connection.execute(query):
        live.setdefault(tenant, []).append((endpoint_id, url.startswith("http")))
    return live


_Key = tuple[str, str, str]


@cache
def _inserting(message: Table) -> InsertRows:
    return InsertRows(message)


@cache
def _finding(message: Table) -> FindRows:
    key = ["tenant", "endpoint_id", "message_id"]
    return FindRows(message, key=key, columns=key)


def _known(connection: Connection, tables: DeliveryTables, keys: Iterable[_Key]) -> set[_Key]:
    found = _finding(tables.message).find(connection, keys)
    return {(tenant, endpoint_id, message_id) for tenant, endpoint_id, message_id in found}


def next_due(connection: Connection, tables: DeliveryTables) -> datetime | None:
    """Return when the next attempt is due; None when nothing waits."""
    found: datetime | None = connection.execute(_asking_next(tables.message)).scalar_one()
    return found


@cache
def _asking_next(message: Table) -> Select[Any]:
    # Kept, because it is asked after every commit of the service: building it anew costs more than asking.
    return select(func.min(message.c.next_attempt_time)).where(message.c.next_attempt_time.is_not(None))


def due_endpoints(connection: Connection, tables: DeliveryTables, *, now: datetime) -> list[tuple[str, str]]:
    """Return the tenant and id of every endpoint with an attempt due."""
    message = tables.message
    query = (
        select(message.c.tenant, message.c.endpoint_id)
        .where(message.c.next_attempt_time.is_not(None), message.c.next_attempt_time <= now)
        .distinct()
    )
    return [(tenant, endpoint_id) for tenant, endpoint_id in connection.execute(query)]


def due_messages(
    connection: Connection,
    tables: DeliveryTables,
    *,
    tenant: str,
    endpoint_id: str,
    now: datetime,
    limit: int,
) -> list[DueMessage]:
    """Return an endpoint's messages whose attempt is due, the one that waited longest first."""
    endpoint, message = tables.endpoint, tables.message
    query = (
        select(
            message.c.tenant,
            message.c.endpoint_id,
            message.c.message_id,
            message.c.payload,
            message.c.attempts,
            endpoint.c.url,
            endpoint.c.sealed_secret,
        )
        .join(
            endpoint,
            and_(endpoint.c.tenant == message.c.tenant, endpoint.c.endpoint_id == message.c.endpoint_id),
        )
        .where(
            message.c.tenant == tenant,
            message.c.endpoint_id == endpoint_id,
            message.c.next_attempt_time.is_not(None),
            message.c.next_attempt_time <= now,
        )
        .order_by(message.c.next_attempt_time, message.c.create_time, message.c.message_id)
        .limit(limit)
    )
    return [DueMessage(**row) for row in connection.execute(query).mappings()]


def record_attempts(
    connection: Connection, tables: DeliveryTables, results: Sequence[Attempted], *, now: datetime
) -> None:
    """Write down what came of attempts; one that was settled meanwhile, or removed, stays as it is."""
    message = tables.message
    statement = (
        update(message)
        .where(
            message.c.tenant == bindparam("key_tenant"),
            message.c.endpoint_id == bindparam("key_endpoint"),
            message.c.message_id == bindparam("key_message"),
            message.c.state == MessageState.PENDING,
        )
        .values(
            state=bindparam("new_state"),
            attempts=bindparam("new_attempts"),
            next_attempt_time=bindparam("new_time"),
            settle_time=bindparam("new_settle"),
            last_problem=bindparam("new_problem"),
        )
    )
    connection.execute(statement, [_settled(result, now) for result in results])
    _mark_endpoints(connection, tables, results, now=now)


def _settled(result: Attempted, now: datetime) -> dict[str, object]:
    attempts = result.message.attempts + 1
    again = not result.delivered and not result.gone and attempts <= len(RETRY_DELAYS)
    state = MessageState.PENDING if again else MessageState.DEAD
    return {
        "key_tenant": result.message.tenant,
        "key_endpoint": result.message.endpoint_id,
        "key_message": result.message.message_id,
        "new_state": MessageState.DELIVERED if result.delivered else state,
        "new_attempts": attempts,
        "new_time": now + RETRY_DELAYS[attempts - 1] if again else None,
        "new_settle": None if again else now,
        "new_problem": result.problem[:200],
    }


def _mark_endpoints(
    connection: Connection, tables: DeliveryTables, results: Sequence[Attempted], *, now: datetime
) -> None:
    endpoint = tables.endpoint
    for column, chosen in (
        (endpoint.c.last_success_time, [result for result in results if result.delivered]),
        (endpoint.c.disable_time, [result for result in results if result.gone]),
    ):
        keys = {(result.message.tenant, result.message.endpoint_id) for result in chosen}
        for tenant, endpoint_id in keys:
            connection.execute(
                update(endpoint)
                .where(endpoint.c.tenant == tenant, endpoint.c.endpoint_id == endpoint_id)
                .values({column: now})
            )


def replay_dead_letters(
    connection: Connection, tables: DeliveryTables, *, tenant: str, endpoint_id: str, now: datetime
) -> int:
    """Give an endpoint's dead letters a fresh set of attempts, beginning now; return how many."""
    endpoint, message = tables.endpoint, tables.message
    connection.execute(
        update(endpoint)
        .where(endpoint.c.tenant == tenant, endpoint.c.endpoint_id == endpoint_id)
        .values(disable_time=None)
    )
    replayed = connection.execute(
        update(message)
        .where(
            message.c.tenant == tenant,
            message.c.endpoint_id == endpoint_id,
            message.c.state == MessageState.DEAD,
        )
        .values(state=MessageState.PENDING, attempts=0, next_attempt_time=now, settle_time=None)
    )
    waking.mark = object()
    return replayed.rowcount
