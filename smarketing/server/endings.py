"""The way out: whatever ended a call becomes one status, one count and, if wanted, one line of log."""

import asyncio
import traceback
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from smarketing import wallclock
from smarketing.logs import get_log
from smarketing.server.errors import Refusal, RefusalOf, internal, trailers_of
from smarketing.server.methods import Method
from smarketing.server.refusals import library_refusal_of
from smarketing.server.telemetry import Telemetry

__all__ = ["Endings"]

_log = get_log(__name__)

_ABORT_SECONDS: Final = 2.0


class Endings:
    """Ends the calls of one process. No text of an exception ever reaches a caller."""

    def __init__(self, *, telemetry: Telemetry, refusal_of: RefusalOf, access_log: bool) -> None:
        self._telemetry = telemetry
        self._refusal_of = refusal_of
        self._access_log = access_log

    def succeed(self, method: Method, began: float) -> None:
        """Note that a call was answered."""
        method.meter.end(began)
        if self._access_log:
            _log_call(method, began, "OK", "")

    def turned_away(self, refusal: Refusal, method: Method) -> None:
        """Note that the engine ended a call before it reached anybody here."""
        self._telemetry.refused(refusal.reason)
        self._note(method, method.meter.start(), refusal.code, refusal.reason)

    async def fail(
        self,
        error: BaseException,
        method: Method,
        context: "grpc.aio.ServicerContext[Any, Any]",
        began: float,
    ) -> NoReturn:
        """End a call with the status that `error` deserves; always raises, to end the handler too."""
        if isinstance(error, grpc.aio.AbortError):
            self._note(method, began, context.code(), "")
            raise error
        if _is_the_clients_will(error):
            self._note(method, began, grpc.StatusCode.CANCELLED, "")
            raise error
        refusal = self._refusal(error, method)
        self._telemetry.refused(refusal.reason)
        self._note(method, began, refusal.code, refusal.reason)
        # A client that reads nothing does not take the status either: then the call is simply dropped.
        async with asyncio.timeout(_ABORT_SECONDS):
            await context.abort(refusal.code, refusal.message, trailers_of(refusal))
        raise AssertionError("abort returned")

    def _refusal(self, error: BaseException, method: Method) -> Refusal:
        if isinstance(error, asyncio.CancelledError):
            # Left alone it would keep the client waiting until its deadline.
            return Refusal(
                grpc.StatusCode.ABORTED, "CALL_INTERRUPTED", "The call was interrupted; repeat it."
            )
        if isinstance(error, Exception):
            refusal = self._refusal_of(error) or library_refusal_of(error)
            if refusal is not None:
                return refusal
        error_id = wallclock.new_id()
        _log.error(
            "call_failed",
            method=method.name,
            error_id=error_id,
            error_type=f"{type(error).__module__}.{type(error).__qualname__}",
            # Where, but not the exception's words: these may quote a person or a password.
            stack=[
                f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_tb(error.__traceback__)
            ],
        )
        return internal(error_id)

    def _note(self, method: Method, began: float, code: grpc.StatusCode, reason: str) -> None:
        method.meter.end_refused(began, code)
        if self._access_log:
            _log_call(method, began, code.name, reason)


def _is_the_clients_will(error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return not isinstance(error, Exception)


def _log_call(method: Method, began: float, code: str, reason: str) -> None:
    seconds = round(wallclock.monotonic() - began, 6)
    _log.info("call_handled", method=method.name, code=code, reason=reason, seconds=seconds)
