"""Working time as a type of its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class BusinessTime:
    """An amount of open time, exact to the microsecond; may be negative.

    It mixes with nothing but itself: adding a `timedelta`, or comparing with one, is an error, because an
    hour of working time and an hour on the wall are different things.
    """

    microseconds: int = 0

    @classmethod
    def of(cls, *, hours: int = 0, minutes: int = 0, seconds: int = 0, microseconds: int = 0) -> Self:
        """Return the sum of the given parts."""
        return cls(((hours * 60 + minutes) * 60 + seconds) * _SECOND + microseconds)

    @classmethod
    def total(cls, amounts: Iterable["BusinessTime"]) -> Self:
        """Return the sum of the amounts; zero of none."""
        return cls(sum(amount.microseconds for amount in amounts))

    def __add__(self, other: "BusinessTime") -> "BusinessTime":
        if not isinstance(other, BusinessTime):
            return NotImplemented
        return BusinessTime(self.microseconds + other.microseconds)

    def __sub__(self, other: "BusinessTime") -> "BusinessTime":
        if not isinstance(other, BusinessTime):
            return NotImplemented
        return BusinessTime(self.microseconds - other.microseconds)

    def __neg__(self) -> "BusinessTime":
        return BusinessTime(-self.microseconds)

    def __mul__(self, factor: int) -> "BusinessTime":
        if not isinstance(factor, int):
            return NotImplemented
        return BusinessTime(self.microseconds * factor)

    def __bool__(self) -> bool:
        return self.microseconds != 0

    def __str__(self) -> str:
        whole, fraction = divmod(abs(self.microseconds), _SECOND)
        sign = "-" if self.microseconds < 0 else ""
        decimals = f".{fraction:06}".rstrip("0") if fraction else ""
        return f"{sign}{whole}{decimals}s"
