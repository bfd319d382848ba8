"""What happened to one handoff, in this service's own words."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from services.sla.domain.agreement import Grade
from services.sla.domain.condition import Attributes


class FactKind(Enum):
    """What happened."""

    INQUIRED = "INQUIRED"
    """The lead asked at the source; known only once marketing hands it over."""
    SUBMITTED = "SUBMITTED"
    REVISED = "REVISED"
    """The handoff's attributes changed."""
    OFFERED = "OFFERED"
    OFFER_ENDED = "OFFER_ENDED"
    """Declined or expired: the offer passes on."""
    ACCEPTED = "ACCEPTED"
    ASSIGNED = "ASSIGNED"
    REJECTED = "REJECTED"
    FOLLOW_UP = "FOLLOW_UP"
    CONTACTED = "CONTACTED"
    """Two-way contact."""
    QUALIFIED = "QUALIFIED"
    CONVERTED = "CONVERTED"
    CLOSED = "CLOSED"
    """Won, lost or disqualified; `reason` says which."""
    RECYCLED = "RECYCLED"
    VOIDED = "VOIDED"
    PAUSED = "PAUSED"
    RESUMED = "RESUMED"
    DISPUTE_OVERTURNED = "DISPUTE_OVERTURNED"
    REOPENED = "REOPENED"
    """A closed opportunity was opened again."""
    APPROVED = "APPROVED"
    """The other party approved a back-dated fact, the one at position `about`."""
    EVIDENCED = "EVIDENCED"
    """A rejection's coded reason was proved."""
    DISPUTED = "DISPUTED"
    DISPUTE_UPHELD = "DISPUTE_UPHELD"
    TAKEN_OVER = "TAKEN_OVER"
    """Taken from its owner after a miss; what follows says who has it."""
    REVIEWED = "REVIEWED"
    """The fields of an opportunity were gone through."""
    REQUALIFIED = "REQUALIFIED"
    """The recycled lead qualified again, as another handoff."""
    BELOW_DEFINITION = "BELOW_DEFINITION"
    """The lead does not meet the agreed MQL definition: sales owes nothing."""
    MEETS_DEFINITION = "MEETS_DEFINITION"
    UNITED = "UNITED"
    """From now on this handoff goes on for the one named in `source`, whose facts are here too."""
    SEPARATED = "SEPARATED"
    """It does so no more."""
    RESTORED = "RESTORED"
    """A handoff that was void for the given reason stands again."""
    REASSESSED = "REASSESSED"
    """A clock of `commitment` is measured otherwise from then on; `reason` names the versions."""
    EXCUSED = "EXCUSED"
    """The other party's manager approved an exception for `commitment`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """Which misses an exception is for: under an agreement, and due in a half-open span where it has one."""

    agreement: str
    start_time: datetime | None = None
    end_time: datetime | None = None

    def covers(self, version: str, breach: datetime) -> bool:
        """Tell whether it is for a miss at an instant under this agreement version, by name."""
        if version != self.agreement and not version.startswith(f"{self.agreement}/versions/"):
            return False
        return (self.start_time is None or self.start_time <= breach) and (
            self.end_time is None or breach < self.end_time
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that happened, known by its position among the handoff's facts.

    `is_history` marks an import of the past, which may be as old as it is; `is_archived` a submission nobody
    is to work on until it is taken up. `source` is the handoff on which it happened, where that is another
    one; `until` the date that was set with it; `is_contact` a follow-up at which the lead answered.
    """

    position: int
    kind: FactKind
    occur_time: datetime
    record_time: datetime
    attributes: Attributes | None = None
    person: str | None = None
    team: str | None = None
    grade: Grade | None = None
    reason: str | None = None
    commitment: str | None = None
    about: int | None = None
    excuse: Excuse | None = None
    channel: str | None = None
    is_contact: bool = False
    until: datetime | None = None
    source: str | None = None
    is_history: bool = False
    is_archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The facts of one handoff. The order in which they arrived, and how often, makes no difference."""

    handoff: str
    facts: tuple[Fact, ...]

    def __post_init__(self) -> None:
        unique = {fact.position: fact for fact in self.facts}
        ordered = sorted(unique.values(), key=lambda fact: (fact.occur_time, fact.position))
        object.__setattr__(self, "facts", tuple(ordered))

    def attributes_at(self, recorded: datetime) -> Attributes:
        """Return the attributes known when something was recorded."""
        known = [fact for fact in self.facts if fact.attributes is not None and fact.record_time <= recorded]
        latest = max(known, key=lambda fact: (fact.record_time, fact.position), default=None)
        return (latest.attributes if latest else None) or Attributes()

    def approved(self) -> frozenset[int]:
        """Return the positions of the back-dated facts that the other party approved."""
        approvals = (fact.about for fact in self.facts if fact.kind is FactKind.APPROVED)
        return frozenset(position for position in approvals if position is not None)

    def next_time(self, after: datetime) -> datetime | None:
        """Return when the next fact occurs that is known but still to come."""
        return min((fact.occur_time for fact in self.facts if fact.occur_time > after), default=None)


def with_implied_acceptance(facts: Iterator[Fact]) -> Iterator[Fact]:
    """Yield the facts, and an acceptance before a follow-up by the person to whom the handoff is offered.

    An offer to a queue names nobody, so anybody's follow-up accepts it.
    """
    offer: Fact | None = None
    for fact in facts:
        if fact.source is not None:
            yield fact
            continue
        if fact.kind is FactKind.OFFERED:
            offer = fact
        elif (
            fact.kind is FactKind.FOLLOW_UP and offer and fact.person and offer.person in (None, fact.person)
        ):
            yield replace(fact, kind=FactKind.ACCEPTED, team=fact.team or offer.team)
            offer = None
        elif fact.kind in _ENDS_OFFER:
            offer = None
        yield fact


_ENDS_OFFER = frozenset(
    {
        FactKind.OFFER_ENDED,
        FactKind.ACCEPTED,
        FactKind.ASSIGNED,
        FactKind.REJECTED,
        FactKind.CLOSED,
        FactKind.RECYCLED,
        FactKind.VOIDED,
    }
)
