# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""PrivacyService: parse, ask, render."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import grpc.aio

from services.leads.domain.privacy import ConsentState, LawfulBasis, PrivacySettings
from services.leads.rpc.asking import by_caller
from services.leads.store.consents import list_consents
from services.leads.store.dossier import dossier_of
from services.leads.store.leads import LeadStore
from services.leads.store.sealing import Sealer
from services.leads.store.traces import append_audit
from services.leads.usecases.consenting import (
    ChangeSettings,
    RecordConsent,
    change_settings,
    check_settings,
    record_consents,
    settings_of,
)
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects, leads_of
from services.leads.usecases.forgetting import Forgetter
from services.leads.wire import privacy as wire
from services.leads.wire.values import instant_in
from smarketing import names
from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1.privacy_pb2_grpc import PrivacyServiceServicer
from smarketing.server.audit import AuditEntry, AuditOutcome
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import permission_denied

__all__ = ["PrivacyServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SETTINGS: Final = "/privacySettings"


class PrivacyServicer(PrivacyServiceServicer):
    """Answers for people's rights."""

    def __init__(
        self,
        store: LeadStore,
        *,
        sealer: Sealer,
        pages: PageTokens,
        forgetter: Forgetter,
        backup_retention: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._pages = pages
        self._forgetter = forgetter
        self._now = now
        self._render = partial(wire.erasures_message, backup_retention=backup_retention)

    async def EraseSubject(
        self, request: privacypb.EraseSubjectRequest, context: _Context
    ) -> privacypb.EraseSubjectResponse:
        """Forget a person."""
        wanted = EraseSubject(subject=_subject(request), by=by_caller())
        call = call_for(self._unnamed(request))
        outcome = await self._store.command(erase_subjects, Command(wanted, call), render=self._render)
        return answer(outcome, privacypb.EraseSubjectResponse)

    async def ExportSubject(
        self, request: privacypb.ExportSubjectRequest, context: _Context
    ) -> privacypb.ExportSubjectResponse:
        """Return everything about a person; the export is on record before it is answered."""
        subject = _subject(request)
        leads = await self._store.sweep(lambda tx: leads_of(tx, subject))
        keys = [(subject.tenant, lead) for lead in leads]
        document = await self._store.read(dossier_of(self._sealer, keys, now=self._now()))
        current = current_call()
        entries = [
            AuditEntry(
                tenant=subject.tenant,
                principal=current.caller.principal,
                on_behalf_of=current.caller.on_behalf_of,
                method=current.method,
                resource=names.LEAD.build(*key),
                outcome=AuditOutcome.APPLIED,
            )
            for key in keys
        ]
        await append_audit(self._store.writer, entries)
        return privacypb.ExportSubjectResponse(json=json.dumps(document, ensure_ascii=False, indent=1))

    async def RecordConsent(
        self, request: privacypb.RecordConsentRequest, context: _Context
    ) -> privacypb.Consent:
        """Keep a person's word."""
        tenant, lead = names.LEAD.parse(request.parent, field="parent")
        told = request.consent
        wanted = RecordConsent(
            tenant=tenant,
            lead=lead,
            purpose=told.purpose,
            state=ConsentState(told.state) if told.state else None,
            lawful_basis=LawfulBasis(told.lawful_basis) if told.lawful_basis else None,
            source=told.source,
            note=told.note,
            occur_time=instant_in(told, "occur_time"),
            by=by_caller(),
        )
        command = Command(wanted, call_for(request))
        outcome = await self._store.command(record_consents, command, render=wire.consent_without_note)
        return answer(outcome, privacypb.Consent)

    async def ListConsents(
        self, request: privacypb.ListConsentsRequest, context: _Context
    ) -> privacypb.ListConsentsResponse:
        """List what was said, newest first."""
        tenant, lead = names.LEAD.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        after = None if key is None else (int(key[0]), str(key[1]))
        found = await self._store.read(
            list_consents(self._sealer, (tenant, lead), after=after, limit=size + 1, now=self._now())
        )
        shown = found[:size]
        token = ""
        if len(found) > size:
            token = self._pages.issue(request, [_micros(shown[-1].occur_time), shown[-1].consent_id])
        return privacypb.ListConsentsResponse(
            consents=map(wire.consent_message, shown), next_page_token=token
        )

    async def GetPrivacySettings(
        self, request: privacypb.GetPrivacySettingsRequest, context: _Context
    ) -> privacypb.PrivacySettings:
        """Return the tenant's settings."""
        tenant = request.name.removesuffix(_SETTINGS)
        if tenant == request.name or not names.TENANT.matches(tenant):
            raise names.NameInvalid("name", f"tenants/{{tenant}}{_SETTINGS}")
        (tenant_id,) = names.TENANT.parse(tenant)
        settings = await self._store.sweep(partial(settings_of, tenant=tenant_id))
        return wire.settings_message(settings)

    async def UpdatePrivacySettings(
        self, request: privacypb.UpdatePrivacySettingsRequest, context: _Context
    ) -> privacypb.UpdatePrivacySettingsResponse:
        """Change the settings, or count whom they would erase."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        wanted = wire.settings_from(tenant, request.settings)
        if request.validate_only:
            await self._store.sweep(lambda tx: check_settings(tx, wanted))
            count = await self._forgetter.count_aged(tenant, wanted.retention) if wanted.retention else 0
            return privacypb.UpdatePrivacySettingsResponse(
                settings=wire.settings_message(wanted), erasable_count=count
            )
        command = Command(ChangeSettings(settings=wanted, by=by_caller()), call_for(request))
        outcome = await self._store.command(change_settings, command, render=_changed)
        return answer(outcome, privacypb.UpdatePrivacySettingsResponse)

    def _unnamed(self, request: privacypb.EraseSubjectRequest) -> privacypb.EraseSubjectRequest:
        """Return the request with a digest where the person stands: it is kept as long as its answer."""
        unnamed = privacypb.EraseSubjectRequest()
        unnamed.CopyFrom(request)
        kind = request.WhichOneof("subject")
        if kind in {"email", "phone"}:
            value = self._sealer.match_digest(request.parent, f"erase {kind}", getattr(request, kind))
            setattr(unnamed, kind, value.hex())
        return unnamed


def _subject(request: privacypb.EraseSubjectRequest | privacypb.ExportSubjectRequest) -> Subject:
    (tenant,) = names.TENANT.parse(request.parent, field="parent")
    kind = request.WhichOneof("subject")
    if kind is None or not getattr(request, kind):
        raise field_invalid("subject", "the lead, e-mail address or phone number of the person")
    lead = ""
    if kind == "lead":
        owner, lead = names.LEAD.parse(request.lead, field="lead")
        if owner != tenant:
            raise permission_denied()
    return Subject(
        tenant=tenant, lead=lead, email=request.email, phone=request.phone, all_matches=request.all_matches
    )


def _changed(settings: PrivacySettings) -> privacypb.UpdatePrivacySettingsResponse:
    return privacypb.UpdatePrivacySettingsResponse(settings=wire.settings_message(settings))


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
