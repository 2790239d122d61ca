"""Pairs that say again, or almost again, what another pair says; and pairs that contradict each other.

Of several alike the one of the earliest source stays, within a source the one of the lowest rank: not the first row of a file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from zlib import crc32

from rmr1.curation.candidates import Candidate
from rmr1.curation.recipe import NearDuplicates
from rmr1.curation.screens import Reason, whole_text
from rmr1.curation.words import runs_of, words_of
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
