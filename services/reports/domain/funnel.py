"""Which stages a handoff reached, and when: a skipped stage is credited to whoever passed it."""

import enum
from typing import Final, NamedTuple, TypeAlias

from services.reports.domain.handoffs import HandoffFact
from services.reports.domain.periods import Micros

__all__ = [
    "COUNTERS",
    "MARKETING_SOURCED_EXCLUDES",
    "STAGES",
    "FunnelTally",
    "Mark",
    "Reached",
    "Stage",
    "amounts_of",
    "earlier",
    "is_qualified",
    "reached_times",
    "reasons_of",
    "stages_of",
]


class Stage(enum.StrEnum):
    """Something that a handoff reaches; also the anchor under whose day it is counted."""

    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    WORKED = "worked"
    QUALIFIED = "qualified"
    CONVERTED = "converted"
    WON = "won"
    LOST = "lost"
    REJECTED = "rejected"
    DISQUALIFIED = "disqualified"
    RECYCLED = "recycled"
    VOID = "void"


STAGES: Final = (
    Stage.SUBMITTED,
    Stage.ACCEPTED,
    Stage.WORKED,
    Stage.QUALIFIED,
    Stage.CONVERTED,
    Stage.WON,
)
"""The way to a sale, in order."""

MARKETING_SOURCED_EXCLUDES: Final = frozenset(
    {
        "cold_call",
        "outbound_email",
        "networking",
        "personal_selling",
        "customer_referral",
        "expansion",
        "renewal",
    }
)
"""Channels whose handoffs sales or existing customers brought, not marketing."""


class Mark(enum.IntFlag):
    """What is counted of a handoff in each of its cells."""

    ACCEPTED = 1
    WORKED = 2
    QUALIFIED = 4
    CONVERTED = 8
    WON = 16
    LOST = 32
    REJECTED = 64
    DISQUALIFIED = 128
    RECYCLED = 256
    VOID = 512
    ARCHIVED = 1024
    REJECTED_ON_MARKETING = 2048
    UNDECIDED = 4096


COUNTERS: Final = ("items", *(mark.name.lower() for mark in Mark if mark.name))
"""The columns of a roll-up: the handoffs themselves, then one for each mark."""


class FunnelTally(NamedTuple):
    """Handoffs counted: `items` in all, and of them those with each mark."""

    items: int = 0
    accepted: int = 0
    worked: int = 0
    qualified: int = 0
    converted: int = 0
    won: int = 0
    lost: int = 0
    rejected: int = 0
    disqualified: int = 0
    recycled: int = 0
    void: int = 0
    archived: int = 0
    rejected_on_marketing: int = 0
    undecided: int = 0


Reached: TypeAlias = tuple[Micros | None, ...]
"""When each of `STAGES` was reached."""

# Plain words and sets of marks: these are read for every event, and an enum's members cost a call each.
_STAGE_WORDS: Final = tuple(stage.value for stage in STAGES)
_EXITED: Final = (
    Mark.LOST.value | Mark.REJECTED.value | Mark.DISQUALIFIED.value | Mark.RECYCLED.value | Mark.VOID.value
)


def reached_times(fact: HandoffFact) -> Reached:
    """Return when each of `STAGES` was reached: its own time or that of a later stage, the earlier counts."""
    won = fact.won_time
    converted = earlier(earlier(fact.convert_time, won), fact.lost_time)
    qualified = earlier(fact.qualify_time, converted)
    worked = earlier(fact.first_follow_up_time, qualified)
    # Sales can only give up, or give back, what it had accepted.
    given_back = earlier(fact.disqualify_time, fact.recycle_time)
    accepted = earlier(earlier(fact.accept_time, worked), given_back)
    return fact.submit_time, accepted, worked, qualified, converted, won


def is_qualified(fact: HandoffFact) -> bool:
    """Say whether it was ever qualified, if only by what comes after."""
    times = (fact.qualify_time, fact.convert_time, fact.won_time, fact.lost_time)
    return times != (None, None, None, None)


def stages_of(fact: HandoffFact, times: Reached) -> list[tuple[str, Micros, int]]:
    """Return the anchors under which the handoff is counted, with the instant whose day it is, and its marks.

    A stage carries what became of the handoff; an exit or a win only the handoff itself.
    """
    marks = _marks(fact, times)
    found = [
        (stage, time, marks) for stage, time in zip(_STAGE_WORDS, times, strict=True) if time is not None
    ]
    if fact.won_time is not None:
        found[-1] = ("won", fact.won_time, 0)
    if marks & _EXITED:
        found += [(stage, time, 0) for stage, time in _exits(fact) if time is not None]
    return found


def amounts_of(fact: HandoffFact) -> list[tuple[str, Micros, str, int]]:
    """Return where amounts are counted, by currency (empty: not known): won, promised and created."""
    found = _promised(fact) if fact.value_currency else []
    if fact.convert_time is not None and fact.deal_currency is not None and fact.void_time is None:
        found.append(("created", fact.convert_time, fact.deal_currency, fact.deal_minor_units or 0))
    if fact.won_time is None:
        return found
    return found + [
        (anchor, time, fact.currency, fact.minor_units)
        for anchor, time in (("submitted", fact.submit_time), ("won", fact.won_time))
    ]


def _promised(fact: HandoffFact) -> list[tuple[str, Micros, str, int]]:
    on_marketing = fact.reject_time is not None and fact.accountable_party == "marketing"
    if on_marketing or fact.void_time is not None:
        return []
    return [("promised", fact.submit_time, fact.value_currency, fact.value_minor_units)]


def reasons_of(fact: HandoffFact) -> list[tuple[str, Micros, str, str, str]]:
    """Return where a rejection, disqualification, recycling or loss is counted: by it, code and party."""
    ended = next(((stage, time) for stage, time in _exits(fact)[:-1] if time is not None), None)
    if ended is None:
        return []
    stage, time = ended
    code, party = fact.reason_code, fact.accountable_party
    return [("submitted", fact.submit_time, stage, code, party), (stage, time, stage, code, party)]


def _exits(fact: HandoffFact) -> tuple[tuple[str, Micros | None], ...]:
    return (
        ("rejected", fact.reject_time),
        ("disqualified", fact.disqualify_time),
        ("recycled", fact.recycle_time),
        ("lost", fact.lost_time),
        ("void", fact.void_time),
    )


def _marks(fact: HandoffFact, times: Reached) -> int:
    _, accepted, worked, qualified, converted, won = times
    rejected = fact.reject_time is not None
    return (
        (accepted is not None) * 1
        | (worked is not None) * 2
        | (qualified is not None) * 4
        | (converted is not None) * 8
        | (won is not None) * 16
        | (fact.lost_time is not None) * 32
        | rejected * 64
        | (fact.disqualify_time is not None) * 128
        | (fact.recycle_time is not None) * 256
        | (fact.void_time is not None) * 512
        | bool(fact.archived) * 1024
        | (rejected and fact.accountable_party == "marketing") * 2048
        | (accepted is None and not rejected and fact.void_time is None and not fact.archived) * 4096
    )


def earlier(one: Micros | None, other: Micros | None) -> Micros | None:
    """Return the earlier of two instants that may never have been."""
    if one is None or other is None:
        return other if one is None else one
    return one if one < other else other
