"""What a later submission changes about a person, and on what ground the sender has their data."""

from services.leads.domain.lead import Submission
from services.leads.domain.privacy import Consent, ConsentState
from services.leads.store.transaction import By, LeadTx
from services.leads.wire.intake import ownership_in
from services.leads.wire.privacy import consent_event

PURPOSE = "sales_contact"
"""What for a sender hands people over."""


def corrected(tx: LeadTx, submission: Submission, lead: str) -> None:
    """Take over a system's correction of a person, but for the fields that are other systems'."""
    owned = tx.intake.ownership(submission.tenant, ownership_in)
    told, system = submission.contact, submission.source_system
    tx.change_person(submission.tenant, lead, lambda kept: owned.corrected(kept, told, system))


def joined(tx: LeadTx, submission: Submission, lead: str) -> None:
    """Add what another submission knows of a person, and take over the fields that are its system's."""
    owned = tx.intake.ownership(submission.tenant, ownership_in)
    told, system = submission.contact, submission.source_system
    tx.change_person(submission.tenant, lead, lambda kept: owned.joined(kept, told, system))


def keep_basis(tx: LeadTx, by: By, submission: Submission, lead: str) -> None:
    """Keep on what ground the sender hands the person over, where it said so."""
    if submission.lawful_basis is None:
        return
    consent = Consent(
        tenant=submission.tenant,
        lead=lead,
        consent_id=tx.new_id(),
        purpose=PURPOSE,
        state=ConsentState.GRANTED,
        lawful_basis=submission.lawful_basis,
        source=submission.source_system,
        occur_time=submission.qualification.inquire_time or submission.submit_time(tx.now),
        record_time=tx.now,
    )
    tx.subjects.add_consent(consent)
    tx.tell_of_lead(by, consent_event(consent))
