"""Whether two judges differ, on the same items or not, and how far two readings of the same items agree beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping

import numpy

from rmr1.results import Difference, Estimate
from rmr1.stats.estimates import Array, Average, Observations

RESAMPLES = 2000
FEWEST_CLUSTERS = 10
"""With fewer in a cell, what is resampled varies far less than the truth does: two clusters that agree would leave no doubt."""
_CELLS_AT_ONCE = 1 << 22
"""Numbers that resampling takes into memory at a time."""


def paired_bootstrap(
    first: Observations,
    second: Observations,
    averages: Mapping[str, Average],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> dict[str, Difference]:
    """Percentile intervals of the difference between two judges, from resampled clusters (Efron and Tibshirani 1993).

    A resample draws clusters with replacement, and both judges are measured on the same draw: what makes an item hard for both
    does not blur the difference. The draws depend on the seed alone.

    Args:
        first: Of one judge.
        second: Of the other one, on the same cells and clusters.
        averages: The figures to compare, by name; those without an observation are left out of the result.
        seed: Of the draws.
        resamples: How many.
        confidence: Of the interval.

    Raises:
        ValueError: The two do not have the same clusters and cells.
    """
    if first.clusters != second.clusters or first.cells != second.cells:
        raise ValueError("two judges can be compared only on the same items")
    weights = {name: first.weights(average) for name, average in averages.items()}
    weights = {name: found for name, found in weights.items() if found.any()}
    if not weights:
        return {}
    matrix = numpy.array(list(weights.values()))
    drawn = _differences(first, second, matrix, seed, resamples)
    observed = (
        second.sums.sum(axis=0) / second.counts.sum(axis=0) - first.sums.sum(axis=0) / first.counts.sum(axis=0)
    ) @ matrix.T
    tail = (1 - confidence) / 2
    lows, highs = numpy.nanquantile(drawn, (tail, 1 - tail), axis=0)
    below, above = (drawn <= 0).sum(axis=0), (drawn >= 0).sum(axis=0)
    chance = numpy.minimum(1.0, 2 * (numpy.minimum(below, above) + 1) / (resamples + 1))
    clusters = (first.counts > 0).sum(axis=0)
    enough = [(clusters[row != 0] >= FEWEST_CLUSTERS).all() for row in matrix]
    bounds = numpy.array((lows, highs, chance)).T.tolist()
    return {
        name: Difference(float(observed[place]), *(bounds[place] if enough[place] else ()))
        for place, name in enumerate(weights)
    }


def unpaired_difference(first: Estimate, second: Estimate) -> tuple[float, float, float]:
    """The second share less the first, with an interval made of those of the two.

    The distances from each share to the ends of its interval are squared and added (Newcombe 1998, method 10; Zou and Donner
    2008). So clusters and weights count as far as the two intervals know of them, and the confidence is theirs. The two have to
    be independent: for judges of the same items, which tend to fail on the same ones, the interval is wider than a paired one.

    Returns:
        The difference and the two ends of its interval.
    """
    value = second.value - first.value
    below = ((second.value - second.low) ** 2 + (first.high - first.value) ** 2) ** 0.5
    above = ((second.high - second.value) ** 2 + (first.value - first.low) ** 2) ** 0.5
    return value, value - below, value + above


def cohen_kappa(readings: Iterable[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa of two readings of the same things: 1 is full agreement, 0 what chance would give (Cohen 1960).

    Args:
        readings: The two categories that each thing was given.

    Returns:
        Kappa, or None where it has no meaning: nothing was read, or both readings always give one and the same category.
    """
    table = Counter(readings)
    n = table.total()
    if not n:
        return None
    first: Counter[Hashable] = Counter()
    second: Counter[Hashable] = Counter()
    for (one, other), count in table.items():
        first[one] += count
        second[other] += count
    agreed = sum(count for (one, other), count in table.items() if one == other) / n
    expected = sum(first[category] * second[category] for category in first) / n**2
    return None if expected == 1.0 else (agreed - expected) / (1.0 - expected)


def _differences(first: Observations, second: Observations, weights: Array, seed: int, resamples: int) -> Array:
    """Draw clusters within their cell, so that each draw has about as many of each cell as the data."""
    generator = numpy.random.default_rng(seed)
    # argmax: the first cell that a cluster touches; clusters that span cells are drawn with that one.
    strata = (first.counts > 0).argmax(axis=1)
    totals = [numpy.zeros((resamples, len(first.cells))) for _ in range(4)]
    tables = (first.sums, first.counts, second.sums, second.counts)
    for stratum in numpy.unique(strata):
        members = numpy.flatnonzero(strata == stratum)
        columns = numpy.flatnonzero((first.counts[members] > 0).any(axis=0) | (second.counts[members] > 0).any(axis=0))
        parts = [table[numpy.ix_(members, columns)] for table in tables]
        at_once = max(1, _CELLS_AT_ONCE // (len(members) * len(columns)))
        for start in range(0, resamples, at_once):
            stop = min(start + at_once, resamples)
            drawn = generator.integers(0, len(members), (stop - start, len(members)))
            for total, part in zip(totals, parts, strict=True):
                total[start:stop, columns] += part[drawn].sum(axis=1)
    with numpy.errstate(invalid="ignore", divide="ignore"):
        return numpy.nan_to_num(totals[2] / totals[3] - totals[0] / totals[1], nan=0.0) @ weights.T
