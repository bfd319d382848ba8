"""One attempt to deliver one message: signed as Standard Webhooks says, to the address that was checked."""

import asyncio
from datetime import datetime
from typing import Final

import httpx
from standardwebhooks.webhooks import Webhook

from smarketing.delivery.addresses import AddressForbidden, AddressPolicy, Target, resolve
from smarketing.delivery.queue import Attempted, DueMessage

_GONE: Final = 410
_ANSWER_LIMIT_BYTES: Final = 64 * 1024


def signed_headers(message_id: str, payload: bytes, *, secret: str, now: datetime) -> dict[str, str]:
    """Return the headers by which a receiver knows a message for ours.

    `now` must be aware and in UTC: the signing library reads its fields as they stand.
    """
    signature = Webhook(secret).sign(message_id, now, payload.decode())
    return {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "smarketing-webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


async def attempt(
    client: httpx.AsyncClient,
    message: DueMessage,
    *,
    secret: str,
    policy: AddressPolicy,
    timeout_seconds: float,
    now: datetime,
) -> Attempted:
    """Send a message once and say what came of it; never raises for what the other side does."""
    try:
        async with asyncio.timeout(timeout_seconds):
            target = await resolve(message.url, policy)
            status = await _post(client, message, target, secret=secret, now=now)
    except AddressForbidden as error:
        return Attempted(message=message, delivered=False, problem=error.why)
    except TimeoutError:
        return Attempted(message=message, delivered=False, problem="no answer in time")
    except httpx.HTTPError as error:
        return Attempted(message=message, delivered=False, problem=type(error).__name__)
    delivered = 200 <= status < 300
    problem = "" if delivered else f"answered {status}"
    return Attempted(message=message, delivered=delivered, problem=problem, gone=status == _GONE)


async def _post(
    client: httpx.AsyncClient, message: DueMessage, target: Target, *, secret: str, now: datetime
) -> int:
    url = httpx.URL(message.url)
    headers = signed_headers(message.message_id, message.payload, secret=secret, now=now)
    headers["host"] = url.netloc.decode("ascii")
    # Connected by address, verified by name: the certificate must still be the host's.
    async with client.stream(
        "POST",
        url.copy_with(host=str(target.address)),
        content=message.payload,
        headers=headers,
        extensions={"sni_hostname": target.host},
    ) as response:
        received = 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            if received > _ANSWER_LIMIT_BYTES:
                break
        return response.status_code


def new_client() -> httpx.AsyncClient:
    """Return the client for all attempts: no redirects, no proxies from the environment."""
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        timeout=None,  # noqa: S113 -- each attempt as a whole has its own limit
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
    )
