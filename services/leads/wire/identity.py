"""Who is who: domain → protobuf, and the tenant's rules both ways."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from services.leads.domain.distinctions import Distinction
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.matching import (
    BY_ADDRESS,
    IdentityRules,
    MatchRule,
    PossibleDuplicate,
    Signal,
)
from services.leads.domain.merging import LeadMerge
from services.leads.wire.values import put_instant
from smarketing import names
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import identity_pb2 as identitypb


def merge_message(merge: LeadMerge) -> identitypb.LeadMerge:
    """Return a merge as its message."""
    message = identitypb.LeadMerge(
        lead=names.LEAD.build(merge.tenant, merge.lead),
        merged_lead=names.LEAD.build(merge.tenant, merge.merged_lead),
        handoff=_kept(merge),
        merged_handoffs=_merged(merge),
    )
    put_instant(message.merge_time, merge.merge_time)
    if merge.unmerge_time is not None:
        put_instant(message.unmerge_time, merge.unmerge_time)
    return message


def possible_duplicate_message(found: PossibleDuplicate) -> identitypb.PossibleDuplicate:
    """Return a pair as its message."""
    message = identitypb.PossibleDuplicate(
        lead=names.LEAD.build(found.tenant, found.lead),
        other_lead=names.LEAD.build(found.tenant, found.other_lead),
        confidence=found.match.confidence,
        rule_id=found.match.rule_id,
        signals=_numbers(found.match.signals),
    )
    put_instant(message.detect_time, found.detect_time)
    return message


def distinction_message(said: Distinction) -> identitypb.LeadDistinction:
    """Return what somebody said of two leads as its message."""
    message = identitypb.LeadDistinction(
        lead=names.LEAD.build(said.tenant, said.lead),
        other_lead=names.LEAD.build(said.tenant, said.other_lead),
        person=said.person,
    )
    put_instant(message.decide_time, said.decide_time)
    return message


def distinguished_event(said: Distinction) -> leadeventspb.LeadsDistinguished:
    """Return the payload that says that two leads are two people."""
    return leadeventspb.LeadsDistinguished(
        lead=names.LEAD.build(said.tenant, said.lead),
        other_lead=names.LEAD.build(said.tenant, said.other_lead),
        person=said.person,
    )


def withdrawn_event(said: Distinction) -> leadeventspb.DistinctionWithdrawn:
    """Return the payload that says that this was taken back."""
    return leadeventspb.DistinctionWithdrawn(
        lead=names.LEAD.build(said.tenant, said.lead),
        other_lead=names.LEAD.build(said.tenant, said.other_lead),
        person=said.person,
    )


def identity_from(message: identitypb.IdentitySettings) -> IdentityRules:
    """Return the tenant's rules; left-out amounts get their defaults, a signal that is none is left out."""
    return IdentityRules(
        automatic_from=message.automatic_from or BY_ADDRESS.automatic_from,
        possible_from=message.possible_from or BY_ADDRESS.possible_from,
        rules=tuple(
            MatchRule(
                rule_id=rule.rule_id,
                signals=_signals(rule.signals),
                unless=_signals(rule.unless),
                confidence=rule.confidence,
            )
            for rule in message.rules
        ),
    )


def identity_to(rules: IdentityRules) -> identitypb.IdentitySettings:
    """Return the message of a tenant's rules."""
    return identitypb.IdentitySettings(
        automatic_from=rules.automatic_from,
        possible_from=rules.possible_from,
        rules=[
            identitypb.MatchRule(
                rule_id=rule.rule_id,
                signals=_numbers(rule.signals),
                unless=_numbers(rule.unless),
                confidence=rule.confidence,
            )
            for rule in rules.rules
        ],
    )


def identity_bytes(rules: IdentityRules) -> bytes:
    """Return a tenant's rules as they are kept."""
    return identity_to(rules).SerializeToString(deterministic=True)


def identity_from_bytes(kept: bytes) -> IdentityRules:
    """Return a tenant's rules that were kept."""
    return identity_from(identitypb.IdentitySettings.FromString(kept))


def unknown_signals(message: identitypb.IdentitySettings) -> Iterator[str]:
    """Yield the paths of signals that are none: to leave one out would widen its rule."""
    for index, rule in enumerate(message.rules):
        for field in ("signals", "unless"):
            for at, number in enumerate(getattr(rule, field)):
                if number not in _SIGNALS:
                    yield f"identity.rules[{index}].{field}[{at}]"


_SIGNALS: Final = {signal.value: signal for signal in Signal}


def _signals(numbers: Iterable[int]) -> tuple[Signal, ...]:
    return tuple(_SIGNALS[number] for number in sorted(set(numbers)) if number in _SIGNALS)


def _numbers(signals: Iterable[Signal]) -> list[identitypb.MatchSignal.ValueType]:
    return [identitypb.MatchSignal.Value(f"MATCH_SIGNAL_{signal.name}") for signal in signals]


def merged_event(merge: LeadMerge) -> leadeventspb.LeadsMerged:
    """Return the payload that says that two leads are one person."""
    return leadeventspb.LeadsMerged(
        lead=names.LEAD.build(merge.tenant, merge.lead),
        merged_lead=names.LEAD.build(merge.tenant, merge.merged_lead),
        handoff=_kept(merge),
        merged_handoffs=_merged(merge),
    )


def unmerged_event(merge: LeadMerge, restored: Sequence[Handoff]) -> leadeventspb.LeadsUnmerged:
    """Return the payload that says that they are two after all."""
    return leadeventspb.LeadsUnmerged(
        lead=names.LEAD.build(merge.tenant, merge.lead),
        merged_lead=names.LEAD.build(merge.tenant, merge.merged_lead),
        handoff=_kept(merge),
        restored_handoffs=[
            leadeventspb.LeadsUnmerged.RestoredHandoff(
                handoff=each.name,
                state=int(each.state),  # type: ignore[arg-type]  # enums are numbers on the wire
                owner=each.owner,
                queue=each.queue,
                follow_up_count=each.follow_up_count,
            )
            for each in restored
        ],
    )


def _kept(merge: LeadMerge) -> str:
    return HandoffId(merge.tenant, merge.lead, merge.number).name if merge.number else ""


def _merged(merge: LeadMerge) -> list[str]:
    return [HandoffId(merge.tenant, merge.merged_lead, number).name for number in merge.merged_numbers]
