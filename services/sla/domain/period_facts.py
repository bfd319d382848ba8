"""What the leads log tells of handoffs that counts in marketing's periods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from services.sla.domain.agreement import Party
from services.sla.domain.condition import Attributes
from services.sla.domain.period import Entry

__all__ = ["HandedOver", "Turn", "TurnKind", "turned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A handoff began; `conforms` is None where no definition was in force."""

    handoff: str
    at: datetime
    attributes: Attributes
    conforms: bool | None = None
    required: int = 0
    filled: int = 0


class TurnKind(Enum):
    """What became of a handoff."""

    TAKEN = "TAKEN"
    REJECTED = "REJECTED"
    DISPUTED = "DISPUTED"
    UPHELD = "UPHELD"
    OVERTURNED = "OVERTURNED"
    VOIDED = "VOIDED"
    RESTORED = "RESTORED"
    """It stands again, because a merge was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Something became of a handoff; `party` is on whom a rejection is counted."""

    handoff: str
    kind: TurnKind
    at: datetime
    party: Party | None = None


_TURNS: Final[Mapping[TurnKind, Callable[[Entry], Entry]]] = {
    TurnKind.TAKEN: Entry.taken,
    TurnKind.DISPUTED: Entry.disputed,
    TurnKind.UPHELD: Entry.upheld,
    TurnKind.OVERTURNED: Entry.overturned,
    TurnKind.VOIDED: Entry.voided,
    TurnKind.RESTORED: Entry.restored,
}


def turned(entry: Entry, turn: Turn, *, final_time_of: Callable[[datetime], datetime]) -> Entry:
    """Return the entry after a turn; `final_time_of` gives until when a rejection can be disputed."""
    if turn.kind is TurnKind.REJECTED:
        return entry.rejected(turn.party, final_time=final_time_of(turn.at))
    return _TURNS[turn.kind](entry)
