"""What a merge of leads, or its undoing, does to the handoffs concerned."""

from collections.abc import Mapping
from typing import Final

from services.reports.domain.handoffs import HandoffFact, earliest_touches
from services.reports.domain.touches import without
from services.reports.domain.words import Merged, Restored, State, Unmerged

__all__ = ["merge", "unmerge"]

_REASON: Final = "MERGED"


def merge(facts: Mapping[str, HandoffFact], word: Merged) -> None:
    """Let the kept handoff go on for the others: what was done for them was done for it."""
    kept = facts.get(word.handoff)
    if kept is None:
        return
    for name in word.others:
        other = facts[name]
        other.merged_into = kept.handoff
        kept.borrowed_touches = _joined(kept.borrowed_touches, _all_of(other))
    earliest_touches(kept)


def unmerge(facts: Mapping[str, HandoffFact], word: Unmerged) -> None:
    """Let each of the others stand where it stood, and take what was done for it from those that went on."""
    for restored in word.restored:
        other = facts[restored.handoff]
        lent = _all_of(other)
        further = other.merged_into
        other.merged_into = ""
        _restore(other, restored, word)
        while further:
            kept = facts[further]
            kept.borrowed_touches = without(kept.borrowed_touches, lent)
            earliest_touches(kept)
            further = kept.merged_into


def _restore(fact: HandoffFact, restored: Restored, word: Unmerged) -> None:
    fact.state, fact.owner = restored.state.value, restored.owner
    fact.stage_time = word.time
    fact.void_time = None
    if fact.reason_code == _REASON:
        fact.reason_code = ""
    # Who is offered it is not told, only the queue; somebody is, unless it waits for routing.
    fact.assignee = restored.queue or (fact.handoff if restored.state is State.OFFERED else "")
    earliest_touches(fact)


def _all_of(fact: HandoffFact) -> str:
    return _joined(fact.touches, fact.borrowed_touches)


def _joined(one: str, other: str) -> str:
    return f"{one};{other}" if one and other else one or other
