"""What an operator sets of a server: where it listens, with which certificates, and its limits."""

import enum
import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from smarketing.config import Secret
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
    """Folder of keys and tokens, and of the database where that is a file; made when missing."""
    database_url: str = ""
    """Empty for a file of the service's own in the data folder; else `postgresql://role@host:5432/name`.

    Services that share one database each keep to a schema of their own name, unless `?schema=` names another.
    """
    database_password: Secret | None = None
    """Of the role that the URL names; best in a file, by `SMARKETING_DATABASE_PASSWORD_FILE`."""
    start_patience: timedelta = timedelta(minutes=5)
    """How long a start waits for a database server that is away, or busy with another replica's migration."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Set it to require client certificates (mutual TLS)."""
    peer_ca: Path | None = None
    """PEM file that signed the peers' certificates; None takes that of clients. With neither of them and no
    certificate of its own, a service speaks plain text with its peers, as on one machine."""
    peer_certificate: Path | None = None
    """What peers that require a certificate are shown; None shows the service's own where it requires one."""
    peer_key: Path | None = None
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
    connection_age: timedelta = timedelta(minutes=10)
    """After how long a client is asked to connect anew, and so finds replicas that came since."""
    connection_age_grace: timedelta = timedelta(minutes=1)
    """How long calls and streams may stay on a connection after that."""
    balancer_wait: timedelta = timedelta(0)
    """How long to report NOT_SERVING before calls are refused; set it behind a load balancer."""
    stop_grace: timedelta = timedelta(seconds=20)
    """How long running calls may take to finish after SIGTERM, `balancer_wait` included."""

    def __post_init__(self) -> None:
        self._check_database()
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(
                "SMARKETING_TLS_CERTIFICATE and SMARKETING_TLS_KEY belong together; set both or none."
            )
        if (self.peer_certificate is None) != (self.peer_key is None):
            raise ValueError(
                "SMARKETING_PEER_CERTIFICATE and SMARKETING_PEER_KEY belong together; set both or none."
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
    def grace_left(self) -> timedelta:
        """How long calls may still run once callers had time to go elsewhere: a second at least, if any."""
        return max(self.stop_grace - self.balancer_wait, min(self.stop_grace, timedelta(seconds=1)))

    @property
    def is_database_remote(self) -> bool:
        """Whether a server holds the database, which comes and goes by itself."""
        return bool(self.database_url) and make_url(self.database_url).get_backend_name() == "postgresql"

    def database_of(self, service: str) -> str:
        """Return where a service stores, with the password: for `open_database`, and never for a log."""
        if not self.database_url:
            return f"sqlite:///{self.data_dir / f'{service}.db'}"
        url = make_url(self.database_url)
        if url.get_backend_name() != "postgresql":
            return self.database_url
        if self.database_password is not None:
            url = url.set(password=self.database_password.reveal())
        if "schema" not in url.query:
            url = url.update_query_dict({"schema": service})
        return url.render_as_string(hide_password=False)

    def file_of(self, service: str) -> Path | None:
        """Return the file that a service stores in; None where it stores elsewhere."""
        url = make_url(self.database_of(service))
        is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
        return Path(str(url.database)) if is_file else None

    def _check_database(self) -> None:
        try:
            url = make_url(self.database_url or "sqlite://")
        except ArgumentError:
            raise ValueError("SMARKETING_DATABASE_URL is no URL of a database.") from None
        if url.password is not None or "password" in url.query:
            raise ValueError(
                "SMARKETING_DATABASE_URL holds a password, which would be seen wherever it is shown: "
                "put it into a file and name that in SMARKETING_DATABASE_PASSWORD_FILE."
            )

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
