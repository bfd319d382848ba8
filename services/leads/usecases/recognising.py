"""Whose a submission is, by the tenant's rules: a known lead's, perhaps somebody's, or nobody's yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.leads.domain.lead import Contact, Identity, Submission
from services.leads.domain.matching import (
    IdentityRules,
    Match,
    PossibleDuplicate,
    Profile,
    judge,
    profile_of,
    signals_between,
)
from services.leads.store.people import LeadKey
from services.leads.store.transaction import LeadTx
from services.leads.usecases.identity import company_domain_of, spelled_mailbox, spelled_phone
from services.leads.usecases.merging import lead_known_as

_MOST_POSSIBLE: Final = 5
"""A person decides about a few; what resembles more leads than that resembles everybody."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """The lead, where the tenant's precision is reached; else those that it may be, the surest first."""

    lead: str = ""
    possible: Sequence[tuple[str, Match]] = ()


def digests_of(tx: LeadTx, submission: Submission, rules: IdentityRules) -> list[bytes]:
    """Return by what the submission's lead is looked up, the surest first.

    Where the tenant has rules, name and company are one of them: a mistyped address finds its lead too.
    """
    digests = tx.digests(submission)
    if rules.are_set:
        profile = profile_of(submission.contact, submission.identity)
        near = submission.identity.company_domain or submission.identity.email.rpartition("@")[2]
        if profile.given_name and profile.family_name and near:
            told = "\x00".join((profile.given_name, profile.family_name, near))
            digests.append(tx.digest_of(submission.tenant, "name", told))
    return digests


def candidates_of(tx: LeadTx, tenant: str, digests: Iterable[bytes]) -> set[LeadKey]:
    """Return all leads that are known by one of these loaded digests."""
    return {(tenant, lead) for digest in digests for lead in tx.leads_known_by(tenant, digest)}


def recognise(tx: LeadTx, submission: Submission, digests: Sequence[bytes]) -> Recognised:
    """Return whose the submission is by its tenant's rules; the candidates' handoffs must be loaded.

    Of equally sure leads it is the one that has been known by the surest digest for longest.
    """
    tenant = submission.tenant
    directory = tx.directory(tenant)
    told = profile_of(submission.contact, submission.identity)
    found: dict[str, Match] = {}
    for lead in dict.fromkeys(lead for digest in digests for lead in tx.leads_known_by(tenant, digest)):
        known = _profile(tx, (tenant, lead), directory.settings.region_code)
        match = None if known is None else judge(directory.identity, signals_between(told, known))
        if match is None:
            continue
        known_as = lead_known_as(tx, tenant, lead)
        if known_as not in found or match.confidence > found[known_as].confidence:
            found[known_as] = match
    surest = sorted(found.items(), key=lambda each: -each[1].confidence)
    if surest and surest[0][1].confidence >= directory.identity.automatic_from:
        return Recognised(surest[0][0])
    possible = [each for each in surest if each[1].confidence >= directory.identity.possible_from]
    return Recognised(possible=possible[:_MOST_POSSIBLE])


def note_possible(tx: LeadTx, tenant: str, lead: str, possible: Iterable[tuple[str, Match]]) -> None:
    """Keep for whom a new lead may be taken, until a person decides."""
    tx.note_possible_duplicates(
        PossibleDuplicate(tenant=tenant, lead=lead, other_lead=other, match=match, detect_time=tx.now)
        for other, match in possible
    )


def _profile(tx: LeadTx, lead: LeadKey, region_code: str) -> Profile | None:
    contact = tx.people.contact(lead)
    return None if contact is None else profile_of(contact, _identity_of(contact, region_code))


def _identity_of(contact: Contact, region_code: str) -> Identity:
    email = spelled_mailbox(contact.email) if contact.email else ""
    phone = spelled_phone(contact.phone, region_code) if contact.phone else ""
    return Identity(email, phone, company_domain_of(contact, email))
