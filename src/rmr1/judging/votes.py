"""Votes to a judgment: the majority within each order, then agreement between the orders."""

from __future__ import annotations

from collections.abc import Sequence

from rmr1.judging.completions import Completion
from rmr1.records import Judgment, Order, Usage, Vote, Winner


def combine(samples: Sequence[Completion], rule: str) -> Judgment:
    """Combine all samples of one pair.

    Within an order, the side with more valid votes wins; as many for each is a tie. Orders that agree decide; orders that disagree
    are a tie and not position-consistent. Where one order has no valid vote, the other one decides and consistency is unknown.

    Args:
        samples: The samples of one pair, at least one.
        rule: The rule that reads verdicts.
    """
    ordered = sorted(samples, key=lambda sample: sample.index)
    votes = tuple(sample.as_vote(rule) for sample in ordered)
    first = ordered[0]
    winner, consistent = _decide(votes)
    return Judgment(
        id=first.pair_id,
        winner=winner,
        confidence=_confidence(votes, winner),
        position_consistent=consistent,
        correct=None if first.label is None else winner == first.label,
        votes=votes,
        usage=sum((vote.usage for vote in votes), Usage()),
        label=first.label,
        group=first.group,
        category=first.category,
    )


def _decide(votes: Sequence[Vote]) -> tuple[Winner | None, bool | None]:
    outcomes = [_majority(votes, order) for order in dict.fromkeys(vote.order for vote in votes)]
    valid = [outcome for outcome in outcomes if outcome is not None]
    if not valid:
        return None, None
    if len(outcomes) < 2 or len(valid) < 2:
        return valid[0], None
    agree = valid[0] == valid[1]
    return (valid[0] if agree else "tie"), agree


def _majority(votes: Sequence[Vote], order: Order) -> Winner | None:
    sides = [vote.side for vote in votes if vote.order == order and vote.side is not None]
    if not sides:
        return None
    balance = sides.count("A") - sides.count("B")
    return "tie" if balance == 0 else "A" if balance > 0 else "B"


def _confidence(votes: Sequence[Vote], winner: Winner | None) -> float:
    if winner is None:
        return 0.0
    if winner == "tie":
        return 0.5
    return sum(vote.side == winner for vote in votes) / len(votes)
