"""Which candidates stay: duplicates, contradictions, near-duplicates, quotas and draws."""

from __future__ import annotations

from typing import Any

import pytest

from rmr1.curation.candidates import Candidate, content_digests, rank_of
from rmr1.curation.recipe import NearDuplicates, SourceRecipe
from rmr1.curation.selection import draw, quotas, signature_of, without_duplicates, without_near_duplicates
from rmr1.records import PreferencePair
from tests.support.pairs import make_pair


def candidate(subject: PreferencePair, source: int = 0, seed: int = 0, near: NearDuplicates | None = None) -> Candidate:
    content, better = content_digests(subject)
    signature = signature_of(subject, near) if near else None
    rank = rank_of(subject, seed)
    return Candidate(source, subject.id, subject.group or subject.id, content, better, rank, "train", 0, signature)


def dropped_by(step: Any, candidates: list[Candidate], *more: Any) -> tuple[list[str], dict[str, str]]:
    dropped: dict[str, str] = {}
    kept = step(candidates, *more, lambda one, reason: dropped.update({one.id: reason}))
    return sorted(one.id for one in kept), dropped


def test_equal_pairs_on_any_side_are_one_and_the_first_source_is_preferred() -> None:
    swapped = make_pair("eight", "seven", label="B", id="swapped", prompt="name a  PRIME.")
    kept, dropped = dropped_by(without_duplicates, [candidate(make_pair(id="p"), 1), candidate(swapped, 0)])
    assert (kept, dropped) == (["swapped"], {"p": "duplicate"})
    other = make_pair("eight", "nine", id="other")
    assert dropped_by(without_duplicates, [candidate(make_pair()), candidate(other)])[1] == {}


def test_of_pairs_that_contradict_each_other_none_is_kept() -> None:
    said = [candidate(make_pair(id="p")), candidate(make_pair(id="q", label="B")), candidate(make_pair(id="r"))]
    assert dropped_by(without_duplicates, said) == ([], dict.fromkeys("pqr", "contradiction"))


def test_near_duplicates() -> None:
    near = NearDuplicates()
    text = " ".join(f"word{number}" for number in range(200))
    subjects = [
        make_pair(text, "short", id="a"),
        make_pair("short", text + " end", label="B", id="b"),
        make_pair(text, " ".join(f"other{number}" for number in range(200)), id="c"),
    ]
    kept, dropped = dropped_by(without_near_duplicates, [candidate(one, near=near) for one in subjects], near)
    assert set(dropped.values()) == {"near_duplicate"}
    assert set(dropped) < {"a", "b"}
    assert len(kept) == 2
    assert signature_of(make_pair("seven it is", "it is eight"), near) == signature_of(
        make_pair("it is eight", "seven it is", label="B"), near
    )
    grouped = [candidate(make_pair(text, str(number), id=str(number), group="g"), near=near) for number in range(3)]
    assert dropped_by(without_near_duplicates, grouped, near)[1] == {}


@pytest.mark.parametrize(
    ("available", "weights", "size", "expected"),
    [
        ([10, 20], [1, 1], None, [10, 20]),
        ([10, 20], [1, 1], 40, [10, 20]),
        ([10, 20], [1, 1], 10, [5, 5]),
        ([10, 20], [1, 3], 10, [3, 7]),  # 2.5 and 7.5: the first of equal remainders
        ([2, 20, 20], [1, 1, 1], 12, [2, 5, 5]),
        ([2, 3, 20], [5, 5, 1], 12, [2, 3, 7]),
        ([0, 5], [1, 1], 3, [0, 3]),
        ([10, 30], [10, 30], 4, [1, 3]),
    ],
)
def test_quotas(available: list[int], weights: list[float], size: int | None, expected: list[int]) -> None:
    assert quotas(available, weights, size) == expected


def test_draws_take_the_lowest_ranks_up_to_caps() -> None:
    candidates = [candidate(make_pair(id=f"{source}-{n}"), source) for source in range(2) for n in range(50)]
    sources = [SourceRecipe(path="a", cap=10), SourceRecipe(path="b")]
    drawn = draw(candidates, sources, None)
    assert [sum(one.source == source for one in drawn) for source in range(2)] == [10, 50]
    first = [one for one in drawn if one.source == 0]
    assert max(one.rank for one in first) < min(one.rank for one in candidates[:50] if one not in first)
    assert drawn == sorted(drawn, key=lambda one: one.rank)
    reseeded = draw([candidate(make_pair(id=f"0-{n}"), 0, seed=1) for n in range(50)], sources[:1], None)
    assert {one.id for one in reseeded} != {one.id for one in first}
