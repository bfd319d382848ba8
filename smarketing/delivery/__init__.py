"""What leaves the house: signed webhooks, queued with the state that caused them, retried, never lost.

A message is enqueued in the transaction of its cause and sent afterwards, at least once, always
under the same `webhook-id`. Each endpoint has a queue of its own, so a slow one delays no other.
"""

from smarketing.delivery.addresses import AddressForbidden, AddressPolicy
from smarketing.delivery.endpoints import (
    Endpoint,
    EndpointUnknown,
    NewEndpoint,
    create_endpoint,
    delete_endpoint,
    list_endpoints,
    new_secret,
)
from smarketing.delivery.fetching import FetchFailed, fetch
from smarketing.delivery.queue import NewMessage, enqueue, replay_dead_letters
from smarketing.delivery.sealing import Sealer
from smarketing.delivery.sender import Sender, SenderSettings
from smarketing.delivery.tables import DeliveryTables, define_tables
from smarketing.delivery.telemetry import DeliveryTelemetry, read_queue
from smarketing.delivery.webhooks import new_client

__all__ = [
    "AddressForbidden",
    "AddressPolicy",
    "DeliveryTables",
    "DeliveryTelemetry",
    "Endpoint",
    "EndpointUnknown",
    "FetchFailed",
    "NewEndpoint",
    "NewMessage",
    "Sealer",
    "Sender",
    "SenderSettings",
    "create_endpoint",
    "define_tables",
    "delete_endpoint",
    "enqueue",
    "fetch",
    "list_endpoints",
    "new_client",
    "new_secret",
    "read_queue",
    "replay_dead_letters",
]
