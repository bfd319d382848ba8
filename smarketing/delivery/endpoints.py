"""The addresses that a tenant registered, and how their deliveries go."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, case, func, insert, select, update

from smarketing.delivery.sealing import Sealer
from smarketing.delivery.tables import DeliveryTables, MessageState


class EndpointUnknown(Exception):
    """The tenant has no such endpoint."""

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(f"webhook endpoint {endpoint_id} does not exist")
        self.endpoint_id = endpoint_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """An address to register; its URL has passed `addresses.resolve`, or is a `Way` to `secret`."""

    tenant: str
    endpoint_id: str
    url: str
    display_name: str
    secret: str
    """`whsec_…`, from `new_secret`; for a `Way`, the address itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What is known of a registered address; never its secret."""

    tenant: str
    endpoint_id: str
    url: str
    display_name: str
    create_time: datetime
    delete_time: datetime | None
    last_success_time: datetime | None
    pending_count: int
    dead_letter_count: int


def new_secret() -> str:
    """Return a fresh signing secret in the form of Standard Webhooks: `whsec_` and 24 bytes in base 64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def create_endpoint(
    connection: Connection, tables: DeliveryTables, new: NewEndpoint, *, sealer: Sealer, now: datetime
) -> None:
    """Register an address; its secret is sealed before it is stored."""
    connection.execute(
        insert(tables.endpoint).values(
            tenant=new.tenant,
            endpoint_id=new.endpoint_id,
            url=new.url,
            display_name=new.display_name,
            sealed_secret=sealer.seal(new.secret.encode(), seal_purpose(new.tenant, new.endpoint_id)),
            create_time=now,
        )
    )


def delete_endpoint(
    connection: Connection, tables: DeliveryTables, *, tenant: str, endpoint_id: str, now: datetime
) -> None:
    """Remove an address and cancel what waits for it. A removed one stays removed: idempotent.

    Raises:
        EndpointUnknown: when it never was.
    """
    endpoint, message = tables.endpoint, tables.message
    here = and_(endpoint.c.tenant == tenant, endpoint.c.endpoint_id == endpoint_id)
    if connection.execute(select(endpoint.c.url).where(here)).first() is None:
        raise EndpointUnknown(endpoint_id)
    connection.execute(update(endpoint).where(here, endpoint.c.delete_time.is_(None)).values(delete_time=now))
    connection.execute(
        update(message)
        .where(
            message.c.tenant == tenant,
            message.c.endpoint_id == endpoint_id,
            message.c.state == MessageState.PENDING,
        )
        .values(state=MessageState.CANCELLED, next_attempt_time=None, settle_time=now)
    )


def list_endpoints(
    connection: Connection,
    tables: DeliveryTables,
    *,
    tenant: str,
    limit: int = 1000,
    after: tuple[datetime, str] | None = None,
) -> Sequence[Endpoint]:
    """Return a tenant's endpoints, newest first, removed ones included; not the people's own addresses.

    `after` is the creation time and id of the last one already seen.
    """
    endpoint, message = tables.endpoint, tables.message
    counts = (
        select(
            message.c.endpoint_id,
            func.sum(case((message.c.state == MessageState.PENDING, 1), else_=0)).label("pending"),
            func.sum(case((message.c.state == MessageState.DEAD, 1), else_=0)).label("dead"),
        )
        .where(message.c.tenant == tenant, message.c.state.in_([MessageState.PENDING, MessageState.DEAD]))
        .group_by(message.c.endpoint_id)
        .subquery()
    )
    query = (
        select(
            endpoint.c.tenant,
            endpoint.c.endpoint_id,
            endpoint.c.url,
            endpoint.c.display_name,
            endpoint.c.create_time,
            endpoint.c.delete_time,
            endpoint.c.last_success_time,
            func.coalesce(counts.c.pending, 0).label("pending_count"),
            func.coalesce(counts.c.dead, 0).label("dead_letter_count"),
        )
        .outerjoin(counts, counts.c.endpoint_id == endpoint.c.endpoint_id)
        .where(endpoint.c.tenant == tenant, endpoint.c.url.startswith("http"))
        .order_by(endpoint.c.create_time.desc(), endpoint.c.endpoint_id.desc())
        .limit(limit)
    )
    if after is not None:
        seen_time, seen_id = after
        query = query.where(
            (endpoint.c.create_time < seen_time)
            | and_(endpoint.c.create_time == seen_time, endpoint.c.endpoint_id < seen_id)
        )
    return [Endpoint(**row) for row in connection.execute(query).mappings()]


def seal_purpose(tenant: str, endpoint_id: str) -> str:
    """Return what a signing secret is sealed for."""
    return f"webhook-endpoint/{tenant}/{endpoint_id}"
