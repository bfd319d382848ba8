"""What an operator sets of this service."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from smarketing.eventlog.bus import BusSettings
from smarketing.server.settings import ServerConfig

__all__ = ["LeadsConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadsConfig(ServerConfig):
    """Settings of `leads`, read from `SMARKETING_…`."""

    listen: str = "127.0.0.1:7001"
    http_listen: str = "127.0.0.1:7101"
    sla_address: str = "127.0.0.1:7002"
    """Where the service `sla` serves its log; while it is away, nothing here waits for it."""
    event_bus: BusSettings = field(default_factory=BusSettings)
    metric_tenants: tuple[str, ...] = ("default",)
    """The tenants whose business figures /metrics shows; at most three."""
    writer_queue: int = field(default=2048, metadata={"at_least": 64})
    """Requests that may wait for the writer."""
    backup_retention: timedelta = timedelta(days=30)
    """After how long backups are destroyed: erasures say until when one may hold the person."""
    mappings_dir: Path | None = None
    """A folder of further mappings of webhooks; one with a shipped one's name takes its place."""
    intake_calls_per_second: float = field(default=50.0, metadata={"at_least": 1})
    """Webhooks that one source may send for long; more are asked to come again later."""
    intake_burst: int = field(default=500, metadata={"at_least": 1})
    """Webhooks that one source may send at once."""
    webhook_loopback: bool = False
    """Let write-backs and fetch steps reach this machine itself: for trying things out."""
    metrics_interval: timedelta = timedelta(seconds=10)
    """How often business figures are read from the database."""

    def __post_init__(self) -> None:
        super(LeadsConfig, self).__post_init__()
        if not 1 <= len(self.metric_tenants) <= 3:
            raise ValueError("SMARKETING_METRIC_TENANTS names one to three tenants.")

    @property
    def database_path(self) -> Path | None:
        """The database's file; None when it has none."""
        return self.file_of("leads")

    @property
    def url(self) -> str:
        """The database's URL, with its password."""
        return self.database_of("leads")
