"""`python -m services health`: whether services answer, asked as a load balancer would; 0 when they do.

What probes of containers run, so it imports nothing but gRPC.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

__all__ = ["SERVICES", "credentials_of", "main"]

SERVICES: Final = {
    "leads": "smarketing.api.leads.v1.LeadService",
    "sla": "smarketing.api.sla.v1.SlaService",
    "reports": "smarketing.api.reports.v1.ReportService",
}
"""Service → the name under which its health says whether it is ready."""

_PORT_BASE: Final = 7001
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 -- told, not listened on


def main(_command: str, arguments: Sequence[str]) -> int:
    """Ask, say who does not serve, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services health", description=__doc__)
    parser.add_argument(
        "service",
        nargs="?",
        choices=SERVICES,
        help="the one that listens at SMARKETING_LISTEN; without it, all three of `python -m services`",
    )
    parser.add_argument("--live", action="store_true", help="ask whether it lives, not whether it is ready")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds for each (default 3)")
    options = parser.parse_args(arguments)
    silent = [
        name
        for name, address in _addresses(options.service, os.environ).items()
        if not _serves(address, "" if options.live else SERVICES[name], options.timeout)
    ]
    if silent:
        sys.stderr.write(f"not serving: {', '.join(silent)}\n")
    return 1 if silent else 0


def _addresses(service: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    usual = {name: f"127.0.0.1:{_PORT_BASE + number}" for number, name in enumerate(SERVICES)}
    if service is None:
        return usual
    listen = environ.get("SMARKETING_LISTEN") or usual[service]
    host, _, port = listen.rpartition(":")
    return {service: f"{_EVERYWHERE.get(host, host)}:{port}" if host else listen}


def _serves(address: str, service: str, seconds: float) -> bool:
    with _channel(address, os.environ) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=seconds)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _channel(address: str, environ: Mapping[str, str]) -> grpc.Channel:
    credentials = credentials_of(environ)
    if credentials is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, credentials)


def credentials_of(environ: Mapping[str, str]) -> grpc.ChannelCredentials | None:
    """Return what it takes to ask services with these variables; None while they serve plain text.

    Shown is what peers are shown, or the service's own certificate where it has none for that.
    """
    certificate = environ.get("SMARKETING_TLS_CERTIFICATE", "")
    if not certificate:
        return None
    mutual = bool(environ.get("SMARKETING_TLS_CLIENT_CA"))
    authority = environ.get("SMARKETING_PEER_CA") or certificate
    shown = environ.get("SMARKETING_PEER_CERTIFICATE") or certificate
    key = environ.get("SMARKETING_PEER_KEY") or environ["SMARKETING_TLS_KEY"]
    return grpc.ssl_channel_credentials(
        root_certificates=Path(authority).read_bytes(),
        private_key=Path(key).read_bytes() if mutual else None,
        certificate_chain=Path(shown).read_bytes() if mutual else None,
    )
