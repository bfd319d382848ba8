"""Take in what leads did, however it came: once each, and with what it changes of their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.leads.domain.errors import FieldInvalid, LeadError
from services.leads.domain.events import BehaviourRecorded
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.intake import BehaviourKind, ToldBehaviour
from services.leads.domain.lead import is_source_system
from services.leads.domain.plain_words import content_words, without_addresses
from services.leads.domain.scoring import Behaved
from services.leads.store.people import LeadKey
from services.leads.store.scoring import HeldKey
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import known_handoff
from services.leads.usecases.merging import lead_known_as
from services.leads.usecases.requalifying import requalify
from services.leads.usecases.scoring import rerate

__all__ = ["Heed", "RecordBehaviour", "RecordedBehaviour", "record_behaviours"]

BehaviourKey = tuple[str, str, bytes]


class Heed(IntEnum):
    """What became of a behaviour, numbered as in the contract."""

    RECORDED = 1
    DUPLICATE = 2
    HELD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBehaviour:
    """Something that a lead did."""

    tenant: str
    source_system: str
    told: ToldBehaviour
    by: By

    @property
    def submission_key(self) -> tuple[str, str, str]:
        """Which submission it is about."""
        return (self.tenant, self.source_system, self.told.external_id)


@dataclass(frozen=True, slots=True)
class RecordedBehaviour:
    """What became of it, and the handoff that it belongs to."""

    heed: Heed
    handoff: HandoffId | None = None


def record_behaviours(tx: LeadTx, requests: Sequence[RecordBehaviour]) -> list[RecordedBehaviour | Exception]:
    """Take in a batch; a bad one is refused alone.

    What is known by its source system, kind and id changes nothing. What comes before its submission is held.
    """
    checked = [_fault_of(tx, request) for request in requests]
    good = [request for request, fault in zip(requests, checked, strict=True) if fault is None]
    handoffs = _handoffs_of(tx, good)
    new = tx.intake.new_behaviours([_key_of(tx, request) for request in good])
    kept = _Kept()
    results: list[RecordedBehaviour | Exception] = [
        _heed(tx, request, handoffs, new, kept) if fault is None else fault
        for request, fault in zip(requests, checked, strict=True)
    ]
    kept.settle(tx)
    return results


class _Kept:
    """What a batch adds to leads' engagement, and whose scores it may change."""

    def __init__(self) -> None:
        self.of_leads: dict[LeadKey, list[Behaved]] = {}
        self.held: dict[HeldKey, list[Behaved]] = {}
        self.by: dict[LeadKey, By] = {}

    def settle(self, tx: LeadTx) -> None:
        """Write it, and rate what is open of these leads again."""
        leads = {lead: more for lead, more in self.of_leads.items() if not tx.people.is_erased(lead)}
        tx.scoring.add(leads)
        tx.scoring.hold(self.held)
        for lead, more in leads.items():
            live = [handoff for handoff in tx.handoffs_of(lead) if handoff.is_live]
            for handoff in live:
                rerate(tx, self.by[lead], handoff.id)
            if not live:
                requalify(tx, self.by[lead], lead, more)


def _fault_of(tx: LeadTx, request: RecordBehaviour) -> LeadError | None:
    told = request.told
    try:
        tx.directory(request.tenant)
    except LeadError as refused:
        return refused
    if not is_source_system(request.source_system):
        return FieldInvalid("source_system", "a name of a-z, 0-9 and inner `.`, `_`, `-`, such as `hubspot`")
    for name in ("external_id", "behaviour_external_id"):
        if not getattr(told, name):
            return FieldInvalid(name, "the source's own id")
    if told.kind is None:
        return FieldInvalid("kind", "what the lead did")
    return None


def _handoffs_of(tx: LeadTx, requests: Sequence[RecordBehaviour]) -> dict[tuple[str, str, str], Handoff]:
    """Return the handoffs that these behaviours belong to, by their submissions; their leads' are loaded."""
    keys = {request.submission_key for request in requests}
    tx.load_submissions(keys)
    latest = {key: revisions[max(revisions)] for key in keys if (revisions := tx.revisions(key))}
    tx.load_handoffs(latest.values())
    found = {key: known_handoff(tx, handoff_id) for key, handoff_id in latest.items()}
    leads = {(each.id.tenant, each.id.lead) for each in found.values()}
    tx.load_handoffs_of(leads)
    tx.people.load(leads)
    return found


def _heed(
    tx: LeadTx,
    request: RecordBehaviour,
    handoffs: dict[tuple[str, str, str], Handoff],
    new: set[BehaviourKey],
    kept: _Kept,
) -> RecordedBehaviour:
    handoff, key = handoffs.get(request.submission_key), _key_of(tx, request)
    handoff_id = None if handoff is None else handoff.id
    if key not in new:
        return RecordedBehaviour(Heed.DUPLICATE, handoff_id)
    new.discard(key)
    told = request.told
    # A page view that another clock puts into the future is nobody's promise: it happened by now.
    occur_time = min(told.occur_time or tx.now, tx.now)
    behaved = Behaved.at(_kind_of(told), occur_time)
    if handoff is None:
        held = (request.tenant, request.source_system, tx.external_digest(request.submission_key))
        kept.held.setdefault(held, []).append(behaved)
        return RecordedBehaviour(Heed.HELD)
    tx.tell(request.by, _event_of(request, handoff.id, occur_time))
    lead = (handoff.id.tenant, lead_known_as(tx, handoff.id.tenant, handoff.id.lead))
    kept.of_leads.setdefault(lead, []).append(behaved)
    kept.by[lead] = request.by
    return RecordedBehaviour(Heed.RECORDED, handoff.id)


def _event_of(request: RecordBehaviour, handoff: HandoffId, occur_time: datetime) -> BehaviourRecorded:
    told = request.told
    return BehaviourRecorded(
        handoff=handoff,
        occur_time=occur_time,
        kind=_kind_of(told),
        source_system=request.source_system,
        content=content_words(told.content),
        campaign=without_addresses(told.campaign),
        score=told.score,
    )


def _kind_of(told: ToldBehaviour) -> BehaviourKind:
    if told.kind is None:
        raise LookupError("what has no kind was refused before")
    return told.kind


def _key_of(tx: LeadTx, request: RecordBehaviour) -> BehaviourKey:
    tenant, system, _ = request.submission_key
    name = f"behaviour/{_kind_of(request.told).name}/{request.told.behaviour_external_id}"
    return (tenant, system, tx.external_digest((tenant, system, name)))
