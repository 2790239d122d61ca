"""Whether two judges differ, on the same items or not, and how far two readings of the same items agree beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy
from numpy.typing import NDArray
from scipy.special import bdtr, ndtr

from rmr1.results import Difference, Estimate
from rmr1.stats.estimates import Array, Average, Observations, cluster_variance, quantile

_ENUMERATED = 14
"""Up to this many clusters that differ, every way in which chance could have signed them is tried: 16,384."""
_ALIKE = 1e-9


def paired_differences(
    first: Observations, second: Observations, averages: Mapping[str, Average], *, confidence: float = 0.95
) -> dict[str, Difference]:
    """How two judges of the same items differ: each average of the second less that of the first.

    What makes an item hard for both does not blur the difference: its variance is that of the differences of clusters, and its
    interval of t with Satterthwaite's degrees of freedom, see ``cluster_variance``. Before that, each cell gets one cluster more
    in favour of each judge (Bonett and Price 2012), so that judges who happen to agree are not taken for the same.

    ``p`` is of the sign test over clusters, weighted by how much each moves the figure: if the judges were equally good, each
    cluster's difference might as well have the other sign. Where all weigh the same it is McNemar's exact test; with few clusters
    it is exact by enumeration, with many by the normal approximation.

    Args:
        first: Of one judge.
        second: Of the other one, on the same cells and clusters.
        averages: The figures to compare, by name; those without an observation are left out of the result.
        confidence: Of the interval.

    Raises:
        ValueError: The two do not have the same clusters and cells.
    """
    if first.clusters != second.clusters or first.cells != second.cells:
        raise ValueError("two judges can be compared only on the same items")
    found = {name: _paired(first, second, average, confidence) for name, average in averages.items()}
    return {name: difference for name, difference in found.items() if difference is not None}


def _paired(first: Observations, second: Observations, average: Average, confidence: float) -> Difference | None:
    sums, counts, weights = first.columns(average)
    if not len(weights):
        return None
    touched = counts.sum(axis=1) > 0
    changes = (second.columns(average)[0] - sums)[touched]
    counts = counts[touched]
    sizes, clusters = counts.sum(axis=0), (counts > 0).sum(axis=0)
    means = changes.sum(axis=0) / sizes
    value = float((weights * means).sum())
    per_cluster = changes / numpy.where(counts > 0, counts, 1.0)
    doubt = weights * _careful_deviation(per_cluster, clusters)
    variance, freedom = cluster_variance((changes - means * counts) * (weights / sizes), counts, doubt)
    half = quantile(confidence, freedom) * variance**0.5
    values = average.value(first.means, first.sizes), average.value(second.means, second.sizes)
    return Difference(
        value,
        max(-1.0, value - half),
        min(1.0, value + half),
        sign_test((changes * (weights / sizes)).sum(axis=1)),
        first=values[0],
        second=values[1],
        fewest=int(clusters.min()),
    )


def _careful_deviation(changes: Array, clusters: NDArray[numpy.int64]) -> Array:
    """The standard deviation of a cluster's change in each cell, with one more change of the usual size in each direction."""
    squares = (changes**2).sum(axis=0)
    changed = (numpy.abs(changes) > _ALIKE).sum(axis=0)
    usual = numpy.where(changed > 0, squares / numpy.maximum(changed, 1), 1.0)
    mean = changes.sum(axis=0) / (clusters + 2)
    deviation: Array = numpy.sqrt(numpy.maximum((squares + 2 * usual) / (clusters + 2) - mean**2, 0.0))
    return deviation


def sign_test(changes: Array) -> float:
    """How often chance alone would give a sum of changes as far from 0, if each might as well have the other sign.

    Args:
        changes: One for each cluster, [clusters]; those of 0 say nothing.

    Returns:
        The two-sided p.
    """
    sizes = numpy.abs(changes[numpy.abs(changes) > _ALIKE * max(1e-300, float(numpy.abs(changes).max(initial=0.0)))])
    total = abs(float(changes.sum()))
    if not len(sizes):
        return 1.0
    if sizes.max() - sizes.min() <= _ALIKE * sizes.max():
        better = int((changes > sizes[0] / 2).sum())
        return min(1.0, 2 * float(bdtr(min(better, len(sizes) - better), len(sizes), 0.5)))
    if len(sizes) > _ENUMERATED:
        return float(2 * ndtr(-total / float((sizes**2).sum()) ** 0.5))
    sums = numpy.zeros(1)
    for size in sizes:
        sums = numpy.concatenate((sums + size, sums - size))
    return float((numpy.abs(sums) >= total - _ALIKE * sizes.sum()).mean())


def adjusted(chances: Sequence[float | None]) -> list[float | None]:
    """Holm's correction (1979) of what was asked together: the chance of even one false alarm stays below the level.

    Args:
        chances: Values of p; None where there is none, which counts for nothing.
    """
    order = sorted((p, place) for place, p in enumerate(chances) if p is not None)
    found: list[float | None] = [None] * len(chances)
    reached = 0.0
    for rank, (p, place) in enumerate(order):
        reached = max(reached, min(1.0, p * (len(order) - rank)))
        found[place] = reached
    return found


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
