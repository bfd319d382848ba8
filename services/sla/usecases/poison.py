"""Clocks that cannot be decided: found out, so that only they are put aside and not their neighbours."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.sla.domain.accord import Accord
from services.sla.domain.decide import Aside, Decision
from services.sla.domain.recorded import Clock
from services.sla.store.quarantine import count_failure, quarantine
from services.sla.store.tx import SlaTx, UnreadableClock
from smarketing.businesstime import BusinessTimeError

UNDECIDABLE: Final = (
    BusinessTimeError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What a decision raises about what it was given. A fault of storage is none of these: it is everybody's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What could be decided of a handoff, and the commitments of which nothing could."""

    decisions: Sequence[Decision]
    culprits: Aside = frozenset()
    error: Exception | None = None


def decided_apart(
    deciding: Callable[[Aside], Sequence[Decision]], promised: Callable[[], Aside], aside: Aside
) -> Verdict:
    """Decide all but `aside`, and where that fails all but those of `promised` that make it fail.

    Raises:
        Exception: what the decision raised, when it is no commitment's alone.
    """
    try:
        return Verdict(deciding(aside))
    except UNDECIDABLE as error:
        everything = promised() | aside
        culprits = frozenset(
            each for each in everything - aside if not _succeeds(deciding, everything - {each})
        )
        if not culprits:
            raise
        return Verdict(deciding(aside | culprits), culprits, error)


def promised_by(clocks: Iterable[Clock], accords: Iterable[Accord]) -> Aside:
    """Return agreement and commitment of every clock that is or may be."""
    running = {(clock.agreement, clock.commitment_id) for clock in clocks}
    return frozenset(
        running | {(accord.agreement, each.id) for accord in accords for each in accord.terms.promises}
    )


def put_aside(
    tx: SlaTx,
    clocks: Iterable[Clock],
    unreadable: Iterable[UnreadableClock],
    culprits: Aside,
    *,
    sweeping: bool,
) -> None:
    """Keep the clocks that cannot be decided from being tried for ever.

    A sweep tries those that are due a few times before it gives up; a new fact is tried once, since nothing
    but the next one would make another decision of it.
    """
    guilty: list[Clock | UnreadableClock] = [
        *(each for each in clocks if (each.agreement, each.commitment_id) in culprits),
        *unreadable,
    ]
    if not sweeping:
        quarantine(tx.connection, [each.id for each in guilty], now=tx.now)
        return
    for each in guilty:
        # One that is not due is left until it is; one in quarantine never is.
        if each.next_time is not None and each.next_time <= tx.now:
            count_failure(tx.connection, each.id, now=tx.now)


def _succeeds(deciding: Callable[[Aside], Sequence[Decision]], aside: Aside) -> bool:
    try:
        deciding(aside)
    except UNDECIDABLE:
        return False
    return True
