"""One value of a figure: a number, or the reason why there is none."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from services.reports.domain.estimators import Curve, Interval, wilson
from services.reports.domain.periods import Micros

__all__ = ["Amount", "Figure", "Undefined", "half_even"]


class Undefined(enum.StrEnum):
    """Why a figure has no value. It is then neither 0 nor 100 %."""

    NO_DENOMINATOR = "no_denominator"
    QUANTILE_NOT_REACHED = "quantile_not_reached"
    NO_DATA = "no_data"
    MIXED_CURRENCIES = "mixed_currencies"
    NOT_REACHED = "not_reached"
    QUOTA_MET = "quota_met"


@dataclass(frozen=True, slots=True)
class Amount:
    """Money, exact."""

    currency: str
    minor_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with what it rests on. Exactly one of the first six is set."""

    ratio: float | None = None
    count: int | None = None
    duration: Micros | None = None
    amount: Amount | None = None
    scalar: float | None = None
    """Any other number, in the figure's own unit."""
    undefined: Undefined | None = None
    numerator: int | None = None
    denominator: int | None = None
    interval: Interval | None = None
    open_count: int | None = None
    maturity: float | None = None
    invalid_count: int | None = None

    @classmethod
    def share(cls, numerator: int, denominator: int, *, open_count: int | None = None) -> "Figure":
        """Return a share of a whole with its Wilson interval; undefined without a whole."""
        if denominator == 0:
            return cls(
                undefined=Undefined.NO_DENOMINATOR, numerator=numerator, denominator=0, open_count=open_count
            )
        return cls(
            ratio=numerator / denominator,
            numerator=numerator,
            denominator=denominator,
            interval=wilson(numerator, denominator),
            open_count=open_count,
        )

    @classmethod
    def quotient(cls, numerator: int, denominator: int) -> "Figure":
        """Return a ratio of two flows, which is no share of a whole and has no interval."""
        if denominator == 0:
            return cls(undefined=Undefined.NO_DENOMINATOR, numerator=numerator, denominator=0)
        return cls(ratio=numerator / denominator, numerator=numerator, denominator=denominator)

    @classmethod
    def number(cls, count: int) -> "Figure":
        """Return a count of things; none is 0."""
        return cls(count=count)

    @classmethod
    def quantile(cls, curve: Curve, share: float, *, invalid_count: int = 0) -> "Figure":
        """Return the duration by which `share` were answered, or that the curve does not get there."""
        reached = curve.quantile(share)
        if curve.item_count == 0:
            undefined: Undefined | None = Undefined.NO_DENOMINATOR
        else:
            undefined = Undefined.QUANTILE_NOT_REACHED if reached is None else None
        return cls(
            duration=reached,
            undefined=undefined,
            denominator=curve.item_count,
            open_count=curve.waiting_count,
            invalid_count=invalid_count,
        )

    @classmethod
    def sum_of(cls, amounts: Mapping[str, tuple[int, int]], *, default_currency: str) -> "Figure":
        """Return the sum of amounts by currency (number, minor units); unknown amounts add nothing.

        Nothing at all is zero of `default_currency` where the tenant has one.
        """
        known = {currency: sums for currency, sums in amounts.items() if currency and sums[0]}
        number = sum(sums[0] for sums in amounts.values())
        if len(known) > 1:
            return cls(undefined=Undefined.MIXED_CURRENCIES, denominator=number)
        for currency, (_, minor_units) in known.items():
            return cls(amount=Amount(currency, minor_units), denominator=number)
        if number or not default_currency:
            return cls(undefined=Undefined.NO_DATA, denominator=number)
        return cls(amount=Amount(default_currency, 0), denominator=0)

    @classmethod
    def mean_of(cls, amounts: Mapping[str, tuple[int, int]]) -> "Figure":
        """Return the mean amount, in whole minor units to the nearer even; unknown amounts stay out of it."""
        known = {currency: sums for currency, sums in amounts.items() if currency and sums[0]}
        number = sum(sums[0] for sums in known.values())
        if len(known) > 1:
            return cls(undefined=Undefined.MIXED_CURRENCIES, denominator=number)
        for currency, (items, minor_units) in known.items():
            return cls(amount=Amount(currency, half_even(minor_units, items)), denominator=items)
        return cls(undefined=Undefined.NO_DENOMINATOR, denominator=0)


def half_even(numerator: int, denominator: int) -> int:
    """Return the quotient as a whole number, the nearer even one where it lies between two."""
    whole, rest = divmod(numerator, denominator)
    more = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
    return whole + more
