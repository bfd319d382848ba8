"""Crowds whose truth is known: what is decided without a person is as right as the tenant wants it.

Prints precision and recall for each seed; `make prove` takes more of them.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from services.leads.domain.lead import Submission
from services.leads.domain.matching import BY_ADDRESS, IdentityRules
from services.leads.store.duplicates import list_possible_duplicates
from tests.builders.crowds import RULES, Crowd
from tests.builders.leads import House, a_directory

SEEDS = range(20 if "PROVE" in os.environ else 2)


@dataclass
class Score:
    """How well leads were told apart."""

    merged: int = 0
    rightly: int = 0
    known: int = 0
    listed: int = 0

    @property
    def precision(self) -> float:
        """Of what was decided without a person, how much is right."""
        return self.rightly / self.merged

    @property
    def recall(self) -> float:
        """Of those who were here before, how many were recognised."""
        return self.rightly / self.known

    @property
    def found(self) -> float:
        """Of the same, how many were recognised or put before a person."""
        return (self.rightly + self.listed) / self.known

    def __str__(self) -> str:
        return f"precision {self.precision:.4f}, recall {self.recall:.3f}, with people {self.found:.3f}"


async def scored(seed: int, rules: IdentityRules, *, count: int = 500) -> Score:
    score = Score()
    truth: dict[str, int] = {}
    async with House(replace(a_directory(), identity=rules)) as town:
        told = list(Crowd(seed).submissions(count))
        for first in range(0, count, 50):
            score_batch(score, truth, told[first : first + 50], await batch(town, told[first : first + 50]))
        listed = await town.rows(list_possible_duplicates("default", "", after=None, limit=1_000))
        pairs = [(each.lead, each.other_lead) for each in listed]
        score.listed = len({lead for lead, other in pairs if truth[lead] == truth[other]})
    return score


async def batch(town: House, told: Sequence[tuple[int, Submission]]) -> list[str]:
    submitted = await town.submit(*(submission for _, submission in told))
    return [result.handoff.id.lead for result in submitted]


def score_batch(
    score: Score, truth: dict[str, int], told: Sequence[tuple[int, Submission]], leads: Sequence[str]
) -> None:
    for (who, _), lead in zip(told, leads, strict=True):
        score.known += who in truth.values()
        if lead in truth:
            score.merged += 1
            score.rightly += truth[lead] == who
        else:
            truth[lead] = who


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_merged_without_asking_is_as_right_as_the_tenant_wants_it(seed: int) -> None:
    by_rules, by_address = await scored(seed, RULES), await scored(seed, BY_ADDRESS)
    sys.stdout.write(f"\nseed {seed}: by rules {by_rules}; by address alone {by_address}\n")

    assert by_rules.precision >= RULES.automatic_from / 10_000
    # Whom an address alone would find is decided, or put before a person: nobody is lost to caution.
    assert by_rules.found >= by_address.recall
