"""What the parties promised: which commitment, target and ladder apply to which handoff."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from services.sla.domain.condition import ANY, Attributes, Condition
from services.sla.domain.errors import BadAgreement
from smarketing.businesstime import BusinessTime


class Party(Enum):
    """Who promised; SYSTEM counts against neither side."""

    MARKETING = "MARKETING"
    SALES = "SALES"
    SYSTEM = "SYSTEM"


class CommitmentKind(Enum):
    """What is measured. A new kind is a value here and a plot in `plots`."""

    ROUTE = "ROUTE"
    ACCEPT = "ACCEPT"
    FIRST_FOLLOW_UP = "FIRST_FOLLOW_UP"
    FRESHNESS = "FRESHNESS"
    ATTEMPTS = "ATTEMPTS"
    DISPOSITION = "DISPOSITION"
    FEEDBACK = "FEEDBACK"
    DISPUTE_ANSWER = "DISPUTE_ANSWER"
    REVIEW = "REVIEW"
    NURTURE_RETURN = "NURTURE_RETURN"


class TimeBasis(Enum):
    """Whether only open time counts, or every minute on the wall (buyer time)."""

    BUSINESS = "BUSINESS"
    WALL = "WALL"


class Role(Enum):
    """Whom a rung tells."""

    OWNER = "OWNER"
    MANAGER = "MANAGER"
    OTHER_PARTY = "OTHER_PARTY"
    LEADERSHIP = "LEADERSHIP"
    QUEUE = "QUEUE"
    PARTY = "PARTY"
    """The managers of the party that promised."""


class Delivery(Enum):
    """When a rung's recipients are told, as far as their hours go."""

    IN_HOURS = "IN_HOURS"
    """It waits for the recipient's next opening."""
    COVER = "COVER"
    """It goes to whoever covers for them meanwhile."""
    AT_ONCE = "AT_ONCE"


class Grade(Enum):
    """How well a follow-up is evidenced."""

    CONFIRMED = "CONFIRMED"
    IMPORTED = "IMPORTED"
    SELF_REPORTED = "SELF_REPORTED"
    BACK_DATED = "BACK_DATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The target of the handoffs that a condition means, in the clock's own time."""

    target: BusinessTime
    condition: Condition = ANY

    def __post_init__(self) -> None:
        if self.target < BusinessTime():
            raise BadAgreement("tier.target", "a target is zero or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A step of the ladder: at a percentage of the target, or at an offset from due (negative: before)."""

    id: str
    percent: int | None = None
    offset: BusinessTime | None = None
    recipients: tuple[Role, ...] = (Role.OWNER,)

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.offset is None):
            raise BadAgreement(
                f"rungs.{self.id}", "give either a percentage of the target or an offset from due"
            )
        if self.percent is not None and self.percent < 0:
            raise BadAgreement(f"rungs.{self.id}.percent", "a clock has no time before its start")

    def counted(self, target: BusinessTime) -> BusinessTime:
        """Return how much the clock has counted at this rung; before the start means at the start."""
        if self.percent is not None:
            return BusinessTime(target.microseconds * self.percent // 100)
        offset = self.offset or BusinessTime()
        return max(BusinessTime(), target + offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReason:
    """A reason to pause a clock, and the most of the clock's own time that one such pause may last."""

    code: str
    cap: BusinessTime | None = None
    grantors: tuple[Role, ...] = (Role.MANAGER,)
    side: str = "BUYER"
    """Whose the paused time is: a party that promises, `SYSTEM`, or `BUYER`, for whom nobody answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often, on how many days and channels somebody is to try.

    A follow-up counts when it comes at least `spacing` of wall time after the last one that counted;
    `dates` are local ones of the clock's calendar.
    """

    count: int
    spacing: timedelta = timedelta()
    dates: int = 1
    channels: int = 1


ENOUGH_BY_DEFAULT = frozenset(Grade) - {Grade.BACK_DATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """One promise: who, what, by when, on which handoffs, with which ladder."""

    id: str
    party: Party
    kind: CommitmentKind
    tiers: tuple[Tier, ...]
    basis: TimeBasis = TimeBasis.BUSINESS
    condition: Condition = ANY
    rungs: tuple[Rung, ...] = ()
    grades: frozenset[Grade] = ENOUGH_BY_DEFAULT
    objective: Decimal = Decimal("0.95")
    attempts: Attempts | None = None
    """Of a promise of attempts; without it one is enough."""
    scope: Condition = ANY
    """Of its agreement."""
    owner_target: BusinessTime | None = None
    """What each owner is given from their assignment on; None: the whole target again."""

    def __post_init__(self) -> None:
        if not self.tiers:
            raise BadAgreement(f"commitments.{self.id}.tiers", "give at least one target")
        if len({rung.id for rung in self.rungs}) != len(self.rungs):
            raise BadAgreement(f"commitments.{self.id}.rungs", "give every rung an id of its own")
        if not 0 < self.objective < 1:
            raise BadAgreement(f"commitments.{self.id}.objective", "an objective lies between 0 and 1")

    def target_for(self, attributes: Attributes) -> BusinessTime | None:
        """Return the target of the first tier that means the handoff; None when the commitment does not."""
        if not (self.scope.matches(attributes) and self.condition.matches(attributes)):
            return None
        return next((tier.target for tier in self.tiers if tier.condition.matches(attributes)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementVersion:
    """One immutable version of an agreement, in force from `effective_time` until before `expire_time`.

    `back_date_days` is how many business days an event may be dated back without the other party's approval.
    """

    name: str
    version: int
    effective_time: datetime
    commitments: tuple[Commitment, ...]
    expire_time: datetime | None = None
    scope: Condition = ANY
    pause_reasons: tuple[PauseReason, ...] = ()
    back_date_days: int = 2
    back_date_limit: BusinessTime | None = None
    """The same as an amount of open time; it goes before `back_date_days`."""

    def __post_init__(self) -> None:
        if len({commitment.id for commitment in self.commitments}) != len(self.commitments):
            raise BadAgreement("commitments", "give every commitment an id of its own")

    def is_in_force(self, at: datetime) -> bool:
        """Tell whether a start at this instant falls under this version."""
        return self.effective_time <= at and (self.expire_time is None or at < self.expire_time)

    def pause_reason(self, code: str | None) -> PauseReason | None:
        """Return the reason with this code, if the agreement allows it."""
        return next((reason for reason in self.pause_reasons if reason.code == code), None)


def agreement_for(
    versions: Iterable[AgreementVersion], attributes: Attributes, at: datetime
) -> AgreementVersion | None:
    """Return the agreement of a handoff: the first in the tenant's order in force whose scope means it."""
    return next((each for each in versions if each.is_in_force(at) and each.scope.matches(attributes)), None)
