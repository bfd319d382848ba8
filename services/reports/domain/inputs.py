"""What people and systems record because no log tells it: costs, goals, revenue, counts, answers."""

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from services.reports.domain.figures import Amount, Undefined
from services.reports.domain.periods import Days, Period

__all__ = [
    "InputEntry",
    "InputKind",
    "InputParts",
    "Outcome",
    "Part",
    "Sums",
    "amount",
    "currency_of",
    "money_of",
    "part_of",
    "spread",
    "summed",
]

Sums: TypeAlias = Mapping[str, tuple[int, int]]
"""By currency: how many amounts, and their sum in minor units."""


class InputKind(enum.StrEnum):
    """What an input says."""

    COST = "cost"
    GOAL = "goal"
    REVENUE = "revenue"
    COUNT = "count"
    SUM = "sum"
    ANSWERS = "answers"
    TOUCHPOINT = "touchpoint"


class Outcome(enum.StrEnum):
    """What became of an input."""

    RECORDED = "recorded"
    REPLACED = "replaced"
    DUPLICATE = "duplicate"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputEntry:
    """One input as it is kept; its fields are the columns of the table, in this order."""

    tenant: str
    source_system: str
    external_id: str
    revision: int = 0
    withdrawn: bool = False
    kind: str
    word: str = ""
    """The type of a cost, the measure of a goal, the series of a count …"""
    first_day: Days
    last_day: Days
    """The day behind its last."""
    number: int = 0
    """Minor units of an amount, else how many."""
    currency: str = ""
    second: int | None = None
    """Of revenue the cost of what was sold, of answers their score, of a goal marketing's basis points."""
    party: str = ""
    team: str | None = None
    person: str | None = None
    campaign: str | None = None
    investment: str | None = None
    source_channel: str | None = None
    segment: str | None = None
    region: str | None = None
    product: str | None = None
    journey: str = ""


def spread(number: int, entry: InputEntry, period: Period | None) -> int:
    """Return the part of an entry's number that falls into a period: each of its days has the same.

    The parts of periods that cover the entry without a gap add up to the number, exactly.
    """
    if period is None:
        return number
    days = entry.last_day - entry.first_day
    begin = min(max(period.first - entry.first_day, 0), days)
    end = min(max(period.last - entry.first_day, 0), days)
    return number * end // days - number * begin // days


class Part(NamedTuple):
    """An entry, and what of it falls into the period asked for."""

    entry: InputEntry
    number: int
    second: int | None


def part_of(entry: InputEntry, period: Period | None) -> Part:
    """Return what of an entry falls into a period; a score, and a share of a goal, is not spread."""
    second = entry.second
    if second is not None and entry.kind == InputKind.REVENUE:
        second = spread(second, entry, period)
    return Part(entry, spread(entry.number, entry, period), second)


@dataclass(frozen=True, slots=True)
class InputParts:
    """The entries of a group in a period."""

    parts: Sequence[Part] = ()
    period: Period | None = None

    def until(self, day: Days) -> "InputParts":
        """Return what of them lies before a day."""
        period = (self.period or Period(1, day)).before(day) if day > 1 else None
        if period is None:
            return InputParts()
        return InputParts([part_of(part.entry, period) for part in self.parts], period)

    def of(self, kind: InputKind, *words: str) -> list[Part]:
        """Return those of a kind, and of these words where some are given."""
        return [
            part for part in self.parts if part.entry.kind == kind and (not words or part.entry.word in words)
        ]

    def sums(self, kind: InputKind, *words: str, party: str = "") -> Sums:
        """Return their amounts by currency."""
        return summed(
            (part.entry.currency, part.number)
            for part in self.of(kind, *words)
            if not party or part.entry.party == party
        )

    def count(self, series: str) -> int | None:
        """Return how many were counted; None when nobody counted."""
        found = self.of(InputKind.COUNT, series)
        return sum(part.number for part in found) if found else None

    def whole(self, series: str) -> int | None:
        """Return a count that cannot be added: the one entry that is about exactly this period, else None."""
        found = [part.entry for part in self.of(InputKind.COUNT, series) if self._is_about(part.entry)]
        return found[0].number if len(found) == 1 else None

    def at_start(self, series: str) -> int | None:
        """Return a standing number as the earliest entries within the period tell it; None without one."""
        found = self._earliest(InputKind.COUNT, series)
        return sum(entry.number for entry in found) if found else None

    def sums_at_start(self, kind: InputKind, word: str) -> Sums:
        """Return standing amounts, by currency, as the earliest entries within the period tell them."""
        return summed((entry.currency, entry.number) for entry in self._earliest(kind, word))

    def at_end(self, series: str) -> int | None:
        """Return a standing number as the latest entries that ended in the period tell it, one a channel."""
        latest: dict[str | None, InputEntry] = {}
        for part in self.of(InputKind.COUNT, series):
            entry = part.entry
            known = latest.get(entry.source_channel)
            ended = self.period is None or entry.last_day <= self.period.last
            if ended and (known is None or entry.last_day > known.last_day):
                latest[entry.source_channel] = entry
        return sum(entry.number for entry in latest.values()) if latest else None

    def costs_of_sales(self) -> Sums | None:
        """Return what was sold had cost; None when a line of revenue does not say."""
        lines = self.of(InputKind.REVENUE, "new", "repeat", "expansion")
        if not lines or any(part.second is None for part in lines):
            return None
        return summed((part.entry.currency, part.second or 0) for part in lines)

    def _earliest(self, kind: InputKind, word: str) -> list[InputEntry]:
        found = [part.entry for part in self.of(kind, word) if self._holds(part.entry)]
        first = min((entry.first_day for entry in found), default=0)
        return [entry for entry in found if entry.first_day == first]

    def _is_about(self, entry: InputEntry) -> bool:
        return self.period is None or (entry.first_day, entry.last_day) == (
            self.period.first,
            self.period.last,
        )

    def _holds(self, entry: InputEntry) -> bool:
        return self.period is None or (
            self.period.first <= entry.first_day and entry.last_day <= self.period.last
        )


def money_of(*sums: Sums | None) -> list[int] | Undefined:
    """Return sums in their one currency, nothing where one has none; or why they cannot stand together."""
    if any(each is None for each in sums):
        return Undefined.NO_DATA
    currencies = {currency for each in sums if each for currency, (number, _) in each.items() if number}
    if "" in currencies:
        return Undefined.NO_DATA
    if len(currencies) > 1:
        return Undefined.MIXED_CURRENCIES
    if not currencies:
        return Undefined.NO_DATA
    (currency,) = currencies
    return [(each or {}).get(currency, (0, 0))[1] for each in sums]


def currency_of(*sums: Sums | None) -> str:
    """Return the one currency of sums that `money_of` could read."""
    return next(currency for each in sums if each for currency, (number, _) in each.items() if number)


def amount(minor_units: int, *sums: Sums | None) -> Amount:
    """Return an amount in the one currency of these sums."""
    return Amount(currency_of(*sums), minor_units)


def summed(amounts: Iterable[tuple[str, int]]) -> Sums:
    """Return amounts, each a currency and minor units, by currency."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for currency, minor_units in amounts:
        number, known = found[currency]
        found[currency] = (number + 1, known + minor_units)
    return dict(found)
