"""What else is counted of a handoff beside its stages: touches, returns, disputes, owners, waiting lists.

Each is a cell with two words that tell its rows apart, and a number that is summed beside the items.
"""

from itertools import count
from typing import Final, TypeAlias

from services.reports.domain.funnel import STAGES, Reached, Stage, is_qualified
from services.reports.domain.handoffs import HandoffFact
from services.reports.domain.periods import Micros
from services.reports.domain.touches import Touch, touches_of

__all__ = [
    "BANDS",
    "MOST_ATTEMPTS",
    "REPURCHASE_DAYS",
    "RETURN_HORIZON_DAYS",
    "Tally",
    "tallies_of",
]

Tally: TypeAlias = tuple[str, Micros, str, str, int]
"""Anchor, the instant whose day it is counted on, the two words, and the number."""

_MINUTE: Final = 60_000_000
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

RETURN_HORIZON_DAYS: Final = 90
"""A recycled handoff had so long to qualify again (K14)."""
REPURCHASE_DAYS: Final = 365
"""A customer had so long to buy a second time (U10)."""
MOST_ATTEMPTS: Final = 12
"""Attempts behind this one are counted as this one (S18)."""
BANDS: Final = (
    ("1 within 5 min", 5 * _MINUTE),
    ("2 within 1 h", _HOUR),
    ("3 within 4 h", 4 * _HOUR),
    ("4 within 24 h", 24 * _HOUR),
)
"""Response bands, each up to and with its end (H16)."""
_LATER: Final = "5 later"
_UNTOUCHED: Final = "6 untouched"
_GIVEN_UP: Final = {"lost", "disqualified", "recycled"}
_WORKED: Final = STAGES.index(Stage.WORKED)
_CONVERTED: Final = STAGES.index(Stage.CONVERTED)
_LEFT_AT: Final = {
    "lost": "lost_time",
    "rejected": "reject_time",
    "disqualified": "disqualify_time",
    "recycled": "recycle_time",
    "void": "void_time",
}


def tallies_of(fact: HandoffFact, reached: Reached) -> list[Tally]:
    """Return everything that is counted of the handoff."""
    found: list[Tally] = []
    if fact.touches or fact.borrowed_touches:
        found += _touches(fact)
    if fact.open_since is not None:
        found.append(("backlog", fact.open_since, fact.state, fact.value_currency, fact.value_minor_units))
    if not fact.historical and not fact.archived and fact.void_time is None:
        found.append(_band(fact))
    if fact.conforming is not None:
        found += _definition(fact)
    if fact.reassign_count or fact.takeover_count:
        found += _owners(fact)
    found += _of_the_lead(fact, reached)
    found += _ends(fact, reached)
    return found


def _of_the_lead(fact: HandoffFact, reached: Reached) -> list[Tally]:
    found: list[Tally] = []
    if fact.band is not None:
        found.append(_scored(fact))
    if fact.unreachable and reached[_WORKED] is not None:
        found.append(("unreachable", fact.submit_time, "", "", 0))
    if fact.lead_time is not None or fact.merged_into or fact.void_time is not None:
        found += _of_known_leads(fact, reached)
    return found


def _scored(fact: HandoffFact) -> Tally:
    left = "" if fact.open_since is not None else "ended"
    outcome = left if fact.won_time is None else "won"
    return "score", fact.submit_time, fact.band or "", outcome, fact.score or 0


def _of_known_leads(fact: HandoffFact, reached: Reached) -> list[Tally]:
    """Return what is counted of a handoff that is not its lead's first, or no lead's at all."""
    converted = reached[_CONVERTED] is not None
    found: list[Tally] = [("known", fact.submit_time, "converted" if converted else "", "", 0)]
    if fact.merged_into or fact.void_time is not None or fact.lead_time is None:
        return found
    if not fact.continued:
        # A lead that came back is one lead: what it became counts where it came first.
        return [*found, ("credited", fact.lead_time, "", "", 0)] if converted else found
    if fact.won_time is not None:
        found.append(("bought again", fact.won_time, "", "", 0))
        if fact.customer_time is not None and fact.won_time - fact.customer_time <= REPURCHASE_DAYS * _DAY:
            found.append(("second purchase", fact.customer_time, "", "", 0))
    return found


def _left(fact: HandoffFact, times: Reached) -> list[Tally]:
    """Return from which stage it left the way to a sale; nothing of one that was won."""
    at = max(number for number, time in enumerate(times) if time is not None)
    left = getattr(fact, _LEFT_AT.get(fact.state, "won_time"))
    return [] if left is None or at == len(STAGES) - 1 else [("left", left, STAGES[at].value, fact.state, 0)]


def _ends(fact: HandoffFact, reached: Reached) -> list[Tally]:
    found = _left(fact, reached) if fact.open_since is None and not fact.archived else []
    if fact.rejection_time is not None:
        found.append(("rejection", fact.rejection_time, fact.rejection_code, fact.dispute_state, 0))
    ended = fact.reject_time if fact.reject_time is not None else fact.disqualify_time
    if ended is not None:
        found.append(("refusal", ended, fact.reason_code, "", int(fact.with_evidence)))
    if fact.recycle_time is not None:
        found.append(("recycling", fact.recycle_time, fact.reason_code, "", int(_returned(fact))))
    return found


def _touches(fact: HandoffFact) -> list[Tally]:
    own = touches_of(fact.touches)
    found = [
        ("follow_up", touch.time, touch.grade, touch.channel, int(touch.contact))
        for touch in own
        if not touch.is_reply
    ]
    if fact.merged_into:
        # The handoff that goes on counts these attempts as its own.
        return found
    attempts = _attempts(own + touches_of(fact.borrowed_touches))
    found += [
        ("attempt", touch.time, f"{min(number, MOST_ATTEMPTS):02}", touch.channel, int(touch.contact))
        for number, touch in zip(count(1), attempts, strict=False)
    ]
    given_up = _given_up_time(fact)
    if given_up is not None:
        found.append(("given_up", given_up, "", "", len(attempts)))
    return found


def _attempts(touches: tuple[Touch, ...]) -> list[Touch]:
    return sorted(touch for touch in touches if touch.counts)


def _given_up_time(fact: HandoffFact) -> Micros | None:
    if fact.state not in _GIVEN_UP or fact.first_contact_time is not None:
        return None
    times = (fact.lost_time, fact.disqualify_time, fact.recycle_time)
    return next((time for time in times if time is not None), None)


def _band(fact: HandoffFact) -> Tally:
    start = fact.submit_time if fact.inquire_time is None else fact.inquire_time
    answer = fact.first_follow_up_time
    if answer is None:
        band = _UNTOUCHED
    else:
        band = next((word for word, end in BANDS if answer - start <= end), _LATER)
    qualified = "qualified" if is_qualified(fact) else ""
    return "band", fact.submit_time, band, qualified, int(fact.first_contact_time is not None)


def _definition(fact: HandoffFact) -> list[Tally]:
    whole = "whole" if fact.valid_fields == fact.required_fields else ""
    return [
        ("definition", fact.submit_time, "met" if fact.conforming else "missed", "", 0),
        ("fields", fact.submit_time, "required", whole, fact.required_fields),
        ("fields", fact.submit_time, "valid", whole, fact.valid_fields),
    ]


def _owners(fact: HandoffFact) -> list[Tally]:
    found: list[Tally] = [
        ("reassigned", fact.submit_time, word, "", number)
        for word, number in (("miss", fact.takeover_count), ("by hand", fact.reassign_count))
        if number
    ]
    touched, second = fact.first_follow_up_time, fact.second_owner_time
    if touched is not None and second is not None and second < touched:
        found.append(("friction", fact.submit_time, "", "", 0))
    return found


def _returned(fact: HandoffFact) -> bool:
    if fact.return_time is None or fact.recycle_time is None:
        return False
    return fact.return_time - fact.recycle_time <= RETURN_HORIZON_DAYS * _DAY
