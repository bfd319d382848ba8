"""Parts of an agreement: who answers for a promise, what follows from a miss, budgets, marketing's side."""

from collections.abc import Iterable
from typing import Final

from services.sla.domain.agreement import Role
from services.sla.domain.budget_terms import BudgetTerms
from services.sla.domain.consequence import BudgetTrigger, Consequence, ConsequenceKind
from services.sla.domain.marketing_terms import Amount, LeadValue, MarketingTerms, Quota, QuotaPeriod
from services.sla.domain.responsibility import Responsibilities
from services.sla.wire.instants import amount, duration
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.businesstime import BusinessTime

ROLES: Final = {
    slapb.RECIPIENT_ROLE_OWNER: Role.OWNER,
    slapb.RECIPIENT_ROLE_MANAGER: Role.MANAGER,
    slapb.RECIPIENT_ROLE_OTHER_PARTY: Role.OTHER_PARTY,
    slapb.RECIPIENT_ROLE_LEADERSHIP: Role.LEADERSHIP,
    slapb.RECIPIENT_ROLE_QUEUE: Role.QUEUE,
    slapb.RECIPIENT_ROLE_PARTY: Role.PARTY,
}
ROLE_VALUES: Final = {role: value for value, role in ROLES.items()}
_KINDS: Final = {
    slapb.ConsequenceKind.Value(f"CONSEQUENCE_KIND_{kind.value}"): kind for kind in ConsequenceKind
}
_KIND_VALUES: Final = {kind: value for value, kind in _KINDS.items()}
_TRIGGERS: Final = {
    slapb.BudgetTrigger.Value(f"BUDGET_TRIGGER_{trigger.value}"): trigger for trigger in BudgetTrigger
}
_TRIGGER_VALUES: Final = {trigger: value for value, trigger in _TRIGGERS.items()}
_PERIODS: Final = {
    slapb.MarketingQuota.Period.Value(f"PERIOD_{period.value}"): period for period in QuotaPeriod
}
_PERIOD_VALUES: Final = {period: value for value, period in _PERIODS.items()}


def roles_of(values: Iterable[slapb.RecipientRole.ValueType]) -> tuple[Role, ...]:
    """Return the roles that are known."""
    return tuple(ROLES[value] for value in values if value in ROLES)


def responsibilities_of(message: slapb.Responsibilities) -> Responsibilities:
    """Return who has which part."""
    return Responsibilities(
        accountable=ROLES.get(message.accountable),
        responsible=roles_of(message.responsible),
        consulted=roles_of(message.consulted),
        informed=roles_of(message.informed),
    )


def responsibilities_message(parts: Responsibilities) -> slapb.Responsibilities:
    """Return who has which part, as it is shown."""
    message = slapb.Responsibilities(
        responsible=[ROLE_VALUES[role] for role in parts.responsible],
        consulted=[ROLE_VALUES[role] for role in parts.consulted],
        informed=[ROLE_VALUES[role] for role in parts.informed],
    )
    if parts.accountable is not None:
        message.accountable = ROLE_VALUES[parts.accountable]
    return message


def consequence_of(message: slapb.Consequence) -> Consequence:
    """Return what follows from a miss."""
    trigger = message.WhichOneof("trigger")
    return Consequence(
        id=message.consequence_id,
        kind=_KINDS.get(message.kind),
        rung=message.rung_id if trigger == "rung_id" else None,
        budget=_TRIGGERS.get(message.budget_trigger) if trigger == "budget_trigger" else None,
        percent=message.percent if message.HasField("percent") else None,
        recipients=roles_of(message.recipients),
    )


def consequence_message(each: Consequence) -> slapb.Consequence:
    """Return what follows from a miss, as it is shown."""
    message = slapb.Consequence(
        consequence_id=each.id, recipients=[ROLE_VALUES[role] for role in each.recipients]
    )
    if each.kind is not None:
        message.kind = _KIND_VALUES[each.kind]
    if each.rung is not None:
        message.rung_id = each.rung
    elif each.budget is not None:
        message.budget_trigger = _TRIGGER_VALUES[each.budget]
    if each.percent is not None:
        message.percent = each.percent
    return message


def budget_terms_of(message: slapb.ErrorBudgetTerms) -> BudgetTerms:
    """Return by what a budget is judged."""
    return BudgetTerms(
        window=amount(message.budget_window),
        fast_share=message.fast_share_basis_points,
        fast_window=amount(message.fast_window),
        slow_window=amount(message.slow_window),
        least_settled=message.minimum_settled,
    )


def budget_terms_message(terms: BudgetTerms) -> slapb.ErrorBudgetTerms:
    """Return by what a budget is judged, as it is shown; what was not written is not there."""
    message = slapb.ErrorBudgetTerms(
        fast_share_basis_points=terms.fast_share, minimum_settled=terms.least_settled
    )
    for field, window in (
        (message.budget_window, terms.window),
        (message.fast_window, terms.fast_window),
        (message.slow_window, terms.slow_window),
    ):
        if window != BusinessTime():
            field.CopyFrom(duration(window))
    return message


def marketing_terms_of(message: slapb.MarketingTerms) -> MarketingTerms:
    """Return what marketing's promises are counted by."""
    return MarketingTerms(
        mql_definition=message.mql_definition,
        lead_values=tuple(
            LeadValue(segment=each.segment, value=_amount_of(each.value)) for each in message.lead_values
        ),
        quota=_quota_of(message.quota) if message.HasField("quota") else None,
        least_conformance=message.minimum_conformance_basis_points,
        least_completeness=message.minimum_completeness_basis_points,
        most_rejected=message.maximum_rejected_basis_points,
    )


def marketing_terms_message(terms: MarketingTerms) -> slapb.MarketingTerms:
    """Return what marketing's promises are counted by, as it is shown."""
    return slapb.MarketingTerms(
        mql_definition=terms.mql_definition,
        lead_values=[
            slapb.LeadValue(segment=each.segment, value=_money(each.value)) for each in terms.lead_values
        ],
        quota=None if terms.quota is None else _quota_message(terms.quota),
        minimum_conformance_basis_points=terms.least_conformance,
        minimum_completeness_basis_points=terms.least_completeness,
        maximum_rejected_basis_points=terms.most_rejected,
    )


def _quota_of(message: slapb.MarketingQuota) -> Quota:
    return Quota(
        period=_PERIODS.get(message.period),
        value=_amount_of(message.value),
        least_pace=message.minimum_pace_percent,
        most_pace=message.maximum_pace_percent,
    )


def _quota_message(quota: Quota) -> slapb.MarketingQuota:
    message = slapb.MarketingQuota(
        value=_money(quota.value),
        minimum_pace_percent=quota.least_pace,
        maximum_pace_percent=quota.most_pace,
    )
    if quota.period is not None:
        message.period = _PERIOD_VALUES[quota.period]
    return message


def _amount_of(message: termspb.Money) -> Amount:
    return Amount(currency=message.currency_code, minor_units=message.minor_units)


def _money(value: Amount) -> termspb.Money:
    return termspb.Money(currency_code=value.currency, minor_units=value.minor_units)
