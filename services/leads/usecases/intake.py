"""Take in what a webhook tells: leads, follow-ups, outcomes, behaviour; the rest is set aside."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from services.leads.domain import outcomes
from services.leads.domain.directory import Role
from services.leads.domain.errors import (
    FieldFault,
    FieldInvalid,
    LeadError,
    SubmissionInvalid,
    SubmissionUnknown,
    TimeInFuture,
)
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.intake import (
    FETCH_DUE,
    RightMissing,
    SetAside,
    Source,
    SystemUnknown,
    Told,
    ToldBehaviour,
    ToldConversion,
    ToldFollowUp,
    ToldItem,
    ToldOutcome,
)
from services.leads.domain.lead import FUTURE_TOLERANCE, Submission
from services.leads.domain.opportunity import Opportunity
from services.leads.store.intake import PutAside
from services.leads.store.sealed_texts import EXTERNAL_ID, seal
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import Asker, known_handoff
from services.leads.usecases.behaviour import Heed, RecordBehaviour, record_behaviours
from services.leads.usecases.identity import spelled_email, spelled_phone
from services.leads.usecases.outcomes import Recording, RecordOutcome, record_outcomes
from services.leads.usecases.submit import Outcome, SubmitLead, submit
from services.leads.usecases.work import LogFollowUp, log_follow_ups
from smarketing.server.commands import reason_by_name

_MARKETING: Final = frozenset({Role.MARKETING_SPECIALIST, Role.MARKETING_MANAGER, Role.OPERATOR})
_SALES: Final = frozenset(
    {
        Role.SALES_REP,
        Role.SALES_SPECIALIST,
        Role.SALES_MANAGER,
        Role.ACCOUNT_MANAGER,
        Role.CUSTOMER_SUCCESS,
        Role.OPERATOR,
    }
)
_MAY: Final = {
    Submission: _MARKETING,
    ToldBehaviour: _MARKETING,
    ToldFollowUp: _SALES - {Role.OPERATOR},
    ToldConversion: _SALES,
    ToldOutcome: _SALES,
}
RETRY_DELAYS: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 30, 300, 1800, 7200, 21600, 43200, 86400)
)
"""Between the attempts of a fetch step: about two days, then only a replay tries."""


class Became(StrEnum):
    """What became of an item, as metrics count it."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    FETCH_DUE = "fetch_due"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one webhook brought, or one attempt at what was set aside."""

    source: Source
    items: Sequence[ToldItem]
    traceparent: str = ""
    replayed: bool = False
    """Whether somebody asked to try it again: then a fetch step is due again too."""

    @property
    def by(self) -> By:
        """Who made it happen."""
        return By(self.source.system, self.traceparent)

    @property
    def asker(self) -> Asker:
        """As whom it acts."""
        return Asker(principal=self.source.system, is_system=True, traceparent=self.traceparent)


@dataclass(slots=True)
class _Work:
    """An item on its way."""

    delivery: Delivery
    item: ToldItem
    became: Became | None = None
    refused: Exception | None = None

    @property
    def told(self) -> Any:
        return self.item.told

    @property
    def tenant(self) -> str:
        return self.delivery.source.tenant

    @property
    def submission_key(self) -> tuple[str, str, str]:
        return (self.tenant, self.delivery.source.source_system, self.told.external_id)

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.tenant, self.delivery.source.source_id, self.item.key)

    def end(self, result: object, *, duplicate: bool = False) -> None:
        """Note what came of it."""
        if isinstance(result, Exception):
            self.refused = result
        else:
            self.became = Became.DUPLICATE if duplicate else Became.TAKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedFetch:
    """An attempt at a fetch step that brought nothing."""

    kept: SetAside
    body: bytes
    problem: str
    final: bool = False
    texts: Sequence[str] = field(default=())


def take_in(tx: LeadTx, deliveries: Sequence[Delivery]) -> list[list[Became] | Exception]:
    """Make of each item what it tells, once; what cannot be is set aside with its reason, alone."""
    unknown = [_system_missing(tx, delivery.source) for delivery in deliveries]
    work = [
        [_Work(delivery, item) for item in delivery.items] if missing is None else []
        for delivery, missing in zip(deliveries, unknown, strict=True)
    ]
    every = [each for items in work for each in items]
    for each in every:
        each.refused = _right_missing(tx, each)
    for kind, step in _STEPS:
        ready = [each for each in every if isinstance(each.told, kind) and each.refused is None]
        if ready:
            step(tx, ready)
    _put_aside(tx, every)
    return [
        missing or [each.became or Became.SET_ASIDE for each in items]
        for missing, items in zip(unknown, work, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many of those set aside were tried again, and of how many something was made."""

    tried: int
    taken: int


def replay(tx: LeadTx, deliveries: Sequence[Delivery]) -> list[Replayed | Exception]:
    """Try again what was set aside."""
    return [
        became
        if isinstance(became, Exception)
        else Replayed(len(became), sum(each in {Became.TAKEN, Became.DUPLICATE} for each in became))
        for became in take_in(tx, deliveries)
    ]


def note_failed_fetches(tx: LeadTx, failed: Sequence[FailedFetch]) -> list[Exception | None]:
    """Keep that a fetch step brought nothing, and when to try again, if ever."""
    items = []
    for each in failed:
        attempts = each.kept.attempts + 1
        again = not each.final and attempts <= len(RETRY_DELAYS)
        kept = SetAside(
            tenant=each.kept.tenant,
            source_id=each.kept.source_id,
            item=each.kept.item,
            type=each.kept.type,
            reason=FETCH_DUE if again else "FETCH_FAILED",
            description=each.problem,
            create_time=each.kept.create_time,
            attempts=attempts,
            next_attempt_time=tx.now + RETRY_DELAYS[attempts - 1] if again else None,
        )
        items.append(PutAside(kept, each.body, _subjects(tx, kept.tenant, each.texts)))
    tx.intake.put_aside(items)
    return [None] * len(failed)


def check_system(tx: LeadTx, source: Source) -> None:
    """See that the source's system is there.

    Raises:
        SystemUnknown: it is not, or no longer.
    """
    system = tx.directory(source.tenant).system(source.system)
    if system is None or system.inactive:
        raise SystemUnknown(source.system)


def _system_missing(tx: LeadTx, source: Source) -> Exception | None:
    try:
        check_system(tx, source)
    except LeadError as refused:
        return refused
    return None


def _right_missing(tx: LeadTx, work: _Work) -> Exception | None:
    if work.item.told is None:
        return None
    system = tx.directory(work.tenant).system(work.delivery.source.system)
    may = _MAY[type(work.item.told)]
    return None if system is not None and system.roles & may else RightMissing(work.delivery.source.system)


def _submit(tx: LeadTx, work: Sequence[_Work]) -> None:
    results = submit(tx, [SubmitLead(each.told, each.delivery.by) for each in work])
    for each, result in zip(work, results, strict=True):
        known = not isinstance(result, Exception) and result.outcome in {
            Outcome.DUPLICATE,
            Outcome.SUPERSEDED,
        }
        each.end(result, duplicate=known)


def _follow_up(tx: LeadTx, work: Sequence[_Work]) -> None:
    known = _resolved(tx, work)
    tx.load_follow_ups([(handoff.id, each.told.follow_up_external_id) for each, handoff in known])
    before = [tx.follow_up(handoff.id, each.told.follow_up_external_id) for each, handoff in known]
    results = log_follow_ups(tx, [_follow_up_of(each, handoff.id) for each, handoff in known])
    for (each, _), earlier, result in zip(known, before, results, strict=True):
        each.end(result, duplicate=earlier is not None)


def _follow_up_of(work: _Work, handoff: HandoffId) -> LogFollowUp:
    told: ToldFollowUp = work.told
    asker = work.delivery.asker
    return LogFollowUp(
        handoff=handoff,
        asker=Asker(
            principal=asker.principal, is_system=True, person=told.agent, traceparent=asker.traceparent
        ),
        channel=told.channel,
        occur_time=told.occur_time,
        grade=told.grade,
        contact=told.contact,
        external_id=told.follow_up_external_id,
    )


def _convert(tx: LeadTx, work: Sequence[_Work]) -> None:
    for each, handoff in _resolved(tx, work):
        if handoff.opportunity:
            each.end(handoff, duplicate=True)
            continue
        try:
            each.end(_converted(tx, each, handoff))
        except LeadError as refused:
            each.end(refused)


def _converted(tx: LeadTx, work: _Work, handoff: Handoff) -> Handoff:
    told: ToldConversion = work.told
    at = _instant(told.occur_time, tx.now)
    told_of = Opportunity(
        tenant=work.tenant,
        opportunity_id=tx.new_id(),
        handoff=handoff.id,
        owner=handoff.owner,
        create_time=at,
        amount=told.amount,
        external_id=told.deal_external_id,
    )
    opportunity = seal(tx.people, handoff.id[:2], told_of, EXTERNAL_ID)
    converted, events = outcomes.convert(
        handoff, opportunity, at=at, now=tx.now, historical=handoff.historical
    )
    tx.save_handoff(converted)
    tx.add_opportunity(opportunity)
    tx.tell(work.delivery.by, *events)
    return converted


def _record(tx: LeadTx, work: Sequence[_Work]) -> None:
    results = record_outcomes(tx, [_outcome_of(each) for each in work])
    for each, result in zip(work, results, strict=True):
        known = not isinstance(result, Exception) and result.recording is Recording.DUPLICATE
        each.end(result, duplicate=known)


def _outcome_of(work: _Work) -> RecordOutcome:
    told: ToldOutcome = work.told
    return RecordOutcome(
        tenant=work.tenant,
        source_system=work.delivery.source.source_system,
        external_id=told.external_id,
        state=told.state,
        by=work.delivery.by,
        occur_time=told.occur_time,
        amount=told.amount,
        reason_code=told.reason_code,
        deal_external_id=told.deal_external_id,
        segment=told.segment,
        lead_type=told.lead_type,
    )


def _behave(tx: LeadTx, work: Sequence[_Work]) -> None:
    # What comes before its submission is set aside with the rest of its webhook, to be replayed.
    known = [each for each, _ in _resolved(tx, work)]
    results = record_behaviours(tx, [_behaviour_of(each) for each in known])
    for each, result in zip(known, results, strict=True):
        duplicate = not isinstance(result, Exception) and result.heed is Heed.DUPLICATE
        each.end(result, duplicate=duplicate)


def _behaviour_of(work: _Work) -> RecordBehaviour:
    return RecordBehaviour(
        tenant=work.tenant,
        source_system=work.delivery.source.source_system,
        told=work.told,
        by=work.delivery.by,
    )


def _resolved(tx: LeadTx, work: Sequence[_Work]) -> list[tuple[_Work, Handoff]]:
    """Return what is about a known submission, with its handoff; the others are refused."""
    tx.load_submissions(each.submission_key for each in work)
    latest: dict[int, HandoffId] = {}
    for each in work:
        revisions = tx.revisions(each.submission_key)
        if revisions:
            latest[id(each)] = revisions[max(revisions)]
        else:
            each.end(SubmissionUnknown(f"{each.submission_key[1]} submission"))
    tx.load_handoffs(latest.values())
    return [(each, known_handoff(tx, latest[id(each)])) for each in work if id(each) in latest]


_STEPS: Final[tuple[tuple[type[Told], Callable[[LeadTx, Sequence[_Work]], None]], ...]] = (
    (Submission, _submit),
    (ToldFollowUp, _follow_up),
    (ToldConversion, _convert),
    (ToldOutcome, _record),
    (ToldBehaviour, _behave),
)
"""In the order in which one body's items build on one another."""


def _put_aside(tx: LeadTx, work: Sequence[_Work]) -> None:
    known = tx.intake.known_items([each.key for each in work])
    tx.intake.forget_items(each.key for each in work if each.became is not None and each.key in known)
    items = {}
    for each in work:
        if each.became is not None:
            continue
        attempts, create_time = known.get(each.key, (-1, tx.now))
        each.became = Became.FETCH_DUE if each.item.fetch_url else Became.SET_ASIDE
        if each.item.fetch_url and each.key in known and not each.delivery.replayed:
            continue
        kept = SetAside(
            tenant=each.key[0],
            source_id=each.key[1],
            item=each.key[2],
            type=each.item.type,
            reason=each.item.reason if each.refused is None else reason_by_name(each.refused),
            description=each.item.description if each.refused is None else _description(each.refused),
            create_time=create_time,
            attempts=attempts + 1,
            next_attempt_time=tx.now if each.item.fetch_url else None,
        )
        items[each.key] = PutAside(kept, each.item.body, _subjects(tx, each.tenant, each.item.texts))
    tx.intake.put_aside(items.values())


def _description(error: Exception) -> str:
    """Say why in words that quote nothing of what was sent."""
    if isinstance(error, SubmissionInvalid):
        return "; ".join(f"{fault.field}: {fault.description}" for fault in error.faults[:5])[:500]
    if isinstance(error, FieldFault):
        return f"{error.field}: {error.description}"[:500]
    if isinstance(error, RightMissing):
        return "the source's system has no role for this"
    return ""


def _subjects(tx: LeadTx, tenant: str, texts: Iterable[str]) -> list[bytes]:
    """Return the digests of the people it may be about."""
    region = tx.directory(tenant).settings.region_code
    found = []
    for text in texts:
        kind, spelled = (
            ("email", spelled_email(text)) if "@" in text else ("phone", spelled_phone(text, region))
        )
        if spelled:
            found.append(tx.digest_of(tenant, kind, spelled))
    return found


def _instant(told: datetime | None, now: datetime) -> datetime:
    if told is None:
        raise FieldInvalid("occur_time", "when it happened")
    if told > now + FUTURE_TOLERANCE:
        raise TimeInFuture("occur_time", "an instant that is not in the future")
    return told
