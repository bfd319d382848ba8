"""Where the services are and who calls, read from the environment or given in code."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from smarketing.config import Secret, read_config

__all__ = ["ClientSettings", "InsecureTarget", "is_loopback", "read_settings"]


class InsecureTarget(ValueError):
    """A token was to be sent where anybody could read it."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"A token is never sent in clear text over a network: {target} is not this machine. "
            "Leave SMARKETING_TLS unset, and set SMARKETING_TLS_CA_FILE when the authority is your own."
        )
        self.target = target


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What a client needs to know; each field is `SMARKETING_…` in the environment."""

    leads: str = "127.0.0.1:7001"
    """Address of the service `leads`."""
    sla: str = "127.0.0.1:7002"
    """Address of the service `sla`."""
    reports: str = "127.0.0.1:7003"
    """Address of the service `reports`."""
    token: Secret | None = None
    """The caller's token; may instead stand in the file named by `SMARKETING_TOKEN_FILE`."""
    tenant: str = "default"
    """Whose data."""
    timeout: timedelta = timedelta(seconds=10)
    """How long a call may take, all its attempts together."""
    tls: bool | None = None
    """Whether to encrypt; unset means everywhere but on this machine."""
    tls_ca_file: Path | None = None
    """Authorities to trust, PEM; unset means the system's."""
    tls_client_certificate_file: Path | None = None
    """The caller's certificate, PEM, where the service wants one."""
    tls_client_key_file: Path | None = None
    """Its private key, PEM."""

    def __post_init__(self) -> None:
        if (self.tls_client_certificate_file is None) != (self.tls_client_key_file is None):
            raise ValueError(
                "SMARKETING_TLS_CLIENT_CERTIFICATE_FILE and SMARKETING_TLS_CLIENT_KEY_FILE belong together."
            )

    @property
    def parent(self) -> str:
        """The tenant's resource name."""
        return f"tenants/{self.tenant}"

    def encrypts(self, target: str) -> bool:
        """Whether a channel to `target` is encrypted.

        Raises:
            InsecureTarget: it is told not to be, the target is another machine, and there is a token.
        """
        local = is_loopback(target)
        wanted = not local if self.tls is None else self.tls
        if not wanted and not local and self.token is not None:
            raise InsecureTarget(target)
        return wanted


def read_settings(environ: Mapping[str, str]) -> ClientSettings:
    """Return the settings in `environ`; absent variables keep their defaults.

    Raises:
        ConfigInvalid: naming every variable that cannot be read.
    """
    return read_config(ClientSettings, environ)


def is_loopback(target: str) -> bool:
    """Whether a gRPC target can only be reached from this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    address = target.rsplit("/", 1)[-1].removeprefix("dns:").removeprefix("ipv4:").removeprefix("ipv6:")
    # `ipv4:` and `ipv6:` may name several replicas: clear text to one of them is clear text.
    return all(map(_is_here, address.split(",")))


def _is_here(address: str) -> bool:
    host = address.rsplit(":", 1)[0] if address.count(":") == 1 or address.startswith("[") else address
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
