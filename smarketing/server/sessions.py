"""Signed-in browsers: the cookie holds a signed reference, everything else stays in this process's memory."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from itsdangerous import BadSignature, Signer
from starlette.types import Scope

from smarketing import wallclock
from smarketing.config import Secret
from smarketing.server.auth import Authenticator, Caller

__all__ = ["Session", "Sessions", "session_cookie"]

_IDLE_SECONDS: Final = timedelta(hours=8).total_seconds()
_LONGEST_SECONDS: Final = timedelta(hours=24).total_seconds()


def session_cookie(scope: Scope) -> str:
    """Return the name of the session's cookie at the port that was asked.

    Browsers keep the cookies of all ports of a host together, so each service needs a name of its own.
    """
    port = (scope.get("server") or ("", None))[1]
    return f"smarketing_session_{port}" if port else "smarketing_session"


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    tenant: str
    token_id: str
    authorization: Secret
    """The header with which pages call other services as their viewer."""
    csrf_token: str
    began: float
    used: float

    def allows(self, csrf_token: str) -> bool:
        """Whether a form was made by a page of this session."""
        return hmac.compare_digest(self.csrf_token.encode(), csrf_token.encode())


class Sessions:
    """At most `capacity` sessions, each ended by sign-out, idleness, age or its token's revocation."""

    def __init__(
        self,
        key: bytes,
        authenticator: Authenticator,
        *,
        capacity: int = 10_000,
        monotonic: Callable[[], float] = wallclock.monotonic,
    ) -> None:
        self._signer = Signer(key, salt="smarketing session")
        self._authenticator = authenticator
        self._capacity = capacity
        self._monotonic = monotonic
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def begin(self, token: str) -> str:
        """Return the cookie of a new session for a pasted API token.

        Raises:
            Refusal: as `Authenticator.caller_of_header`.
        """
        header = f"Bearer {token.strip()}"
        caller = self._authenticator.caller_of_header(header)
        at = self._monotonic()
        reference = secrets.token_urlsafe(32)
        self._sessions[reference] = Session(
            caller.tenant, caller.token_id, Secret(header), secrets.token_urlsafe(32), at, at
        )
        while len(self._sessions) > self._capacity:
            self._sessions.popitem(last=False)
        return self._signer.sign(reference).decode()

    def find(self, cookie: str) -> tuple[Session, Caller] | None:
        """Return the session of a cookie and who it is now, or `None`; asks the directory each time.

        Raises:
            Refusal: DIRECTORY_NOT_READY.
        """
        reference = self._reference(cookie)
        session = self._sessions.get(reference)
        if session is None:
            return None
        at = self._monotonic()
        fresh = at - session.used <= _IDLE_SECONDS and at - session.began <= _LONGEST_SECONDS
        caller = self._authenticator.caller_of_token(session.tenant, session.token_id) if fresh else None
        if caller is None:
            del self._sessions[reference]
            return None
        session.used = at
        self._sessions.move_to_end(reference)
        return session, caller

    def end(self, cookie: str) -> None:
        """Forget the session of a cookie."""
        self._sessions.pop(self._reference(cookie), None)

    def _reference(self, cookie: str) -> str:
        try:
            return self._signer.unsign(cookie).decode()
        except (BadSignature, UnicodeDecodeError):
            return ""
