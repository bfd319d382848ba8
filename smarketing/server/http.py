"""The HTTP side of a process: /metrics and the `web` rooms, on uvicorn in the same event loop."""

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from smarketing.server.auth import Authenticator, Role
from smarketing.server.errors import Refusal
from smarketing.server.guard import LoopbackHosts, PageGuard, SecurityHeaders
from smarketing.server.keys import load_or_make_key
from smarketing.server.listening import StartRefused
from smarketing.server.sessions import Sessions
from smarketing.server.settings import ServerConfig, is_loopback
from smarketing.server.sign_in import SignIn

__all__ = ["HttpHost", "Room", "http_app", "sessions_in"]

_METRICS_READERS: Final = frozenset({Role.OPERATOR, Role.AUDITOR, Role.SERVICE})
_STOP_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Room:
    """Pages or endpoints below one path; the app of the longest path answers."""

    path: str
    """`""` for the front, `/hooks` for webhooks."""
    app: ASGIApp
    signed_in: bool = True
    """False for what proves its callers by itself, such as signed webhooks: no session, no CSRF check."""


def sessions_in(data_dir: Path, authenticator: Authenticator) -> Sessions:
    """Return the sessions of a process, signed with the key kept in its data folder."""
    return Sessions(load_or_make_key(data_dir / "session.key"), authenticator)


def http_app(
    config: ServerConfig,
    *,
    registry: CollectorRegistry,
    authenticator: Authenticator,
    sessions: Sessions,
    rooms: Sequence[Room] = (),
) -> ASGIApp:
    """Return the application: /metrics, /sign-in, /sign-out, and the rooms behind their guard."""
    over_tls = config.tls is not None

    # Not asynchronous, so that Starlette renders it on a thread and the event loop goes on.
    def metrics(request: Request) -> Response:
        if not _may_read_metrics(request, config, authenticator):
            return PlainTextResponse(
                "Send the API token of an operator.", 401, {"www-authenticate": "Bearer"}
            )
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    routes: list[BaseRoute] = [
        Route("/metrics", metrics, methods=["GET"]),
        *SignIn(sessions, over_tls=over_tls).routes(),
    ]
    for room in sorted(rooms, key=lambda each: -len(each.path)):
        app = PageGuard(room.app, sessions=sessions) if room.signed_in else room.app
        routes.append(Mount(room.path, app))
    served: ASGIApp = Starlette(routes=routes)
    if is_loopback(config.http_listen):
        served = LoopbackHosts(served)
    return SecurityHeaders(served, over_tls=over_tls)


class HttpHost:
    """Serves an application on the configured address; `run` is a background task of the process."""

    def __init__(self, config: ServerConfig, app: ASGIApp) -> None:
        """Open the address.

        Raises:
            StartRefused: plain text where others can reach it, or a taken address.
        """
        if config.tls is None and not is_loopback(config.http_listen):
            raise StartRefused(
                f"{config.http_listen} can be reached by others: configure TLS, or listen on 127.0.0.1."
            )
        self._socket = _open(config.http_listen)
        self.port: int = self._socket.getsockname()[1]
        tls = config.tls
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                limit_concurrency=256,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=_STOP_SECONDS,
                h11_max_incomplete_event_size=16 * 1024,
                ssl_certfile=None if tls is None else str(tls.certificate),
                ssl_keyfile=None if tls is None else str(tls.key),
                ssl_ca_certs=None if tls is None or tls.client_ca is None else str(tls.client_ca),
                ssl_cert_reqs=ssl.CERT_REQUIRED if tls is not None and tls.client_ca else ssl.CERT_NONE,
            )
        )

    async def run(self) -> None:
        """Serve until cancelled; running requests get a few seconds to finish."""
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.should_exit = True
            await serving
            raise
        finally:
            self._socket.close()


class _Server(uvicorn.Server):
    """Signals belong to the process, not to its HTTP side."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _may_read_metrics(request: Request, config: ServerConfig, authenticator: Authenticator) -> bool:
    if is_loopback(config.http_listen) or (config.tls is not None and config.tls.client_ca is not None):
        return True
    try:
        caller = authenticator.caller_of_header(request.headers.get("authorization"))
    except Refusal:
        return False
    return not caller.roles.isdisjoint(_METRICS_READERS)


def _open(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Without it an answer's body waits 40 ms for the caller to acknowledge its head.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        opened.bind((host, int(port)))
        opened.listen(128)
    except (OSError, ValueError) as error:
        opened.close()
        raise StartRefused(
            f"{address} cannot be listened on: it is taken, or not an address of this machine."
        ) from error
    opened.setblocking(False)
    return opened
