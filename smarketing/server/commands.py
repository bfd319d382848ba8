"""The one way in which a mutating call reaches a use case: at most once, and on the record."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection, MetaData, Table

from smarketing.server.audit import AuditEntry, AuditOutcome, AuditTables, append_entries, define_audit
from smarketing.server.calls import current_call
from smarketing.server.errors import Refusal
from smarketing.server.fingerprints import fingerprint_for
from smarketing.server.idempotency import (
    IdempotencyKey,
    IdempotencyRecord,
    RequestIdReused,
    define_idempotency,
    find_records,
    keep_records,
)
from smarketing.values import value

__all__ = [
    "Call",
    "Command",
    "CommandTables",
    "Done",
    "answer",
    "call_for",
    "define_commands",
    "reason_by_name",
    "run_commands",
]

Q = TypeVar("Q")
A = TypeVar("A")
M = TypeVar("M", bound=Message)

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@value(frozen=True, slots=True, kw_only=True)
class Call:
    """Who asks for a mutation, and the id under which asking again is harmless."""

    tenant: str
    """Tenant id the mutation belongs to."""
    principal: str
    on_behalf_of: str
    """Empty unless a system named the person it acts for."""
    method: str
    request_id: str
    fingerprint: bytes
    """What is asked, and for whom, from `fingerprint_for`."""
    resource: str
    """Resource name shown in the audit trail."""
    traceparent: str

    def __post_init__(self) -> None:
        if not self.request_id:
            raise ValueError("a call without a request_id could not be told from the next one")

    @property
    def actor(self) -> str:
        """Who made it happen, for events."""
        return self.on_behalf_of or self.principal


@value(frozen=True, slots=True)
class Command(Generic[Q]):
    """A parsed request and the call that brought it."""

    request: Q
    call: Call


@value(frozen=True, slots=True)
class Done:
    """The serialized response of a request that took effect, now or when it was first asked."""

    response: bytes
    replayed: bool


@dataclass(frozen=True, slots=True)
class CommandTables:
    """What a command leaves behind besides its effect."""

    idempotency: Table
    audit: AuditTables


def define_commands(metadata: MetaData) -> CommandTables:
    """Declare the tables that commands need, in the service's own database."""
    return CommandTables(define_idempotency(metadata), define_audit(metadata))


def call_for(request: Message, *, resource: str = "") -> Call:
    """Return the `Call` of a mutating request, from the call this task answers.

    `resource` defaults to the request's `name` or `parent`.
    """
    current = current_call()
    return Call(
        tenant=current.tenant,
        principal=current.caller.principal,
        on_behalf_of=current.caller.on_behalf_of,
        method=current.method,
        request_id=str(getattr(request, "request_id", "")).lower(),
        fingerprint=fingerprint_for(request, current.caller.on_behalf_of),
        resource=resource or current.resource,
        traceparent=current.traceparent,
    )


def answer(outcome: Done | Exception, message_type: type[M]) -> M:
    """Return the response to send, or raise the refusal; a replay is marked in the trailers."""
    if isinstance(outcome, Exception):
        raise outcome
    if outcome.replayed:
        current_call().context.set_trailing_metadata((("idempotent-replayed", "true"),))
    return message_type.FromString(outcome.response)


def reason_by_name(error: Exception) -> str:
    """Return a refusal's reason, or the error's class name in the same spelling: OfferTaken → OFFER_TAKEN."""
    if isinstance(error, Refusal):
        return error.reason
    return _WORD_START.sub("_", type(error).__name__).upper()


def run_commands(
    tables: CommandTables,
    connection: Connection,
    commands: Sequence[Command[Q]],
    *,
    now: datetime,
    use_case: Callable[[Sequence[Q]], Sequence[A | Exception]],
    render: Callable[[A], Message],
    reason_of: Callable[[Exception], str] = reason_by_name,
) -> list[Done | Exception]:
    """Run the commands that did not take effect before; answer the others as they were answered then.

    One outcome per command, in order. Call it inside a writer's unit: the effects of `use_case`, the
    kept answers and the audit entries commit together. An id with other content is answered with
    RequestIdReused; a refused request is audited but not kept, so that it may be tried again.
    """
    keys = [_key(command.call) for command in commands]
    settled = {
        key: _Settled(record.fingerprint, Done(record.response, replayed=True))
        for key, record in find_records(tables.idempotency, connection, keys).items()
    }
    fresh: dict[IdempotencyKey, int] = {}
    for index, key in enumerate(keys):
        if key not in settled:
            fresh.setdefault(key, index)
    results = use_case([commands[index].request for index in fresh.values()]) if fresh else []
    for (key, index), result in zip(fresh.items(), results, strict=True):
        settled[key] = _Settled(commands[index].call.fingerprint, _outcome(result, render))
    answers = [
        settled[key].outcome if fresh.get(key) == index else _asked_again(command.call, settled[key])
        for index, (command, key) in enumerate(zip(commands, keys, strict=True))
    ]
    kept = [
        IdempotencyRecord(key, settled[key].fingerprint, outcome.response)
        for key in fresh
        if isinstance(outcome := settled[key].outcome, Done)
    ]
    keep_records(tables.idempotency, connection, kept, now=now)
    entries = [_entry(command.call, done, reason_of) for command, done in zip(commands, answers, strict=True)]
    append_entries(tables.audit, connection, entries, now=now)
    return answers


@value(frozen=True, slots=True)
class _Settled:
    fingerprint: bytes
    outcome: Done | Exception


def _outcome(result: A | Exception, render: Callable[[A], Message]) -> Done | Exception:
    if isinstance(result, Exception):
        return result
    return Done(render(result).SerializeToString(deterministic=True), replayed=False)


def _asked_again(call: Call, earlier: _Settled) -> Done | Exception:
    if earlier.fingerprint != call.fingerprint:
        return RequestIdReused(call.request_id)
    if isinstance(earlier.outcome, Exception):
        return earlier.outcome
    return Done(earlier.outcome.response, replayed=True)


def _key(call: Call) -> IdempotencyKey:
    return IdempotencyKey(call.tenant, call.principal, call.method, call.request_id)


def _entry(call: Call, outcome: Done | Exception, reason_of: Callable[[Exception], str]) -> AuditEntry:
    if isinstance(outcome, Exception):
        became, reason = AuditOutcome.REFUSED, reason_of(outcome)
    else:
        became, reason = (AuditOutcome.REPLAYED if outcome.replayed else AuditOutcome.APPLIED), ""
    return AuditEntry(
        tenant=call.tenant,
        principal=call.principal,
        on_behalf_of=call.on_behalf_of,
        method=call.method,
        resource=call.resource,
        outcome=became,
        reason=reason,
        request_id=call.request_id,
    )
