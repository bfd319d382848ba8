"""How the leads log is followed: over which channel, with whose credentials."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from services.sla.config import SlaConfig
from services.sla.consumers.leads_log import CONSUMER, PAYLOAD_TYPES
from smarketing.eventlog.bus import EventBus
from smarketing.eventlog.consumer import Apply, Consumer, ConsumerObserver
from smarketing.eventlog.feed import CHANNEL_OPTIONS, Feed
from smarketing.server.peers import peer_channel
from smarketing.sql import Writer


async def follow_leads(
    config: SlaConfig,
    stack: AsyncExitStack,
    writer: Writer,
    apply: Apply,
    *,
    bus: EventBus,
    now: Callable[[], datetime],
    observer: ConsumerObserver,
) -> Consumer:
    """Return the consumer of the leads log; its channel is closed with `stack`."""
    channel = peer_channel(config, config.leads_address, options=CHANNEL_OPTIONS)
    await stack.enter_async_context(channel)
    feed = Feed(channel, name=CONSUMER, metadata=lambda: _credentials(config))
    return Consumer(
        CONSUMER,
        feed=bus.source(feed, log="leads", consumer=CONSUMER),
        writer=writer,
        apply=apply,
        payload_types=PAYLOAD_TYPES,
        now=now,
        observer=observer,
    )


def _credentials(config: SlaConfig) -> tuple[tuple[str, str], ...]:
    """Return the credentials as they are now: leads may replace the token, or not have written it yet."""
    if config.service_token is not None:
        return (("authorization", f"Bearer {config.service_token.reveal()}"),)
    path = config.data_dir / "tokens" / "sla.token"
    if not path.is_file():
        return ()
    return (("authorization", f"Bearer {path.read_text(encoding='utf-8').strip()}"),)
