"""What routing decided: to whom a handoff is offered, on what ground, and why not to the others."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Final

from smarketing.values import value

__all__ = [
    "ABLE",
    "A_PERSONS_CHOICE",
    "CHOSEN",
    "Decision",
    "Ground",
    "Letters",
    "PassedOver",
    "Placement",
    "Reason",
    "candidates_in",
    "letters_of",
]


class Reason(StrEnum):
    """Why somebody of a pool could not take a handoff."""

    ON_LEAVE = "ON_LEAVE"
    INACTIVE = "INACTIVE"
    ALREADY_OFFERED = "ALREADY_OFFERED"
    AT_CAPACITY = "AT_CAPACITY"
    SKILL_MISSING = "SKILL_MISSING"
    OTHER_TERRITORY = "OTHER_TERRITORY"
    OTHER_LANGUAGE = "OTHER_LANGUAGE"
    OUT_OF_HOURS = "OUT_OF_HOURS"
    COOLING_OFF = "COOLING_OFF"


CHOSEN: Final = "X"
ABLE: Final = "T"
"""Could have taken it, but had had their share."""
LETTER_OF: Final = {
    Reason.ON_LEAVE: "L",
    Reason.INACTIVE: "I",
    Reason.ALREADY_OFFERED: "O",
    Reason.AT_CAPACITY: "F",
    Reason.SKILL_MISSING: "S",
    Reason.OTHER_TERRITORY: "R",
    Reason.OTHER_LANGUAGE: "G",
    Reason.OUT_OF_HOURS: "H",
    Reason.COOLING_OFF: "C",
}
REASON_OF: Final = {letter: reason for reason, letter in LETTER_OF.items()}

MOST_NAMED: Final = 10
"""So many who were passed over are named in a decision; `candidates` has all, however many."""


class Ground(StrEnum):
    """What decided; NONE when a person chose."""

    NONE = ""
    TURN = "TURN"
    ACCOUNT_OWNER = "ACCOUNT_OWNER"
    NOBODY_ELIGIBLE = "NOBODY_ELIGIBLE"
    NO_RULE_MATCHED = "NO_RULE_MATCHED"
    OFFERS_USED_UP = "OFFERS_USED_UP"
    HISTORY = "HISTORY"


@value(frozen=True, slots=True)
class PassedOver:
    """Somebody who could not take it."""

    person: str
    reason: Reason


@value(frozen=True, slots=True)
class Decision:
    """Why this assignee and not another; version 0 when a person chose."""

    routing_version: int = 0
    rule_id: str = ""
    passed_over: tuple[PassedOver, ...] = ()
    candidates: str = ""
    """A letter for each member of the rule, in its order; a count goes before a letter that repeats."""
    ground: Ground = Ground.NONE
    account_owner: str = ""


A_PERSONS_CHOICE: Final = Decision()
"""How an assignee was found whom no rule found."""


@value(frozen=True, slots=True)
class Placement:
    """Where a handoff goes next."""

    assignee: str
    team: str
    decision: Decision
    is_queue: bool


_same = re.compile(r"((.)\2*)")
_counted = re.compile(r"(\d*)([A-Z])")


class Letters:
    """A letter for each member of a rule, ready to be written down with one of them chosen."""

    __slots__ = ("_chosen", "_counts", "_starts", "_texts", "text")

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._chosen: dict[int, str] = {}
        runs = _same.findall(text)
        self._counts = [len(run) for run, _ in runs]
        self._starts = [0, *accumulate(self._counts)][:-1]
        self._texts = [letter if run == letter else f"{len(run)}{letter}" for run, letter in runs]

    def shortened(self) -> str:
        """Return the letters with a count before each that repeats: `TTTL` is `3TL`."""
        return "".join(self._texts)

    def with_chosen(self, place: int) -> str:
        """Return the same with the one at this place chosen."""
        known = self._chosen.get(place)
        if known is None:
            known = self._chosen[place] = self._with_chosen(place)
        return known

    def _with_chosen(self, place: int) -> str:
        at = bisect_right(self._starts, place) - 1
        before = place - self._starts[at]
        after = self._counts[at] - before - 1
        letter = self.text[place]
        chosen = f"{_run(letter, before)}{CHOSEN}{_run(letter, after)}"
        return "".join([*self._texts[:at], chosen, *self._texts[at + 1 :]])


def _run(letter: str, count: int) -> str:
    return "" if count == 0 else letter if count == 1 else f"{count}{letter}"


def letters_of(candidates: str) -> str:
    """Return the letters that were shortened."""
    return "".join(letter * int(count or 1) for count, letter in _counted.findall(candidates))


def candidates_in(decision: Decision, members: Sequence[str]) -> list[tuple[str, str]]:
    """Return (person, letter) of every member of the rule that decided, in its order at that version."""
    letters = letters_of(decision.candidates)
    return list(zip(members, letters, strict=True)) if letters else []
