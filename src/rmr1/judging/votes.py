"""From completions to a judgment, from judgments to results: the majority in each order, then agreement between the orders."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy

from rmr1.judging.completions import Completion
from rmr1.records import Judgment, Order, Usage, Vote, Winner
from rmr1.results import Estimate, InvalidVerdicts, JudgeResults
from rmr1.stats import estimate_share

_ABSENT, _NO_LABEL, _RIGHT, _WRONG, _TIE, _NO_WINNER = range(6)


def combine(completions: Sequence[Completion], rule: str) -> Judgment:
    """Combine all completions of one pair.

    Within an order, the side with more valid votes wins; equal counts are a tie. Orders that agree decide; orders that disagree
    are a tie and not position-consistent. If one order has no valid vote, the other one decides and consistency is unknown.

    Args:
        completions: The completions of one pair, at least one.
        rule: The rule that reads verdicts.
    """
    ordered = sorted(completions, key=lambda completion: completion.index)
    votes = tuple(completion.as_vote(rule) for completion in ordered)
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


class JudgmentTally:
    """Counts judgments as they come, in a few bytes for each pair and whatever their order.

    Metrics and their policies:

    - ``accuracy``: pairs whose winner is the label; ties and pairs without a winner count as wrong.
    - ``accuracy_decided``: the same among the pairs that have a winner.
    - ``vote_accuracy``: single completions that name the label; invalid ones count as wrong. Chance is 0.5.
    - ``position_consistency``: pairs whose orders agree, among those with a valid verdict in both.
    - ``first_shown``: valid verdicts for the response shown first; 0.5 where position has no influence.
    - ``invalid``: completions without a verdict, by reason.
    """

    def __init__(self) -> None:
        self._outcomes = bytearray()
        self._consistent = bytearray()
        self._category = array("I")
        self._categories: dict[str, int] = {}
        self._invalid: Counter[str] = Counter()
        self._votes = self._labelled_votes = self._right_votes = self._valid_votes = self._first_votes = 0
        self._fenced = 0
        self.usage = Usage()

    def add(self, number: int, judgment: Judgment) -> None:
        """Count the judgment of the pair with this number."""
        self._grow(number + 1)
        self._outcomes[number] = _outcome(judgment)
        if judgment.position_consistent is not None:
            self._consistent[number] = 1 + judgment.position_consistent
        self._category[number] = self._categories.setdefault(judgment.category, len(self._categories))
        self.usage += judgment.usage
        for vote in judgment.votes:
            self._votes += 1
            self._fenced += vote.fenced > 0
            if vote.verdict.invalid is not None:
                self._invalid[vote.verdict.invalid] += 1
            if vote.verdict.side is not None:
                self._valid_votes += 1
                self._first_votes += vote.verdict.side == "A"
            if judgment.label is not None:
                self._labelled_votes += 1
                self._right_votes += vote.side == judgment.label

    @property
    def pairs(self) -> int:
        """Pairs counted."""
        return len(self._outcomes) - self._outcomes.count(_ABSENT)

    @property
    def invalid_share(self) -> float:
        """Invalid completions among all."""
        return sum(self._invalid.values()) / self._votes if self._votes else 0.0

    def accuracy(
        self, clusters: Sequence[int], category: int | None = None, *, decided: bool = False
    ) -> Estimate | None:
        """The share of labelled pairs whose winner is the label; see the class for the policy."""
        counted = (_RIGHT, _WRONG) if decided else (_RIGHT, _WRONG, _TIE, _NO_WINNER)
        return self._share(clusters, [outcome in counted for outcome in range(6)], self._outcomes, _RIGHT, category)

    def consistency(self, clusters: Sequence[int]) -> Estimate | None:
        """The share of pairs whose orders agree."""
        return self._share(clusters, [False, True, True], self._consistent, 2, None)

    def results(self, clusters: Sequence[int]) -> JudgeResults:
        """What the judgments come to; the same whatever the order in which they came.

        Args:
            clusters: For each pair by its number, the cluster that it belongs to.
        """
        outcomes = Counter(self._outcomes)
        return JudgeResults(
            pairs=self.pairs,
            completions=self._votes,
            labelled_pairs=self.pairs - outcomes[_NO_LABEL],
            right=outcomes[_RIGHT],
            wrong=outcomes[_WRONG],
            ties=outcomes[_TIE],
            no_winner=outcomes[_NO_WINNER],
            accuracy=self.accuracy(clusters),
            accuracy_decided=self.accuracy(clusters, decided=True),
            vote_accuracy=_ratio(self._right_votes, self._labelled_votes),
            position_consistency=self.consistency(clusters),
            first_shown=_ratio(self._first_votes, self._valid_votes),
            invalid=InvalidVerdicts(self.invalid_share, dict(sorted(self._invalid.items()))),
            fenced_prompts=self._fenced,
            tokens=self.usage,
            by_category=self._by_category(clusters),
        )

    def _by_category(self, clusters: Sequence[int]) -> Mapping[str, Estimate | None]:
        if set(self._categories) <= {""}:
            return {}
        return {name: self.accuracy(clusters, number) for name, number in sorted(self._categories.items())}

    def _share(
        self, clusters: Sequence[int], counted: Sequence[bool], codes: bytearray, success: int, category: int | None
    ) -> Estimate | None:
        if not codes:
            return None
        outcomes = numpy.frombuffer(codes, numpy.uint8)
        chosen = numpy.array(counted)[outcomes]
        if category is not None:
            chosen &= numpy.frombuffer(self._category, numpy.uint32)[: len(outcomes)] == category
        _, cluster = numpy.unique(numpy.asarray(clusters, numpy.uint64)[: len(outcomes)][chosen], return_inverse=True)
        successes = numpy.bincount(cluster, outcomes[chosen] == success)
        return estimate_share(successes, numpy.bincount(cluster))

    def _grow(self, length: int) -> None:
        missing = length - len(self._outcomes)
        if missing > 0:
            self._outcomes.extend(bytes(missing))
            self._consistent.extend(bytes(missing))
            self._category.extend([0] * missing)


def _outcome(judgment: Judgment) -> int:
    if judgment.label is None:
        return _NO_LABEL
    if judgment.winner is None:
        return _NO_WINNER
    if judgment.winner == "tie":
        return _TIE
    return _RIGHT if judgment.winner == judgment.label else _WRONG


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
