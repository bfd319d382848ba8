"""The configuration document `Agreement`: its fields, and the message they make."""

import re
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.configuration import Fields, duration_message, percent_of, whole_of
from smarketing.mapping.texts import duration_of, money_of
from smarketing.mapping.yamltext import Element

__all__ = ["WRITTEN_AS", "agreement_of"]

_HEAD: Final = ("kind", "tenant")
_NO_INSTANT: Final[int | Duration] = 0
_is_offset = re.compile(r"due(?:\s*([+-])\s*(\S+))?").fullmatch

WRITTEN_AS: Final = {
    ".kind": "between",
    "calendar_version": "calendar",
    "back_date_limit_duration": "back_date_limit",
    "commitment_id": "id",
    "objective_basis_points": "objective",
    "owner_target_duration": "owner_target",
    "target_duration": "target",
    "target_business_days": "business_days",
    "spacing_duration": "spacing",
    "cap_duration": "cap",
    "accountable_party": "whose",
    "rung_id": "id",
    "consequences.rung_id": "at_rung",
    "percent_of_target": "at",
    "offset_from_due_duration": "at",
    "recipients": "tell",
    "consequence": "id",
    "consequence_id": "id",
    "budget_trigger": "at_budget",
    "fast_share_basis_points": "fast_share",
    "minimum_pace_percent": "minimum_pace",
    "maximum_pace_percent": "maximum_pace",
    "currency_code": "",
    "minor_units": "",
}
"""Fields of the contract that a file writes otherwise; what is empty is part of the value above it."""


def agreement_of(element: Element, tenant: str) -> tuple[str, Message, str]:
    """Return the agreement's id, its version, and the calendar that the document names."""
    known = (
        "id",
        "title",
        "between",
        "mode",
        "calendar",
        "scope",
        "absent_parties",
        "customer_reference",
        "back_date_limit",
        "accepted_grades",
        "pause_reasons",
        "marketing_terms",
        "commitments",
    )
    fields = Fields(element, tenant, *_HEAD, *known, required=("id", "calendar", "commitments"))
    internal, observe = slapb.AgreementVersion.KIND_INTERNAL, slapb.AgreementVersion.MODE_OBSERVE
    marketing = fields.element("marketing_terms")
    version = slapb.AgreementVersion(
        title=fields.text("title"),
        kind=fields.word("between", slapb.AgreementVersion.Kind.DESCRIPTOR, internal),
        mode=fields.word("mode", slapb.AgreementVersion.Mode.DESCRIPTOR, observe),
        scope=fields.text("scope").strip(),
        absent_parties=fields.words("absent_parties", termspb.Party.DESCRIPTOR),
        customer_reference=fields.text("customer_reference"),
        commitments=[_commitment(item, tenant) for item in fields.items("commitments")],
        back_date_limit_duration=fields.duration("back_date_limit"),
        accepted_grades=fields.words("accepted_grades", termspb.EvidenceGrade.DESCRIPTOR),
        pause_reasons=[_pause_reason(item, tenant) for item in fields.items("pause_reasons")],
        marketing_terms=None if marketing is None else _marketing_terms(marketing, tenant),
    )
    return fields.own_id(), version, fields.text("calendar")


def _pause_reason(element: Element, tenant: str) -> slapb.PauseReason:
    fields = Fields(element, tenant, "code", "cap", "grantors", "whose", required=("code",))
    return slapb.PauseReason(
        code=fields.text("code"),
        cap_duration=fields.duration("cap"),
        grantors=fields.words("grantors", slapb.RecipientRole.DESCRIPTOR),
        accountable_party=fields.word("whose", termspb.Party.DESCRIPTOR),
    )


def _marketing_terms(element: Element, tenant: str) -> slapb.MarketingTerms:
    shares = ("minimum_conformance", "minimum_completeness", "maximum_rejected")
    fields = Fields(element, tenant, "mql_definition", "lead_values", "quota", *shares)
    quota = fields.element("quota")
    return slapb.MarketingTerms(
        mql_definition=fields.text("mql_definition"),
        lead_values=[_lead_value(item, tenant) for item in fields.items("lead_values")],
        quota=None if quota is None else _quota(quota, tenant),
        minimum_conformance_basis_points=fields.parsed("minimum_conformance", _objective_of, 0),
        minimum_completeness_basis_points=fields.parsed("minimum_completeness", _objective_of, 0),
        maximum_rejected_basis_points=fields.parsed("maximum_rejected", _objective_of, 0),
    )


def _lead_value(element: Element, tenant: str) -> slapb.LeadValue:
    fields = Fields(element, tenant, "segment", "value", required=("value",))
    return slapb.LeadValue(segment=fields.text("segment"), value=fields.parsed("value", money_of, None))


def _quota(element: Element, tenant: str) -> slapb.MarketingQuota:
    known = ("period", "value", "minimum_pace", "maximum_pace")
    fields = Fields(element, tenant, *known, required=("period", "value"))
    return slapb.MarketingQuota(
        period=fields.word("period", slapb.MarketingQuota.Period.DESCRIPTOR),
        value=fields.parsed("value", money_of, None),
        minimum_pace_percent=fields.parsed("minimum_pace", _whole_percent_of, 0),
        maximum_pace_percent=fields.parsed("maximum_pace", _whole_percent_of, 0),
    )


def _commitment(element: Element, tenant: str) -> slapb.Commitment:
    required = ("id", "parties", "kind", "basis", "objective", "tiers")
    known = (
        "title",
        "condition",
        "rungs",
        "responsibilities",
        "consequences",
        "error_budget",
        "attempts",
        "owner_target",
    )
    fields = Fields(element, tenant, *required, *known, required=required)
    parts, budget, attempts = (
        fields.element(name) for name in ("responsibilities", "error_budget", "attempts")
    )
    return slapb.Commitment(
        commitment_id=fields.own_id(),
        title=fields.text("title"),
        parties=fields.words("parties", termspb.Party.DESCRIPTOR),
        kind=fields.word("kind", slapb.CommitmentKind.DESCRIPTOR),
        basis=fields.parsed("basis", _basis_of, slapb.TIME_BASIS_UNSPECIFIED),
        tiers=[_tier(item, tenant) for item in fields.items("tiers")],
        objective_basis_points=fields.parsed("objective", _objective_of, 0),
        rungs=[_rung(item, tenant) for item in fields.items("rungs")],
        condition=fields.text("condition").strip(),
        responsibilities=None if parts is None else _responsibilities(parts, tenant),
        consequences=[_consequence(item, tenant) for item in fields.items("consequences")],
        error_budget=None if budget is None else _error_budget(budget, tenant),
        attempts=None if attempts is None else _attempts(attempts, tenant),
        owner_target_duration=fields.duration("owner_target"),
    )


def _responsibilities(element: Element, tenant: str) -> slapb.Responsibilities:
    known = ("accountable", "responsible", "consulted", "informed")
    fields = Fields(element, tenant, *known, required=("accountable", "responsible"))
    role = slapb.RecipientRole.DESCRIPTOR
    return slapb.Responsibilities(
        accountable=fields.word("accountable", role),
        responsible=fields.words("responsible", role),
        consulted=fields.words("consulted", role),
        informed=fields.words("informed", role),
    )


def _consequence(element: Element, tenant: str) -> slapb.Consequence:
    known = ("id", "kind", "at_rung", "at_budget", "percent", "tell")
    fields = Fields(element, tenant, *known, required=("id", "kind"))
    if ("at_rung" in fields) == ("at_budget" in fields):
        element.fault("needs either 'at_rung' or 'at_budget'")
    message = slapb.Consequence(
        consequence_id=fields.own_id(),
        kind=fields.word("kind", slapb.ConsequenceKind.DESCRIPTOR),
        percent=fields.parsed("percent", _whole_percent_of, None),
        recipients=fields.words("tell", slapb.RecipientRole.DESCRIPTOR),
    )
    if "at_rung" in fields:
        message.rung_id = fields.own_id("at_rung")
    elif "at_budget" in fields:
        message.budget_trigger = fields.word("at_budget", slapb.BudgetTrigger.DESCRIPTOR)
    return message


def _error_budget(element: Element, tenant: str) -> slapb.ErrorBudgetTerms:
    fields = Fields(
        element, tenant, "budget_window", "fast_share", "fast_window", "slow_window", "minimum_settled"
    )
    return slapb.ErrorBudgetTerms(
        budget_window=fields.duration("budget_window"),
        fast_share_basis_points=fields.parsed("fast_share", _basis_points_of, 0),
        fast_window=fields.duration("fast_window"),
        slow_window=fields.duration("slow_window"),
        minimum_settled=fields.whole("minimum_settled"),
    )


def _attempts(element: Element, tenant: str) -> slapb.AttemptsRule:
    known = ("count", "spacing", "distinct_dates", "distinct_channels")
    fields = Fields(element, tenant, *known, required=("count",))
    return slapb.AttemptsRule(
        count=fields.whole("count"),
        spacing_duration=fields.duration("spacing"),
        distinct_dates=fields.whole("distinct_dates"),
        distinct_channels=fields.whole("distinct_channels"),
    )


def _tier(element: Element, tenant: str) -> slapb.Tier:
    fields = Fields(element, tenant, "target", "business_days", "match", "condition")
    if ("target" in fields) == ("business_days" in fields):
        element.fault("needs either 'target' or 'business_days'")
    match = fields.element("match")
    return slapb.Tier(
        match=None if match is None else _match(match, tenant),
        condition=fields.text("condition").strip(),
        target_duration=fields.duration("target"),
        target_business_days=fields.whole("business_days"),
    )


def _match(element: Element, tenant: str) -> slapb.TierMatch:
    fields = Fields(element, tenant, "source_channels", "segments", "regions", "minimum_score")
    return slapb.TierMatch(
        source_channels=fields.words("source_channels", termspb.SourceChannel.DESCRIPTOR),
        segments=[item.text() for item in fields.items("segments")],
        regions=[item.text() for item in fields.items("regions")],
        minimum_score=fields.parsed("minimum_score", whole_of, None),
    )


def _rung(element: Element, tenant: str) -> slapb.Rung:
    fields = Fields(element, tenant, "id", "at", "tell", "delivery", required=("id", "at", "tell"))
    instant: int | Duration = fields.parsed("at", _instant_of_rung, _NO_INSTANT)
    rung = slapb.Rung(
        rung_id=fields.own_id(),
        recipients=fields.words("tell", slapb.RecipientRole.DESCRIPTOR),
        delivery=fields.word("delivery", slapb.RungDelivery.DESCRIPTOR),
    )
    if isinstance(instant, Duration):
        rung.offset_from_due_duration.CopyFrom(instant)
    else:
        rung.percent_of_target = instant
    return rung


def _instant_of_rung(text: str) -> int | Duration:
    if text.endswith("%"):
        return _whole_percent_of(text)
    match = _is_offset(text)
    if match is None:
        raise ValueError("is not an instant such as 50%, due, due - 15m or due + 1h")
    if not match[1]:
        return duration_message(duration_of("0s"))
    offset = duration_of(match[2])
    return duration_message(-offset if match[1] == "-" else offset)


def _whole_percent_of(text: str) -> int:
    percent = percent_of(text.removeprefix("-"))
    if percent != percent.to_integral_value():
        raise ValueError("must be a whole percentage")
    return -int(percent) if text.startswith("-") else int(percent)


def _basis_of(text: str) -> slapb.TimeBasis.ValueType:
    words = {"business": slapb.TIME_BASIS_BUSINESS, "wall": slapb.TIME_BASIS_WALL}
    if text not in words:
        raise ValueError("is none of business, wall")
    return words[text]


def _basis_points_of(text: str) -> int:
    points = percent_of(text) * 100
    if points != points.to_integral_value():
        raise ValueError("must have at most two decimals")
    return int(points)


def _objective_of(text: str) -> int:
    points = percent_of(text) * 100
    if points != points.to_integral_value() or not 0 < points < 10_000:
        raise ValueError("must lie between 0% and 100%, with at most two decimals")
    return int(points)
