"""Loaders on the benchmarks' own files; skipped where the folder ``shared`` is not beside the checkout."""

from collections import Counter

import pytest

from rmr1.benchmarks import find_benchmark, load


@pytest.fixture(scope="module")
def raw(shared):
    return shared / "data" / "raw"


def test_rm_bench_files_without_maths(raw):
    loaded = load(find_benchmark("rm-bench"), raw)
    assert loaded.items == {"chat": 129, "code": 228, "safety": 441}
    assert loaded.problems == ("math: none of 529 items",)
    assert len(loaded.pairs) == len({pair.id for pair in loaded.pairs}) == 9 * 798
    cells = Counter((pair.category, pair.id.rpartition("#")[2]) for pair in loaded.pairs)
    assert cells["safety", "2-0"] == 441
    assert load(find_benchmark("rm-bench"), raw / "RM-Bench").fingerprint == loaded.fingerprint


def test_rmb_files_that_are_there(raw):
    loaded = load(find_benchmark("rmb"), raw)
    assert (sum(loaded.items.values()), len(loaded.pairs)) == (2205, 2773)
    for name in ("S1", "S6", "multi"):
        assert (
            loaded.items[f"Pairwise_set/Harmlessness/{name}"]
            == find_benchmark("rmb").sizes[f"Pairwise_set/Harmlessness/{name}"]
        )
    assert loaded.items["Pairwise_set/Helpfulness/Chat/Casual Conversation"] == 306
    assert "Pairwise_set/Harmlessness/S2: none of 1040 items" in loaded.problems
    assert "Pairwise_set/Helpfulness/Chat/Discussion: none of 293 items" in loaded.problems
    assert not any("Casual Conversation" in problem for problem in loaded.problems)
    assert not any("not a subset" in problem for problem in loaded.problems)
    assert len({pair.group for pair in loaded.pairs}) < 300


def test_a_damaged_file_is_named(raw, tmp_path):
    whole = (raw / "RM-Bench" / "chat_filtered.json.gz").read_bytes()
    (tmp_path / "chat_filtered.json.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"chat_filtered.json.gz.*fetch it again"):
        load(find_benchmark("rm-bench"), tmp_path)
