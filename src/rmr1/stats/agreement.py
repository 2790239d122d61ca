"""Agreement beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable


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
