"""What marketing is counted by: the definition, what leads are worth, and how much of that is owed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.sla.domain.fault import Fault

_MOST_VALUES: Final = 500
_MOST_MINOR_UNITS: Final = 9_007_199_254_740_991
_LONGEST_SEGMENT: Final = 200
_MOST_PACE: Final = 1_000
_BASIS_POINTS: Final = 10_000
_is_currency = re.compile(r"[A-Z]{3}").fullmatch
_is_definition = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@:-]{0,199}").fullmatch

LEAST_PACE: Final = 80
MOST_PACE: Final = 125
"""In percent, where the agreement says nothing: slower is behind, faster floods sales."""


class QuotaPeriod(Enum):
    """How long a quota runs."""

    MONTH = "MONTH"
    QUARTER = "QUARTER"
    YEAR = "YEAR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Money in the currency's minor units."""

    currency: str
    minor_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadValue:
    """What a lead of a segment is worth on average; an empty segment is for all that are not listed."""

    segment: str
    value: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much implied value is handed over in a period; paces are in percent, 0 where nothing was said."""

    period: QuotaPeriod | None
    value: Amount
    least_pace: int = 0
    most_pace: int = 0

    @property
    def pace(self) -> tuple[int, int]:
        """The paces between which marketing keeps its promise, in percent."""
        return self.least_pace or LEAST_PACE, self.most_pace or MOST_PACE


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketingTerms:
    """Frozen with the version of the agreement."""

    mql_definition: str = ""
    lead_values: tuple[LeadValue, ...] = ()
    quota: Quota | None = None
    least_conformance: int = 0
    """In basis points, as the two below; 0 where nothing was agreed."""
    least_completeness: int = 0
    most_rejected: int = 0

    def value_of(self, segment: str | None) -> Amount | None:
        """Return what a lead of a segment is worth; None where the table says nothing of it."""
        table = {each.segment: each.value for each in self.lead_values}
        return table.get(segment or "", table.get(""))


def faults_of_marketing(terms: MarketingTerms | None) -> Iterator[Fault]:
    """Yield what cannot be agreed to."""
    if terms is None:
        return
    path = "marketing_terms"
    if terms == MarketingTerms():
        yield Fault(path=path, description="say something of it, or leave it out")
    if terms.mql_definition and not _is_definition(terms.mql_definition):
        description = "the name of a version, of letters, digits and . _ / @ : -, at most 200"
        yield Fault(path=f"{path}.mql_definition", description=description)
    if len(terms.lead_values) > _MOST_VALUES:
        yield Fault(path=f"{path}.lead_values", description=f"at most {_MOST_VALUES}")
    yield from _faults_of_table(terms, f"{path}.lead_values")
    if terms.quota is not None:
        yield from _faults_of_quota(terms.quota, terms, f"{path}.quota")
    yield from _faults_of_shares(terms, path)


def _faults_of_shares(terms: MarketingTerms, path: str) -> Iterator[Fault]:
    for field, share in (
        ("minimum_conformance_basis_points", terms.least_conformance),
        ("minimum_completeness_basis_points", terms.least_completeness),
        ("maximum_rejected_basis_points", terms.most_rejected),
    ):
        if not 0 <= share < _BASIS_POINTS:
            # A promise that a single lead breaks warns of nothing.
            yield Fault(path=f"{path}.{field}", description="1 to 9,999; 0 when nothing is agreed")


def _faults_of_table(terms: MarketingTerms, path: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for at, each in enumerate(terms.lead_values[:_MOST_VALUES]):
        if each.segment in seen:
            yield Fault(path=f"{path}[{at}].segment", description="has a value above already")
        if len(each.segment) > _LONGEST_SEGMENT:
            yield Fault(path=f"{path}[{at}].segment", description=f"at most {_LONGEST_SEGMENT} characters")
        seen.add(each.segment)
        yield from _faults_of_amount(each.value, terms.lead_values[0].value.currency, f"{path}[{at}].value")


def _faults_of_quota(quota: Quota, terms: MarketingTerms, path: str) -> Iterator[Fault]:
    if quota.period is None:
        yield Fault(path=f"{path}.period", description="month, quarter or year")
    if not terms.lead_values:
        description = "say what leads are worth: without it nothing counts towards a quota"
        yield Fault(path="marketing_terms.lead_values", description=description)
    currency = terms.lead_values[0].value.currency if terms.lead_values else quota.value.currency
    yield from _faults_of_amount(quota.value, currency, f"{path}.value")
    least, most = quota.pace
    if not 0 < least < 100:
        yield Fault(path=f"{path}.minimum_pace_percent", description="1 to 99; a pace of 100 is just on time")
    if not 100 < most <= _MOST_PACE:
        yield Fault(path=f"{path}.maximum_pace_percent", description=f"101 to {_MOST_PACE}")


def _faults_of_amount(amount: Amount, currency: str, path: str) -> Iterator[Fault]:
    if not _is_currency(amount.currency):
        yield Fault(path=f"{path}.currency_code", description="an ISO 4217 code such as EUR")
    elif amount.currency != currency:
        yield Fault(
            path=f"{path}.currency_code", description=f"{currency}, as the first: one currency for all"
        )
    if not 0 < amount.minor_units <= _MOST_MINOR_UNITS:
        yield Fault(path=f"{path}.minor_units", description=f"1 to {_MOST_MINOR_UNITS}")
