"""How one service of the product reaches another: over which channel, and as whom the transport knows it."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import grpc.aio

from smarketing.server.listening import read_pem
from smarketing.server.settings import ServerConfig

__all__ = ["peer_channel"]


def peer_channel(
    config: ServerConfig, address: str, *, options: Sequence[tuple[str, int]] = ()
) -> grpc.aio.Channel:
    """Return a channel to a peer, encrypted wherever a certificate is configured.

    Its files are read here: new ones are taken up by a restart, as the server's own are.

    Raises:
        StartRefused: a certificate cannot be read.
    """
    authority = config.peer_ca or config.tls_client_ca
    certificate, key = _shown(config)
    if authority is None and certificate is None and config.tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        # Without an authority of one's own, those that the machine trusts.
        root_certificates=None if authority is None else read_pem(authority),
        private_key=None if key is None else read_pem(key),
        certificate_chain=None if certificate is None else read_pem(certificate),
    )
    return grpc.aio.secure_channel(address, credentials, options=options)


def _shown(config: ServerConfig) -> tuple[Path | None, Path | None]:
    """Return the certificate and key that are shown; the service's own where it asks callers for theirs."""
    if config.peer_certificate is not None:
        return config.peer_certificate, config.peer_key
    if config.tls_client_ca is not None:
        return config.tls_certificate, config.tls_key
    return None, None
