"""That two leads are not one person, as somebody said: such a pair is proposed to nobody any more."""

from dataclasses import dataclass
from datetime import datetime

from services.leads.domain.errors import LeadError


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinction:
    """Somebody's word about two leads; it holds for all that each of them is merged with."""

    tenant: str
    lead: str
    other_lead: str
    """Of the two the one whose id sorts behind."""
    person: str
    decide_time: datetime


class DistinctionForbids(LeadError):
    """Two leads cannot be what is asked; `lead` and `other_lead` are the resource names in the way."""

    def __init__(self, lead: str, other_lead: str, description: str) -> None:
        super().__init__(f"{lead} and {other_lead} {description}")
        self.lead = lead
        self.other_lead = other_lead


class LeadsDistinguished(DistinctionForbids):
    """Somebody said that they are two people."""


class LeadsNotDistinguished(DistinctionForbids):
    """Nobody said so of these two."""


class LeadsMergedAlready(DistinctionForbids):
    """They are one person, as somebody said."""
