"""The addresses that alerts are sent to."""

from services.sla.wire.instants import stamp, stamp_or_none
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.delivery import Endpoint
from smarketing.names import WEBHOOK_ENDPOINT


def endpoint_message(endpoint: Endpoint) -> slapb.WebhookEndpoint:
    """Return an address as it is shown; never its secret."""
    return slapb.WebhookEndpoint(
        name=WEBHOOK_ENDPOINT.build(endpoint.tenant, endpoint.endpoint_id),
        url=endpoint.url,
        display_name=endpoint.display_name,
        create_time=stamp(endpoint.create_time),
        delete_time=stamp_or_none(endpoint.delete_time),
        pending_count=endpoint.pending_count,
        dead_letter_count=endpoint.dead_letter_count,
        last_success_time=stamp_or_none(endpoint.last_success_time),
    )


def created_message(endpoint: Endpoint) -> slapb.CreateWebhookEndpointResponse:
    """Return the answer to a registration as it is kept for a repetition: without the secret."""
    return slapb.CreateWebhookEndpointResponse(webhook_endpoint=endpoint_message(endpoint))
