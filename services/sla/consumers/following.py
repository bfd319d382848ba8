"""How the leads log is followed: over which channel, with whose credentials, in how many partitions."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from services.sla.config import SlaConfig
from services.sla.consumers.leads_log import CONSUMER, PAYLOAD_TYPES
from smarketing.eventlog.bus import EventBus
from smarketing.eventlog.consumer import Apply, Consumer, ConsumerObserver
from smarketing.eventlog.feed import CHANNEL_OPTIONS, Feed
from smarketing.eventlog.group import ConsumerGroup
from smarketing.eventlog.partitions import Partition
from smarketing.server.peers import peer_channel
from smarketing.sql import Writer


async def follow_leads(
    config: SlaConfig,
    stack: AsyncExitStack,
    writer: Writer,
    apply: Apply,
    *,
    folding: Writer,
    bus: EventBus,
    now: Callable[[], datetime],
    observer: ConsumerObserver,
) -> ConsumerGroup:
    """Return the consumers of the leads log, which write with `folding`; `stack` closes their channel."""
    channel = peer_channel(config, config.leads_address, options=CHANNEL_OPTIONS)
    await stack.enter_async_context(channel)

    def make(partition: Partition) -> Consumer:
        feed = Feed(channel, name=partition.member_of(CONSUMER), metadata=lambda: _credentials(config))
        return Consumer(
            CONSUMER,
            feed=bus.source(feed, log="leads", consumer=partition.named_on_the_bus(CONSUMER)),
            writer=folding,
            apply=apply,
            payload_types=PAYLOAD_TYPES,
            now=now,
            observer=observer,
            partition=partition,
        )

    return ConsumerGroup(CONSUMER, make, writer=writer, count=config.partitions)


def _credentials(config: SlaConfig) -> tuple[tuple[str, str], ...]:
    """Return the credentials as they are now: leads may replace the token, or not have written it yet."""
    if config.service_token is not None:
        return (("authorization", f"Bearer {config.service_token.reveal()}"),)
    path = config.data_dir / "tokens" / "sla.token"
    if not path.is_file():
        return ()
    return (("authorization", f"Bearer {path.read_text(encoding='utf-8').strip()}"),)
