"""What qualifies the figures of a benchmark: agreement of the orders, accuracy by what should not matter, calibration."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from rmr1.benchmarks.judged import Judged
from rmr1.results import BiasAudit, Calibration, ConfidenceBin, Estimate, LengthBin, OrderAgreement
from rmr1.sides import pair_side, random_order
from rmr1.stats import cohen_kappa, estimate_share

LENGTH_EDGES = (-2.0, -1.0, -0.5, -0.1, 0.1, 0.5, 1.0, 2.0)
"""Edges of the bins of length: log2 of the characters of the better response over those of the other one."""
CONFIDENCE_EDGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
Outcome = tuple[bool, str]
"""Whether it is right, and the cluster that it belongs to."""


def order_agreement(read: Iterable[Judged], seed: int) -> OrderAgreement:
    """Agreement of the two orders, and how often the response shown first is preferred.

    Where A is always the better response, as in data of chosen and rejected ones, kappa of the sides would measure how skewed
    they are. So the sides are named after a draw that does not know the label.
    """
    agreed: list[Outcome] = []
    named = []
    sides: Counter[str] = Counter()
    for judged in read:
        if judged.scores is not None:
            continue
        sides.update(verdict.side for _, verdict in judged.verdicts if verdict.side)
        balances = [reading.balance for reading in judged.readings.values()]
        if len(balances) < 2 or None in balances:
            continue
        signs = [((balance or 0) > 0) - ((balance or 0) < 0) for balance in balances]
        agreed.append((signs[0] == signs[1], judged.entry.prompt))
        turn = 1 if random_order(judged.entry.id, seed) == "ab" else -1
        named.append((turn * signs[0], turn * signs[1]))
    return OrderAgreement(_share(agreed), cohen_kappa(named), sides["A"] / sides.total() if sides else None)


def bias_audit(read: Iterable[Judged]) -> BiasAudit:
    """Accuracy of single completions, invalid ones not right, by which response is longer and by which one was shown first.

    Of a judge that scores one response at a time, accuracy of comparisons, by which response is longer.
    """
    groups: dict[str, list[Outcome]] = {name: [] for name in BiasAudit.__dataclass_fields__}
    for judged in _sided(read):
        better, other = judged.entry.lengths
        for is_first, outcome in _outcomes(judged):
            if is_first is not None:
                groups["better_shown_first" if is_first else "better_shown_second"].append(outcome)
            if better != other:
                groups["better_is_longer" if better > other else "better_is_shorter"].append(outcome)
    return BiasAudit(**{name: _share(values) for name, values in groups.items()})


def accuracy_by_length(read: Iterable[Judged]) -> tuple[LengthBin, ...]:
    """Accuracy of single completions, invalid ones not right, by how much longer the better response is.

    Returns:
        The bins that hold any.
    """
    bins: list[list[Outcome]] = [[] for _ in range(len(LENGTH_EDGES) + 1)]
    for judged in _sided(read):
        better, other = judged.entry.lengths
        place = bisect_right(LENGTH_EDGES, math.log2(max(better, 1) / max(other, 1)))
        bins[place] += [outcome for _, outcome in _outcomes(judged)]
    edges = pairwise((None, *LENGTH_EDGES, None))
    return tuple(
        LengthBin(low, high, accuracy)
        for (low, high), values in zip(edges, bins, strict=True)
        if (accuracy := _share(values))
    )


def calibration(read: Iterable[Judged]) -> Calibration | None:
    """Whether the judge is as often right as it is sure, over comparisons with a preference; None without any.

    The confidence in a response is the mean, over the valid completions of a comparison, of the probability that the judge gave
    its letter at the verdict; where the engine gives none, of 1 and 0, which makes it the share of the votes.
    """
    bins: list[list[tuple[float, Outcome]]] = [[] for _ in pairwise(CONFIDENCE_EDGES)]
    undecided, by_probability = 0, True
    for judged in _sided(read):
        probability = judged.p_a
        if probability is None or probability == 0.5:
            undecided += 1
            continue
        by_probability &= judged.has_probabilities
        confidence = max(probability, 1 - probability)
        right = (probability > 0.5) == (judged.entry.label == "A")
        place = min(bisect_right(CONFIDENCE_EDGES, confidence) - 1, len(bins) - 1)
        bins[place].append((confidence, (right, judged.entry.prompt)))
    found = tuple(_confidence_bins(bins))
    total = sum(one.accuracy.n for one in found)
    if not total:
        return None
    error = sum(one.accuracy.n * abs(one.accuracy.value - one.confidence) for one in found) / total
    return Calibration("probability" if by_probability else "votes", undecided, error, found)


def _sided(read: Iterable[Judged]) -> Iterator[Judged]:
    """The comparisons that have a better response; people call the others ties."""
    return (judged for judged in read if judged.entry.label != "tie")


def _confidence_bins(bins: Iterable[list[tuple[float, Outcome]]]) -> Iterator[ConfidenceBin]:
    for (low, high), values in zip(pairwise(CONFIDENCE_EDGES), bins, strict=True):
        accuracy = _share([outcome for _, outcome in values])
        if accuracy:
            mean = math.fsum(confidence for confidence, _ in values) / len(values)
            yield ConfidenceBin(low, high, mean, accuracy)


def _outcomes(judged: Judged) -> Iterator[tuple[bool | None, Outcome]]:
    """Of each completion, whether the better response was shown first, and whether it was preferred.

    Responses that were scored one by one have one outcome, and none of them was shown first.
    """
    if judged.scores is not None:
        balance = next(iter(judged.readings.values())).balance
        yield None, (balance is not None and balance > 0, judged.entry.prompt)
        return
    for order, verdict in judged.verdicts:
        better = pair_side(judged.entry.label, order)
        yield better == "A", (verdict.side == better, judged.entry.prompt)


def _share(values: Iterable[Outcome]) -> Estimate | None:
    right: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for success, cluster in values:
        right[cluster] += success
        size[cluster] += 1
    return estimate_share([right[cluster] for cluster in size], list(size.values()))
