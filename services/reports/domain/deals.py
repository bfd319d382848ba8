"""What is counted of an opportunity by itself: the stages it came to, when it left them, how long it stayed.

These sums carry no label of a handoff: stages are the tenant's, whoever works in them.
"""

from typing import Final, NamedTuple

from services.reports.domain.opportunities import OpportunityFact
from services.reports.domain.periods import Micros
from services.reports.domain.tallies import Tally
from services.reports.domain.waits import bucket_of

__all__ = ["BEGIN", "END", "WON", "Visit", "deal_tallies", "visits_of"]

BEGIN: Final = "begin"
END: Final = "end"
"""In the place of a stage: before the first, behind the last."""
WON: Final = "won"
"""In the place of a stage: it was won."""

_SECOND: Final = 1_000_000


class Visit(NamedTuple):
    """One stay in a stage; an empty stage is the one in which every opportunity begins."""

    stage: str
    time: Micros
    left: Micros | None
    previous: str
    following: str


def visits_of(fact: OpportunityFact) -> list[Visit]:
    """Return the stays of an opportunity, in their order."""
    told = [each.rpartition("@") for each in (fact.visits or "").split(";") if each]
    came = [(stage, int(time)) for stage, _, time in told]
    if not came or came[0][1] > fact.create_time:
        came.insert(0, ("", fact.create_time))
    found = []
    for number, (stage, time) in enumerate(came):
        is_last = number == len(came) - 1
        following, left = (END, fact.close_time) if is_last else came[number + 1]
        found.append(Visit(stage, time, left, came[number - 1][0] if number else BEGIN, following))
    return found


def deal_tallies(fact: OpportunityFact) -> list[Tally]:
    """Return everything that is counted of the opportunity."""
    visits = visits_of(fact)
    found: list[Tally] = []
    for visit in visits:
        found.append(("deal in", visit.time, visit.stage, visit.previous, 0))
        if visit.left is not None:
            found.append(("deal out", visit.left, visit.stage, visit.following, 0))
    first: dict[str, Micros] = {}
    for visit in visits:
        first.setdefault(visit.stage, visit.time)
    if fact.state == "open":
        found.append(("deal open", fact.stage_time, fact.stage, fact.currency, fact.minor_units))
    if fact.state == "won" and fact.close_time is not None:
        found += _stays(visits, fact.close_time)
        first[WON] = fact.close_time
    reached = ",".join(sorted(first))
    return found + [("deal stage", time, stage, reached, 0) for stage, time in first.items()]


def _stays(visits: list[Visit], close_time: Micros) -> list[Tally]:
    stays: dict[str, Micros] = {}
    for visit in visits:
        if visit.left is not None:
            stays[visit.stage] = stays.get(visit.stage, 0) + max(0, visit.left - visit.time)
    return [
        ("deal stay", close_time, stage, f"{bucket_of(stay):04}", stay // _SECOND)
        for stage, stay in stays.items()
    ]
