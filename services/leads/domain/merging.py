"""Two leads that are one person: which handoff goes on, what becomes of the other, and the way back.

The handoff that has come further goes on, so no work is lost, and it belongs to the kept lead, so that
everything that comes in later finds it: whoever asks for it the other way round is told so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.leads.domain import outcomes
from services.leads.domain.errors import LeadError
from services.leads.domain.events import HandoffEvent
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.states import HandoffState

MERGED: Final = "MERGED"
"""Why the handoff of a duplicate is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadMerge:
    """That two leads are the same person, as somebody said."""

    merge_id: str
    tenant: str
    lead: str
    merged_lead: str
    number: int = 0
    """The kept lead's handoff that goes on; 0 when there was none."""
    merged_numbers: tuple[int, ...] = ()
    """The merged lead's handoffs that it goes on for."""
    merge_time: datetime
    unmerge_time: datetime | None = None


class MergeForbidden(LeadError):
    """Two leads cannot be merged as asked, or not be taken apart; `lead` is the one in the way."""

    def __init__(self, lead: str, description: str) -> None:
        super().__init__(f"{lead} {description}")
        self.lead = lead


class LeadAlreadyMerged(MergeForbidden):
    """It is known as another lead already."""


class LeadNotMerged(MergeForbidden):
    """It stands for itself."""


class KeepOtherLead(MergeForbidden):
    """The other lead's handoff has come further."""


class BothConverted(MergeForbidden):
    """Each has an open opportunity."""


def handoff_that_goes_on(kept: Sequence[Handoff], merged: Sequence[Handoff]) -> Handoff | None:
    """Return which of the kept lead's handoffs goes on; None when neither lead has a live one.

    Raises:
        KeepOtherLead: one of the merged lead's has come further.
        BothConverted: two of them have an open opportunity, and only people can say which is the real one.
    """
    ours, theirs = _live(kept), _live(merged)
    if not theirs:
        return ours[-1] if ours else None
    furthest = theirs[-1]
    if not ours or furthest.state > ours[-1].state:
        raise KeepOtherLead(furthest.id.lead_name, "has the handoff that has come further")
    if furthest.state is HandoffState.CONVERTED:
        raise BothConverted(furthest.id.lead_name, "has an open opportunity, and so has the other lead")
    return ours[-1]


def merge_away(
    handoff: Handoff, lead: str, into: Handoff | None, *, now: datetime
) -> tuple[Handoff, tuple[HandoffEvent, ...]]:
    """Return one of a merged lead's handoffs as it stands once `lead` is kept, and what happened to it.

    A live one is void, and goes on as `into`; all others only belong to a lead of another name.
    """
    if into is None or not handoff.is_live:
        return replace(handoff, kept_lead=lead), ()
    voided, happened = outcomes.void(handoff, MERGED, now=now)
    return replace(voided, kept_lead=lead, kept_number=into.id.number), happened


def restore(handoff: Handoff, before: Handoff | None, *, now: datetime) -> Handoff:
    """Return a merged lead's handoff as it stands for itself again.

    `before` is how it stood when the merge made it void; its version grows all the same, so that nobody
    who read it before overwrites it.
    """
    if before is None:
        return replace(handoff, kept_lead="", kept_number=0)
    return replace(before, version=handoff.version + 1, update_time=now)


def count_again(handoff: Handoff, count: int, first: datetime | None, *, now: datetime) -> Handoff:
    """Return the handoff with the follow-ups that count for it; as it is when they are the same."""
    if (handoff.follow_up_count, handoff.first_follow_up_time) == (count, first):
        return handoff
    return replace(
        handoff,
        version=handoff.version + 1,
        update_time=now,
        follow_up_count=count,
        first_follow_up_time=first,
    )


def next_in_place_of(handoff: Handoff) -> HandoffId | None:
    """Return the handoff that goes on in this one's place; None when it stands for itself."""
    if not handoff.kept_number:
        return None
    return HandoffId(handoff.id.tenant, handoff.kept_lead, handoff.kept_number)


def _live(handoffs: Sequence[Handoff]) -> list[Handoff]:
    """Return the live ones, the furthest last; of equals, the one that began last."""
    return sorted((each for each in handoffs if each.is_live), key=lambda each: (each.state, each.id.number))
