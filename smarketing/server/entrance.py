"""The way in: who calls, whether they may, about whose data, and whether the request can be taken."""

import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from smarketing import wallclock
from smarketing.server.admission import Admission
from smarketing.server.audit import AuditEntry, AuditOutcome
from smarketing.server.auth import ANY_TENANT, Authenticator, Caller, PrincipalKind
from smarketing.server.calls import CurrentCall, current_call, enter_call
from smarketing.server.draining import Draining, server_draining
from smarketing.server.errors import Refusal, field_invalid
from smarketing.server.methods import CallLimits, Method
from smarketing.server.policy import check_role, check_tenant
from smarketing.server.refusals import request_too_large
from smarketing.server.standing import while_allowed
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator

__all__ = ["Entrance"]

_DENIALS: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_NAME_CHARACTERS: Final = 512
_is_traceparent = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch


class Entrance:
    """Lets calls in, one process's; every refusal of it happens before a servicer hears of the call."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        admission: Admission,
        draining: Draining,
        telemetry: Telemetry,
        validator: Validator,
        limits: CallLimits,
        note_denial: Callable[[AuditEntry], None],
    ) -> None:
        self.admission = admission
        self._authenticator = authenticator
        self._draining = draining
        self._telemetry = telemetry
        self._validate = validator
        self._request_bytes = limits.request_bytes
        self._note_denial = note_denial
        telemetry.watch_in_flight("unary", lambda: admission.unary_in_flight)
        telemetry.watch_in_flight("stream", lambda: admission.streams_in_flight)

    def admit(self, method: Method, context: "grpc.aio.ServicerContext[Any, Any]") -> CurrentCall:
        """Return the call, once its caller is known, has a role that may, and quota left.

        Raises:
            Refusal: of authentication, PERMISSION_DENIED, TENANT_QUOTA_EXCEEDED.
        """
        metadata: Mapping[str, Any] = dict(cast("Any", context.invocation_metadata()) or ())
        caller: Caller | None = None
        try:
            caller = self._authenticator.caller_of(metadata)
            # Before the role, so that denied calls cost as much as others.
            self.admission.spend(caller.tenant)
            check_role(caller, method.line)
        except Refusal as refusal:
            self._deny(refusal, method, caller, "")
            raise
        traceparent = metadata.get("traceparent", "")
        remaining = cast("float | None", context.time_remaining())
        return CurrentCall(
            method=method.name,
            caller=caller,
            tenant=caller.tenant,
            resource="",
            deadline=math.inf if remaining is None else wallclock.monotonic() + remaining,
            traceparent=traceparent if traceparent and _is_traceparent(traceparent) else "",
            context=context,
        )

    @asynccontextmanager
    async def streaming(
        self, method: Method, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[CurrentCall]:
        """Admit a stream, count it until the block ends, and end it when its caller may no longer call.

        Raises:
            Refusal: as `admit`, also later; SERVER_DRAINING, SERVER_BUSY, TOO_MANY_STREAMS.
        """
        current = self.admit(method, context)
        if self._draining.begun:
            raise server_draining()
        principal = current.caller.principal
        tenant = current.caller.tenant
        self.admission.enter_stream(principal, tenant=tenant, is_peer=_is_peer(current.caller))
        enter_call(current)
        try:
            async with while_allowed(lambda: self._refused_by_now(method, current)):
                yield current
        finally:
            self.admission.leave_stream(principal, tenant=tenant)

    def accept(self, method: Method, current: CurrentCall, raw: bytes) -> Message:
        """Return the request in `raw`, once it is about the caller's own tenant and can be kept.

        Raises:
            Refusal: REQUEST_TOO_LARGE, REQUEST_MALFORMED, PERMISSION_DENIED, FIELD_INVALID and the
                like of `Validator`.
        """
        if len(raw) > self._request_bytes:
            raise request_too_large(self._request_bytes)
        try:
            request = method.parse(raw)
        except (DecodeError, ValueError) as error:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                "REQUEST_MALFORMED",
                "Send a message of this method's request type.",
            ) from error
        resource = method.resource(request)
        if resource:
            self._bind(method, current, resource)
        elif resource is not None or not current.resource:
            # A later message of a stream may leave the resource to the first one.
            _require_no_tenant(method)
        self._validate(request)
        return request

    def _refused_by_now(self, method: Method, current: CurrentCall) -> Refusal | None:
        try:
            caller = self._authenticator.caller_again(current.caller)
            check_role(caller, method.line)
        except Refusal as refusal:
            self._deny(refusal, method, current.caller, current.resource)
            return refusal
        current.caller = caller
        return None

    def note_denied(self, error: BaseException, method: Method) -> None:
        """Note that a servicer denied a read; a change that is refused is audited by its command."""
        if method.line.mutation or not isinstance(error, Refusal):
            return
        # A call that this entrance denied was never entered, and is noted already.
        with suppress(LookupError):
            current = current_call()
            self._deny(error, method, current.caller, current.resource)

    def _bind(self, method: Method, current: CurrentCall, resource: str) -> None:
        try:
            current.tenant = check_tenant(current.caller, resource, method.resource_field)
        except Refusal as refusal:
            self._deny(refusal, method, current.caller, resource)
            raise
        current.resource = resource

    def _deny(self, refusal: Refusal, method: Method, caller: Caller | None, resource: str) -> None:
        if refusal.code not in _DENIALS:
            return
        self._telemetry.denied(refusal.reason)
        self._note_denial(
            AuditEntry(
                tenant=caller.tenant if caller else ANY_TENANT,
                principal=caller.principal if caller else "",
                on_behalf_of=caller.on_behalf_of if caller else "",
                method=method.name,
                resource=resource[:_NAME_CHARACTERS],
                outcome=AuditOutcome.DENIED,
                reason=refusal.reason,
            )
        )


def _is_peer(caller: Caller) -> bool:
    return caller.kind is PrincipalKind.SERVICE and caller.tenant == ANY_TENANT


def _require_no_tenant(method: Method) -> None:
    if not method.line.is_about_no_tenant:
        raise field_invalid(method.resource_field, "the name of the resource that the request is about")
