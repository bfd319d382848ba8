"""What the field told and what marketing did with it, as the leads log says; no word of what was said."""

from dataclasses import dataclass
from typing import NamedTuple

from services.reports.domain.periods import Micros

__all__ = ["FeedbackFact", "FeedbackGiven", "FeedbackMoved", "fold_feedback"]


class FeedbackGiven(NamedTuple):
    """The field told something."""

    tenant: str
    handoff: str
    time: Micros
    feedback: str
    kind: str
    theme: str


class FeedbackMoved(NamedTuple):
    """Marketing said what becomes of it."""

    tenant: str
    handoff: str
    time: Micros
    feedback: str
    status: str


@dataclass(slots=True)
class FeedbackFact:
    """The accumulator of the fold; its fields are the columns of the table, in this order."""

    feedback: str
    tenant: str
    handoff: str
    kind: str
    theme: str
    create_time: Micros
    status: str = "new"
    answer_time: Micros | None = None
    """When marketing first said anything."""
    done_time: Micros | None = None
    """When it was done, while it is."""


def fold_feedback(known: FeedbackFact | None, word: FeedbackGiven | FeedbackMoved) -> FeedbackFact | None:
    """Return the fact with the word taken in; None for a status of something never told."""
    if isinstance(word, FeedbackGiven):
        return FeedbackFact(word.feedback, word.tenant, word.handoff, word.kind, word.theme, word.time)
    if known is None:
        return None
    known.status = word.status
    if known.answer_time is None:
        known.answer_time = word.time
    known.done_time = word.time if word.status == "done" else None
    return known
