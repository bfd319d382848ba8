"""What a lead's timeline is made of."""

from dataclasses import dataclass
from datetime import datetime

from services.leads.domain.handoff_id import HandoffId


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a handoff, as the log holds it."""

    handoff: HandoffId
    version: int
    """1, 2, 3 … within the handoff."""
    payload_type: str
    payload: bytes
    occur_time: datetime
    record_time: datetime
    actor: str
