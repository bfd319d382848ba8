"""Which bus carries the logs between services: the feed alone, or NATS JetStream beside it.

What belongs to NATS is imported when it is asked for: without the extra of that name the feed works.
"""

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx
from prometheus_client import CollectorRegistry, Counter

from smarketing.eventlog.consumer import EventSource
from smarketing.server.bootstrap import BackgroundTask
from smarketing.server.listening import StartRefused
from smarketing.server.settings import is_loopback
from smarketing.sql import Writer

if TYPE_CHECKING:
    from smarketing.eventlog.link import Link

__all__ = ["BusSettings", "BusTelemetry", "EventBus", "open_bus"]

_FEED: Final = "feed"
_SCHEMES: Final = ("nats", "tls")
_REASONS: Final = ("unreadable", "foreign", "mismatch")
_MONITOR_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    """What an operator sets of the bus; `nats_ca` is read from `SMARKETING_NATS_CA`, and so on."""

    bus: tuple[str, ...] = (_FEED,)
    """`feed`, or the servers of one NATS cluster: `nats://host:port` or `tls://host:port`, with commas."""
    nats_monitors: tuple[str, ...] = ()
    """Where each server's monitoring is: it is asked whether it syncs what it acknowledges."""
    nats_unsynced: bool = False
    """Go without that question: what the servers acknowledged may be gone after a power cut, and is then
    read from its owner."""
    nats_replicas: int = field(default=3, metadata={"at_least": 1, "at_most": 5})
    """Servers that hold each message; 1 where there is one server."""
    nats_max_bytes: int = field(default=1024**3, metadata={"at_least": 1_000_000})
    """What a log's followers may leave behind on the bus before its publisher waits for them."""
    nats_user: str = ""
    """Empty takes the service's name where there is a password."""
    nats_password_file: Path | None = None
    """Read anew for each connection, so that a password may be changed while the service runs; `{service}`
    in its name stands for the service's, for services that share their settings."""
    nats_ca: Path | None = None
    """PEM file that signed the servers' certificates."""
    nats_certificate: Path | None = None
    nats_key: Path | None = None

    def __post_init__(self) -> None:
        if not self.uses_nats:
            return
        for server in self.bus:
            self._check_server(server)
        if (self.nats_certificate is None) != (self.nats_key is None):
            raise ValueError("SMARKETING_NATS_CERTIFICATE and SMARKETING_NATS_KEY belong together.")
        if not self.nats_monitors and not self.nats_unsynced:
            raise ValueError(
                "SMARKETING_NATS_MONITORS is missing: name where each server's monitoring is, such as "
                "http://127.0.0.1:8222, or set SMARKETING_NATS_UNSYNCED to go without."
            )

    @property
    def uses_nats(self) -> bool:
        """Whether there is a bus beside the feed."""
        return self.bus != (_FEED,)

    def _check_server(self, server: str) -> None:
        # The text is not repeated in what is said of it: it may hold a password.
        parts = urlsplit(server)
        if parts.scheme not in _SCHEMES or not parts.hostname or not parts.port:
            raise ValueError(
                "SMARKETING_BUS must be feed, or nats://host:port or tls://host:port with commas."
            )
        if "@" in parts.netloc:
            raise ValueError(
                "SMARKETING_BUS holds a user: set SMARKETING_NATS_USER and SMARKETING_NATS_PASSWORD_FILE."
            )
        if self.nats_ca is None and not is_loopback(f"{parts.hostname}:{parts.port}"):
            raise ValueError(
                f"SMARKETING_BUS names {parts.hostname}, which is another machine: set SMARKETING_NATS_CA."
            )


class BusTelemetry:
    """What the bus did to a process's consumers; `followed` says whose log each of them follows."""

    def __init__(self, registry: CollectorRegistry, followed: dict[str, str]) -> None:
        refused = Counter(
            "smarketing_eventlog_bus_refused_total",
            "Deliveries of the bus that were not taken for events",
            ["consumer", "log", "reason"],
            registry=registry,
        )
        resubscriptions = Counter(
            "smarketing_eventlog_bus_resubscriptions_total",
            "Subscriptions that were given up and made anew",
            ["consumer", "log"],
            registry=registry,
        )
        self._refused = {
            (consumer, reason): refused.labels(consumer, log, reason)
            for consumer, log in followed.items()
            for reason in _REASONS
        }
        self._resubscriptions = {
            consumer: resubscriptions.labels(consumer, log) for consumer, log in followed.items()
        }

    def event_refused(self, consumer: str, reason: str) -> None:
        """Count a delivery."""
        self._refused[consumer, reason].inc()

    def resubscribed(self, consumer: str) -> None:
        """Count a subscription."""
        self._resubscriptions[consumer].inc()


class BusUnsynced(Exception):
    """A server acknowledges what a power cut would take."""


class EventBus:
    """The bus of one process: what it publishes to, and what its consumers take events from."""

    def __init__(
        self, settings: BusSettings, link: "Link | None", telemetry: BusTelemetry | None = None
    ) -> None:
        self._settings = settings
        self._link = link
        self._telemetry = telemetry

    def source(self, feed: EventSource, *, log: str, consumer: str) -> EventSource:
        """Return where a consumer takes the log of the service `log` from; `feed` is that log itself."""
        if self._link is None:
            return feed
        from smarketing.eventlog.jetstream import JetStream

        return JetStream(self._link, feed, log=log, name=consumer, observer=self._telemetry)

    def publishing(
        self, writer: Writer, *, log: str, may_run: Callable[[], bool] = lambda: True
    ) -> tuple[BackgroundTask, ...]:
        """Return the task that publishes this service's own log; none where the feed is all there is.

        `may_run` tells whether this is the replica that should, such as whether it holds a lease.
        """
        if self._link is None:
            return ()
        from smarketing.eventlog.relay import Relay, StreamSettings

        settings = self._settings
        stream = StreamSettings(replicas=settings.nats_replicas, max_bytes=settings.nats_max_bytes)
        relay = Relay(
            self._link,
            writer,
            log=log,
            stream=stream,
            may_run=may_run,
            admit=partial(_admit, settings),
        )
        return (BackgroundTask("relay", relay.run),)


async def open_bus(
    settings: BusSettings,
    stack: AsyncExitStack,
    *,
    service: str,
    registry: CollectorRegistry,
    followed: dict[str, str],
) -> EventBus:
    """Return the bus that the settings name; `stack` ends it. A bus that is away does not keep us waiting.

    Raises:
        StartRefused: the extra is not installed, or a server does not sync what it acknowledges.
    """
    if not settings.uses_nats:
        return EventBus(settings, None)
    try:
        from smarketing.eventlog.link import Link, LinkSettings
    except ImportError as missing:
        raise StartRefused(
            "SMARKETING_BUS needs the extra `nats`: pip install 'smarketing[nats]'."
        ) from missing
    try:
        # Of those that cannot be asked now the relay asks again before it publishes.
        await _check_synced(settings)
    except BusUnsynced as unsynced:
        raise StartRefused(str(unsynced)) from None
    link = Link(
        LinkSettings(
            servers=settings.bus,
            name=service,
            user=settings.nats_user or (service if settings.nats_password_file is not None else ""),
            password_file=_password_file_of(settings, service),
            ca=settings.nats_ca,
            certificate=settings.nats_certificate,
            key=settings.nats_key,
        )
    )
    stack.push_async_callback(link.close)
    return EventBus(settings, link, BusTelemetry(registry, followed))


def _password_file_of(settings: BusSettings, service: str) -> Path | None:
    path = settings.nats_password_file
    return None if path is None else Path(str(path).replace("{service}", service))


async def _check_synced(settings: BusSettings) -> bool:
    """Ask the servers whether they sync each write before they acknowledge it; return whether one answered.

    Raises:
        BusUnsynced: one does not.
    """
    if settings.nats_unsynced:
        return True
    answered = 0
    verify = ssl.create_default_context(cafile=settings.nats_ca)
    async with httpx.AsyncClient(timeout=_MONITOR_SECONDS, trust_env=False, verify=verify) as client:
        for monitor in settings.nats_monitors:
            synced = await _is_synced(client, monitor)
            answered += synced is not None
            if synced is False:
                raise BusUnsynced(
                    f"The NATS server of {monitor} does not sync what it acknowledges: set "
                    "sync_interval: always in its jetstream block, or SMARKETING_NATS_UNSYNCED."
                )
    return answered > 0


async def _admit(settings: BusSettings) -> None:
    """Let the relay publish only to servers that sync; it asks again later."""
    from smarketing.eventlog.link import BusAway

    try:
        answered = await _check_synced(settings)
    except BusUnsynced as unsynced:
        raise BusAway(str(unsynced)) from None
    if not answered:
        raise BusAway("none of the servers' monitors answered")


async def _is_synced(client: httpx.AsyncClient, monitor: str) -> bool | None:
    """Return what a server says of itself; None when it says nothing."""
    try:
        told = (await client.get(f"{monitor.rstrip('/')}/varz")).json()
    except (httpx.HTTPError, ValueError):
        return None
    config = told.get("jetstream", {}).get("config") or {}
    return bool(config.get("sync_always", False))
