"""Who had a handoff when: what a clock says of its people follows from the facts, however they were read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.sla.domain.agreement import CommitmentKind
from services.sla.domain.course import Step
from services.sla.domain.plots import PLOTS
from services.sla.domain.timeline import FactKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has the handoff, or is offered it, since when."""

    owner: str = ""
    team: str = ""
    since: datetime | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Owner and team."""
        return self.owner, self.team


class Taken(NamedTuple):
    """By a fact of this kind somebody got the handoff, or was offered it."""

    at: datetime
    kind: FactKind
    owner: str
    team: str


@dataclass(frozen=True, slots=True)
class Holders:
    """Everybody who had one handoff, in order."""

    taken: tuple[Taken, ...] = ()

    def at(self, instant: datetime) -> Holder:
        """Return who has it at an instant; what happens at that very instant counts."""
        return _last(each for each in self.taken if each.at <= instant)

    def until(self, stop: datetime, kind: CommitmentKind) -> Holder:
        """Return who had it when a clock of this kind ended; what stopped it does not count.

        Whoever accepts an offer ends the clock of the one to whom it was made. Until it is routed nobody has
        it: that time is shown to those to whom it went. Nobody has what has not come yet, though it be
        offered the very instant it comes.
        """
        if kind is CommitmentKind.FRESHNESS:
            return Holder()
        steps = PLOTS[kind].steps
        before = _last(
            each
            for each in self.taken
            if each.at < stop or (each.at == stop and steps.get(each.kind) is not Step.STOP)
        )
        return self.at(stop) if kind is CommitmentKind.ROUTE and not any(before.names) else before


def _last(taken: Iterable[Taken]) -> Holder:
    found = Holder()
    for each in taken:
        if (each.owner, each.team) != found.names:
            found = Holder(owner=each.owner, team=each.team, since=each.at)
    return found
