"""Forget people: their key is destroyed, what was open of theirs ends, and no figure changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.leads.domain import outcomes
from services.leads.domain.errors import FieldInvalid, LeadUnknown
from services.leads.domain.lead import Contact
from services.leads.domain.privacy import ERASED, Cause, Erasure, SubjectAmbiguous
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import each
from services.leads.usecases.identity import spelled_email, spelled_phone
from services.leads.wire.privacy import erased_event
from smarketing import names

MOST_LEADS: Final = 100
"""How many leads one request erases or exports: an address that more share is nobody's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A person, as a request names them: by one of these."""

    tenant: str
    lead: str = ""
    email: str = ""
    phone: str = ""
    all_matches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseSubject:
    """Forget a person."""

    subject: Subject
    by: By


def erase_subjects(tx: LeadTx, requests: Sequence[EraseSubject]) -> list[list[Erasure] | Exception]:
    """Forget each person; who was forgotten before stays so, and nothing happens."""

    def decide(request: EraseSubject) -> list[Erasure]:
        leads = leads_of(tx, request.subject)
        tenant = request.subject.tenant
        return erase_leads(tx, request.by, [(tenant, lead) for lead in leads], Cause.REQUEST)

    return each(requests, decide)


def erase_leads(tx: LeadTx, by: By, leads: Sequence[tuple[str, str]], cause: Cause) -> list[Erasure]:
    """Forget these leads, as far as they are not forgotten yet."""
    tx.load_handoffs_of(leads)
    erasures = []
    for lead in leads:
        erasure = tx.subjects.erasure(lead)
        if erasure is None:
            _end_open(tx, by, lead)
            erasure = tx.subjects.erase(lead, cause)
            tx.tell_of_lead(by, erased_event(erasure))
        erasures.append(erasure)
    return erasures


def leads_of(tx: LeadTx, subject: Subject) -> list[str]:
    """Return the leads that are the person, those merged with them included.

    Raises:
        TenantUnknown, LeadUnknown, FieldInvalid, SubjectAmbiguous.
    """
    directory = tx.directory(subject.tenant)
    if subject.lead:
        if not tx.subjects.exists((subject.tenant, subject.lead)):
            raise LeadUnknown(names.LEAD.build(subject.tenant, subject.lead))
        return tx.subjects.same_person(subject.tenant, [subject.lead])
    known = Contact(email=subject.email, phone=subject.phone)
    digest = tx.digest_of(subject.tenant, *_identity(known, directory.settings.region_code))
    found = tx.subjects.known_by(subject.tenant, digest)
    if not found:
        raise LeadUnknown(f"lead with this address or number in tenants/{subject.tenant}")
    leads = tx.subjects.same_person(subject.tenant, found)
    if len(leads) > MOST_LEADS or not (subject.all_matches or _is_one(tx, subject.tenant, found, leads)):
        raise SubjectAmbiguous(subject.tenant, tuple(found[:MOST_LEADS]))
    return leads


def _is_one(tx: LeadTx, tenant: str, found: Sequence[str], leads: Iterable[str]) -> bool:
    return len(found) == 1 or tx.subjects.same_person(tenant, found[:1]) == list(leads)


def _identity(known: Contact, region_code: str) -> tuple[str, str]:
    if known.email:
        email = spelled_email(known.email)
        if not email:
            raise FieldInvalid("email", "an e-mail address such as `name@example.com`")
        return "email", email
    phone = spelled_phone(known.phone, region_code)
    if not phone:
        raise FieldInvalid("phone", "a phone number, with country code where it is foreign")
    return "phone", phone


def _end_open(tx: LeadTx, by: By, lead: tuple[str, str]) -> None:
    for handoff in tx.handoffs_of(lead):
        ended = handoff
        if handoff.is_open:
            ended, events = outcomes.void(handoff, ERASED, now=tx.now)
            tx.tell(by, *events)
        if ended.evidence or ended.sealed_evidence:
            ended = replace(ended, evidence="", sealed_evidence=b"")
        tx.save_handoff(ended)
