"""What every request passes: our own host, honest headers, sign-in, and forms from our own pages only."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smarketing.server.errors import Refusal
from smarketing.server.sessions import Session, Sessions, session_cookie
from smarketing.server.settings import is_loopback

__all__ = ["LoopbackHosts", "PageGuard", "SecurityHeaders", "is_from_our_pages"]

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BODY_BYTES: Final = 1024 * 1024
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")
_FORM: Final = "application/x-www-form-urlencoded"

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class LoopbackHosts:
    """Answers only who asks for a loopback name or address.

    A page elsewhere may point its own name at 127.0.0.1 and have a browser read us as if we were that
    page's site; such a browser still says the name it was given.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and not _names_loopback(Headers(scope=scope).get("host", "")):
            answer = PlainTextResponse(
                "Ask for this service as localhost or 127.0.0.1; a proxy in front of it must do so too.", 421
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


class SecurityHeaders:
    """Adds the security headers to every response; `cache-control` only where the page set none."""

    def __init__(self, app: ASGIApp, *, over_tls: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if over_tls:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class PageGuard:
    """Lets signed-in people through, as `request.state.caller`, `.session` and `.csrf_token`.

    Others are sent to sign in. Whatever changes something must come from our own pages: by its
    `Origin`, and by the session's token in the form field `csrf_token` or the header `x-csrf-token`.
    """

    def __init__(self, app: ASGIApp, *, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer it instead of the application."""
        if scope["type"] != "http":
            return
        connection = HTTPConnection(scope)
        try:
            found = self._sessions.find(connection.cookies.get(session_cookie(scope), ""))
        except Refusal as refusal:
            await PlainTextResponse(refusal.message, 503)(scope, receive, send)
            return
        if found is None:
            await _to_sign_in(connection, scope["method"])(scope, receive, send)
            return
        session, caller = found
        if scope["method"] not in _SAFE_METHODS:
            body = await _whole_body(receive)
            if body is None:
                await PlainTextResponse("Too much at once.", 413)(scope, receive, send)
                return
            if not is_from_our_pages(connection) or not _carries_token(connection.headers, body, session):
                await PlainTextResponse("Reload the page and try again.", 403)(scope, receive, send)
                return
            receive = _replay(body, receive)
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state.update(caller=caller, session=session, csrf_token=session.csrf_token)
        await self._app(scope, receive, send)


def is_from_our_pages(connection: HTTPConnection) -> bool:
    """Whether the browser says that one of our own pages sent this."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(connection.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == connection.headers.get("host")


def _to_sign_in(connection: HTTPConnection, method: str) -> Response:
    if method not in _SAFE_METHODS:
        return PlainTextResponse("Sign in first.", 401)
    asked = quote(connection.scope["path"])
    if connection.url.query:
        asked = f"{asked}?{connection.url.query}"
    return RedirectResponse(f"/sign-in?{urlencode({'next': asked}, safe='/')}", 303)


def _names_loopback(host: str) -> bool:
    match = _HOST.fullmatch(host)
    return match is not None and is_loopback(f"{match[1].lower()}:0")


async def _whole_body(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > _BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _carries_token(headers: Headers, body: bytes, session: Session) -> bool:
    token = headers.get("x-csrf-token", "")
    if not token and headers.get("content-type", "").partition(";")[0].strip() == _FORM:
        token = parse_qs(body.decode("latin-1"), max_num_fields=1000).get("csrf_token", [""])[0]
    return session.allows(token)


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
