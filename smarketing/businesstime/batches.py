"""Many questions at once, answered with numpy; imported by the first batch where numpy is installed.

Everything here is about one flat table of openings; what lies outside of it is left to the caller.
"""

from array import array
from collections.abc import Sequence
from operator import sub
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]

INSTANTS: Final = "q"
"""The type of the arrays that instants and amounts are kept in: signed integers of 64 bits."""

_MOST: Final = 2**60
"""Beyond this an amount could run over 64 bits when it is added to an instant."""


_MOST_BUCKETS: Final = 2**18


class _Finder:
    """How many of the sorted keys are at most a value: looked up by buckets that hold one key at most.

    Keys that lie too close together for that are searched.
    """

    def __init__(self, keys: Sequence[int]) -> None:
        self._keys = np.array([*keys, np.iinfo(np.int64).max], dtype=np.int64)
        self._low = keys[0] if keys else 0
        spacing = min(map(sub, keys[1:], keys), default=1)
        self._shift = spacing.bit_length() - 1
        span = keys[-1] - keys[0] if keys else 0
        self._below: _Ints | None = None
        if len(keys) > 1 and span >> self._shift < _MOST_BUCKETS:
            edges = self._low + (np.arange((span >> self._shift) + 1, dtype=np.int64) << self._shift)
            self._below = np.searchsorted(self._keys, edges, side="left").astype(np.int64)

    def count(self, values: _Ints) -> _Ints:
        """Return the number of keys that are at most each value."""
        if self._below is None:
            return np.searchsorted(self._keys[:-1], values, side="right")
        at = self._below.take((values - self._low) >> self._shift, mode="clip")
        at += self._keys[at] <= values
        return at


class Columns:
    """The table `starts`, `ends`, `upto`, `slack` of openings in `[first, last)`, as columns of numbers."""

    def __init__(
        self,
        first: int,
        last: int,
        *,
        starts: Sequence[int],
        ends: Sequence[int],
        upto: Sequence[int],
        slack: Sequence[int],
    ) -> None:
        self.first = first
        self.last = last
        self._starts = _numbers(starts)
        self._ends = _numbers(ends)
        self._at_start, self._at_end, self._at_upto = _Finder(starts), _Finder(ends), _Finder(upto)
        self._slack = _numbers(slack)

    def add(self, starts: "array[int]", amount: int) -> "tuple[array[int], list[int]]":
        """Return each start moved on by an amount above 0, and which of them the table cannot answer."""
        asked = np.frombuffer(starts, dtype=np.int64)
        if not len(self._ends) or not 0 < amount < _MOST:
            return array(INSTANTS, starts), list(range(len(starts)))
        at = self._at_end.count(asked)
        inside = (asked >= self.first) & (asked < self.last)
        # An index past the last opening is answered with that one, and then again by the caller.
        inside &= at < len(self._ends)
        wanted = np.maximum(asked, self._starts.take(at, mode="clip"))
        wanted -= self._slack.take(at, mode="clip")
        wanted += amount
        at = self._at_upto.count(wanted - 1)
        inside &= at < len(self._ends)
        wanted += self._slack.take(at, mode="clip")
        return _array(wanted), _missing(inside)

    def between(self, starts: "array[int]", ends: "array[int]") -> "tuple[array[int], list[int]]":
        """Return the open time between each pair, and which of the pairs the table cannot answer."""
        one, other = np.frombuffer(starts, dtype=np.int64), np.frombuffer(ends, dtype=np.int64)
        inside = self._holds(one) & self._holds(other)
        return _array(self._count(other) - self._count(one)), _missing(inside)

    def _holds(self, asked: _Ints) -> npt.NDArray[np.bool_]:
        return (asked >= self.first) & (asked < self.last)

    def _count(self, asked: _Ints) -> _Ints:
        if not len(self._starts):
            return np.zeros(len(asked), dtype=np.int64)
        at = self._at_start.count(asked) - 1
        counted = np.minimum(asked, self._ends.take(at, mode="clip"))
        counted -= self._slack.take(at, mode="clip")
        counted[at < 0] = 0
        return counted


def bounds(*asked: "array[int]") -> tuple[int, int]:
    """Return the least and the greatest of instants; there must be one."""
    columns = [np.frombuffer(each, dtype=np.int64) for each in asked]
    return min(int(each.min()) for each in columns), max(int(each.max()) for each in columns)


def _numbers(values: Sequence[int]) -> _Ints:
    return np.array(values, dtype=np.int64)


def _array(values: _Ints) -> "array[int]":
    made = array(INSTANTS)
    made.frombytes(values.tobytes())
    return made


def _missing(inside: Any) -> list[int]:
    return [] if inside.all() else [int(at) for at in np.flatnonzero(~inside)]
