"""People's rights: that somebody was forgotten, what they agreed to, and how long people are kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from services.leads.domain.errors import Fault, LeadError

ERASED: Final = "ERASED"
"""The reason of a handoff that became VOID because its person was forgotten."""

_SHORTEST_RETENTION: Final = timedelta(days=1)
_LONGEST_RETENTION: Final = timedelta(days=3653)


class Cause(IntEnum):
    """Why somebody was forgotten, numbered as in the contract."""

    REQUEST = 1
    RETENTION = 2


class OnReturn(IntEnum):
    """What becomes of a submission about somebody who was erased, numbered as in the contract."""

    REFUSE = 1
    TAKE_IN = 2


class ConsentState(IntEnum):
    """Which way somebody's word went, numbered as in the contract."""

    GRANTED = 1
    WITHDRAWN = 2


class LawfulBasis(IntEnum):
    """On what ground a person's data are used, numbered as in the contract."""

    CONSENT = 1
    CONTRACT = 2
    LEGAL_OBLIGATION = 3
    LEGITIMATE_INTEREST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """That a lead was forgotten, and how far."""

    tenant: str
    lead: str
    cause: Cause
    erase_time: datetime
    """When the key was destroyed."""
    finish_time: datetime | None = None
    """When the last trace in write-ahead files and kept answers was gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A person's word on what may be done with their data."""

    tenant: str
    lead: str
    consent_id: str
    purpose: str
    state: ConsentState
    lawful_basis: LawfulBasis
    source: str
    note: str = ""
    """Personal; empty also once the person was erased."""
    occur_time: datetime
    record_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """How long a tenant keeps people, and what becomes of erased people who come back."""

    tenant: str
    retention: timedelta | None = None
    """Since the last handoff closed; None keeps people for ever."""
    on_return: OnReturn = OnReturn.REFUSE

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with the settings."""
        if self.retention is not None and not _SHORTEST_RETENTION <= self.retention <= _LONGEST_RETENTION:
            yield Fault("retention_duration", "1 day to 10 years, or left out")


class LeadErased(LeadError):
    """There is nobody any more of whom this could be kept."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was erased")
        self.name = name


class LeadSuppressed(LeadError):
    """The submission is about somebody who was erased, and the tenant takes nobody in who was."""


class SubjectAmbiguous(LeadError):
    """Several leads have the address or number, and the request does not say that all are meant."""

    def __init__(self, tenant: str, leads: tuple[str, ...]) -> None:
        super().__init__(f"{len(leads)} leads match")
        self.leads = tuple(f"tenants/{tenant}/leads/{lead}" for lead in leads)
