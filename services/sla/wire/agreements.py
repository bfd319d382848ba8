"""Agreements: what is proposed, what is kept, what is shown."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import (
    Attempts,
    CommitmentKind,
    Delivery,
    Grade,
    Party,
    PauseReason,
    Role,
    TimeBasis,
)
from services.sla.domain.condition import ANY, Condition
from services.sla.domain.terms import AgreementKind, Mode, Promise, Step, Target, Terms
from services.sla.wire.clauses import (
    ROLE_VALUES,
    ROLES,
    budget_terms_message,
    budget_terms_of,
    consequence_message,
    consequence_of,
    marketing_terms_message,
    marketing_terms_of,
    responsibilities_message,
    responsibilities_of,
)
from services.sla.wire.instants import amount, duration, stamp, stamp_or_none
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.businesstime import BusinessTime

_PARTIES = {
    termspb.PARTY_MARKETING: Party.MARKETING,
    termspb.PARTY_SALES: Party.SALES,
    termspb.PARTY_SYSTEM: Party.SYSTEM,
}
_PARTY_VALUES = {party: value for value, party in _PARTIES.items()}
_GRADES = {
    termspb.EVIDENCE_GRADE_CONFIRMED: Grade.CONFIRMED,
    termspb.EVIDENCE_GRADE_IMPORTED: Grade.IMPORTED,
    termspb.EVIDENCE_GRADE_SELF_REPORTED: Grade.SELF_REPORTED,
    termspb.EVIDENCE_GRADE_BACK_DATED: Grade.BACK_DATED,
}
_GRADE_VALUES = {grade: value for value, grade in _GRADES.items()}
_KINDS = {
    slapb.CommitmentKind.Value(f"COMMITMENT_KIND_{kind.value}"): kind
    for kind in CommitmentKind
    if f"COMMITMENT_KIND_{kind.value}" in slapb.CommitmentKind.keys()  # noqa: SIM118 -- not a mapping
}
_KIND_VALUES = {kind: value for value, kind in _KINDS.items()}
_BASES = {slapb.TIME_BASIS_BUSINESS: TimeBasis.BUSINESS, slapb.TIME_BASIS_WALL: TimeBasis.WALL}
_BASIS_VALUES = {basis: value for value, basis in _BASES.items()}
_DELIVERIES = {
    slapb.RUNG_DELIVERY_COVER: Delivery.COVER,
    slapb.RUNG_DELIVERY_AT_ONCE: Delivery.AT_ONCE,
}
_DELIVERY_VALUES = {delivery: value for value, delivery in _DELIVERIES.items()}


def party_values(parties: Iterable[Party]) -> list[termspb.Party.ValueType]:
    """Return the parties as protobuf names them."""
    return [_PARTY_VALUES[party] for party in parties]


def party_value_of(name: str) -> termspb.Party.ValueType:
    """Return the party of this name, also one that never promises."""
    return termspb.Party.Value(f"PARTY_{name}")


def kind_value(kind: CommitmentKind) -> slapb.CommitmentKind.ValueType:
    """Return the kind as protobuf names it."""
    return _KIND_VALUES[kind]


def basis_value(basis: TimeBasis) -> slapb.TimeBasis.ValueType:
    """Return the basis as protobuf names it."""
    return _BASIS_VALUES[basis]


def grade_of(value: int) -> Grade | None:
    """Return the grade of evidence; None when none was given."""
    return _GRADES.get(value)  # type: ignore[call-overload,no-any-return] # open enums are plain integers


def terms_of(message: slapb.AgreementVersion) -> Terms:
    """Return the terms as written; whether they can be agreed to is asked of `faults_of`."""
    kinds = {
        slapb.AgreementVersion.KIND_INTERNAL: AgreementKind.INTERNAL,
        slapb.AgreementVersion.KIND_CUSTOMER: AgreementKind.CUSTOMER,
    }
    modes = {
        slapb.AgreementVersion.MODE_OBSERVE: Mode.OBSERVE,
        slapb.AgreementVersion.MODE_ENFORCE: Mode.ENFORCE,
    }
    return Terms(
        title=message.title,
        kind=kinds.get(message.kind),
        mode=modes.get(message.mode),
        calendar_version=message.calendar_version,
        promises=tuple(_promise(commitment) for commitment in message.commitments),
        back_date_limit=amount(message.back_date_limit_duration),
        accepted_grades=frozenset(_GRADES[value] for value in message.accepted_grades if value in _GRADES),
        pause_reasons=tuple(_pause_reason(reason) for reason in message.pause_reasons),
        scope=Condition(expression=message.scope.strip()),
        absent=tuple(_PARTIES[value] for value in message.absent_parties if value in _PARTIES),
        customer_reference=message.customer_reference,
        marketing=(
            marketing_terms_of(message.marketing_terms) if message.HasField("marketing_terms") else None
        ),
    )


def terms_bytes(terms: Terms) -> bytes:
    """Return the terms as they are kept; equal terms give equal bytes."""
    message = slapb.AgreementVersion()
    _write_terms(terms, message)
    return message.SerializeToString(deterministic=True)


def terms_from_bytes(kept: bytes) -> Terms:
    """Return the terms that `terms_bytes` kept."""
    return terms_of(slapb.AgreementVersion.FromString(kept))


def agreement_message(accord: Accord) -> slapb.AgreementVersion:
    """Return a version as it is shown."""
    message = slapb.AgreementVersion(
        name=accord.name,
        etag=accord.etag,
        state=slapb.AgreementVersion.State.Value(f"STATE_{accord.state.value}"),
        acceptances=[
            slapb.Acceptance(
                party=_PARTY_VALUES[acceptance.party],
                principal=acceptance.principal,
                accept_time=stamp(acceptance.accept_time),
            )
            for acceptance in accord.acceptances
        ],
        effective_time=stamp_or_none(accord.effective_time),
        retire_time=stamp_or_none(accord.retire_time),
        consent=slapb.AgreementVersion.Consent.Value(f"CONSENT_{accord.consent.value}"),
    )
    _write_terms(accord.terms, message)
    return message


def _promise(message: slapb.Commitment) -> Promise:
    return Promise(
        id=message.commitment_id,
        title=message.title,
        parties=tuple(_PARTIES[value] for value in message.parties if value in _PARTIES),
        kind=_KINDS.get(message.kind),
        basis=_BASES.get(message.basis),
        targets=tuple(_target(tier) for tier in message.tiers),
        objective_basis_points=message.objective_basis_points,
        steps=tuple(_step(rung) for rung in message.rungs),
        condition=Condition(expression=message.condition.strip()),
        responsibilities=(
            responsibilities_of(message.responsibilities) if message.HasField("responsibilities") else None
        ),
        consequences=tuple(consequence_of(each) for each in message.consequences),
        budget=budget_terms_of(message.error_budget) if message.HasField("error_budget") else None,
        attempts=_attempts(message.attempts) if message.HasField("attempts") else None,
        owner_target=(
            amount(message.owner_target_duration) if message.HasField("owner_target_duration") else None
        ),
    )


def _attempts(message: slapb.AttemptsRule) -> Attempts:
    return Attempts(
        count=message.count,
        spacing=timedelta(microseconds=amount(message.spacing_duration).microseconds),
        dates=message.distinct_dates or 1,
        channels=message.distinct_channels or 1,
    )


def _pause_reason(message: slapb.PauseReason) -> PauseReason:
    named = message.accountable_party or termspb.PARTY_BUYER
    return PauseReason(
        code=message.code,
        cap=amount(message.cap_duration) if message.HasField("cap_duration") else None,
        grantors=tuple(ROLES[value] for value in message.grantors if value in ROLES) or (Role.MANAGER,),
        side=(
            termspb.Party.Name(named).removeprefix("PARTY_") if named in termspb.Party.values() else "UNKNOWN"
        ),
    )


def _pause_reason_message(reason: PauseReason) -> slapb.PauseReason:
    return slapb.PauseReason(
        code=reason.code,
        cap_duration=None if reason.cap is None else duration(reason.cap),
        grantors=[ROLE_VALUES[role] for role in reason.grantors],
        accountable_party=party_value_of(reason.side),
    )


def _target(message: slapb.Tier) -> Target:
    given = amount(message.target_duration) if message.HasField("target_duration") else None
    match = message.match
    return Target(
        amount=given,
        business_days=message.target_business_days,
        condition=Condition(
            source_channels=frozenset(
                termspb.SourceChannel.Name(value).removeprefix("SOURCE_CHANNEL_")
                for value in match.source_channels
            ),
            segments=frozenset(match.segments),
            regions=frozenset(match.regions),
            min_score=match.minimum_score if match.HasField("minimum_score") else None,
            expression=message.condition.strip(),
        ),
    )


def _step(message: slapb.Rung) -> Step:
    instant = message.WhichOneof("instant")
    return Step(
        id=message.rung_id,
        percent=message.percent_of_target if instant == "percent_of_target" else None,
        offset=amount(message.offset_from_due_duration) if instant == "offset_from_due_duration" else None,
        recipients=tuple(ROLES[value] for value in message.recipients if value in ROLES),
        delivery=_DELIVERIES.get(message.delivery, Delivery.IN_HOURS),
        reassigns=message.consequence == slapb.RUNG_CONSEQUENCE_REASSIGN,
    )


def _write_terms(terms: Terms, message: slapb.AgreementVersion) -> None:
    message.title = terms.title
    if terms.kind is not None:
        message.kind = slapb.AgreementVersion.Kind.Value(f"KIND_{terms.kind.value}")
    if terms.mode is not None:
        message.mode = slapb.AgreementVersion.Mode.Value(f"MODE_{terms.mode.value}")
    message.calendar_version = terms.calendar_version
    message.back_date_limit_duration.CopyFrom(duration(terms.back_date_limit))
    message.accepted_grades.extend(sorted(_GRADE_VALUES[grade] for grade in terms.accepted_grades))
    message.commitments.extend(_commitment(promise) for promise in terms.promises)
    message.pause_reasons.extend(_pause_reason_message(reason) for reason in terms.pause_reasons)
    message.scope = terms.scope.expression
    message.absent_parties.extend(party_values(terms.absent))
    message.customer_reference = terms.customer_reference
    if terms.marketing is not None:
        message.marketing_terms.CopyFrom(marketing_terms_message(terms.marketing))


def _commitment(promise: Promise) -> slapb.Commitment:
    return slapb.Commitment(
        commitment_id=promise.id,
        title=promise.title,
        parties=party_values(promise.parties),
        kind=_KIND_VALUES[promise.kind] if promise.kind else slapb.COMMITMENT_KIND_UNSPECIFIED,
        basis=_BASIS_VALUES[promise.basis] if promise.basis else slapb.TIME_BASIS_UNSPECIFIED,
        tiers=[_tier(target) for target in promise.targets],
        objective_basis_points=promise.objective_basis_points,
        rungs=[_rung(step) for step in promise.steps],
        condition=promise.condition.expression,
        responsibilities=(
            None if promise.responsibilities is None else responsibilities_message(promise.responsibilities)
        ),
        consequences=[consequence_message(each) for each in promise.consequences],
        error_budget=None if promise.budget is None else budget_terms_message(promise.budget),
        attempts=None if promise.attempts is None else _attempts_rule(promise.attempts),
        owner_target_duration=None if promise.owner_target is None else duration(promise.owner_target),
    )


def _attempts_rule(attempts: Attempts) -> slapb.AttemptsRule:
    return slapb.AttemptsRule(
        count=attempts.count,
        spacing_duration=duration(BusinessTime(attempts.spacing // timedelta(microseconds=1))),
        distinct_dates=attempts.dates,
        distinct_channels=attempts.channels,
    )


def _tier(target: Target) -> slapb.Tier:
    condition = target.condition
    message = slapb.Tier(
        target_duration=None if target.amount is None else duration(target.amount),
        target_business_days=target.business_days,
        condition=condition.expression,
    )
    if replace(condition, expression="") == ANY:
        return message
    message.match.source_channels.extend(
        sorted(termspb.SourceChannel.Value(f"SOURCE_CHANNEL_{each}") for each in condition.source_channels)
    )
    message.match.segments.extend(sorted(condition.segments))
    message.match.regions.extend(sorted(condition.regions))
    if condition.min_score is not None:
        message.match.minimum_score = condition.min_score
    return message


def _rung(step: Step) -> slapb.Rung:
    message = slapb.Rung(rung_id=step.id, recipients=[ROLE_VALUES[role] for role in step.recipients])
    # What holds where nothing is said is not written, so that equal terms have equal bytes.
    message.delivery = _DELIVERY_VALUES.get(step.delivery, slapb.RUNG_DELIVERY_UNSPECIFIED)
    if step.reassigns:
        message.consequence = slapb.RUNG_CONSEQUENCE_REASSIGN
    if step.percent is not None:
        message.percent_of_target = step.percent
    elif step.offset is not None:
        message.offset_from_due_duration.CopyFrom(duration(step.offset))
    return message
