"""Whether two shares differ that were not measured on the same items, or of which nobody knows the items."""

from __future__ import annotations

from rmr1.results import Estimate


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
