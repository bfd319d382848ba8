"""The gRPC server: its options, its port and its certificates."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import grpc.aio

from smarketing.server.settings import TlsFiles, is_loopback

__all__ = ["StartRefused", "listen", "new_server"]

_MIB = 1024 * 1024

_OPTIONS: Sequence[tuple[str, int]] = (
    # A second server on a taken port must fail, not take half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 1000),
    # Ours answers with a reason from 1 MiB on; above this the transport refuses by itself.
    ("grpc.max_receive_message_length", 4 * _MIB),
    ("grpc.max_send_message_length", 4 * _MIB),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_connection_idle_ms", 5 * 60_000),
    ("grpc.max_connection_age_ms", 10 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
)


class StartRefused(Exception):
    """The server does not start; the message is one sentence that says what to do."""


def new_server() -> grpc.aio.Server:
    """Return a server with the options of this product, before any service or port is added."""
    return grpc.aio.server(options=list(_OPTIONS))


def listen(server: grpc.aio.Server, address: str, tls: TlsFiles | None) -> int:
    """Open the address and return its port.

    Raises:
        StartRefused: plain text where others can reach it, a taken port, an unreadable certificate.
    """
    if tls is None and not is_loopback(address):
        raise StartRefused(f"{address} can be reached by others: configure TLS, or listen on 127.0.0.1.")
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(tls))
    except RuntimeError as error:
        raise StartRefused(
            f"{address} cannot be listened on: it is taken, or not an address of this machine."
        ) from error


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    client_ca = None if tls.client_ca is None else _pem(tls.client_ca)
    return grpc.ssl_server_credentials(
        [(_pem(tls.key), _pem(tls.certificate))],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )


def _pem(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StartRefused(f"{path} cannot be read ({error.strerror}); check the TLS settings.") from error
    if b"-----BEGIN" not in content:
        raise StartRefused(f"{path} is not a PEM file; check the TLS settings.")
    return content
