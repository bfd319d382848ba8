"""How a tenant wants its handoffs worked: everything about the handoff that is configuration."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from services.leads.domain.claims import ClaimOrder
from services.leads.domain.directory import Directory
from services.leads.domain.errors import Fault
from services.leads.domain.reasons import REASON_CODES, ReasonCode, ReasonUse, faults_of_reasons
from services.leads.domain.states import NextAction
from services.leads.domain.vocabulary import Vocabulary

LONGEST_ADVANCE: Final = timedelta(days=30)
LONGEST_ACTION: Final = timedelta(days=366)
_MOST_DAYS: Final = 60
_MOST_TAKEOVERS: Final = 20
_MOST_STAGES: Final = 50


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of an opportunity, and how likely one that stands there is won."""

    stage: str
    probability_percent: int


DEFAULT_STAGES: Final = (
    Stage("DISCOVERY", 10),
    Stage("PROPOSAL", 40),
    Stage("NEGOTIATION", 60),
    Stage("CONTRACT", 90),
)
DEFAULT_ACTION_TIMES: Final = {
    NextAction.ROUTE: timedelta(minutes=5),
    NextAction.ACCEPT: timedelta(hours=4),
    NextAction.FOLLOW_UP: timedelta(hours=24),
    NextAction.DECIDE: timedelta(days=7),
    NextAction.CONVERT: timedelta(days=7),
    NextAction.CLOSE: timedelta(days=30),
}
"""By when each next action is due, from when it became the next, when neither a person nor `sla` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """What a tenant says of its handoffs; a tenant that said nothing has the defaults."""

    version: int = 0
    claim_order: ClaimOrder = field(default_factory=ClaimOrder)
    max_takeovers: int = 2
    """After so many takeovers a handoff goes to the queue."""
    own_reason_codes: tuple[ReasonCode, ...] = ()
    """For each use that occurs here, these take the place of the product's own."""
    dispute_window_days: int = 5
    """Business days after a rejection within which it may be disputed."""
    dispute_answer_days: int = 2
    """Business days after which leadership answers in the manager's place."""
    after_win_queue: str = ""
    """Where a win starts the next handoff; empty for nowhere."""
    after_win_lead_type: str = ""
    """The kind of lead that this next handoff is, so that agreements can tell it apart."""
    own_stages: tuple[Stage, ...] = ()
    own_action_times: tuple[tuple[NextAction, timedelta], ...] = ()
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    """What is meant by the words of those who send leads."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of opportunities, in order."""
        return self.own_stages or DEFAULT_STAGES

    @property
    def reason_codes(self) -> tuple[ReasonCode, ...]:
        """All codes, by use."""
        own = {reason.use for reason in self.own_reason_codes}
        standing = (reason for reason in REASON_CODES if reason.use not in own)
        return (*standing, *self.own_reason_codes)

    def stage(self, name: str) -> Stage | None:
        """Return the stage of this name."""
        return next((each for each in self.stages if each.stage == name), None)

    def action_time(self, action: NextAction) -> timedelta:
        """Return how long the next action may take when nobody else says."""
        return dict(self.own_action_times).get(action) or DEFAULT_ACTION_TIMES[action]


THE_DEFAULTS: Final = Playbook()


def faults_of_playbook(wanted: Playbook, directory: Directory) -> tuple[Fault, ...]:
    """Return everything that keeps a tenant from working like this."""
    checks: tuple[Callable[[], Iterable[Fault]], ...] = (
        lambda: _faults_of_claims(wanted.claim_order),
        lambda: _faults_of_bounds(wanted),
        lambda: faults_of_reasons(wanted.own_reason_codes),
        lambda: _faults_of_after_win(wanted, directory),
        lambda: _faults_of_stages(wanted.own_stages),
        lambda: _faults_of_actions(wanted),
        wanted.vocabulary.faults,
    )
    return tuple(fault for check in checks for fault in check())


def _faults_of_claims(order: ClaimOrder) -> Iterator[Fault]:
    for name in ("score_advance", "value_advance"):
        if not timedelta(0) <= getattr(order, name) <= LONGEST_ADVANCE:
            yield Fault(f"claim_order.{name}_duration", "must be from 0 to 30 days")
    if order.value_step < 1:
        yield Fault("claim_order.value_step_minor_units", "must be at least 1")


def _faults_of_bounds(wanted: Playbook) -> Iterator[Fault]:
    if not 0 <= wanted.max_takeovers <= _MOST_TAKEOVERS:
        yield Fault("max_takeovers", f"must be from 0 to {_MOST_TAKEOVERS}")
    for name in ("dispute_window_days", "dispute_answer_days"):
        if not 1 <= getattr(wanted, name) <= _MOST_DAYS:
            yield Fault(name, f"must be from 1 to {_MOST_DAYS} business days")


def _faults_of_after_win(wanted: Playbook, directory: Directory) -> Iterator[Fault]:
    name = wanted.after_win_queue
    queue = directory.queue(name)
    if name and (queue is None or queue.inactive or not directory.manager_of(name)):
        yield Fault("after_win_queue", "must be a queue with a manager, of its own or of its team, or empty")


def _faults_of_stages(stages: tuple[Stage, ...]) -> Iterator[Fault]:
    if len(stages) > _MOST_STAGES:
        yield Fault("stages", f"must hold at most {_MOST_STAGES} stages")
    if len({each.stage for each in stages}) < len(stages):
        yield Fault("stages", "must not hold a stage twice")
    for index, each in enumerate(stages):
        if not each.stage or len(each.stage) > 63:
            yield Fault(f"stages[{index}].stage", "must be a name of 1 to 63 characters")
        if not 0 <= each.probability_percent <= 100:
            yield Fault(f"stages[{index}].probability_percent", "must be from 0 to 100")


def _faults_of_actions(wanted: Playbook) -> Iterator[Fault]:
    for index, (action, duration) in enumerate(wanted.own_action_times):
        if action not in DEFAULT_ACTION_TIMES:
            yield Fault(f"action_times[{index}].action", "must be one of the next actions")
        if not timedelta(0) < duration <= LONGEST_ACTION:
            yield Fault(f"action_times[{index}].duration", "must be more than 0 and at most 366 days")


__all__ = [
    "DEFAULT_ACTION_TIMES",
    "DEFAULT_STAGES",
    "THE_DEFAULTS",
    "Playbook",
    "ReasonUse",
    "Stage",
    "faults_of_playbook",
]
