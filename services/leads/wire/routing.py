"""The rules of routing: protobuf ⇄ domain."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from services.leads.domain.lead import Qualification
from services.leads.domain.routing_rules import (
    EVERY_HANDOFF,
    NOTHING_NEEDED,
    Condition,
    Needs,
    Routing,
    RoutingMember,
    RoutingRule,
)
from services.leads.domain.terms import SourceChannel
from services.leads.wire.leads import qualification_of
from services.leads.wire.values import money_in, put_money
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb

__all__ = [
    "routing_bytes",
    "routing_from",
    "routing_from_bytes",
    "routing_to",
    "submitted_of",
    "unknown_channels",
]

_DEFAULT_OFFER: Final = timedelta(hours=1)
_DEFAULT_MAX_OFFERS: Final = 3
_WORDS: Final = (
    "sources",
    "source_systems",
    "territories",
    "languages",
    "segments",
    "products",
    "lead_types",
    "company_domains",
)
_CHANNELS: Final = {channel.value: channel for channel in SourceChannel}


def routing_from(message: directorypb.Routing) -> Routing:
    """Return the routing as the message wants it to be; left-out amounts get their defaults."""
    return Routing(
        version=message.version,
        rules=tuple(_rule_from(rule) for rule in message.rules),
        fallback_queue=message.fallback_queue,
        offer_duration=message.offer_duration.ToTimedelta() or _DEFAULT_OFFER,
        max_offers=message.max_offers or _DEFAULT_MAX_OFFERS,
        account_owner_first=message.account_owner_first,
        previous_owner_cool_off=message.previous_owner_cool_off_duration.ToTimedelta(),
    )


def unknown_channels(message: directorypb.Routing) -> Iterator[str]:
    """Yield the paths of source channels that are none: to leave one out would widen its rule."""
    for index, rule in enumerate(message.rules):
        for at, number in enumerate(rule.condition.source_channels):
            if number not in _CHANNELS:
                yield f"routing.rules[{index}].condition.source_channels[{at}]"


def routing_to(routing: Routing) -> directorypb.Routing:
    """Return the message of a routing."""
    message = directorypb.Routing(
        version=routing.version,
        rules=[_rule_to(rule) for rule in routing.rules],
        fallback_queue=routing.fallback_queue,
        offer_duration=_duration(routing.offer_duration),
        max_offers=routing.max_offers,
        account_owner_first=routing.account_owner_first,
    )
    if routing.previous_owner_cool_off:
        message.previous_owner_cool_off_duration.CopyFrom(_duration(routing.previous_owner_cool_off))
    return message


def submitted_of(payload: bytes) -> tuple[str, Qualification, str] | None:
    """Return the handoff, what was said of it and the sender, of a `HandoffSubmitted`; None for history."""
    event = leadeventspb.HandoffSubmitted.FromString(payload)
    if event.historical:
        return None
    return event.handoff, qualification_of(event.qualification), event.source_system


def routing_bytes(routing: Routing) -> bytes:
    """Return a routing as it is kept."""
    return routing_to(routing).SerializeToString(deterministic=True)


def routing_from_bytes(kept: bytes) -> Routing:
    """Return a routing that was kept."""
    return routing_from(directorypb.Routing.FromString(kept))


def _rule_from(message: directorypb.RoutingRule) -> RoutingRule:
    needs = message.needs
    return RoutingRule(
        rule_id=message.rule_id,
        members=tuple(
            RoutingMember(person=member.person, weight=member.weight or 1, calendar=member.calendar)
            for member in message.members
        ),
        condition=_condition_from(message.condition) if message.HasField("condition") else EVERY_HANDOFF,
        needs=Needs(
            skills=tuple(sorted(set(needs.skills))),
            territory=needs.territory,
            language=needs.language,
            calendar=needs.calendar,
        )
        if message.HasField("needs")
        else NOTHING_NEEDED,
        queue=message.queue,
    )


def _condition_from(message: directorypb.RoutingCondition) -> Condition:
    lists: dict[str, Any] = {field: tuple(sorted(set(getattr(message, field)))) for field in _WORDS}
    return Condition(
        **lists,
        source_channels=tuple(
            _CHANNELS[number] for number in sorted(set(message.source_channels)) if number in _CHANNELS
        ),
        min_score=message.min_score if message.HasField("min_score") else None,
        max_score=message.max_score if message.HasField("max_score") else None,
        min_value=money_in(message, "min_value"),
        max_value=money_in(message, "max_value"),
    )


def _rule_to(rule: RoutingRule) -> directorypb.RoutingRule:
    message = directorypb.RoutingRule(
        rule_id=rule.rule_id,
        members=[
            directorypb.RoutingMember(person=member.person, weight=member.weight, calendar=member.calendar)
            for member in rule.members
        ],
        queue=rule.queue,
    )
    if not rule.condition.is_empty:
        _put_condition(message.condition, rule.condition)
    needs = rule.needs
    if needs != NOTHING_NEEDED:
        message.needs.skills.extend(needs.skills)
        message.needs.territory = needs.territory
        message.needs.language = needs.language
        message.needs.calendar = needs.calendar
    return message


def _put_condition(message: directorypb.RoutingCondition, condition: Condition) -> None:
    for field in _WORDS:
        getattr(message, field).extend(getattr(condition, field))
    message.source_channels.extend(map(int, condition.source_channels))  # type: ignore[arg-type]  # enums are numbers on the wire
    if condition.min_score is not None:
        message.min_score = condition.min_score
    if condition.max_score is not None:
        message.max_score = condition.max_score
    if condition.min_value is not None:
        put_money(message.min_value, condition.min_value)
    if condition.max_value is not None:
        put_money(message.max_value, condition.max_value)


def _duration(elapsed: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(elapsed)
    return duration
