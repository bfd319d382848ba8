"""Take leads in: each known by its key for ever, matched to whom it is about, and offered at once."""

from collections.abc import Sequence
from enum import IntEnum

from services.leads.domain.desk import to_fallback
from services.leads.domain.errors import LeadError, SubmissionInvalid
from services.leads.domain.events import HandoffSubmitted, SubmissionJoined
from services.leads.domain.following import requalified_from
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Submission, check_submission
from services.leads.domain.work_events import HandoffRequalified
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases import owning, scoring
from services.leads.usecases.identity import identify, understand
from services.leads.usecases.merging import lead_known_as
from services.leads.usecases.quota import over_quota
from services.leads.usecases.recognising import candidates_of, digests_of, note_possible, recognise
from services.leads.usecases.returning import refused_again, refused_return
from services.leads.usecases.routing import place
from smarketing.values import value


class Outcome(IntEnum):
    """What became of a submission, numbered as in the contract."""

    CREATED = 1
    DUPLICATE = 2
    REVISED = 3
    MATCHED = 4
    SUPERSEDED = 5


@value(frozen=True, slots=True)
class SubmitLead:
    """A lead to take in."""

    submission: Submission
    by: By


@value(frozen=True, slots=True)
class Submitted:
    """What became of it, and its handoff."""

    outcome: Outcome
    handoff: Handoff


@value(frozen=True, slots=True)
class _Known:
    """A submission without faults, and by what its lead is recognised."""

    submission: Submission
    by: By
    digests: Sequence[bytes]
    by_rules: bool = False
    """Whether the tenant says by what rules; otherwise the surest digest alone decides."""

    @property
    def recognised_by(self) -> Sequence[bytes]:
        """The surest digest alone: people share telephones more often than addresses."""
        return self.digests[:1]


def submit(tx: LeadTx, requests: Sequence[SubmitLead]) -> list[Submitted | Exception]:
    """Take in a batch of leads; a bad one is refused alone.

    Raises nothing; a refusal is `SubmissionInvalid` or `TenantUnknown`.
    """
    checked = [_checked(tx, request) for request in requests]
    good = [each for each in checked if isinstance(each, _Known)]
    _load(tx, good)
    return [_taken_in(tx, each) if isinstance(each, _Known) else each for each in checked]


def _checked(tx: LeadTx, request: SubmitLead) -> _Known | LeadError:
    try:
        directory = tx.directory(request.submission.tenant)
    except LeadError as refused:
        return refused
    vocabulary = tx.work.playbook(request.submission.tenant).vocabulary
    submission = understand(identify(request.submission, directory.settings.region_code), vocabulary, tx.now)
    faults = check_submission(submission, now=tx.now)
    if faults:
        return SubmissionInvalid(faults)
    rules = directory.identity
    return _Known(submission, request.by, digests_of(tx, submission, rules), rules.are_set)


def _load(tx: LeadTx, known: Sequence[_Known]) -> None:
    """Read all that the batch will look at, with a few statements."""
    tx.load_submissions(each.submission.key for each in known)
    tx.load_matches({(each.submission.tenant, digest) for each in known for digest in each.digests})
    leads = {
        (handoff.tenant, handoff.lead)
        for each in known
        for handoff in tx.revisions(each.submission.key).values()
    }
    for each in known:
        tenant = each.submission.tenant
        if each.by_rules:
            candidates = candidates_of(tx, tenant, each.digests)
            tx.people.load(candidates)
            leads |= candidates
        else:
            leads |= {(tenant, lead) for digest in each.digests if (lead := tx.match(tenant, digest))}
    tx.load_handoffs_of(leads)
    scoring.load_behaviour(tx, (each.submission for each in known), leads)


def _taken_in(tx: LeadTx, known: _Known) -> Submitted | LeadError:
    revision = known.submission.revision
    revisions = tx.revisions(known.submission.key)
    if not revisions:
        return _first(tx, known)
    if revision in revisions:
        return Submitted(Outcome.DUPLICATE, _loaded(tx, revisions[revision]))
    latest = max(revisions)
    handoff = _loaded(tx, revisions[latest])
    if revision < latest:
        tx.add_submission(known.submission, handoff.id)
        return Submitted(Outcome.SUPERSEDED, handoff)
    return _corrected(tx, known, handoff)


def _corrected(tx: LeadTx, known: _Known, handoff: Handoff) -> Submitted | LeadError:
    """Take over a higher revision; when the handoff it corrects is over, it is a submission like another."""
    submission = known.submission
    if not (handoff.is_live or (handoff.is_open and submission.history is not None)):
        if tx.people.is_erased((submission.tenant, handoff.id.lead)):
            return refused_again(tx, submission.tenant) or _first(tx, known)
        return _joined_or_begun(tx, known, handoff.id.lead)
    told = submission.qualification.completed_by(handoff.qualification)
    is_own = handoff.external_digest == tx.external_digest(submission.key)
    revised, events = handoff.revise(
        told, revision=submission.revision if is_own else handoff.revision, now=tx.now
    )
    _joined(tx, known, revised, correction=True)
    owning.corrected(tx, submission, handoff.id.lead)
    tx.tell(known.by, *events)
    return Submitted(Outcome.REVISED, scoring.joined(tx, known.by, submission, revised.id))


def _first(tx: LeadTx, known: _Known) -> Submitted | LeadError:
    submission = known.submission
    if known.by_rules:
        return _first_by_rules(tx, known)
    leads = (tx.match(submission.tenant, digest) for digest in known.recognised_by)
    lead = next((lead for lead in leads if lead is not None), "")
    if not lead:
        return refused_return(tx, submission.tenant, known.recognised_by) or _begun(tx, known, "")
    return _joined_or_begun(tx, known, lead)


def _first_by_rules(tx: LeadTx, known: _Known) -> Submitted | LeadError:
    tenant = known.submission.tenant
    recognised = recognise(tx, known.submission, known.digests)
    if recognised.lead:
        return _joined_or_begun(tx, known, recognised.lead)
    refused = refused_return(tx, tenant, known.recognised_by)
    if refused is not None:
        return refused
    begun = _begun(tx, known, "")
    if isinstance(begun, Submitted):
        note_possible(tx, tenant, begun.handoff.id.lead, recognised.possible)
    return begun


def _joined_or_begun(tx: LeadTx, known: _Known, lead: str) -> Submitted | LeadError:
    """Join the lead's live handoff, or begin its next: nobody is worked by two at once."""
    submission = known.submission
    lead = lead_known_as(tx, submission.tenant, lead)
    live = [each for each in tx.handoffs_of((submission.tenant, lead)) if each.is_live]
    # History is a passing of its own: it does not join what is worked today.
    if not live or _is_archive(submission):
        return _begun(tx, known, lead)
    handoff = live[-1]
    told = handoff.qualification.completed_by(submission.qualification)
    revised, events = handoff.revise(told, revision=handoff.revision, now=tx.now)
    _joined(tx, known, revised, correction=False)
    owning.joined(tx, submission, lead)
    tx.tell(known.by, *events)
    return Submitted(Outcome.MATCHED, scoring.joined(tx, known.by, submission, revised.id))


def _joined(tx: LeadTx, known: _Known, handoff: Handoff, *, correction: bool) -> None:
    submission = known.submission
    tx.save_handoff(handoff)
    tx.add_submission(submission, handoff.id)
    tx.add_matches(submission.tenant, handoff.id.lead, known.digests)
    if submission.source_system != handoff.source_system:
        tx.write_backs.join(handoff.id, submission.source_system, tx.external_digest(submission.key))
    joined = SubmissionJoined(
        handoff=handoff.id,
        occur_time=submission.submit_time(tx.now),
        qualification=submission.qualification,
        source_system=submission.source_system,
        revision=submission.revision,
        correction=correction,
        historical=submission.history is not None,
    )
    tx.tell(known.by, joined)
    owning.keep_basis(tx, known.by, submission, handoff.id.lead)


def _begun(tx: LeadTx, known: _Known, lead: str) -> Submitted | LeadError:
    """Begin the lead's next handoff; with an empty `lead`, a new lead's first."""
    submission, tenant = known.submission, known.submission.tenant
    if submission.history is None and (refused := over_quota(tx, tenant)) is not None:
        return refused
    number, recycled = 1, None
    if lead:
        before = tx.handoffs_of((tenant, lead))
        number += max((each.id.number for each in before), default=0)
        recycled = None if _is_archive(submission) else requalified_from(before)
    else:
        lead = tx.new_id()
        tx.add_person(tenant, lead, submission.contact)
    assessed = scoring.assess(tx, submission, lead)
    handoff = Handoff(
        id=HandoffId(tenant, lead, number),
        source_system=submission.source_system,
        external_digest=tx.external_digest(submission.key),
        account=tx.accounts.digest(tenant, submission.identity.company_domain),
        revision=submission.revision,
        submit_time=submission.submit_time(tx.now),
        update_time=tx.now,
        qualification=assessed.qualification,
        archived=_is_archive(submission),
        historical=submission.history is not None,
        previous=None if recycled is None else recycled.id,
    )
    begun = HandoffSubmitted(
        handoff=handoff.id,
        occur_time=handoff.submit_time,
        qualification=handoff.qualification,
        source_system=handoff.source_system,
        historical=handoff.historical,
        archived=handoff.archived,
        conformance=assessed.conformance,
    )
    tx.tell(known.by, begun, *scoring.told_of(handoff, assessed))
    if recycled is not None:
        requalified = HandoffRequalified(
            handoff=handoff.id,
            occur_time=handoff.submit_time,
            previous=recycled.id,
            recycle_until_time=recycled.recycle_until_time,
        )
        tx.tell(known.by, requalified)
    offered = _offered(tx, known.by, handoff)
    tx.add_handoff(offered)
    tx.add_submission(submission, offered.id)
    tx.add_matches(tenant, lead, known.digests)
    owning.keep_basis(tx, known.by, submission, lead)
    return Submitted(Outcome.CREATED, offered)


def _offered(tx: LeadTx, by: By, handoff: Handoff) -> Handoff:
    if handoff.archived:
        return handoff
    if not handoff.historical:
        return place(tx, by, handoff)
    # Old business that is still open wakes nobody: it waits in the queue, which has a manager.
    waiting = to_fallback(tx.directory(handoff.id.tenant))
    if waiting is None:
        return handoff
    offered, event = handoff.place(waiting, expire_time=None, now=tx.now)
    tx.tell(by, event)
    return offered


def _is_archive(submission: Submission) -> bool:
    return submission.history is not None and not submission.history.still_open


def _loaded(tx: LeadTx, handoff_id: HandoffId) -> Handoff:
    handoff = tx.handoff(handoff_id)
    if handoff is None:
        raise LookupError(f"{handoff_id.name} has a submission but is not there")
    return handoff
