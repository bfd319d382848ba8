"""Webhooks by their mappings: items of a body → what they tell, in this domain's words."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
from google.protobuf.message import Message

from services.leads.domain.intake import (
    FETCH_DUE,
    TYPE_UNKNOWN,
    BehaviourKind,
    Ownership,
    SetAside,
    Source,
    Told,
    ToldBehaviour,
    ToldConversion,
    ToldFollowUp,
    ToldItem,
    ToldOutcome,
)
from services.leads.domain.opportunity import OpportunityState
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel
from services.leads.wire.leads import submission_of
from services.leads.wire.values import instant_in, money_in, put_instant
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.delivery import Endpoint
from smarketing.mapping.documents import BodyFaulty, Document
from smarketing.mapping.rules import FieldFaulty
from smarketing.mapping.utm import UtmRule
from smarketing.mapping.webhooks import FETCHED, Item, WebhookMapping
from smarketing.server.errors import Refusal
from smarketing.server.validation import Validator

__all__ = [
    "context_of",
    "ownership_in",
    "rules_message",
    "set_aside_message",
    "source_message",
    "told_again",
    "told_items",
    "write_back_message",
]

_LARGEST_BODY: Final = 64 * 1024
"""Of one item that is set aside; a larger one is kept without its body."""
_MOST_TEXTS: Final = 40
_looks_personal: Final = re.compile(r"[^\s@,]{1,64}@[^\s@,]{3,254}|\+?[0-9][0-9 ().-]{6,24}[0-9]").fullmatch
_check: Final = Validator()
"""As strict as with calls: what a call could not bring, a webhook does not either."""
_GRADES: Final = {grade.value: grade for grade in EvidenceGrade}


def context_of(key: str, kept_rules: bytes) -> Document:
    """Return what a tenant's rules and a source's key lend to each of its documents."""
    rules = intakepb.IntakeRules.FromString(kept_rules)
    words = termspb.SourceChannel
    utm = [
        UtmRule(
            rule.source.lower(),
            rule.medium.lower(),
            words.Name(rule.source_channel).removeprefix("SOURCE_CHANNEL_").lower(),
        )
        for rule in rules.utm_rules
    ]
    return Document({}, key=bytes.fromhex(key), utm_rules=utm)


def ownership_in(kept_rules: bytes) -> Ownership:
    """Return which systems a tenant's fields belong to."""
    rules = intakepb.IntakeRules.FromString(kept_rules)
    return Ownership({owner.field: frozenset(owner.source_systems) for owner in rules.field_owners})


def told_items(
    mapping: WebhookMapping, source: Source, body: Any, query: Mapping[str, str], context: Document
) -> list[ToldItem]:
    """Return what a body tells, each thing once.

    Raises:
        BodyFaulty: it is beyond every honest one.
    """
    items: dict[str, ToldItem] = {}
    for item in mapping.items_of(body, query, context=context):
        told = _told_item(mapping, source, item)
        items.setdefault(told.key, told)
    return list(items.values())


def told_again(
    mapping: WebhookMapping,
    source: Source,
    kept: SetAside,
    body: bytes,
    context: Document,
    *,
    answer: Any = None,
) -> ToldItem:
    """Return what an item tells that was set aside, with the answer of its fetch step when there is one."""
    value = orjson.loads(body)
    if not isinstance(value, dict):
        return ToldItem(key=kept.item, type=kept.type, body=body, reason=kept.reason)
    if answer is not None:
        value = {**value, FETCHED: answer}
    try:
        item = mapping.item(value, context)
    except BodyFaulty as faulty:
        return ToldItem(
            key=kept.item, type=kept.type, body=body, reason="FIELD_INVALID", description=str(faulty)
        )
    return _told_item(mapping, source, item, key=kept.item)


def _told_item(mapping: WebhookMapping, source: Source, item: Item, *, key: str = "") -> ToldItem:
    body = orjson.dumps({name: value for name, value in item.value.items() if name != FETCHED})
    parts: dict[str, Any] = {
        "key": key or mapping.key_of(item),
        "type": mapping.type_of(item),
        "body": body if len(body) <= _LARGEST_BODY else b"null",
        "texts": tuple(_texts(item.columns.values())),
    }
    event = mapping.event_of(item)
    if event is None:
        return ToldItem(**parts, reason=TYPE_UNKNOWN, description="no event of the mapping takes it")
    if event.fetch is not None and FETCHED not in item.value:
        if not event.fetch.is_complete(item.columns):
            return ToldItem(**parts, reason="FIELD_INVALID", description="lacks an id to ask for")
        url = event.fetch.url_of(item.columns, source.api_url)
        return ToldItem(**parts, reason=FETCH_DUE, description="the rest is asked for", fetch_url=url)
    try:
        message = event.message_of(item.columns)
        _check(message)
    except Refusal as refusal:
        return ToldItem(**parts, reason=refusal.reason, description=refusal.message)
    except FieldFaulty as faulty:
        # Its sentence quotes the value, which may be personal.
        return ToldItem(**parts, reason="FIELD_INVALID", description=f"{faulty.path} cannot be used")
    return ToldItem(**parts, told=_TOLD[type(message)](message, source))


def _texts(values: Any) -> Iterator[str]:
    found = 0
    for value in values:
        if found < _MOST_TEXTS and len(value) <= 320 and _looks_personal(value):
            found += 1
            yield value


def _submission(message: leadspb.Submission, source: Source) -> Told:
    message.source_system = source.source_system
    return submission_of(message, source.tenant)


def _outcome(message: leadspb.Outcome, _source: Source) -> Told:
    return ToldOutcome(
        external_id=message.external_id,
        state=OpportunityState(message.state) if message.state else None,
        occur_time=instant_in(message, "occur_time"),
        amount=money_in(message, "amount"),
        reason_code=message.reason_code,
        deal_external_id=message.deal_external_id,
        segment=message.segment,
        lead_type=message.lead_type,
    )


def _conversion(message: intakepb.SourceConversion, _source: Source) -> Told:
    return ToldConversion(
        external_id=message.external_id,
        occur_time=instant_in(message, "occur_time"),
        deal_external_id=message.deal_external_id,
        amount=money_in(message, "amount"),
    )


def _follow_up(message: intakepb.SourceFollowUp, source: Source) -> Told:
    return ToldFollowUp(
        external_id=message.external_id,
        channel=FollowUpChannel(message.channel) if message.channel else None,
        occur_time=instant_in(message, "occur_time"),
        contact=message.contact,
        grade=_GRADES.get(message.grade),
        follow_up_external_id=message.follow_up_external_id,
        agent=source.people.get(message.agent, ""),
    )


def _behaviour(message: intakepb.Behaviour, _source: Source) -> Told:
    return ToldBehaviour(
        external_id=message.external_id,
        kind=BehaviourKind(message.kind),
        occur_time=instant_in(message, "occur_time"),
        behaviour_external_id=message.behaviour_external_id,
        content=message.content,
        campaign=message.campaign,
        score=message.score if message.HasField("score") else None,
    )


_TOLD: Final[dict[type[Message], Callable[[Any, Source], Told]]] = {
    leadspb.Submission: _submission,
    leadspb.Outcome: _outcome,
    intakepb.SourceConversion: _conversion,
    intakepb.SourceFollowUp: _follow_up,
    intakepb.Behaviour: _behaviour,
}


def source_message(source: Source) -> intakepb.Source:
    """Return a source as its resource; never its secrets."""
    message = intakepb.Source(
        name=source.name,
        system=source.system,
        mapping=source.mapping,
        display_name=source.display_name,
        path=f"/intake/{source.source_id}",
        public_url=source.public_url,
        api_url=source.api_url,
        people=source.people,
    )
    put_instant(message.create_time, source.create_time)
    if source.delete_time is not None:
        put_instant(message.delete_time, source.delete_time)
    return message


def set_aside_message(kept: SetAside) -> intakepb.SetAside:
    """Return what was set aside as its resource."""
    message = intakepb.SetAside(
        name=f"tenants/{kept.tenant}/sources/{kept.source_id}/setAside/{kept.item}",
        type=kept.type,
        reason=kept.reason,
        description=kept.description,
        attempt_count=kept.attempts,
    )
    put_instant(message.create_time, kept.create_time)
    if kept.next_attempt_time is not None:
        put_instant(message.next_attempt_time, kept.next_attempt_time)
    return message


def write_back_message(endpoint: Endpoint, source_system: str) -> intakepb.WriteBack:
    """Return a write-back as its resource; never its secret."""
    message = intakepb.WriteBack(
        name=f"tenants/{endpoint.tenant}/writeBacks/{endpoint.endpoint_id}",
        source_system=source_system,
        url=endpoint.url,
        display_name=endpoint.display_name,
        pending_count=endpoint.pending_count,
        dead_letter_count=endpoint.dead_letter_count,
    )
    put_instant(message.create_time, endpoint.create_time)
    for field in ("delete_time", "last_success_time"):
        instant = getattr(endpoint, field)
        if instant is not None:
            put_instant(getattr(message, field), instant)
    return message


def rules_message(tenant: str, version: int, kept_rules: bytes) -> intakepb.IntakeRules:
    """Return a tenant's rules as their resource."""
    message = intakepb.IntakeRules.FromString(kept_rules)
    message.name = f"tenants/{tenant}/intakeRules"
    message.etag = str(version) if version else ""
    return message
