"""What would have become of recorded handoffs under other terms, beside what did become of them.

Follow-ups stay at their real instants; `relive` decides the rest. What follows from people rather than
from terms (would another owner have called sooner?) nobody can know: there the result is a range.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from services.sla.domain.accord import Accord, AccordState
from services.sla.domain.agreement import Party
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.course import Outcome
from services.sla.domain.history import History
from services.sla.domain.recorded import Clock
from services.sla.domain.relive import Relived, Takeover
from services.sla.domain.sight import Sight
from services.sla.domain.terms import ALWAYS, AgreementKind, Step, Terms

_DUE_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """Terms that are supposed to have been in force always, in the place of an agreement."""

    agreement: str
    """The agreement's id."""
    number: int
    terms: Terms

    def name(self, tenant: str) -> str:
        """Return the name under which it is measured."""
        return f"tenants/{tenant}/agreements/{self.agreement}/versions/{self.number}"


def supposed_accords(accords: Sequence[Accord], supposed: Supposed, tenant: str) -> list[Accord]:
    """Return the tenant's accords with every version of one agreement replaced by the supposed terms.

    They keep the agreement's place in the tenant's order; an agreement that was never in force comes first.
    """
    stand_in = Accord(
        tenant=tenant,
        agreement=supposed.agreement,
        number=supposed.number,
        revision=1,
        state=AccordState.ACTIVE,
        terms=supposed.terms,
        acceptances=(),
        propose_time=ALWAYS,
        activate_time=ALWAYS,
        effective_time=ALWAYS,
    )
    found: list[Accord] = []
    for each in accords:
        if each.agreement != supposed.agreement:
            found.append(each)
        elif stand_in not in found:
            found.append(stand_in)
    return found if stand_in in found else [stand_in, *found]


def first_of_kind(accords: Iterable[Accord], kind: AgreementKind | None) -> str:
    """Return the id of the agreement of a kind that is asked first; empty when there is none."""
    return next((each.agreement for each in accords if each.terms.kind is kind), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposition:
    """What is supposed to have been other than it was; nothing given stays as it was."""

    terms: Supposed | None = None
    calendar: MadeCalendar | None = None
    """Counts instead of every agreement's own; teams with a calendar of their own keep it."""
    team_calendars: Mapping[str, MadeCalendar] = field(default_factory=dict)
    """By team, from always."""
    staffing: tuple["Staffing", ...] = ()

    @property
    def decides_as_it_was(self) -> bool:
        """Whether every clock is decided as it was; staffing alone decides nothing, it leaves doubts."""
        return self.terms is None and self.calendar is None and not self.team_calendars


class Presence(Enum):
    """How somebody's availability is supposed to have been other than it was."""

    ABSENT = "ABSENT"
    """A person who was there is supposed to have been away."""
    PRESENT = "PRESENT"
    """Somebody more is supposed to have worked in a team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """A supposed change of who was there, in `[start_time, end_time)`."""

    presence: Presence
    holder: str
    """Resource name: of the person who is away, of the team that somebody joins."""
    start_time: datetime
    end_time: datetime


class DoubtReason(Enum):
    """Why nobody can know what would have become of a clock."""

    TAKEOVER_LEFT_OUT = "TAKEOVER_LEFT_OUT"
    """The handoff was taken from its owner, and would not have been: how soon would they have acted?"""
    TAKEOVER_ADDED = "TAKEOVER_ADDED"
    """The handoff would have been taken from its owner, and was not: how soon would the next have acted?"""
    OWNER_ABSENT = "OWNER_ABSENT"
    """Whoever had it is supposed to have been away: somebody else would have had it."""
    TEAM_REINFORCED = "TEAM_REINFORCED"
    """Somebody more is supposed to have been there, who might have acted sooner; nobody would have later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """From an instant on the handoff's supposed life may differ from the recorded one by what people do."""

    reason: DoubtReason
    since: datetime
    may_worsen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became, or would have become, of one clock."""

    clock: Clock
    warned: bool
    """Whether a rung before due fired."""
    taken_over: bool
    """Whether it asked for the handoff to be taken from its owner."""
    doubts: tuple[DoubtReason, ...] = ()
    """Why the outcome might have been the other one, met or breached; empty when it is certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A clock whose fate differs, or might; None on the side on which there is no such clock."""

    handoff: str
    happened: Fate | None
    would: Fate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One handoff: all pairs of fates, and whether the record could be lived through once more."""

    pairs: tuple[Difference, ...]
    is_reproduced: bool

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The pairs that differ, or might."""
        return tuple(pair for pair in self.pairs if _differs(pair))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """A handoff's clocks on record, lived through once more as it was agreed, and as is supposed."""

    history: History
    recorded: Sequence[Clock]
    actual: Relived
    supposed: Relived


def compare(
    lives: Lives,
    *,
    actual_terms: Mapping[str, Terms],
    supposed_terms: Mapping[str, Terms],
    staffing: Sequence[Staffing],
    is_reproduced: bool,
) -> Comparison:
    """Return what became of a handoff's clocks beside what would have become of them.

    Terms come by agreement version.
    """
    doubts = _doubts(lives, staffing)
    known = {_key(each, actual_terms): each for each in lives.recorded}
    happened = {key: _fate(each, actual_terms, lives.actual.takeovers) for key, each in known.items()}
    supposed = {_key(each, supposed_terms): each for each in lives.supposed.clocks}
    would = {
        key: _fate(each, supposed_terms, lives.supposed.takeovers, doubts) for key, each in supposed.items()
    }
    return Comparison(
        pairs=tuple(
            Difference(handoff=lives.history.handoff, happened=happened.get(key), would=would.get(key))
            for key in {**happened, **would}
        ),
        is_reproduced=is_reproduced,
    )


def _key(clock: Clock, terms: Mapping[str, Terms]) -> tuple[AgreementKind | None, str, int]:
    """Return by what a clock is found on the other side: under another agreement it is the same promise.

    A handoff has clocks of one agreement of each kind at most.
    """
    return terms[clock.agreement_version].kind, clock.commitment_id, clock.origin


def _fate(
    clock: Clock, terms: Mapping[str, Terms], takeovers: Sequence[Takeover], doubts: Sequence[Doubt] = ()
) -> Fate:
    known = terms[clock.agreement_version]
    steps = [known.step(clock.commitment_id, rung) for rung in clock.fired]
    return Fate(
        clock=clock,
        warned=any(step is not None and _is_warning(step) for step in steps),
        taken_over=any(each.clock == clock.id for each in takeovers),
        doubts=tuple(dict.fromkeys(doubt.reason for doubt in doubts if _is_open_to(clock, doubt))),
    )


def _is_warning(step: Step) -> bool:
    if step.percent is not None:
        return step.percent < _DUE_PERCENT
    return step.offset is not None and step.offset.microseconds < 0


def _is_open_to(clock: Clock, doubt: Doubt) -> bool:
    """Tell whether the outcome was not decided yet when the doubt begins.

    A miss that was a miss before stays one, and what was done before stays done.
    """
    if clock.outcome is Outcome.MET:
        return doubt.may_worsen and clock.stop_time is not None and clock.stop_time > doubt.since
    if clock.outcome is Outcome.BREACHED:
        return clock.due_time > doubt.since
    return False


def _doubts(lives: Lives, staffing: Sequence[Staffing]) -> list[Doubt]:
    found = [_takeover_doubt(lives.actual.takeovers, lives.supposed.takeovers)]
    found += [_staffing_doubt(lives.history, each) for each in staffing]
    return sorted((each for each in found if each is not None), key=lambda doubt: doubt.since)


def _takeover_doubt(actual: Sequence[Takeover], supposed: Sequence[Takeover]) -> Doubt | None:
    """Return the doubt that begins with the first takeover of which the other life knows nothing."""
    was = Counter(each.occur_time for each in actual)
    would = Counter(each.occur_time for each in supposed)
    left_out, added = min(was - would, default=None), min(would - was, default=None)
    if left_out is not None and (added is None or left_out <= added):
        return Doubt(reason=DoubtReason.TAKEOVER_LEFT_OUT, since=left_out)
    return None if added is None else Doubt(reason=DoubtReason.TAKEOVER_ADDED, since=added)


def _staffing_doubt(history: History, change: Staffing) -> Doubt | None:
    """Return the doubt that begins when the handoff is first held by whom the change is about."""
    held: datetime | None = None
    starts: list[datetime] = []
    for each in history.told:
        if not each.assignee:
            continue
        holder = each.assignee if change.presence is Presence.ABSENT else (each.fact.team or "")
        if held is not None and holder != change.holder:
            starts += _overlap(held, each.fact.occur_time, change)
            held = None
        elif held is None and holder == change.holder:
            held = each.fact.occur_time
    if held is not None:
        starts += _overlap(held, change.end_time, change)
    if not starts:
        return None
    if change.presence is Presence.ABSENT:
        return Doubt(reason=DoubtReason.OWNER_ABSENT, since=min(starts))
    return Doubt(reason=DoubtReason.TEAM_REINFORCED, since=min(starts), may_worsen=False)


def _overlap(start: datetime, end: datetime, change: Staffing) -> list[datetime]:
    begin = max(start, change.start_time)
    return [begin] if begin < min(end, change.end_time) else []


def _differs(pair: Difference) -> bool:
    happened, would = pair.happened, pair.would
    if happened is None or would is None:
        return True
    return bool(would.doubts) or (_told(happened) != _told(would))


def _told(fate: Fate) -> tuple[Outcome, bool, bool]:
    return fate.clock.outcome, fate.warned, fate.taken_over


@dataclass(slots=True)
class Count:
    """What became of some clocks; of `uncertain_met` and `uncertain_breached` it may be the other."""

    clocks: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    warned: int = 0
    taken_over: int = 0
    uncertain_met: int = 0
    uncertain_breached: int = 0
    doubts: Counter[DoubtReason] = field(default_factory=Counter)

    def add(self, fate: Fate) -> None:
        """Count one clock more."""
        outcome = fate.clock.outcome
        self.clocks += 1
        self.outcomes[outcome] += 1
        self.warned += fate.warned
        self.taken_over += fate.taken_over
        if fate.doubts:
            self.uncertain_met += outcome is Outcome.MET
            self.uncertain_breached += outcome is Outcome.BREACHED
            self.doubts.update(fate.doubts)

    @property
    def met(self) -> tuple[int, int]:
        """The fewest and the most that may have been met."""
        found = self.outcomes[Outcome.MET]
        return found - self.uncertain_met, found + self.uncertain_breached

    @property
    def breached(self) -> tuple[int, int]:
        """The fewest and the most that may have been breached."""
        found = self.outcomes[Outcome.BREACHED]
        return found - self.uncertain_breached, found + self.uncertain_met

    @property
    def open(self) -> int:
        """How many had no outcome yet."""
        return self.outcomes[Outcome.RUNNING] + self.outcomes[Outcome.PAUSED]


@dataclass(slots=True)
class Beside:
    """Both counts of one commitment, team or owner."""

    happened: Count = field(default_factory=Count)
    would: Count = field(default_factory=Count)


@dataclass(slots=True)
class Totals:
    """Everything that was compared, counted; its size is that of the directory, not of the log."""

    all: Beside = field(default_factory=Beside)
    by_commitment: dict[str, Beside] = field(default_factory=dict)
    by_team: dict[str, Beside] = field(default_factory=dict)
    by_owner: dict[str, Beside] = field(default_factory=dict)
    sight: Sight | None = None
    """Owners are told apart only where somebody may see whose clocks they are; None sees all."""
    handoffs: int = 0
    differing: int = 0
    unreproduced: int = 0
    undecided: int = 0

    def add(self, comparison: Comparison) -> None:
        """Count one handoff more."""
        self.handoffs += 1
        self.unreproduced += not comparison.is_reproduced
        self.differing += len(comparison.differences)
        for pair in comparison.pairs:
            if pair.happened is not None:
                for beside in self._of(pair.happened.clock):
                    beside.happened.add(pair.happened)
            if pair.would is not None:
                for beside in self._of(pair.would.clock):
                    beside.would.add(pair.would)

    def _of(self, clock: Clock) -> list[Beside]:
        found = [
            self.all,
            self.by_commitment.setdefault(clock.commitment_id, Beside()),
            self.by_team.setdefault(clock.team, Beside()),
        ]
        if is_seen(clock, self.sight):
            found.append(self.by_owner.setdefault(clock.owner, Beside()))
        return found


def is_seen(clock: Clock, sight: Sight | None) -> bool:
    """Tell whether somebody with this sight may see the clock; None sees all."""
    if sight is None:
        return True
    held = {clock.owner, clock.team}
    promised = bool(sight.party) and Party(sight.party) in clock.parties
    return sight.person in held or bool(held & sight.groups) or promised
