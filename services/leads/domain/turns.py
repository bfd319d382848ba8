"""Whose turn it is in a pool: shares by weight, fair to who was away, with a bound that is proved.

Everybody who can take a handoff is due their share of it, their weight among those who can; the one
who is owed most takes it and pays a whole turn. Who cannot take it is neither due nor charged: they
come back to the balance they left, so nothing piles up to flood them, and nothing they had is lost.

Bound. In a pool that n people were ever members of, nobody is ever more than (n - 1)/2 turns away
from the sum of their shares: whoever was away when, whatever the weights, and however they changed.

Proof. Let a balance be what somebody is owed: shares less turns. The balances sum to nothing, always.
Let S(k) be the sum of the k largest. We show S(k) <= k(n - k)/2, by induction over turns; k = 1 bounds
who is owed most by (n - 1)/2, and as the n - 1 largest sum to the smallest's opposite, k = n - 1 bounds
who is ahead most by the same. At the start all is 0. Take the state after a turn that j was given, and
let A be k largest balances of it.
 1. If j is in A, or nobody in A could take the handoff, what A holds did not grow: j paid what all of
    the shares sum to. So S(k) <= k(n - k)/2 as before.
 2. Otherwise somebody i in A could have taken it and was owed no more than j before j paid, so i is now
    owed at most one turn more than j, who is outside of A. So the smallest in A is at most one turn above
    the largest outside: S(k) - S(k-1) <= S(k+1) - S(k) + 1, that is 2 S(k) <= S(k-1) + S(k+1) + 1.
Let D(k) = S(k) - k(n - k)/2; D(0) = D(n) = 0. In case 2, 2 D(k) <= D(k-1) + D(k+1). Were the largest D
above 0, it would be at case 2, and both neighbours equal to it, and theirs in turn, down to D(0) = 0. QED.
(It is the carpool problem of Ajtai, Aspnes, Naor, Rabani, Schulman and Waarts, "Fairness in scheduling",
1998, with weights; the proof stands by itself.)

As long as the same people can take every handoff, nobody is ever a full turn ahead of their due.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

__all__ = ["TURN", "Balance", "Pool", "shares_of"]

TURN: Final = 10**9
"""The parts of one turn; balances are whole parts, so that nothing can drift."""


@dataclass(slots=True)
class Balance:
    """What somebody was given and what they were due in a pool."""

    turns: int = 0
    owed: int = 0
    """What was due and not given, in parts of a turn; negative for who is ahead."""

    @property
    def due(self) -> Fraction:
        """The turns that were due."""
        return self.turns + Fraction(self.owed, TURN)


def shares_of(weights: Sequence[int]) -> list[int]:
    """Return the whole parts of one turn that are due by these weights; equals are due the same.

    Each is less than one part below its exact share; what that leaves of the turn goes to whoever takes it.
    """
    total = sum(weights)
    return [weight * TURN // total for weight in weights]


class Pool:
    """The balances of everybody who was ever a member of a rule's pool."""

    __slots__ = ("_balances", "changed")

    def __init__(self, balances: Mapping[str, tuple[int, int]] | None = None) -> None:
        given = balances or {}
        self._balances = {person: Balance(turns, owed) for person, (turns, owed) in given.items()}
        self.changed = False

    def balance(self, person: str) -> Balance:
        """Return somebody's balance; who is new begins with nothing."""
        balance = self._balances.get(person)
        if balance is None:
            balance = self._balances[person] = Balance()
        return balance

    def balances(self) -> Mapping[str, Balance]:
        """Return every balance, in the order in which they were opened."""
        return self._balances

    def give(self, able: Sequence[Balance], shares: Sequence[int]) -> int:
        """Give the turn to one of those who are able, and return which; of equals, the first.

        `shares` are theirs by `shares_of`; somebody has to be able.
        """
        most, chosen = -(1 << 62), 0
        for at, (balance, share) in enumerate(zip(able, shares, strict=True)):
            balance.owed = owed = balance.owed + share
            if owed > most:
                most, chosen = owed, at
        able[chosen].turns += 1
        able[chosen].owed -= sum(shares)
        self.changed = True
        return chosen

    @property
    def turns(self) -> int:
        """How many turns were given."""
        return sum(balance.turns for balance in self._balances.values())

    @property
    def largest_deviation(self) -> Fraction:
        """The largest distance of anybody from their due, in turns."""
        return Fraction(max((abs(each.owed) for each in self._balances.values()), default=0), TURN)

    @property
    def bound(self) -> Fraction:
        """What that distance can never exceed, in turns."""
        return Fraction(max(len(self._balances) - 1, 0), 2)
