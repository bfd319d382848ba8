"""How large a measurement is: large enough to mean something, or to show that it still runs."""

import os
from typing import Final

_VARIABLE: Final = "BENCH_SIZE"


def is_small() -> bool:
    """Whether `BENCH_SIZE=small` asks for the size that measures nothing."""
    return os.environ.get(_VARIABLE) == "small"


def sized(full: int, small: int) -> int:
    """Return a count for a measurement, or for a look whether it still runs."""
    return small if is_small() else full


def lasting(full: float, small: float) -> float:
    """Return seconds for a measurement, or for a look whether it still runs."""
    return small if is_small() else full
