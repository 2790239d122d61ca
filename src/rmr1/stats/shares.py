"""Shares with Wilson intervals, also of observations that come in clusters."""

from __future__ import annotations

from scipy.special import ndtri

from rmr1.results import Estimate


class ClusteredShare:
    """Share of successes among observations that come in clusters, kept in constant memory.

    Pairs that share a prompt are not independent. The variance of the share is the linearised (ratio) estimator over clusters;
    the interval is Wilson's with the sample size that this variance corresponds to (Korn and Graubard 1998; plain Wilson where
    every cluster holds one observation).
    """

    def __init__(self) -> None:
        self._clusters = 0
        self._n = 0
        self._successes = 0.0
        self._sum_nn = 0.0
        self._sum_sn = 0.0
        self._sum_ss = 0.0

    def add_cluster(self, successes: float, size: int) -> None:
        """Add a whole cluster: ``successes`` among ``size`` observations."""
        if size <= 0:
            return
        self._clusters += 1
        self._n += size
        self._successes += successes
        self._sum_nn += size * size
        self._sum_sn += successes * size
        self._sum_ss += successes * successes

    def estimate(self, confidence: float = 0.95) -> Estimate | None:
        """The share and its interval, or None without observations."""
        if self._n == 0:
            return None
        share = self._successes / self._n
        low, high = wilson(share, self._effective_size(share), confidence)
        return Estimate(share, low, high, self._n, self._clusters)

    def _effective_size(self, share: float) -> float:
        binomial = share * (1.0 - share)
        if self._clusters == self._n or binomial == 0.0 or self._clusters < 2:
            # Without variation between clusters to measure, clusters count as observations: the careful bound.
            return float(self._clusters)
        residual = self._sum_ss - 2.0 * share * self._sum_sn + share * share * self._sum_nn
        variance = residual * self._clusters / (self._clusters - 1) / self._n**2
        # Fewer than one per cluster would claim less than one vote a prompt; more than n would claim to beat independence.
        return min(max(binomial / variance, 1.0), float(self._n)) if variance > 0 else float(self._n)


def wilson(share: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share observed in ``n`` trials; ``n`` may be an effective, fractional size."""
    z = float(ndtri(0.5 + confidence / 2.0))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
