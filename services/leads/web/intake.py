"""Webhooks coming in: `/intake/{source}`, proved by their signatures, answered when they are durable."""

import asyncio
import hmac
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.leads.domain.intake import SystemUnknown
from services.leads.store.leads import Batch, LeadStore
from services.leads.usecases.fetching import Catalogue, Registered, call_of
from services.leads.usecases.intake import Became, Delivery, take_in
from services.leads.wire.intake import told_items
from smarketing import names
from smarketing.logs import get_log
from smarketing.mapping.documents import BodyFaulty, BodyForm, columns_of, parsed_body
from smarketing.mapping.signatures import SignatureWrong, Signed, verify
from smarketing.server.admission import Admission
from smarketing.server.audit import AuditEntry, AuditOutcome
from smarketing.server.draining import Draining
from smarketing.server.errors import Refusal
from smarketing.sql import StorageError

__all__ = ["IntakeEndpoint"]

_log = get_log(__name__)

LARGEST_BODY_BYTES: Final = 256 * 1024
_BODY_SECONDS: Final = 10.0
_LONGEST_QUERY: Final = 8 * 1024
_LONGEST_CHALLENGE: Final = 256
_BUSY_SECONDS: Final = 5
_is_traceparent: Final = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_OUTCOMES: Final = ("taken", "challenge", "unknown", "denied", "refused", "limited", "busy", "failed")


class _Answer(Exception):
    """A request ends here, with this answer."""

    def __init__(self, status: int, text: str, outcome: str, *, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.response = PlainTextResponse(text + "\n", status)
        if retry_after:
            self.response.headers["retry-after"] = str(max(1, math.ceil(retry_after)))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeEndpoint:
    """Takes webhooks in. It proves its callers itself: no session, no token."""

    store: LeadStore
    catalogue: Catalogue
    admission: Admission
    """What each source may send."""
    quota: Admission
    """What each tenant may ask, by webhooks and gRPC together."""
    draining: Draining
    note_denial: Callable[[AuditEntry], None]
    now: Callable[[], datetime]
    new_request_id: Callable[[], str]
    fetch_due: Callable[[], None]
    registry: CollectorRegistry
    _requests: Counter = field(init=False)
    _items: Counter = field(init=False)

    def __post_init__(self) -> None:
        requests = Counter(
            "smarketing_leads_intake_requests_total",
            "Webhooks by how they were answered",
            ["outcome"],
            registry=self.registry,
        )
        items = Counter(
            "smarketing_leads_intake_items_total",
            "What webhooks told, by what became of it",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in _OUTCOMES:
            requests.labels(outcome)
        for became in Became:
            items.labels(became.value)
        object.__setattr__(self, "_requests", requests)
        object.__setattr__(self, "_items", items)

    def app(self) -> Starlette:
        """Return the application, to be mounted at `/intake`."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Starlette(routes=[Route("/{source}", self.receive, methods=methods)])

    async def receive(self, request: Request) -> Response:
        """Answer a webhook: 2xx once what it tells is durable, 503 when it should come again."""
        outcome = "failed"
        try:
            outcome, response = await self._received(request)
            return response
        except _Answer as answer:
            outcome = answer.outcome
            return answer.response
        except StorageError as error:
            _log.warning("webhook_not_taken", fault=type(error).__name__)
            outcome = "busy"
            return _busy("The database is busy; send it again.").response
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self._requests.labels(outcome).inc()

    async def _received(self, request: Request) -> tuple[str, Response]:
        if self.draining.begun:
            raise _busy("This server is stopping; send it again.")
        registered = await self._registered(request)
        self._admit(registered)
        try:
            if request.method == "GET" and registered.mapping.challenge is not None:
                return "challenge", self._challenged(registered, request)
            _check_form(registered, request)
            raw = await _body(registered, request)
            body = self._proved(registered, request, raw)
            # After the proof, so that nobody else uses up what the tenant may.
            _spend(self.quota, registered.source.tenant, "This tenant's systems send too much at once.")
            return "taken", await self._taken(registered, request, body)
        finally:
            self.admission.leave_unary()

    async def _registered(self, request: Request) -> Registered:
        source_id = request.path_params["source"]
        found = await self.catalogue.find(source_id) if names.is_id(source_id) else None
        if found is None:
            raise _Answer(404, "There is no such source.", "unknown")
        return found

    def _admit(self, registered: Registered) -> None:
        _spend(self.admission, registered.source.name, "This source sends too much at once.")
        try:
            self.admission.enter_unary()
        except Refusal:
            raise _busy("Too many webhooks at once; send it again.") from None

    def _challenged(self, registered: Registered, request: Request) -> Response:
        challenge, secrets = registered.mapping.challenge, registered.secrets
        query = request.query_params
        answer = query.get(challenge.answer, "") if challenge is not None else ""
        token = query.get(challenge.token, "") if challenge is not None else ""
        if not secrets.verify_token or not _equal(token, secrets.verify_token):
            raise self._denied(registered, "VERIFY_TOKEN_WRONG")
        if not answer.isalnum() or len(answer) > _LONGEST_CHALLENGE:
            raise _Answer(400, "The challenge is not letters and digits.", "refused")
        return PlainTextResponse(answer)

    def _proved(self, registered: Registered, request: Request, raw: bytes) -> Any:
        """Return the parsed body of a request that is proved to be its vendor's."""
        mapping = registered.mapping
        parsed: Any = None
        if mapping.has_proof_in_body:
            parsed = _parsed(registered, request, raw)
        signed = Signed(
            method=request.method,
            url=registered.source.public_url or str(request.url),
            headers={name.lower(): value for name, value in request.headers.items()},
            query=request.query_params,
            body=raw,
            columns=_columns(parsed),
        )
        now = self.now()
        try:
            verify(mapping.schemes, signed, registered.secrets.valid(now), now=now)
        except SignatureWrong as wrong:
            raise self._denied(registered, str(wrong)) from None
        return _parsed(registered, request, raw) if parsed is None else parsed

    async def _taken(self, registered: Registered, request: Request, body: Any) -> Response:
        source, mapping = registered.source, registered.mapping
        try:
            query = {} if mapping.body is BodyForm.QUERY else dict(request.query_params)
            items = told_items(mapping, source, body, query, registered.context)
        except BodyFaulty as faulty:
            raise _Answer(400, f"The body {faulty}.", "refused") from None
        if items:
            traceparent = request.headers.get("traceparent", "")
            traced = traceparent if _is_traceparent(traceparent) else ""
            delivery = Delivery(source=source, items=items, traceparent=traced)
            call = call_of(source, "receive", self.new_request_id(), traced)
            [became] = await self.store.batch(take_in, Batch([delivery], call))
            if isinstance(became, Exception):
                raise self._refused(registered, became)
            self._count(became)
        return Response(mapping.answer, media_type=mapping.answer_type)

    def _count(self, became: list[Became]) -> None:
        for each in became:
            self._items.labels(each.value).inc()
        if Became.FETCH_DUE in became:
            self.fetch_due()

    def _refused(self, registered: Registered, error: Exception) -> Exception:
        if not isinstance(error, SystemUnknown):
            return error
        self._note(registered, "SYSTEM_UNKNOWN")
        return _Answer(403, "The system as which this source acts is not active.", "denied")

    def _denied(self, registered: Registered, reason: str) -> _Answer:
        self._note(registered, reason)
        return _Answer(401, "The signature is missing, outdated or wrong.", "denied")

    def _note(self, registered: Registered, reason: str) -> None:
        source = registered.source
        self.note_denial(
            AuditEntry(
                tenant=source.tenant,
                principal=source.system,
                on_behalf_of="",
                method="/intake/receive",
                resource=source.name,
                outcome=AuditOutcome.DENIED,
                reason=reason,
            )
        )


def _spend(admission: Admission, whose: str, problem: str) -> None:
    try:
        admission.spend(whose)
    except Refusal as refusal:
        delay = refusal.retry_delay or timedelta(seconds=1)
        raise _Answer(429, problem, "limited", retry_after=delay.total_seconds()) from None


def _check_form(registered: Registered, request: Request) -> None:
    mapping = registered.mapping
    if request.method not in mapping.methods:
        raise _Answer(405, f"Send it by {' or '.join(sorted(mapping.methods))}.", "refused")
    if len(request.url.query) > _LONGEST_QUERY:
        raise _Answer(414, "The query is too long.", "refused")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _Answer(415, "Send the body as it is, not packed.", "refused")
    form = _form_of(registered, request)
    if form.content_types:
        told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if told not in form.content_types:
            raise _Answer(415, f"Send it as {form.content_types[0]}.", "refused")


def _form_of(registered: Registered, request: Request) -> BodyForm:
    form = registered.mapping.body
    # What stands in the query of a GET stands in the body of a POST.
    return BodyForm.FORM if form is BodyForm.QUERY and request.method != "GET" else form


async def _body(registered: Registered, request: Request) -> bytes:
    if _form_of(registered, request) is BodyForm.QUERY:
        return request.url.query.encode()
    told = request.headers.get("content-length", "0")
    if not told.isdigit() or int(told) > LARGEST_BODY_BYTES:
        raise _too_large()
    received = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                received += chunk
                if len(received) > LARGEST_BODY_BYTES:
                    raise _too_large()
    except TimeoutError:
        raise _Answer(408, "The body took too long.", "refused") from None
    return bytes(received)


def _parsed(registered: Registered, request: Request, raw: bytes) -> Any:
    try:
        return parsed_body(raw, _form_of(registered, request))
    except BodyFaulty as faulty:
        raise _Answer(400, f"The body {faulty}.", "refused") from None


def _columns(parsed: Any) -> dict[str, str]:
    if not isinstance(parsed, dict):
        return {}
    return columns_of({name: value for name, value in parsed.items() if isinstance(value, str)}, {})


def _equal(told: str, secret: str) -> bool:
    return hmac.compare_digest(told.encode(), secret.encode())


def _too_large() -> _Answer:
    return _Answer(413, f"A body has at most {LARGEST_BODY_BYTES} bytes.", "refused")


def _busy(text: str) -> _Answer:
    return _Answer(503, text, "busy", retry_after=_BUSY_SECONDS)
