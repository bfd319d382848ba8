"""The gRPC server: its options, its port and its certificates."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import grpc

from smarketing.server.admission import Overflow
from smarketing.server.grpcio import GrpcioServer
from smarketing.server.settings import GrpcEngine, ServerConfig, TlsFiles, is_loopback

if TYPE_CHECKING:
    from smarketing.server.native import NativeServer

__all__ = ["GrpcServer", "StartRefused", "listen", "new_server", "read_pem"]

_MIB: Final = 1024 * 1024
_MESSAGE_BYTES: Final = 4 * _MIB
_METADATA_BYTES: Final = 16 * 1024
_CALLS_PER_CONNECTION: Final = 1000
_KEEPALIVE_MILLISECONDS: Final = 60_000
_KEEPALIVE_TIMEOUT_MILLISECONDS: Final = 20_000

_OPTIONS: Sequence[tuple[str, int]] = (
    # A second server on a taken port must fail, not take half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", _CALLS_PER_CONNECTION),
    # Ours answers with a reason from 1 MiB on; above this the transport refuses by itself.
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MILLISECONDS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MILLISECONDS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_connection_idle_ms", 5 * 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
)


GrpcServer: TypeAlias = "GrpcioServer | NativeServer"


class StartRefused(Exception):
    """The server does not start; the message is one sentence that says what to do."""


def new_server(config: ServerConfig, overflow: Overflow) -> GrpcServer:
    """Return a server with the options of this product, before any service or port is added.

    The native engine turns away by itself what `overflow` has no room for; on grpcio the edge does.

    Raises:
        StartRefused: the native engine is not installed.
    """
    if config.grpc_engine is GrpcEngine.GRPCIO:
        # Whoever is told to connect anew finds the replicas that came since.
        ages = (
            ("grpc.max_connection_age_ms", _milliseconds(config.connection_age)),
            ("grpc.max_connection_age_grace_ms", _milliseconds(config.connection_age_grace)),
        )
        return GrpcioServer([*_OPTIONS, *ages])
    try:
        from smarketing.server.native import NativeServer
    except ModuleNotFoundError as error:
        raise StartRefused(
            "SMARKETING_GRPC_ENGINE is native, which is not installed: "
            "install smarketing[native], or set it to grpcio."
        ) from error

    return NativeServer(
        message_bytes=_MESSAGE_BYTES,
        metadata_bytes=_METADATA_BYTES,
        calls_per_connection=_CALLS_PER_CONNECTION,
        keepalive_milliseconds=_KEEPALIVE_MILLISECONDS,
        keepalive_timeout_milliseconds=_KEEPALIVE_TIMEOUT_MILLISECONDS,
        overflow=overflow,
    )


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def listen(server: "GrpcServer | grpc.aio.Server", address: str, tls: TlsFiles | None) -> int:
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
    client_ca = None if tls.client_ca is None else read_pem(tls.client_ca)
    return grpc.ssl_server_credentials(
        [(read_pem(tls.key), read_pem(tls.certificate))],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )


def read_pem(path: Path) -> bytes:
    """Return what a certificate's or a key's file holds.

    Raises:
        StartRefused: it cannot be read, or holds none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StartRefused(f"{path} cannot be read ({error.strerror}); check the TLS settings.") from error
    if b"-----BEGIN" not in content:
        raise StartRefused(f"{path} is not a PEM file; check the TLS settings.")
    return content
