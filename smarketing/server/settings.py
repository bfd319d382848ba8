"""What an operator sets of a server: where it listens, with which certificates, and its limits."""

import enum
import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from smarketing.logs import LogFormat

__all__ = ["GrpcEngine", "ServerConfig", "TlsFiles", "is_loopback"]


class GrpcEngine(enum.StrEnum):
    """What does the work of HTTP/2 and gRPC under the same handlers."""

    GRPCIO = "grpcio"
    NATIVE = "native"
    """Faster; for this machine alone, without TLS, and not on Windows."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files; with `client_ca` only callers with a certificate it signed may connect."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Settings that every service has; read with `read_config`, so `listen` is `SMARKETING_LISTEN`."""

    listen: str = "127.0.0.1:0"
    """gRPC address, `host:port`, or `unix:/path`; port 0 takes any free one."""
    http_listen: str = "127.0.0.1:0"
    """Address of /metrics and the pages."""
    data_dir: Path = Path("data")
    """Folder of the database and of keys; made when missing."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Set it to require client certificates (mutual TLS)."""
    grpc_engine: GrpcEngine = GrpcEngine.GRPCIO
    """Set it to `native` for speed; it needs the extra of that name."""
    reflection: bool = False
    """Serve gRPC reflection; only ever on loopback."""
    access_log: bool = False
    """One log line per call."""
    log_format: LogFormat = LogFormat.CONSOLE
    log_level: str = "INFO"
    unary_in_flight: int = field(default=512, metadata={"at_least": 1})
    streams_in_flight: int = field(default=256, metadata={"at_least": 1})
    streams_per_principal: int = field(default=16, metadata={"at_least": 1})
    tenant_calls_per_second: float = field(default=2000.0, metadata={"at_least": 1})
    tenant_burst: int = field(default=4000, metadata={"at_least": 1})
    balancer_wait: timedelta = timedelta(0)
    """How long to report NOT_SERVING before calls are refused; set it behind a load balancer."""
    stop_grace: timedelta = timedelta(seconds=20)
    """How long running calls may take to finish after SIGTERM."""

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(
                "SMARKETING_TLS_CERTIFICATE and SMARKETING_TLS_KEY belong together; set both or none."
            )
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(
                "SMARKETING_TLS_CLIENT_CA needs SMARKETING_TLS_CERTIFICATE and SMARKETING_TLS_KEY."
            )
        for variable, address in (("LISTEN", self.listen), ("HTTP_LISTEN", self.http_listen)):
            if self.tls is None and not is_loopback(address):
                raise ValueError(
                    f"SMARKETING_{variable} is {address}, which others can reach: "
                    "set SMARKETING_TLS_CERTIFICATE and SMARKETING_TLS_KEY, or listen on 127.0.0.1."
                )
        if self.grpc_engine is GrpcEngine.NATIVE and self.tls is not None:
            raise ValueError(
                "SMARKETING_GRPC_ENGINE is native, which has no TLS: "
                "set it to grpcio, or take away SMARKETING_TLS_CERTIFICATE and SMARKETING_TLS_KEY."
            )
        if self.reflection and not is_loopback(self.listen):
            raise ValueError("SMARKETING_REFLECTION is for loopback only; switch it off.")

    @property
    def tls(self) -> TlsFiles | None:
        """The certificate files; `None` for plain text on loopback."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_client_ca)


def is_loopback(address: str) -> bool:
    """Whether `host:port` can be reached from this machine alone; unix sockets can."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Names other than this one may resolve to anything tomorrow.
        return host == "localhost"
