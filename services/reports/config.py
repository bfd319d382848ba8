"""What an operator sets of reports."""

from dataclasses import dataclass, field

from smarketing.config import Secret
from smarketing.eventlog.bus import BusSettings
from smarketing.server.settings import ServerConfig

__all__ = ["ReportsConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsConfig(ServerConfig):
    """Settings of the process; `leads_address` is read from `SMARKETING_LEADS_ADDRESS`, and so on."""

    listen: str = "127.0.0.1:7003"
    http_listen: str = "127.0.0.1:7103"
    service_token: Secret | None = None
    """API token with which the logs of the others are read; None takes the one that leads wrote."""
    leads_address: str = "127.0.0.1:7001"
    sla_address: str = "127.0.0.1:7002"
    event_bus: BusSettings = field(default_factory=BusSettings)
    metric_tenants: tuple[str, ...] = ("default",)
    """Ids of the tenants whose business figures are in /metrics; at most three."""
    partitions: int = field(default=1, metadata={"at_least": 1, "at_most": 64})
    """So many partitions, by tenant, divide followed logs among replicas; 2 and more want PostgreSQL."""
    fold_batch_events: int = field(default=4000, metadata={"at_least": 1, "at_most": 20_000})
    """Events folded in by one transaction at most."""
    snapshot_hours: int = field(default=24, metadata={"at_least": 1, "at_most": 744})
    """The tables are copied when the newest copy is so old, by the log: past states are made from copies."""
    snapshot_events: int = field(default=250_000, metadata={"at_least": 1})
    """Likewise when it is so many events behind."""
    snapshot_bytes: int = field(default=20 * 1024**3, metadata={"at_least": 1})
    """So much room at most for the copies; the oldest go first."""

    def __post_init__(self) -> None:
        # Not super(): a slotted dataclass is made anew, and the cell of super() still holds the first.
        ServerConfig.__post_init__(self)
        if len(self.metric_tenants) > 3:
            raise ValueError("SMARKETING_METRIC_TENANTS names more than three tenants; name the largest.")
