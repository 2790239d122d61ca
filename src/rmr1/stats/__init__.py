"""Intervals for the numbers that we report, agreement between two readings, and whether two judges differ."""

from rmr1.stats.agreement import cohen_kappa
from rmr1.stats.averages import Average, Observations
from rmr1.stats.paired import FEWEST_CLUSTERS, paired_bootstrap
from rmr1.stats.shares import ClusteredShare, wilson
from rmr1.stats.unpaired import unpaired_difference

__all__ = [
    "FEWEST_CLUSTERS",
    "Average",
    "ClusteredShare",
    "Observations",
    "cohen_kappa",
    "paired_bootstrap",
    "unpaired_difference",
    "wilson",
]
