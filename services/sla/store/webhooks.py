"""The tenants' addresses, as they are listed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from services.sla.store.schema import delivery_tables
from smarketing.delivery import Endpoint, EndpointUnknown, list_endpoints
from smarketing.sql import from_micros


def find_endpoint(connection: Connection, tenant: str, endpoint_id: str) -> Endpoint:
    """Return one address.

    Raises:
        EndpointUnknown: when the tenant has no such address.
    """
    # A tenant has a handful of them.
    for endpoint in list_endpoints(connection, delivery_tables, tenant=tenant):
        if endpoint.endpoint_id == endpoint_id:
            return endpoint
    raise EndpointUnknown(endpoint_id)


def page_of_endpoints(
    connection: Connection, tenant: str, *, limit: int, after: Sequence[Any] | None
) -> list[Endpoint]:
    """Return addresses, newest first; `after` is the creation time in µs and the id of the last one seen."""
    seen = None if after is None else (from_micros(after[0]), str(after[1]))
    return list(list_endpoints(connection, delivery_tables, tenant=tenant, limit=limit, after=seen))
