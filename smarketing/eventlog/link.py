"""One connection to NATS, made anew by whoever finds it gone, and what is named on the bus."""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nats
import nats.errors
from nats.aio.client import Client

__all__ = [
    "BUS_REFUSALS",
    "BusAway",
    "Link",
    "LinkSettings",
    "durable_of",
    "heed_cancellation",
    "stream_of",
    "subject_of",
]

_CONNECT_SECONDS: Final = 2
_PING_SECONDS: Final = 5
_PINGS_UNANSWERED: Final = 2


class BusAway(Exception):
    """No server of the bus could be reached, or none let us in."""


BUS_REFUSALS: Final = (BusAway, nats.errors.Error, OSError, TimeoutError)
"""What is raised when the bus is away or says no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Where the bus is and how it knows us; what is secret or a certificate stands in files."""

    servers: Sequence[str]
    name: str
    """Who we are; replies come to inboxes below it, so that the bus can keep services apart."""
    user: str = ""
    password_file: Path | None = None
    ca: Path | None = None
    """PEM file that signed the servers' certificates; with it nothing is said in plain text."""
    certificate: Path | None = None
    key: Path | None = None


def stream_of(log: str) -> str:
    """Return the name of the stream that carries the log of the service so called."""
    return f"smarketing-{log}"


def subject_of(log: str) -> str:
    """Return the subject on which the log's events are published."""
    return f"smarketing.{log}.events"


def durable_of(consumer: str) -> str:
    """Return what a consumer is called on the bus, which allows no dots."""
    return consumer.replace(".", "-")


def heed_cancellation() -> None:
    """Be cancelled, if that was asked for while the client was called: it may have swallowed it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Link:
    """The process's connection to the bus, shared by all that use it there.

    The client's own reconnecting is off: a connection that broke is replaced whole, with all that hung
    on it, by the next who asks for it.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._turn = asyncio.Lock()
        self._next = 0

    async def client(self) -> Client:
        """Return a client that is connected.

        Raises:
            BusAway: when none of the servers takes us now.
        """
        async with self._turn:
            if self._client is not None and self._client.is_connected and not self._client.is_closed:
                return self._client
            await self._drop()
            self._client = await self._connected()
            return self._client

    async def close(self) -> None:
        """Disconnect."""
        async with self._turn:
            await self._drop()

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            with suppress(*BUS_REFUSALS):
                await client.close()

    async def _connected(self) -> Client:
        servers = self._settings.servers
        last: Exception | None = None
        for _ in servers:
            server = servers[self._next % len(servers)]
            # The next attempt begins with the next server, also when this one took us and dies.
            self._next += 1
            try:
                return await self._connect(server)
            except BUS_REFUSALS as error:
                last = error
        raise BusAway(f"none of {len(servers)} servers took us: {last!r}") from last

    async def _connect(self, server: str) -> Client:
        settings = self._settings
        password = settings.password_file
        client = Client()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.connect(
                    servers=[server],
                    name=f"smarketing-{settings.name}",
                    user=settings.user or None,
                    password=password.read_text(encoding="utf-8").strip() if password is not None else None,
                    tls=_tls(settings),
                    # Else the client believes a server that wants no TLS, and tells it the password.
                    tls_handshake_first=settings.ca is not None,
                    inbox_prefix=f"_INBOX_{settings.name}",
                    allow_reconnect=False,
                    # It would try a closed port for two minutes before it says so.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=_CONNECT_SECONDS,
                    ping_interval=_PING_SECONDS,
                    max_outstanding_pings=_PINGS_UNANSWERED,
                    error_cb=_ignore,
                )
        except BaseException:
            with suppress(Exception):
                await client.close()
            raise
        return client


async def _ignore(_error: Exception) -> None:
    """Whoever uses the connection meets the error there."""


def _tls(settings: LinkSettings) -> ssl.SSLContext | None:
    if settings.ca is None:
        return None
    context = ssl.create_default_context(cafile=str(settings.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key)
    return context
