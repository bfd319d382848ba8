"""Keep what people agreed to, with its time and source; and how long a tenant keeps people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.leads.domain.errors import FieldInvalid, LeadUnknown, TimeInFuture
from services.leads.domain.lead import FUTURE_TOLERANCE
from services.leads.domain.privacy import (
    Consent,
    ConsentState,
    LawfulBasis,
    LeadErased,
    PrivacySettings,
)
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import each
from services.leads.wire.privacy import consent_event
from smarketing import names


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordConsent:
    """Keep a person's word."""

    tenant: str
    lead: str
    purpose: str
    state: ConsentState | None
    lawful_basis: LawfulBasis | None
    source: str
    note: str = ""
    occur_time: datetime | None = None
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSettings:
    """Make these the tenant's settings."""

    settings: PrivacySettings
    by: By


def record_consents(tx: LeadTx, requests: Sequence[RecordConsent]) -> list[Consent | Exception]:
    """Keep each consent; what was said before stays, the newest word of a purpose counts."""

    def decide(request: RecordConsent) -> Consent:
        consent = _consent(tx, request)
        tx.subjects.add_consent(consent)
        tx.tell_of_lead(request.by, consent_event(consent))
        return consent

    return each(requests, decide)


def change_settings(tx: LeadTx, requests: Sequence[ChangeSettings]) -> list[PrivacySettings | Exception]:
    """Keep each tenant's settings; the next sweep goes by them."""

    def decide(request: ChangeSettings) -> PrivacySettings:
        check_settings(tx, request.settings)
        tx.subjects.put_settings(request.settings)
        return request.settings

    return each(requests, decide)


def settings_of(tx: LeadTx, tenant: str) -> PrivacySettings:
    """Return a tenant's settings.

    Raises:
        TenantUnknown: there is no such tenant.
    """
    tx.directory(tenant)
    return tx.subjects.settings(tenant)


def check_settings(tx: LeadTx, settings: PrivacySettings) -> None:
    """Refuse settings that no tenant could have.

    Raises:
        TenantUnknown: there is no such tenant.
        FieldInvalid: the first that is wrong.
    """
    tx.directory(settings.tenant)
    for fault in settings.faults():
        raise FieldInvalid(f"settings.{fault.field}", fault.description)


def _consent(tx: LeadTx, request: RecordConsent) -> Consent:
    lead = (request.tenant, request.lead)
    name = names.LEAD.build(*lead)
    if not tx.subjects.exists(lead):
        raise LeadUnknown(name)
    if tx.subjects.erasure(lead) is not None:
        raise LeadErased(name)
    occur_time = request.occur_time or tx.now
    if occur_time > tx.now + FUTURE_TOLERANCE:
        raise TimeInFuture("consent.occur_time", "an instant that is not in the future")
    for field in ("purpose", "source"):
        if not names.is_id(getattr(request, field)):
            raise FieldInvalid(f"consent.{field}", "an id of a-z, 0-9 and inner `.`, `_`, `-`")
    if request.state is None:
        raise FieldInvalid("consent.state", "GRANTED or WITHDRAWN")
    if request.lawful_basis is None:
        raise FieldInvalid("consent.lawful_basis", "on what ground the data are used")
    return Consent(
        tenant=request.tenant,
        lead=request.lead,
        consent_id=tx.new_id(),
        purpose=request.purpose,
        state=request.state,
        lawful_basis=request.lawful_basis,
        source=request.source,
        note=request.note,
        occur_time=occur_time,
        record_time=tx.now,
    )
