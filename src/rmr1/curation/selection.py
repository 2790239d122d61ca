"""Which candidates stay: one of those that say the same, none of those that contradict each other, and as many of each source as
the recipe asks for.

Of several alike the one of the earliest source stays, within a source the one of the lowest rank: not the first row of a file.
Caps and weights count pairs that passed the screens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from zlib import crc32

from rmr1.curation.candidates import Candidate
from rmr1.curation.recipe import NearDuplicates, SourceRecipe
from rmr1.curation.screens import Reason, runs_of, whole_text, words_of
from rmr1.errors import MissingExtraError
from rmr1.records import PreferencePair

_SCHEME = "affine32"
"""How signatures are drawn; named, so that another default of the library does not change results."""

Drop = Callable[[Candidate, Reason], None]


def without_duplicates(candidates: Sequence[Candidate], drop: Drop) -> list[Candidate]:
    """Keep one of the pairs that have the same prompt and the same two responses, on whichever sides.

    Where such pairs disagree about the better response, none of them is kept: nothing says which is right.
    """
    alike: dict[bytes, list[Candidate]] = defaultdict(list)
    for candidate in in_preference(candidates):
        alike[candidate.content].append(candidate)
    kept = []
    for first, *others in alike.values():
        if any(other.better != first.better for other in others):
            for candidate in (first, *others):
                drop(candidate, "contradiction")
            continue
        kept.append(first)
        for other in others:
            drop(other, "duplicate")
    return kept


def without_near_duplicates(candidates: Sequence[Candidate], screen: NearDuplicates, drop: Drop) -> list[Candidate]:
    """Keep one of the pairs whose signatures are alike (MinHash with locality-sensitive hashing; Broder 1997).

    Pairs of one group are never near-duplicates of each other: they share their prompt, and often one response, by design.
    """
    index = _library().MinHashLSH(threshold=screen.threshold, num_perm=screen.permutations)
    kept: list[Candidate] = []
    for candidate in in_preference(candidates):
        others = (kept[number] for number in index.query(candidate.signature))
        if any(_too_alike(candidate, other, screen.threshold) for other in others):
            drop(candidate, "near_duplicate")
            continue
        index.insert(len(kept), candidate.signature)
        kept.append(candidate)
    return kept


def signature_of(pair: PreferencePair, screen: NearDuplicates) -> Any:
    """Sign the word shingles of a pair, on whichever sides its responses are.

    Raises:
        MissingExtraError: ``datasketch`` is not installed.
    """
    signature = _empty_signature(screen.permutations).copy()
    signature.update_batch([run.encode() for run in runs_of(words_of(_sideless(pair)), screen.shingle)])
    return _library().LeanMinHash(signature)


def in_preference(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The order in which equals are preferred."""
    return sorted(candidates, key=lambda candidate: (candidate.source, candidate.rank))


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


def _too_alike(one: Candidate, other: Candidate, threshold: float) -> bool:
    same_group = (one.source, one.group) == (other.source, other.group)
    return not same_group and float(one.signature.jaccard(other.signature)) >= threshold


def _sideless(pair: PreferencePair) -> str:
    if pair.label == "B":
        pair = PreferencePair(pair.id, pair.prompt, pair.response_b, pair.response_a)
    return whole_text(pair)


@cache
def _empty_signature(permutations: int) -> Any:
    # The library's own SHA-1 takes most of the time; the permutations mix a plain checksum well enough.
    return _library().MinHash(num_perm=permutations, seed=1, scheme=_SCHEME, hashfunc=crc32)


def _library() -> Any:
    try:
        import datasketch
    except ImportError as error:
        raise MissingExtraError("the screen for near-duplicates", "data") from error
    return datasketch


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
