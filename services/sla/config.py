"""What an operator sets of sla."""

from dataclasses import dataclass, field
from datetime import timedelta

from smarketing.config import Secret
from smarketing.delivery import MailSettings
from smarketing.eventlog.bus import BusSettings
from smarketing.server.settings import ServerConfig

__all__ = ["SlaConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaConfig(ServerConfig):
    """Settings of the process; `leads_address` is read from `SMARKETING_LEADS_ADDRESS`, and so on."""

    listen: str = "127.0.0.1:7002"
    http_listen: str = "127.0.0.1:7102"
    service_token: Secret | None = None
    """API token with which the leads log is read; None takes the one that leads wrote."""
    leads_address: str = "127.0.0.1:7001"
    event_bus: BusSettings = field(default_factory=BusSettings)
    metric_tenants: tuple[str, ...] = ("default",)
    """Ids of the tenants whose business figures are in /metrics; at most three."""
    webhook_loopback: bool = False
    """Let webhooks go to this machine, also without TLS: for trying things out."""
    mail: MailSettings = field(default_factory=MailSettings)
    link_base: str = ""
    """What stands before a handoff's name in the links of messages, such as `https://smarketing.example.com`."""
    alert_window: timedelta = field(
        default=timedelta(seconds=60),
        metadata={"at_least": timedelta(0), "at_most": timedelta(hours=1)},
    )
    """How long what somebody may be told waits for more, so that a bad morning is one message."""
    partitions: int = field(default=1, metadata={"at_least": 1, "at_most": 64})
    """So many partitions, by tenant, divide the followed log among replicas; 2 and more want PostgreSQL."""
    sweep_batch_clocks: int = field(default=256, metadata={"at_least": 1, "at_most": 5_000})
    """Clocks settled by one transaction at most."""

    def __post_init__(self) -> None:
        # Not super(): a slotted dataclass is made anew, and the cell of super() still holds the first.
        ServerConfig.__post_init__(self)
        if len(self.metric_tenants) > 3:
            raise ValueError("SMARKETING_METRIC_TENANTS names more than three tenants; name the largest.")
