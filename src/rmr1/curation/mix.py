"""How many pairs of each source, and which. Caps and weights count pairs that passed the screens."""

from __future__ import annotations

from collections.abc import Sequence

from rmr1.curation.candidates import Candidate
from rmr1.curation.recipe import SourceRecipe


def quotas(available: Sequence[int], weights: Sequence[float], size: int | None) -> list[int]:
    """Divide a size among sources by weight; what a source cannot give, the others give by their weights.

    Args:
        available: Pairs that each source can give.
        weights: Their shares, in any unit.
        size: How many pairs in all; None, and more than there are, takes all.
    """
    if size is None or size >= sum(available):
        return list(available)
    open_sources = {number for number, count in enumerate(available) if count}
    taken = [0] * len(available)
    while True:
        left = size - sum(taken)
        total = sum(weights[number] for number in open_sources)
        short = {n for n in open_sources if available[n] * total < left * weights[n]}
        if not short:
            for number, count in _largest_remainders(left, {n: weights[n] / total for n in open_sources}).items():
                taken[number] = min(count, available[number])
            return _filled(taken, available, size)
        for number in short:
            taken[number] = available[number]
        open_sources -= short


def draw(candidates: Sequence[Candidate], sources: Sequence[SourceRecipe], size: int | None) -> list[Candidate]:
    """Take of each source the pairs of the lowest ranks, as many as its cap and its weight allow; lowest ranks first."""
    by_source: list[list[Candidate]] = [[] for _ in sources]
    for candidate in sorted(candidates, key=lambda candidate: candidate.rank):
        by_source[candidate.source].append(candidate)
    available = [
        len(found) if source.cap is None else min(len(found), source.cap)
        for found, source in zip(by_source, sources, strict=True)
    ]
    weights = [float(a) if s.weight is None else s.weight for a, s in zip(available, sources, strict=True)]
    counts = quotas(available, weights, size)
    drawn = [candidate for found, count in zip(by_source, counts, strict=True) for candidate in found[:count]]
    return sorted(drawn, key=lambda candidate: candidate.rank)


def _largest_remainders(total: int, shares: dict[int, float]) -> dict[int, int]:
    exact = {number: total * share for number, share in shares.items()}
    counts = {number: int(value) for number, value in exact.items()}
    by_remainder = sorted(exact, key=lambda number: (counts[number] - exact[number], number))
    for number in by_remainder[: total - sum(counts.values())]:
        counts[number] += 1
    return counts


def _filled(taken: list[int], available: Sequence[int], size: int) -> list[int]:
    """Give what rounding left over to the first sources that still have pairs."""
    for number, count in enumerate(available):
        taken[number] += min(count - taken[number], size - sum(taken))
    return taken
