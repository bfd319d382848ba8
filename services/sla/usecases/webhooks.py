"""Register and remove the addresses that alerts are sent to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.store.schema import delivery_tables
from services.sla.store.tx import SlaTx
from services.sla.store.webhooks import find_endpoint
from smarketing.delivery import (
    Endpoint,
    EndpointUnknown,
    NewEndpoint,
    Sealer,
    create_endpoint,
    delete_endpoint,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveEndpoint:
    """An address is wanted no more."""

    tenant: str
    endpoint_id: str


def create(
    tx: SlaTx, requests: Sequence[NewEndpoint], *, now: datetime, sealer: Sealer
) -> list[Endpoint | Exception]:
    """Return each address as registered."""
    made: list[Endpoint | Exception] = []
    for request in requests:
        create_endpoint(tx.connection, delivery_tables, request, sealer=sealer, now=now)
        made.append(find_endpoint(tx.connection, request.tenant, request.endpoint_id))
    return made


def remove(tx: SlaTx, requests: Sequence[RemoveEndpoint], *, now: datetime) -> list[Endpoint | Exception]:
    """Return each address as removed."""
    removed: list[Endpoint | Exception] = []
    for request in requests:
        try:
            delete_endpoint(
                tx.connection,
                delivery_tables,
                tenant=request.tenant,
                endpoint_id=request.endpoint_id,
                now=now,
            )
            removed.append(find_endpoint(tx.connection, request.tenant, request.endpoint_id))
        except EndpointUnknown as unknown:
            removed.append(unknown)
    return removed
