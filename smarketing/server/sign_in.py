"""Sign-in with a pasted API token, and sign-out; guessing is slowed down."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import grpc
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from smarketing import wallclock
from smarketing.server.errors import Refusal
from smarketing.server.guard import is_from_our_pages
from smarketing.server.languages import remember
from smarketing.server.sessions import Sessions, session_cookie
from smarketing.server.sign_in_page import Fault, SignInPage

__all__ = ["SignIn", "Throttle"]

_FORM_FIELDS: Final = 4
_TOKEN_CHARACTERS: Final = 256
_ADDRESS_CHARACTERS: Final = 2000
_STYLE: Final = Path(__file__).with_name("sign_in.css")
_NOT_TO_RETURN_TO: Final = frozenset({"/sign-in", "/sign-in.css", "/sign-out"})


class Throttle:
    """Allows a few failures per address and minute; remembers a bounded number of addresses."""

    def __init__(
        self,
        *,
        failures: int = 5,
        window_seconds: float = 60.0,
        capacity: int = 10_000,
        monotonic: Callable[[], float] = wallclock.monotonic,
    ) -> None:
        self._failures = failures
        self._window_seconds = window_seconds
        self._capacity = capacity
        self._monotonic = monotonic
        self._recent: OrderedDict[str, list[float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Return how long the address must wait before it may try again; 0 when it need not."""
        since = self._monotonic() - self._window_seconds
        recent = [at for at in self._recent.get(address, ()) if at > since]
        return 0.0 if len(recent) < self._failures else recent[-self._failures] - since

    def failed(self, address: str) -> None:
        """Count a failure of the address."""
        recent = self._recent.setdefault(address, [])
        recent.append(self._monotonic())
        del recent[: -self._failures]
        self._recent.move_to_end(address)
        while len(self._recent) > self._capacity:
            self._recent.popitem(last=False)


class SignIn:
    """The pages /sign-in and /sign-out."""

    def __init__(self, sessions: Sessions, *, over_tls: bool, throttle: Throttle | None = None) -> None:
        self._sessions = sessions
        self._over_tls = over_tls
        self._throttle = throttle or Throttle()
        self._style = _STYLE.read_bytes()
        # The style's address changes with its content, so that a browser may keep it.
        self._style_address = f"/sign-in.css?v={hashlib.sha256(self._style).hexdigest()[:12]}"

    def routes(self) -> list[Route]:
        """Return the routes to serve outside of the guard."""
        return [
            Route("/sign-in", self._show, methods=["GET"]),
            Route("/sign-in", self._try, methods=["POST"]),
            Route("/sign-in.css", self._css, methods=["GET"]),
            Route("/sign-out", self._leave, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        page = self._page_of(request, request.query_params.get("next", "/"))
        response = page.response()
        remember(page.language, response, request)
        return response

    async def _css(self, request: Request) -> Response:
        del request
        keep = {"cache-control": "public, max-age=86400"}
        return Response(self._style, media_type="text/css", headers=keep)

    async def _try(self, request: Request) -> Response:
        if not is_from_our_pages(request):
            # What came from elsewhere says nothing that the page should repeat.
            return self._page_of(request, "/").response(Fault.FOREIGN)
        async with request.form(max_fields=_FORM_FIELDS, max_files=0) as form:
            token, next_path = str(form.get("token", "")), str(form.get("next", "/"))
        page = self._page_of(request, next_path)
        address = request.client.host if request.client else ""
        wait_seconds = self._throttle.wait_seconds(address)
        if wait_seconds > 0:
            return page.response(Fault.TOO_MANY, retry_seconds=int(wait_seconds) + 1)
        try:
            cookie = self._sessions.begin(token[:_TOKEN_CHARACTERS])
        except Refusal as refusal:
            if refusal.code is grpc.StatusCode.UNAVAILABLE:
                return page.response(Fault.NOT_READY, retry_seconds=1)
            self._throttle.failed(address)
            return page.response(Fault.TOKEN)
        response = RedirectResponse(page.next_path, 303)
        response.set_cookie(
            session_cookie(request.scope),
            cookie,
            httponly=True,
            samesite="strict",
            secure=self._over_tls,
            path="/",
        )
        return response

    async def _leave(self, request: Request) -> Response:
        if not is_from_our_pages(request):
            return self._page_of(request, "/").response(Fault.FOREIGN)
        name = session_cookie(request.scope)
        self._sessions.end(request.cookies.get(name, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(name, httponly=True, samesite="strict", secure=self._over_tls, path="/")
        return response

    def _page_of(self, request: Request, next_path: str) -> SignInPage:
        return SignInPage.of(request, next_path=_own_path(next_path), style=self._style_address)


def _own_path(path: str) -> str:
    """Return `path` when it leads to a page of ours, else the front page: sign-in redirects nowhere else."""
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return "/"
    if len(path) > _ADDRESS_CHARACTERS or urlsplit(path).path in _NOT_TO_RETURN_TO:
        return "/"
    return path
