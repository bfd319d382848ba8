"""What is counted of an opportunity by itself: the stages it came to, when it left them, how long it stayed.

These sums carry no label of a handoff: stages are the tenant's, whoever works in them.
"""

from typing import Final, NamedTuple, TypeAlias

from services.reports.domain.opportunities import OpportunityFact
from services.reports.domain.periods import Days, Micros, first_of_month
from services.reports.domain.tallies import Tally
from services.reports.domain.waits import bucket_of

__all__ = [
    "BEGIN",
    "CHANCES",
    "END",
    "NO_DAY",
    "WON",
    "Dated",
    "Visit",
    "closings_of",
    "deal_tallies",
    "visits_of",
]

BEGIN: Final = "begin"
END: Final = "end"
"""In the place of a stage: before the first, behind the last."""
WON: Final = "won"
"""In the place of a stage: it was won."""

NO_DAY: Final = 1
"""In the place of a close date that nobody gave: long before any other."""
CHANCES: Final = (75, 50, 0)
"""The least chances in percent that open opportunities are told apart by."""

Dated: TypeAlias = tuple[str, Days, str, str, int]
"""As a tally, for what counts on a day that people named."""

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND


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
    found += _standing(fact)
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


def _standing(fact: OpportunityFact) -> list[Tally]:
    """Return what its amount, its chance and its age count for."""
    made = ("deal made", fact.create_time, fact.currency, "", fact.minor_units)
    since = fact.create_time // _SECOND
    if fact.close_time is None:
        found = [
            made,
            ("deal open", fact.stage_time, fact.stage, fact.currency, fact.minor_units),
            ("deal cycle", fact.create_time, fact.state, _day(fact), since),
        ]
        # With a close date it is the date that says how long it is believed in: see `closings_of`.
        return (
            found
            if fact.close_day is not None
            else [*found, ("deal undated", fact.stage_time, "", _day(fact), since)]
        )
    took = max(0, fact.close_time - fact.create_time)
    bucket, seconds = f"{bucket_of(took):04}", took // _SECOND
    found = [
        made,
        ("deal closed", fact.close_time, fact.state, fact.currency, fact.minor_units),
        ("deal cycle", fact.create_time, fact.state, bucket, seconds),
        ("deal ended", fact.close_time, fact.state, bucket, seconds),
        ("deal came", fact.close_time, _close_month(fact), f"{fact.state} {fact.currency}", fact.minor_units),
    ]
    if fact.probability is not None:
        missed = fact.probability - (100 if fact.state == "won" else 0)
        found.append(("deal judged", fact.close_time, "", "", missed**2))
    return found


def closings_of(fact: OpportunityFact) -> list[Dated]:
    """Return what an open opportunity counts for on the day on which it is expected to close."""
    if fact.close_time is not None:
        return []
    day = NO_DAY if fact.close_day is None else fact.close_day
    found: list[Dated] = []
    if fact.close_day is not None:
        chance = next((str(least) for least in CHANCES if (fact.probability or 0) >= least), "0")
        found.append(("deal closing", day, chance, fact.currency, fact.minor_units))
        found.append(("deal dated", day, "", _day(fact), fact.create_time // _SECOND))
    if fact.currency and fact.probability is not None:
        found.append(("deal weighted", day, fact.currency, "", fact.minor_units * fact.probability))
    return found


def _close_month(fact: OpportunityFact) -> str:
    """Return the first day of the month in which it was expected to close; nothing of one without a date."""
    return "" if fact.close_day is None else str(first_of_month(fact.close_day))


def _day(fact: OpportunityFact) -> str:
    """Return a word for the day of its making, so that those who began together wait together."""
    return str(fact.create_time // _DAY)
