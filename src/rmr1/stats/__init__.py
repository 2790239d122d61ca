"""Intervals for the numbers that we report, agreement between two readings, and whether two judges differ."""

from rmr1.stats.differences import FEWEST_CLUSTERS, cohen_kappa, paired_bootstrap, unpaired_difference
from rmr1.stats.estimates import Average, Observations, estimate_share, wilson

__all__ = [
    "FEWEST_CLUSTERS",
    "Average",
    "Observations",
    "cohen_kappa",
    "estimate_share",
    "paired_bootstrap",
    "unpaired_difference",
    "wilson",
]
