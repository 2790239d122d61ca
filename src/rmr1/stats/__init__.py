"""Intervals for the numbers that we report, agreement between two readings, and whether two judges differ."""

from rmr1.stats.differences import adjusted, cohen_kappa, paired_differences, sign_test, unpaired_difference
from rmr1.stats.estimates import Average, Observations, estimate_share, wilson

__all__ = [
    "Average",
    "Observations",
    "adjusted",
    "cohen_kappa",
    "estimate_share",
    "paired_differences",
    "sign_test",
    "unpaired_difference",
    "wilson",
]
