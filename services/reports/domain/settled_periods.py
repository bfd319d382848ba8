"""Marketing's promises for a period as the sla log says they were settled; reports decides nothing."""

from typing import NamedTuple

from services.reports.domain.periods import Micros

__all__ = ["PromiseSettled"]


class PromiseSettled(NamedTuple):
    """One promise of one period, as it was last settled; also the row in which it is kept."""

    promise: str
    """Agreement, period, and what was promised."""
    tenant: str
    agreement: str
    commitment_id: str
    """What was promised: `value`, `conformance`, `completeness` or `rejections`."""
    state: str
    """`met`, `breached`, `pending` or `undefined`."""
    limit_ratio: float
    actual_ratio: float | None
    last_time: Micros
    """The last instant of the period."""
    as_of_time: Micros
