"""Votes that need not be asked for: when the votes of an order settle its majority, and which ones are asked for next.

Each order of a pair is a sequence of votes of its own. The rule looks at the first n of them and says whether more are needed, so
which votes there are depends on the votes alone: not on what was under way at the same time, nor on interruptions. As many votes
are asked for together as are needed whatever they say, so nothing is asked for in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import comb

from rmr1.config import StopPolicy
from rmr1.records import Side


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When no more votes of an order are needed.

    ``early`` stops once no answers of the others could change the majority: its lead is larger than their number. What wins an
    order, and so the outcome of the pair, is what all votes would have said; so is the score of a benchmark under every policy that
    reads verdicts by the rule of the run.

    ``sequential`` also stops once the others are unlikely to change it. With ``a`` votes for the leader, ``b`` against and ``r`` to
    come, the number of the latter that are against has a beta-binomial distribution if every share of votes is as likely as any
    other before the first vote. The rule stops if the probability that they make the majority another one, or a tie, is at most
    ``error``. So if shares are uniformly distributed over pairs, all votes would decide at most that part of the orders
    otherwise. To stop sampling by the posterior of the majority is adaptive consistency (Aggarwal et al. 2023); to look at the
    predictive probability of the final result is usual in clinical trials (Spiegelhalter et al. 1986; Lee and Liu 2008). Invalid
    votes to come are taken for valid ones, which can only delay the stop.

    Args:
        votes: Votes of each order at most.
        policy: ``never`` asks for all of them.
        error: See above.
    """

    votes: int
    policy: StopPolicy = "never"
    error: float = 0.05

    def to_ask(self, for_a: int, for_b: int, asked: int) -> int:
        """How many more votes are certainly needed, whatever they say; 0 if none is.

        Args:
            for_a: Votes for A among the first ``asked``.
            for_b: Votes for B among them; the others are invalid.
            asked: How many the order has.
        """
        left = self.votes - asked
        if self.policy == "never" or left <= 0:
            return max(left, 0)
        most, least = max(for_a, for_b), min(for_a, for_b)
        return next(more for more in range(left + 1) if self._is_settled(most + more, least, left - more))

    def _is_settled(self, most: int, least: int, left: int) -> bool:
        if left == 0 or most - least > left:
            return True
        return self.policy == "sequential" and most > least and change_probability(most, least, left) <= self.error


@cache
def change_probability(most: int, least: int, left: int) -> float:
    """The probability that votes to come take the majority away, or make a tie, if every share is as likely before the first vote.

    Args:
        most: Votes for the leader.
        least: Votes against.
        left: Votes to come, all taken to be valid.
    """
    enough = (most - least + left + 1) // 2
    ways = sum(comb(least + against, against) * comb(most + left - against, left - against)
               for against in range(enough, left + 1))  # fmt: skip
    return ways / comb(most + least + left + 1, left)


_ABSENT = 0
_SAID: dict[Side | None, int] = {"A": 1, "B": 2, None: 3}


class VoteLedger:
    """What each vote of each pair says, in one byte: which comparisons are answered, and which are to be asked for.

    Args:
        rule: When votes are not needed.
        orders: Orders of each pair.
    """

    def __init__(self, rule: StoppingRule, orders: int) -> None:
        self._rule = rule
        self._per_pair = orders * rule.votes
        self._said = bytearray()

    def add(self, pair: int, index: int, side: Side | None) -> None:
        """A comparison is answered.

        Args:
            pair: Number of the pair.
            index: Number of the comparison within it.
            side: The side of the pair that the answer prefers, or None.
        """
        place = pair * self._per_pair + index
        if place >= len(self._said):
            self._said.extend(bytes(place + 1 - len(self._said) + 4096))
        self._said[place] = _SAID[side]

    def has(self, pair: int, index: int) -> bool:
        """Whether a comparison is answered."""
        place = pair * self._per_pair + index
        return place < len(self._said) and self._said[place] != _ABSENT

    def wanted(self, pair: int) -> list[int]:
        """Numbers of the comparisons that are needed now and not answered; none if the judgment of the pair can be made."""
        return [index for begin, end in self._needed(pair) for index in range(begin, end) if not self.has(pair, index)]

    def surplus(self, pair: int) -> int | None:
        """Number of an answered comparison that those before it make needless, if there is one."""
        votes = self._rule.votes
        for order, (begin, end) in enumerate(self._needed(pair)):
            # If one is missing that is needed, nobody knows what the later ones were asked for.
            needless = range(end, (order + 1) * votes) if begin == end else ()
            if (found := next((index for index in needless if self.has(pair, index)), None)) is not None:
                return found
        return None

    def _needed(self, pair: int) -> Iterator[tuple[int, int]]:
        """For each order: the number of its first comparison that is not answered, and where those end that are needed now."""
        votes = self._rule.votes
        for begin in range(0, self._per_pair, votes):
            for_a = for_b = asked = 0
            place = pair * self._per_pair + begin
            said = self._said[place : place + votes].ljust(votes, b"\0")
            while more := self._rule.to_ask(for_a, for_b, asked):
                vote = said[asked]
                if vote == _ABSENT:
                    break
                for_a += vote == _SAID["A"]
                for_b += vote == _SAID["B"]
                asked += 1
            yield begin + asked, begin + asked + more
