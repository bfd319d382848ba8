"""Sign-in with a pasted API token, and sign-out; guessing is slowed down."""

from collections import OrderedDict
from collections.abc import Callable
from html import escape
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from smarketing import wallclock
from smarketing.server.errors import Refusal
from smarketing.server.guard import is_from_our_pages
from smarketing.server.sessions import COOKIE, Sessions

__all__ = ["SignIn", "Throttle"]

_FORM_FIELDS: Final = 4
_TOKEN_CHARACTERS: Final = 256

_PAGE: Final = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>smarketing</title>
<main>
<h1>{title}</h1>
{fault}
<form method="post" action="/sign-in">
<input type="hidden" name="next" value="{next}">
<p><label for="token">{label}</label><br>
<input id="token" name="token" type="password" size="60"
required autofocus autocomplete="current-password"></p>
<p><button>{button}</button></p>
</form>
</main>
</html>
"""
_WORDS: Final = {
    "en": ("Sign in", "API token", "Sign in", "This token is wrong, expired or revoked."),
    "ko": ("로그인", "API 토큰", "로그인", "토큰이 올바르지 않거나 만료 또는 폐기되었습니다."),
}


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

    def routes(self) -> list[Route]:
        """Return the routes to serve outside of the guard."""
        return [
            Route("/sign-in", self._show, methods=["GET"]),
            Route("/sign-in", self._try, methods=["POST"]),
            Route("/sign-out", self._leave, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        return _page(request, next_path=request.query_params.get("next", "/"))

    async def _try(self, request: Request) -> Response:
        if not is_from_our_pages(request):
            return PlainTextResponse("Reload the page and try again.", 403)
        address = request.client.host if request.client else ""
        wait_seconds = self._throttle.wait_seconds(address)
        if wait_seconds > 0:
            return PlainTextResponse(
                "Too many attempts; wait a minute.", 429, {"retry-after": str(int(wait_seconds) + 1)}
            )
        async with request.form(max_fields=_FORM_FIELDS, max_files=0) as form:
            token, next_path = str(form.get("token", "")), str(form.get("next", "/"))
        try:
            cookie = self._sessions.begin(token[:_TOKEN_CHARACTERS])
        except Refusal:
            self._throttle.failed(address)
            return _page(request, next_path=next_path, faulty=True)
        response = RedirectResponse(_own_path(next_path), 303)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=self._over_tls, path="/")
        return response

    async def _leave(self, request: Request) -> Response:
        if not is_from_our_pages(request):
            return PlainTextResponse("Reload the page and try again.", 403)
        self._sessions.end(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=self._over_tls, path="/")
        return response


def _page(request: Request, *, next_path: str, faulty: bool = False) -> Response:
    language = "ko" if request.headers.get("accept-language", "").startswith("ko") else "en"
    title, label, button, fault = _WORDS[language]
    content = _PAGE.format(
        language=language,
        title=title,
        label=label,
        button=button,
        next=escape(_own_path(next_path)),
        fault=f'<p role="alert">{fault}</p>' if faulty else "",
    )
    return HTMLResponse(content, 401 if faulty else 200)


def _own_path(path: str) -> str:
    """Return `path` when it leads to a page of ours, else the front page: sign-in redirects nowhere else."""
    leads_out = not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable()
    return "/" if leads_out else path
