"""The summary of a run of judgments, in a few bytes for each pair and independent of the order of arrival."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy

from rmr1.records import Judgment, Usage
from rmr1.results import Estimate
from rmr1.stats import estimate_share

_ABSENT, _NO_LABEL, _RIGHT, _WRONG, _TIE, _NO_WINNER = range(6)


class Summary:
    """Counts judgments as they come.

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
    def votes(self) -> int:
        """Completions counted."""
        return self._votes

    @property
    def invalid_share(self) -> float:
        """Invalid completions among all."""
        return sum(self._invalid.values()) / self._votes if self._votes else 0.0

    @property
    def engine_errors(self) -> int:
        """Completions that the engine failed on."""
        return self._invalid["engine_error"]

    def accuracy(
        self, clusters: Sequence[int], category: int | None = None, *, decided: bool = False
    ) -> Estimate | None:
        """The share of labelled pairs whose winner is the label; see the class for the policy."""
        counted = (_RIGHT, _WRONG) if decided else (_RIGHT, _WRONG, _TIE, _NO_WINNER)
        return self._share(clusters, [outcome in counted for outcome in range(6)], self._outcomes, _RIGHT, category)

    def consistency(self, clusters: Sequence[int]) -> Estimate | None:
        """The share of pairs whose orders agree."""
        return self._share(clusters, [False, True, True], self._consistent, 2, None)

    def results(self, clusters: Sequence[int]) -> dict[str, Any]:
        """Everything as JSON, the same for the same judgments whatever the order in which they came."""
        outcomes = Counter(self._outcomes)
        return {
            "pairs": self.pairs,
            "completions": self._votes,
            "labelled_pairs": self.pairs - outcomes[_NO_LABEL],
            "right": outcomes[_RIGHT],
            "wrong": outcomes[_WRONG],
            "ties": outcomes[_TIE],
            "no_winner": outcomes[_NO_WINNER],
            "accuracy": _as_json(self.accuracy(clusters)),
            "accuracy_decided": _as_json(self.accuracy(clusters, decided=True)),
            "vote_accuracy": _ratio(self._right_votes, self._labelled_votes),
            "position_consistency": _as_json(self.consistency(clusters)),
            "first_shown": _ratio(self._first_votes, self._valid_votes),
            "invalid": {"share": self.invalid_share, "by_reason": dict(sorted(self._invalid.items()))},
            "fenced_prompts": self._fenced,
            "tokens": asdict(self.usage),
            "by_category": self._by_category(clusters),
        }

    def _by_category(self, clusters: Sequence[int]) -> Mapping[str, Any]:
        if set(self._categories) <= {""}:
            return {}
        return {name: _as_json(self.accuracy(clusters, number)) for name, number in sorted(self._categories.items())}

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


def _as_json(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)
