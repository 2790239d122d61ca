"""Public data sets as they are; skipped where the folder ``shared`` is not beside the checkout."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rmr1.data import load_pairs


@pytest.mark.parametrize(
    ("name", "pairs", "sets"),
    [
        ("gsm8k_solution_pairs", 2426, 2426),
        ("hh_harmless_test", 2307, 2307),
        ("rewardbench_recon_hep", 984, 984),
        ("rm_bench_no_math", 798 * 9, 798),
        ("rmb_bon_sample", 847, 375),
        ("rmb_pairwise_sample", 1133, 1133),
        ("rmr1_traces", 18, 18),
    ],
)
def test_normalised_sets(shared: Path, name: str, pairs: int, sets: int) -> None:
    source = load_pairs(shared / "data" / f"{name}.jsonl.gz")
    read = list(source)
    assert len(read) == len({pair.id for pair in read}) == pairs
    assert sum(1 for _ in source.sets()) == sets
    assert all(pair.group and pair.prompt for pair in read)
    assert all(pair.category for pair in read) or name == "rmr1_traces"


def test_rm_bench_has_three_styles_a_side(shared: Path) -> None:
    pairs = list(load_pairs(shared / "data" / "rm_bench_no_math.jsonl.gz"))
    assert set(Counter(pair.group for pair in pairs).values()) == {9}
    assert [pair.id for pair in pairs[:4]] == ["chat/8#0-0", "chat/8#0-1", "chat/8#0-2", "chat/8#1-0"]
    assert pairs[0].extra["error_key"] == "shoes"


def test_traces_keep_their_labels(shared: Path) -> None:
    labels = Counter(pair.label for pair in load_pairs(shared / "data" / "rmr1_traces.jsonl.gz"))
    assert labels == {"B": 16, "A": 2}


@pytest.mark.parametrize(
    ("file", "pairs", "rows"),
    [
        ("RM-Bench/chat_filtered", 129 * 9, 129),
        ("RM-Bench/code_filtered", 228 * 9, 228),
        ("RM-Bench/safety-refuse_filtered", 284 * 9, 284),
        ("RM-Bench/safety-response_filtered", 157 * 9, 157),
        ("RMB_dataset/BoN_set/Harmlessness/S1", 247, 111),
        ("RMB_dataset/Pairwise_set/Harmlessness/multi", 502, 502),
        ("RMB_dataset/Pairwise_set/Helpfulness/Chat/Casual Conversation", 306, 306),
    ],
)
def test_the_benchmarks_own_files(shared: Path, file: str, pairs: int, rows: int) -> None:
    source = load_pairs(shared / "data" / "raw" / f"{file}.json.gz")
    assert sum(1 for _ in source) == pairs
    assert sum(1 for _ in source.sets()) == rows
