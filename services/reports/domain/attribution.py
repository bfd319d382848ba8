"""How an outcome is credited to the touchpoints before it: by any model, the parts are exactly the whole."""

import enum
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from services.reports.domain.periods import Days

__all__ = ["HALF_LIFE_DAYS", "Model", "credited", "split"]

HALF_LIFE_DAYS: Final = 7
"""After so many days a touchpoint counts half as much, where time decays."""

_FINE: Final = 1 << 40
_ENDS: Final = 40
_MIDDLE: Final = 20


class Model(enum.StrEnum):
    """Who is credited."""

    FIRST_TOUCH = "first_touch"
    LAST_TOUCH = "last_touch"
    LINEAR = "linear"
    POSITION_BASED = "position_based"
    """Two fifths the first, two fifths the last, the rest those between."""
    TIME_DECAY = "time_decay"


def credited(whole: int, model: Model, touches: Sequence[Days]) -> tuple[int, ...]:
    """Return the part of `whole` that each touchpoint is credited with; `touches` are their days, in order.

    The parts add up to `whole`, whatever its sign.

    Raises:
        ValueError: there is no touchpoint to credit, or they are not in order.
    """
    if not touches:
        raise ValueError("without a touchpoint nobody can be credited")
    if any(later < earlier for earlier, later in pairwise(touches)):
        raise ValueError("touchpoints are credited in the order of their days")
    return split(whole, _shares(model, touches))


def split(whole: int, shares: Sequence[int]) -> tuple[int, ...]:
    """Cut `whole` in proportion to `shares`, by largest remainder; of equal remainders the earlier gets more.

    Raises:
        ValueError: a share is negative, or all are nothing.
    """
    total = sum(shares)
    if total <= 0 or min(shares) < 0:
        raise ValueError("shares are not negative, and not all nothing")
    if whole < 0:
        return tuple(-part for part in split(-whole, shares))
    parts = [whole * share // total for share in shares]
    # The largest remainder first; sorting is stable, so the earlier of equals comes first.
    by_remainder = sorted(range(len(shares)), key=lambda at: -(whole * shares[at] % total))
    for at in by_remainder[: whole - sum(parts)]:
        parts[at] += 1
    return tuple(parts)


def _shares(model: Model, touches: Sequence[Days]) -> list[int]:
    number = len(touches)
    match model:
        case Model.FIRST_TOUCH:
            return [1] + [0] * (number - 1)
        case Model.LAST_TOUCH:
            return [0] * (number - 1) + [1]
        case Model.LINEAR:
            return [1] * number
        case Model.POSITION_BASED if number > 2:
            between = number - 2
            return [_ENDS * between, *[_MIDDLE] * between, _ENDS * between]
        case Model.POSITION_BASED:
            return [1] * number
        case Model.TIME_DECAY:
            newest = touches[-1]
            # The newest counts fully, so that never everybody counts nothing.
            return [round(_FINE * 0.5 ** ((newest - day) / HALF_LIFE_DAYS)) for day in touches]
