"""What leaves the house: webhooks, e-mail and chat, queued with the state that caused it, never lost.

A message is enqueued in the transaction of its cause and sent afterwards, at least once, always
under the same `webhook-id`. Each endpoint has a queue of its own, so a slow one delays no other.
"""

from smarketing.delivery.addresses import AddressForbidden, AddressPolicy
from smarketing.delivery.carriers import Carrier, Way, personal_webhook
from smarketing.delivery.chat import ChatCarrier, check_chat_address, is_chat_installed
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
from smarketing.delivery.mail import MailCarrier, MailSecurity, MailSettings, mail_payload
from smarketing.delivery.queue import DueMessage, NewMessage, enqueue, listening, replay_dead_letters
from smarketing.delivery.sealing import Sealer
from smarketing.delivery.sender import Sender, SenderSettings
from smarketing.delivery.tables import DeliveryTables, define_tables
from smarketing.delivery.telemetry import DeliveryTelemetry, read_queue
from smarketing.delivery.webhooks import new_client

__all__ = [
    "AddressForbidden",
    "AddressPolicy",
    "Carrier",
    "ChatCarrier",
    "DeliveryTables",
    "DeliveryTelemetry",
    "DueMessage",
    "Endpoint",
    "EndpointUnknown",
    "FetchFailed",
    "MailCarrier",
    "MailSecurity",
    "MailSettings",
    "NewEndpoint",
    "NewMessage",
    "Sealer",
    "Sender",
    "SenderSettings",
    "Way",
    "check_chat_address",
    "create_endpoint",
    "define_tables",
    "delete_endpoint",
    "enqueue",
    "fetch",
    "is_chat_installed",
    "list_endpoints",
    "listening",
    "mail_payload",
    "new_client",
    "new_secret",
    "personal_webhook",
    "read_queue",
    "replay_dead_letters",
]
