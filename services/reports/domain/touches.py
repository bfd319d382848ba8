"""Follow-ups and replies of one handoff, kept in its row as text: few, and always read together."""

from functools import lru_cache
from typing import Final, NamedTuple

from services.reports.domain.periods import Micros

__all__ = ["REPLY", "Touch", "added", "touches_of", "without"]

REPLY: Final = "reply"
"""In the place of a follow-up's evidence grade: the lead wrote or called by itself."""

_BETWEEN: Final = ";"


class Touch(NamedTuple):
    """One follow-up, or one reply of the lead."""

    time: Micros
    channel: str
    grade: str
    contact: bool
    counts: bool
    """Whether the evidence is good enough; a reply is no attempt and never counts as one."""

    @property
    def is_reply(self) -> bool:
        """Whether the lead did it."""
        return self.grade == REPLY


def added(touches: str, touch: Touch) -> str:
    """Return the text with one more touch at its end."""
    written = f"{touch.time},{touch.channel},{touch.grade},{int(touch.contact)},{int(touch.counts)}"
    return f"{touches}{_BETWEEN}{written}" if touches else written


@lru_cache(maxsize=4096)
def touches_of(touches: str) -> tuple[Touch, ...]:
    """Return the touches of a text, in the order in which they were told."""
    return tuple(_read(written) for written in touches.split(_BETWEEN)) if touches else ()


def without(touches: str, others: str) -> str:
    """Return the text without the touches of another, each taken out once."""
    left = touches.split(_BETWEEN) if touches else []
    for written in others.split(_BETWEEN):
        if written in left:
            left.remove(written)
    return _BETWEEN.join(left)


def _read(written: str) -> Touch:
    time, channel, grade, contact, counts = written.split(",")
    return Touch(int(time), channel, grade, contact == "1", counts == "1")
