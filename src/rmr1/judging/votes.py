"""From completions to a judgment, from judgments to figures: the majority in each order, then agreement between the orders."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from statistics import fmean
from typing import Literal, TypeAlias

import numpy
from numpy.typing import NDArray

from rmr1.judging.completions import Completion
from rmr1.judging.stopping import StoppingRule
from rmr1.records import Judgment, Label, Order, PairOutcome, Side, Usage, Vote, Winner
from rmr1.results import Estimate, InvalidVerdicts, JudgeResults, PairFigures
from rmr1.stats import cohen_kappa, estimate_share

Numbers: TypeAlias = NDArray[numpy.int64]
Flags: TypeAlias = NDArray[numpy.bool_]
_SIDES: tuple[Side, Side] = ("A", "B")
# A label and the outcome that is right for it have the same number, counted from 1.
_LABELS: tuple[Label | None, ...] = (None, *_SIDES, "tie")
_OUTCOMES: tuple[PairOutcome, ...] = (*_SIDES, "tie", "inconsistent", "half_judged", "no_verdict")
_COLUMNS: dict[str, Literal["B", "H", "I"]] = {
    **dict.fromkeys(("label", "outcome", "consistency"), "B"),
    **dict.fromkeys(("votes", "compared", "valid", "first", "right"), "H"),
    "category": "I",
}


def combine(completions: Sequence[Completion], rule: str, planned: int = 0) -> Judgment:
    """Combine all completions of one pair.

    Within an order, the side with more valid votes wins; equal counts are a tie. Orders that agree decide; orders that disagree
    are a tie and not position-consistent. If one order has no valid verdict, the pair is half-judged: half of the evidence
    is no win. If the engine failed on a request, the pair is unjudged.

    If the judge scores each response by itself, the response with the higher mean of valid scores wins, and equal means are a tie.
    Position cannot matter then, so nothing is said about it.

    Args:
        completions: The completions of one pair, at least one.
        rule: The rule that reads verdicts.
        planned: Completions that the pair would have if votes were not stopped early.
    """
    ordered = sorted(completions, key=lambda completion: completion.index)
    votes = tuple(completion.as_vote(rule) for completion in ordered)
    first = ordered[0]
    if votes[0].verdict.scores_one:
        return _compare_scores(first, votes)
    orders = tuple(dict.fromkeys(vote.order for vote in votes))
    outcome = _outcome(votes, orders)
    winner = _winner(outcome)
    compared = len(orders) > 1 and winner is not None
    return Judgment(
        id=first.pair_id,
        outcome=outcome,
        winner=winner,
        confidence=_confidence(votes, winner),
        position_consistent=outcome != "inconsistent" if compared else None,
        correct=None if first.label is None or outcome == "unjudged" else outcome == first.label,
        votes=votes,
        usage=sum((vote.usage for vote in votes), Usage()),
        label=first.label,
        group=first.group,
        category=first.category,
        spared=max(0, planned - len(votes)),
    )


def needed(completions: Iterable[Completion], rule: StoppingRule, orders: int) -> list[Completion] | None:
    """The completions of a pair that a stopping rule asks for; None while one of them is not there.

    Args:
        completions: Of one pair, in any order; those beyond what the rule asks for are left out.
        rule: The rule, with the number of votes that count.
        orders: In how many orders the pair is shown.
    """
    by_order: dict[Order, dict[int, Completion]] = {}
    for completion in completions:
        by_order.setdefault(completion.order, {})[completion.vote] = completion
    found: list[Completion] = []
    for votes in by_order.values():
        asked: list[Completion] = []
        said: Counter[Side | None] = Counter()
        while rule.to_ask(said["A"], said["B"], len(asked)):
            if len(asked) not in votes:
                return None
            asked.append(votes[len(asked)])
            said[asked[-1].side] += 1
        found += asked
    return found if len(by_order) == orders else None


def _compare_scores(first: Completion, votes: tuple[Vote, ...]) -> Judgment:
    """The judgment of a pair whose responses were scored one by one."""
    of_a, of_b = (score_list(votes, order) for order in ("ab", "ba"))
    scores = (fmean(of_a), fmean(of_b)) if of_a and of_b else None
    outcome: PairOutcome = "no_verdict"
    if any(vote.verdict.invalid == "engine_error" for vote in votes):
        outcome, scores = "unjudged", None
    elif scores is not None:
        outcome = "tie" if scores[0] == scores[1] else "A" if scores[0] > scores[1] else "B"
    elif of_a or of_b:
        outcome = "half_judged"
    winner = _winner(outcome)
    is_scalar = votes[0].verdict.rule == "score"
    p_a = reward_probability(*scores) if scores and is_scalar else None
    preferred = 0.0 if scores is None else preference(of_a, of_b) if p_a is None else p_a
    return Judgment(
        id=first.pair_id,
        outcome=outcome,
        winner=winner,
        confidence=0.5 if winner == "tie" else preferred if winner == "A" else 1 - preferred if winner == "B" else 0.0,
        position_consistent=None,
        correct=None if first.label is None or outcome == "unjudged" else outcome == first.label,
        votes=votes,
        usage=sum((vote.usage for vote in votes), Usage()),
        label=first.label,
        group=first.group,
        category=first.category,
        scores=scores,
        p_a=p_a,
    )


def score_list(votes: Iterable[Vote], order: Order) -> list[float]:
    """The valid scores of one response: of the pair's A, which is shown first in the order "ab", or of its B."""
    return [vote.verdict.score for vote in votes if vote.order == order and vote.verdict.score is not None]


def reward_probability(reward_a: float, reward_b: float) -> float:
    """The probability that A is better, by the rewards of both: the logistic function of their difference (Bradley and Terry 1952).

    Scalar reward models are trained with a loss that takes it for that (Ouyang and others 2022, arXiv 2203.02155, section 3.5).
    """
    difference = reward_b - reward_a
    return 1.0 / (1.0 + math.exp(difference)) if difference < 700.0 else 0.0


def preference(of_a: Sequence[float], of_b: Sequence[float]) -> float:
    """The share of pairs of a rating of A and one of B in which A has the higher one; equal ones are half of one."""
    ahead = sum((a > b) + 0.5 * (a == b) for a in of_a for b in of_b)
    return ahead / (len(of_a) * len(of_b))


def _outcome(votes: Sequence[Vote], orders: Sequence[Order]) -> PairOutcome:
    if any(vote.verdict.invalid == "engine_error" for vote in votes):
        return "unjudged"
    said = [_majority(votes, order) for order in orders]
    valid = [one for one in said if one is not None]
    if not valid:
        return "no_verdict"
    if len(valid) < len(said):
        return "half_judged"
    return valid[0] if len(set(valid)) == 1 else "inconsistent"


def _winner(outcome: PairOutcome) -> Winner | None:
    if outcome == "A" or outcome == "B":
        return outcome
    return "tie" if outcome in ("tie", "inconsistent") else None


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

    It makes the figures of ``rmr1 judge`` and of ``rmr1 eval`` alike; ``PairFigures`` says what each of them counts.
    """

    def __init__(self) -> None:
        self._columns = {name: array(code) for name, code in _COLUMNS.items()}
        self._categories: dict[str, int] = {}
        self._invalid: Counter[str] = Counter()
        self._fenced = self._unanswered = self._unjudged = self._spared = self._from_cache = self._retried = 0
        self.usage = Usage()

    def add(self, number: int, judgment: Judgment) -> None:
        """Count the judgment of the pair with this number."""
        self.usage += judgment.usage
        self._fenced += sum(vote.fenced > 0 for vote in judgment.votes)
        if judgment.outcome == "unjudged":
            self._unanswered += sum(vote.verdict.invalid == "engine_error" for vote in judgment.votes)
            self.add_unjudged()
            return
        self._spared += judgment.spared
        self._retried += sum(vote.retried for vote in judgment.votes)
        self._from_cache += sum(vote.from_cache for vote in judgment.votes)
        verdicts = [vote.verdict for vote in judgment.votes]
        self._invalid.update(verdict.invalid for verdict in verdicts if verdict.invalid)
        consistent = judgment.position_consistent
        values = {
            "label": _LABELS.index(judgment.label),
            "outcome": 1 + _OUTCOMES.index(judgment.outcome),
            "consistency": 0 if consistent is None else 1 + consistent,
            "category": self._categories.setdefault(judgment.category, len(self._categories)),
            "votes": len(verdicts),
            "compared": sum(not verdict.scores_one for verdict in verdicts),
            "valid": sum(verdict.side is not None for verdict in verdicts),
            "first": sum(verdict.side == "A" for verdict in verdicts),
            "right": sum(vote.side == judgment.label for vote in judgment.votes if vote.side is not None),
        }
        for name, column in self._columns.items():
            column.extend([0] * (number + 1 - len(column)))
            column[number] = values[name]

    def add_unjudged(self, pairs: int = 1) -> None:
        """Count pairs that lack a completion; they are in no other figure."""
        self._unjudged += pairs

    def figures(self, clusters: Sequence[int]) -> PairFigures:
        """What the judgments come to; the same whatever the order in which they came.

        Args:
            clusters: For each pair by its number, the cluster that it belongs to.
        """
        table = _Table(self._columns, clusters)
        label, outcome, votes, compared = (table.column(name) for name in ("label", "outcome", "votes", "compared"))
        right, sided = outcome == label, (label == 1) | (label == 2)
        completions = int(votes.sum())
        counts = Counter(outcome[sided].tolist())
        confusion = table.confusion()
        return PairFigures(
            pairs=len(outcome),
            unjudged=self._unjudged,
            completions=completions,
            spared=self._spared,
            from_cache=self._from_cache,
            retried=self._retried,
            labelled_pairs=int((label > 0).sum()),
            right=int((right & sided).sum()),
            wrong=counts[1] + counts[2] - int((right & sided).sum()),
            ties=counts[3] + counts[4],
            half_judged=counts[5],
            no_winner=counts[6],
            accuracy=table.share(right, sided),
            accuracy_decided=table.share(right, sided & (outcome <= len(_SIDES))),
            agreement=table.share(right, label > 0),
            kappa=cohen_kappa(_readings(confusion)) if len(confusion) > 1 else None,
            confusion=confusion,
            vote_accuracy=table.share(table.column("right"), sided & (compared > 0), compared),
            position_consistency=table.share(table.column("consistency") == 2, table.column("consistency") > 0),
            first_shown=table.share(table.column("first"), compared > 0, table.column("valid")),
            invalid=InvalidVerdicts(
                self._invalid.total() / completions if completions else 0.0,
                dict(sorted(self._invalid.items())),
                completions,
            ),
        )

    def results(self, clusters: Sequence[int]) -> JudgeResults:
        """The figures, and what a judge run says beside them.

        Args:
            clusters: As in ``figures``.
        """
        figures = self.figures(clusters)
        return JudgeResults(
            **{name: getattr(figures, name) for name in PairFigures.__dataclass_fields__},
            unanswered=self._unanswered,
            fenced_prompts=self._fenced,
            tokens=self.usage,
            by_category=self._by_category(_Table(self._columns, clusters)),
        )

    def _by_category(self, table: _Table) -> Mapping[str, Estimate | None]:
        if set(self._categories) <= {""}:
            return {}
        label, category = table.column("label"), table.column("category")
        right, sided = table.column("outcome") == label, (label == 1) | (label == 2)
        return {
            name: table.share(right, sided & (category == number)) for name, number in sorted(self._categories.items())
        }


class _Table:
    """The judged pairs of a tally as arrays: [pairs]."""

    def __init__(self, columns: Mapping[str, array[int]], clusters: Sequence[int]) -> None:
        present = numpy.asarray(columns["outcome"]) > 0
        self._columns = {name: numpy.asarray(column)[present] for name, column in columns.items()}
        self._clusters = numpy.asarray(clusters, numpy.uint64)[: len(present)][present]

    def column(self, name: str) -> Numbers:
        return self._columns[name].astype(numpy.int64)

    def share(self, successes: Numbers | Flags, counted: Flags, sizes: Numbers | None = None) -> Estimate | None:
        """The share of successes among the counted pairs, or among what ``sizes`` says that each of them holds."""
        _, cluster = numpy.unique(self._clusters[counted], return_inverse=True)
        held = None if sizes is None else sizes[counted]
        return estimate_share(numpy.bincount(cluster, successes[counted]), numpy.bincount(cluster, held))

    def confusion(self) -> dict[str, dict[str, int]]:
        """How many pairs of each label have each outcome; labels that do not occur have no row."""
        cells = Counter(zip(self.column("label").tolist(), self.column("outcome").tolist(), strict=True))
        return {
            str(name): {outcome: cells[number, place] for place, outcome in enumerate(_OUTCOMES, 1)}
            for number, name in enumerate(_LABELS)
            if name is not None and any(cells[number, place] for place in range(1, len(_OUTCOMES) + 1))
        }


def _readings(confusion: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[str, str]]:
    for label, row in confusion.items():
        for outcome, count in row.items():
            yield from repeat((label, outcome), count)
