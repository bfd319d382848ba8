"""What an agreement says, as the parties wrote it, and every reason why it cannot be agreed to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from services.sla.domain.agreement import (
    ENOUGH_BY_DEFAULT,
    AgreementVersion,
    Attempts,
    Commitment,
    CommitmentKind,
    Delivery,
    Grade,
    Party,
    PauseReason,
    Role,
    Rung,
    Tier,
    TimeBasis,
)
from services.sla.domain.budget_terms import BudgetTerms, faults_of_budget
from services.sla.domain.condition import ANY, Condition, fault_of_expression
from services.sla.domain.consequence import Consequence, faults_of_consequences, reassigning
from services.sla.domain.fault import Fault
from services.sla.domain.ladder import faults_of_order, faults_of_tiers
from services.sla.domain.marketing_terms import MarketingTerms, faults_of_marketing
from services.sla.domain.responsibility import Responsibilities, faults_of_responsibilities
from smarketing.businesstime import BusinessTime

NOTHING = BusinessTime()
ALWAYS = datetime(1, 1, 2, tzinfo=UTC)
_BASIS_POINTS = 10_000
_MOST_PERCENT = 1_000
_DUE_PERCENT = 100
_LONGEST_REFERENCE = 200


class AgreementKind(Enum):
    """Between whom an agreement is."""

    INTERNAL = "INTERNAL"
    CUSTOMER = "CUSTOMER"


class Mode(Enum):
    """Whether an agreement alerts anybody."""

    OBSERVE = "OBSERVE"
    ENFORCE = "ENFORCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A tier as written: which handoffs, and how much of the clock's own time they are given."""

    amount: BusinessTime | None
    condition: Condition = ANY
    business_days: int = 0
    """As which the amount was written; 0 when it was written as a duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A rung as written: a share of the target, or an offset from due."""

    id: str
    percent: int | None = None
    offset: BusinessTime | None = None
    recipients: tuple[Role, ...] = ()
    delivery: Delivery = Delivery.IN_HOURS
    reassigns: bool = False
    """Whether whoever missed it shall have the handoff no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A commitment as written; nothing in it is checked before `faults_of`."""

    id: str
    title: str
    parties: tuple[Party, ...]
    kind: CommitmentKind | None
    basis: TimeBasis | None
    targets: tuple[Target, ...]
    objective_basis_points: int
    steps: tuple[Step, ...] = ()
    attempts: Attempts | None = None
    owner_target: BusinessTime | None = None
    condition: Condition = ANY
    """Which handoffs of the agreement's scope it means at all."""
    responsibilities: Responsibilities | None = None
    consequences: tuple[Consequence, ...] = ()
    budget: BudgetTerms | None = None

    @property
    def reassigning(self) -> frozenset[str]:
        """The rungs on which a handoff is taken from its owner, however that was written."""
        return reassigning(self.consequences) | {step.id for step in self.steps if step.reassigns}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The content of one agreement version. It never changes once proposed."""

    title: str
    kind: AgreementKind | None
    mode: Mode | None
    calendar_version: str
    promises: tuple[Promise, ...]
    back_date_limit: BusinessTime = NOTHING
    """Open time; zero means two business days."""
    accepted_grades: frozenset[Grade] = frozenset()
    """Empty means all but back-dated."""
    pause_reasons: tuple[PauseReason, ...] = ()
    scope: Condition = ANY
    absent: tuple[Party, ...] = ()
    """Parties that the tenant does not have."""
    customer_reference: str = ""
    marketing: MarketingTerms | None = None

    @property
    def needed(self) -> tuple[Party, ...]:
        """The parties without whose word the terms do not hold; with a customer those that promise."""
        if self.kind is AgreementKind.CUSTOMER:
            promising = {party for promise in self.promises for party in promise.parties}
            return tuple(party for party in BOTH if party in promising)
        return tuple(party for party in BOTH if party not in self.absent)

    def step(self, commitment_id: str, rung_id: str) -> Step | None:
        """Return the rung as written; None for the miss itself, which nobody has to write.

        None as well for what is of no clock, such as a period.
        """
        steps = (step for promise in self.promises if promise.id == commitment_id for step in promise.steps)
        return next((step for step in steps if step.id == rung_id), None)

    def promise(self, commitment_id: str) -> Promise:
        """Return the promise with this id; the agreement that a clock pins always has it."""
        return next(promise for promise in self.promises if promise.id == commitment_id)


BOTH: Final = (Party.MARKETING, Party.SALES)


def faults_of(terms: Terms, *, calendar_exists: bool) -> list[Fault]:
    """Return everything that keeps these terms from being agreed to; nothing when they are sound."""
    faults: list[Fault] = []
    if terms.kind is None:
        faults.append(Fault(path="kind", description="say between whom it is: internal, or with a customer"))
    if terms.mode is None:
        faults.append(Fault(path="mode", description="say whether it observes or enforces"))
    if not calendar_exists:
        faults.append(Fault(path="calendar_version", description="name a calendar version of this tenant"))
    if terms.back_date_limit < BusinessTime():
        faults.append(Fault(path="back_date_limit_duration", description="zero or more"))
    if not terms.promises:
        faults.append(Fault(path="commitments", description="promise at least one thing"))
    faults += _repeated([promise.id for promise in terms.promises], "commitments", "commitment_id")
    for at, promise in enumerate(terms.promises):
        faults += _faults_of_promise(promise, f"commitments[{at}]")
        faults += _faults_of_what_follows(promise, f"commitments[{at}]")
    return [*faults, *_faults_of_sides(terms), *faults_of_marketing(terms.marketing)]


def _faults_of_sides(terms: Terms) -> Iterator[Fault]:
    """Yield what is wrong with between whom it is, and about what."""
    fault = fault_of_expression(terms.scope.expression)
    if fault is not None:
        yield Fault(path="scope", description=fault)
    is_customer = terms.kind is AgreementKind.CUSTOMER
    if is_customer != bool(terms.customer_reference):
        description = "the number of the signed contract; only of an agreement with a customer"
        yield Fault(path="customer_reference", description=description)
    elif len(terms.customer_reference) > _LONGEST_REFERENCE:
        yield Fault(path="customer_reference", description=f"at most {_LONGEST_REFERENCE} characters")
    if is_customer and not terms.needed:
        description = "marketing or sales promises something to the customer"
        yield Fault(path="commitments", description=description)
    yield from _faults_of_absence(terms, is_customer=is_customer)


def _faults_of_absence(terms: Terms, *, is_customer: bool) -> Iterator[Fault]:
    absent = set(terms.absent)
    if terms.absent and (is_customer or len(terms.absent) > 1 or not absent <= set(BOTH)):
        description = "marketing or sales, one of them, in an internal agreement"
        yield Fault(path="absent_parties", description=description)
    for at, promise in enumerate(terms.promises):
        if absent & set(promise.parties):
            yield Fault(path=f"commitments[{at}].parties", description="who is absent promises nothing")


def _faults_of_what_follows(promise: Promise, path: str) -> Iterator[Fault]:
    """Yield what is wrong with whom it is for, who answers for it and what follows from it."""
    fault = fault_of_expression(promise.condition.expression)
    if fault is not None:
        yield Fault(path=f"{path}.condition", description=fault)
    yield from faults_of_tiers(promise.targets, f"{path}.tiers")
    yield from faults_of_order(promise.steps, promise.targets, f"{path}.rungs")
    yield from faults_of_responsibilities(promise.responsibilities, f"{path}.responsibilities")
    rungs = [step.id for step in promise.steps]
    yield from faults_of_consequences(promise.consequences, rungs, f"{path}.consequences")
    yield from faults_of_budget(promise.budget, promise.objective_basis_points, f"{path}.error_budget")
    by_consequence = reassigning(promise.consequences)
    for at, step in enumerate(promise.steps):
        if step.id in by_consequence and not step.reassigns:
            yield from _faults_of_takeover(step, promise, f"{path}.rungs[{at}]")


def agreed(terms: Terms, *, name: str, number: int) -> AgreementVersion:
    """Return what handoffs are measured by, at any time; `terms` must be without fault."""
    return AgreementVersion(
        name=name,
        version=number,
        effective_time=ALWAYS,
        back_date_limit=terms.back_date_limit or None,
        pause_reasons=terms.pause_reasons,
        scope=terms.scope,
        commitments=tuple(commitment_of(terms, promise) for promise in terms.promises),
    )


def commitment_of(terms: Terms, promise: Promise) -> Commitment:
    """Return one promise as what is measured; `terms` must be without fault."""
    assert promise.kind is not None and promise.basis is not None, promise.id  # noqa: S101, PT018 - checked by faults_of
    return Commitment(
        id=promise.id,
        # A joint promise runs one clock; for whom it counts is told by `Promise.parties`.
        party=promise.parties[0],
        kind=promise.kind,
        basis=promise.basis,
        tiers=tuple(
            Tier(target=target.amount or BusinessTime(), condition=target.condition)
            for target in promise.targets
        ),
        rungs=tuple(
            Rung(id=step.id, percent=step.percent, offset=step.offset, recipients=step.recipients)
            for step in promise.steps
        ),
        grades=terms.accepted_grades or ENOUGH_BY_DEFAULT,
        objective=Decimal(promise.objective_basis_points) / _BASIS_POINTS,
        attempts=promise.attempts,
        owner_target=promise.owner_target,
        scope=terms.scope,
        condition=promise.condition,
    )


PROMISERS: dict[str, tuple[frozenset[Party], ...]] = {
    "ROUTE": (frozenset({Party.SYSTEM}),),
    "ACCEPT": (frozenset({Party.SALES}), frozenset({Party.SALES, Party.MARKETING})),
    "FIRST_FOLLOW_UP": (frozenset({Party.SALES}), frozenset({Party.SALES, Party.MARKETING})),
    "FRESHNESS": (frozenset({Party.MARKETING}), frozenset({Party.SALES, Party.MARKETING})),
    "NURTURE_RETURN": (frozenset({Party.MARKETING}), frozenset({Party.SALES, Party.MARKETING})),
    **{
        kind: (frozenset({Party.SALES}), frozenset({Party.SALES, Party.MARKETING}))
        for kind in ("ATTEMPTS", "DISPOSITION", "FEEDBACK", "DISPUTE_ANSWER", "REVIEW")
    },
}
"""Who can promise what: routing is the system's, the others one side's or a joint promise."""


def _faults_of_promise(promise: Promise, path: str) -> Iterator[Fault]:
    if not promise.id:
        yield Fault(path=f"{path}.commitment_id", description="give it an id")
    if promise.basis is None:
        yield Fault(path=f"{path}.basis", description="say how its time is counted")
    if not 0 < promise.objective_basis_points < _BASIS_POINTS:
        # At 100 % a single miss is the end of every error budget: no alert on the way could ever fire.
        yield Fault(
            path=f"{path}.objective_basis_points",
            description="1 to 9,999; a promise of 100 % leaves no room in which to warn",
        )
    yield from _faults_of_parties(promise, path)
    if not promise.targets:
        yield Fault(path=f"{path}.tiers", description="give at least one target")
    for at, target in enumerate(promise.targets):
        if target.amount is None or target.amount <= BusinessTime():
            yield Fault(path=f"{path}.tiers[{at}].target_duration", description="more than nothing")
    yield from _repeated([step.id for step in promise.steps], f"{path}.rungs", "rung_id")
    for at, step in enumerate(promise.steps):
        yield from _faults_of_step(step, promise, f"{path}.rungs[{at}]")


def _faults_of_parties(promise: Promise, path: str) -> Iterator[Fault]:
    if promise.kind is None:
        yield Fault(path=f"{path}.kind", description="say what is promised")
        return
    allowed = PROMISERS[promise.kind.value]
    if frozenset(promise.parties) not in allowed or len(set(promise.parties)) != len(promise.parties):
        words = ", or ".join(" and ".join(sorted(party.value for party in each)) for each in allowed)
        yield Fault(path=f"{path}.parties", description=f"{promise.kind.value} is promised by {words}")


def _faults_of_step(step: Step, promise: Promise, path: str) -> Iterator[Fault]:
    if not step.id or step.id == BREACH:
        yield Fault(path=f"{path}.rung_id", description=f"give it an id other than `{BREACH}`")
    if promise.kind is not None and promise.kind.value == "FRESHNESS":
        yield Fault(
            path=path, description="a freshness clock is over when it is first heard of; nobody can be warned"
        )
        return
    if step.reassigns:
        yield from _faults_of_takeover(step, promise, path)
    if (step.percent is None) == (step.offset is None):
        yield Fault(path=path, description="give either a percentage of the target or an offset from due")
        return
    if step.percent is not None:
        if not 0 < step.percent <= _MOST_PERCENT:
            yield Fault(path=f"{path}.percent_of_target", description="1 to 1,000")
        return
    shortest = min((target.amount for target in promise.targets if target.amount), default=None)
    if step.offset is not None and shortest is not None and step.offset + shortest <= BusinessTime():
        yield Fault(
            path=f"{path}.offset_from_due_duration",
            description="the clock of the shortest target has not started by then",
        )


def _faults_of_takeover(step: Step, promise: Promise, path: str) -> Iterator[Fault]:
    is_early = (step.percent is not None and step.percent < _DUE_PERCENT) or (
        step.offset is not None and step.offset < BusinessTime()
    )
    if is_early:
        description = "nothing is taken from anybody before it was missed; reassign at due or after"
        yield Fault(path=f"{path}.consequence", description=description)
    if promise.kind is not None and promise.kind.value == "ROUTE":
        description = "a handoff that is not routed yet can be taken from nobody"
        yield Fault(path=f"{path}.consequence", description=description)


BREACH = "breach"
"""The rung id by which the miss itself is alerted."""


def _repeated(ids: Sequence[str], path: str, field: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for at, each in enumerate(ids):
        if each and each in seen:
            yield Fault(path=f"{path}[{at}].{field}", description="is taken by an earlier one")
        seen.add(each)
