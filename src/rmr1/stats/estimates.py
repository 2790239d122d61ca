"""The one estimator of shares and of averages of shares, with intervals that know about clusters.

A benchmark's figure is a weighted mean over *cells* (subsets, or pairs of styles) of the mean value in each cell. Such a figure
is linear in the cells' means, so one formula for its variance serves all benchmarks. A share is the average of a single cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from rmr1.results import Estimate

Array: TypeAlias = NDArray[numpy.float64]
_NOTHING = 1e-12
"""A sum of squares that is rounding alone."""


@dataclass(frozen=True, slots=True)
class Average:
    """A weighted mean of cells and of other such means.

    Args:
        parts: Names of cells, and averages of further parts.
        weights: A weight for each part; equal ones where not given.
        by_size: Weight each cell by the number of its observations: a micro average. All parts are then cells.
    """

    parts: tuple[str | Average, ...]
    weights: tuple[float, ...] | None = None
    by_size: bool = False

    def cells(self) -> frozenset[str]:
        """The names of all cells in it."""
        return frozenset().union(
            *(part.cells() if isinstance(part, Average) else frozenset({part}) for part in self.parts)
        )

    def cell_weights(self, sizes: Mapping[str, int]) -> dict[str, float]:
        """The weight of each cell; they sum to 1.

        Args:
            sizes: Observations in each cell. Cells without any are left out, and so are averages of nothing but such cells;
                the weights of what remains on their level are scaled up.

        Returns:
            The weights, or nothing where no cell has an observation.
        """
        given = self.weights or (1.0,) * len(self.parts)
        total = 0.0
        collected: dict[str, float] = {}
        for part, share in zip(self.parts, given, strict=True):
            inner = part.cell_weights(sizes) if isinstance(part, Average) else {part: 1.0} if sizes.get(part) else {}
            weight = float(sizes[part]) if self.by_size and isinstance(part, str) and inner else share
            total += weight if inner else 0.0
            for cell, fraction in inner.items():
                collected[cell] = collected.get(cell, 0.0) + weight * fraction
        return {cell: weight / total for cell, weight in collected.items()}

    def value(self, means: Mapping[str, float], sizes: Mapping[str, int]) -> float | None:
        """The average of given means, level by level, or None where no cell has an observation."""
        total = collected = 0.0
        for part, share in zip(self.parts, self.weights or (1.0,) * len(self.parts), strict=True):
            if isinstance(part, Average):
                inner, weight = part.value(means, sizes), share
            else:
                size = sizes.get(part, 0)
                inner, weight = means.get(part) if size else None, float(size) if self.by_size else share
            if inner is not None:
                total += weight
                collected += weight * inner
        return collected / total if total else None


class Observations:
    """Values between 0 and 1, each in a cell, in clusters that may span cells.

    Args:
        values: What was observed.
        cells: The cell of each observation.
        clusters: The cluster of each, such as its prompt: observations of one cluster are not independent.
    """

    def __init__(self, values: Sequence[float], cells: Sequence[str], clusters: Sequence[str]) -> None:
        self.cells = sorted(set(cells))
        self.clusters = sorted(set(clusters))
        places = {cell: place for place, cell in enumerate(self.cells)}
        rows = {cluster: row for row, cluster in enumerate(self.clusters)}
        at = (
            numpy.array([rows[cluster] for cluster in clusters], dtype=int),
            numpy.array([places[cell] for cell in cells], dtype=int),
        )
        shape = (len(self.clusters), len(self.cells))
        self.sums: Array = numpy.zeros(shape)
        self.counts: Array = numpy.zeros(shape)
        numpy.add.at(self.sums, at, numpy.asarray(values, dtype=float))
        numpy.add.at(self.counts, at, 1.0)

    @property
    def sizes(self) -> dict[str, int]:
        """Observations in each cell."""
        return {cell: int(size) for cell, size in zip(self.cells, self.counts.sum(axis=0), strict=True)}

    @property
    def means(self) -> dict[str, float]:
        """The mean value in each cell."""
        totals = self.sums.sum(axis=0) / self.counts.sum(axis=0)
        return dict(zip(self.cells, totals.tolist(), strict=True))

    def weights(self, average: Average) -> Array:
        """The weight of each cell in an average, in the order of ``cells``; all 0 where it has no observation."""
        weights = average.cell_weights(self.sizes)
        return numpy.array([weights.get(cell, 0.0) for cell in self.cells])

    def columns(self, average: Average) -> tuple[Array, Array, Array]:
        """What an average is made of: sums and counts, [clusters, parts], and the weight of each part, [parts].

        A part is a cell; a micro average (``by_size``) is one share and has one part: all observations in its cells, whichever
        cell each is in. There is no part where the average has no observation.
        """
        weights = self.weights(average)
        used = weights > 0
        sums, counts, weights = self.sums[:, used], self.counts[:, used], weights[used]
        if average.by_size and used.any():
            return sums.sum(axis=1, keepdims=True), counts.sum(axis=1, keepdims=True), numpy.ones(1)
        return sums, counts, weights

    def estimate(self, average: Average, confidence: float = 0.95) -> Estimate | None:
        """An average and its interval as of ``estimate_share``, or None where none of its cells has an observation."""
        sums, counts, weights = self.columns(average)
        if not len(weights):
            return None
        value = average.value(self.means, self.sizes)
        return _estimate(0.0 if value is None else value, sums, counts, weights, confidence)


def estimate_share(successes: ArrayLike, sizes: ArrayLike, confidence: float = 0.95) -> Estimate | None:
    """The share of successes among observations that come in clusters, with its interval.

    Observations of one cluster, such as pairs that share a prompt, are not independent. The variance is the linearised (ratio)
    estimator over clusters, see ``cluster_variance``. The interval is Wilson's with the sample size that this variance
    corresponds to (Korn and Graubard 1998), and with the quantile of t instead of the normal one, whose degrees of freedom are
    Satterthwaite's: a few clusters tell little about their own variance.

    Args:
        successes: Successes in each cluster, [clusters]; values between 0 and 1 may stand for parts of a success.
        sizes: Observations in each cluster, [clusters]; clusters of size 0 do not count.
        confidence: Of the interval.

    Returns:
        The estimate, or None where there is no observation.
    """
    sums, counts = (numpy.asarray(values, dtype=float).reshape(-1, 1) for values in (successes, sizes))
    total = float(counts.sum())
    if not total:
        return None
    return _estimate(float(sums.sum()) / total, sums, counts, numpy.ones(1), confidence)


def wilson(share: float, n: float, confidence: float = 0.95, freedom: float | None = None) -> tuple[float, float]:
    """Wilson's score interval for a share.

    Args:
        share: As observed.
        n: In this many trials; an effective size may be fractional.
        confidence: Of the interval.
        freedom: Degrees of freedom of the variance that ``n`` follows from; infinite where None.
    """
    z = quantile(confidence, freedom)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def quantile(confidence: float, freedom: float | None = None) -> float:
    """How many standard errors an interval extends to each side: of the normal distribution, or of t with degrees of freedom."""
    upper = 0.5 + confidence / 2.0
    return float(ndtri(upper) if freedom is None else stdtrit(freedom, upper))


def cluster_variance(residuals: Array, counts: Array, doubt: Array) -> tuple[float, float]:
    """The variance of a sum over clusters, and its degrees of freedom.

    To the squares of what each cluster adds comes the doubt of each cell with the weight of one cluster, so that few clusters
    which happen to be alike do not seem to leave no doubt. It takes the place of the factor n / (n - 1), and is all that counts
    of a cell whose clusters do not vary at all. Cells that share clusters are taken to rise and fall together in it.

    Args:
        residuals: What each cluster adds in each cell beyond the cell's mean, as a part of the sum, [clusters, cells].
        counts: Observations, [clusters, cells].
        doubt: The standard deviation that a single cluster is taken to have in the sum, for each cell, [cells].

    Returns:
        The variance, and Satterthwaite's degrees of freedom (1946) over clusters that touch the same cells.
    """
    touched = counts > 0
    clusters = touched.sum(axis=0)
    alike = (residuals**2).sum(axis=0) <= _NOTHING * doubt**2
    share = numpy.where(alike, 1.0, 1.0 / numpy.sqrt(clusters))
    parts = residuals.sum(axis=1) ** 2 + (touched * (doubt * share / clusters)).sum(axis=1) ** 2
    _, strata, sizes = numpy.unique(touched, axis=0, return_inverse=True, return_counts=True)
    of_strata = numpy.bincount(strata.reshape(-1), parts)
    variance = float(parts.sum())
    return variance, variance**2 / float((of_strata**2 / sizes).sum())


def _estimate(value: float, sums: Array, counts: Array, weights: Array, confidence: float) -> Estimate:
    """An average of cells: ``sums`` and ``counts`` are [clusters, cells], ``weights`` [cells]; they sum to 1."""
    touched = counts.sum(axis=1) > 0
    # Sums of floats depend on their order, and clusters have none; sorted, equal outcomes give equal figures to the last bit.
    order = numpy.lexsort(numpy.hstack((sums[touched], counts[touched])).T)
    sums, counts = sums[touched][order], counts[touched][order]
    value = min(max(value, 0.0), 1.0)  # rounding may leave the scale
    total = float(counts.sum())
    clusters = (counts > 0).sum(axis=0)
    means = sums.sum(axis=0) / counts.sum(axis=0)
    residuals = sums - means * counts
    # One more right and one more wrong cluster (Agresti and Coull 1998).
    careful = numpy.clip((means * clusters + 1) / (clusters + 2), 0.0, 1.0)  # a value may be a little beyond 0 or 1
    variance, freedom = cluster_variance(
        residuals * (weights / counts.sum(axis=0)), counts, weights * numpy.sqrt(careful * (1 - careful))
    )
    alike = (residuals**2).sum(axis=0) <= _NOTHING
    doubtful = float((weights * numpy.where(alike, careful, means)).sum())
    low, high = wilson(value, min(max(doubtful * (1 - doubtful) / variance, 1.0), total), confidence, freedom)
    return Estimate(value, min(low, value), max(high, value), int(total), len(sums), int(clusters.min()))
