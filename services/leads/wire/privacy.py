"""People's rights: protobuf ⇄ domain."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from services.leads.domain.privacy import Consent, Erasure, OnReturn, PrivacySettings
from services.leads.wire.values import put_instant
from smarketing import names
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import privacy_pb2 as privacypb

__all__ = [
    "consent_event",
    "consent_message",
    "consent_without_note",
    "erased_event",
    "erasure_message",
    "erasures_message",
    "settings_from",
    "settings_message",
]


def erasure_message(erasure: Erasure, *, backup_retention: timedelta) -> privacypb.Erasure:
    """Return the message of an erasure."""
    message = privacypb.Erasure(
        lead=names.LEAD.build(erasure.tenant, erasure.lead),
        cause=_number(erasure.cause),
    )
    put_instant(message.erase_time, erasure.erase_time)
    if erasure.finish_time is not None:
        put_instant(message.finish_time, erasure.finish_time)
    put_instant(message.backup_expire_time, erasure.erase_time + backup_retention)
    return message


def erasures_message(
    erasures: Iterable[Erasure], *, backup_retention: timedelta
) -> privacypb.EraseSubjectResponse:
    """Return the answer to an erasure."""
    return privacypb.EraseSubjectResponse(
        erasures=[erasure_message(each, backup_retention=backup_retention) for each in erasures]
    )


def erased_event(erasure: Erasure) -> leadeventspb.SubjectErased:
    """Return the event of an erasure."""
    return leadeventspb.SubjectErased(
        lead=names.LEAD.build(erasure.tenant, erasure.lead), cause=_number(erasure.cause)
    )


def consent_message(consent: Consent) -> privacypb.Consent:
    """Return the message of a consent."""
    message = privacypb.Consent(
        name=_consent_name(consent),
        purpose=consent.purpose,
        state=_number(consent.state),
        lawful_basis=_number(consent.lawful_basis),
        source=consent.source,
        note=consent.note,
    )
    put_instant(message.occur_time, consent.occur_time)
    put_instant(message.record_time, consent.record_time)
    return message


def consent_without_note(consent: Consent) -> privacypb.Consent:
    """Return the message of a consent as it may be kept for a repeated request: without what is personal."""
    message = consent_message(consent)
    message.note = ""
    return message


def consent_event(consent: Consent) -> leadeventspb.ConsentRecorded:
    """Return the event of a consent: everything but its note."""
    return leadeventspb.ConsentRecorded(
        lead=names.LEAD.build(consent.tenant, consent.lead),
        consent=_consent_name(consent),
        purpose=consent.purpose,
        state=_number(consent.state),
        lawful_basis=_number(consent.lawful_basis),
    )


def settings_from(tenant: str, message: privacypb.PrivacySettings) -> PrivacySettings:
    """Return the settings that a message wants."""
    retention = None
    if message.HasField("retention_duration"):
        retention = message.retention_duration.ToTimedelta()
    return PrivacySettings(
        tenant=tenant, retention=retention, on_return=OnReturn(message.on_return or OnReturn.REFUSE)
    )


def settings_message(settings: PrivacySettings) -> privacypb.PrivacySettings:
    """Return the message of a tenant's settings."""
    message = privacypb.PrivacySettings(
        name=f"{names.TENANT.build(settings.tenant)}/privacySettings", on_return=_number(settings.on_return)
    )
    if settings.retention is not None:
        message.retention_duration.FromTimedelta(settings.retention)
    return message


def _consent_name(consent: Consent) -> str:
    return f"{names.LEAD.build(consent.tenant, consent.lead)}/consents/{consent.consent_id}"


def _number(value: int) -> Any:
    # Enums are numbers on the wire.
    return int(value)
