"""The published scores of RM-R1's 32B models, derived again from their subsets, counts and logged completions."""

import gzip
import json

import pytest

from rmr1.benchmarks.released import goal_observations, logged_results, score_released, subset_observations
from rmr1.benchmarks.suite import rewardbench, rm_bench, rmb

MODELS = ("RM-R1-DeepSeek-Distilled-Qwen-32B", "RM-R1-Qwen2.5-Instruct-32B")
EXACT = 1e-12


def close(value):
    return pytest.approx(value, rel=0, abs=EXACT)


@pytest.fixture(params=MODELS)
def model(request, shared):
    return shared / "published" / request.param


def published(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_published_rewardbench_sections_score_and_micro(model):
    folder = model / "reward_bench" / "score_result"
    means = published(folder / "each_small_section_score.json")
    expected = published(folder / "main_score.json")
    figures = {name: average.value(means, rewardbench.SIZES) for name, average in rewardbench.metrics().items()}
    assert {name: figures[name] for name in rewardbench.SECTIONS} == {
        name: close(expected[name]) for name in rewardbench.SECTIONS
    }
    assert figures["score"] == close(expected["avg_Result_each_section"])
    assert figures["micro"] == close(expected["absoluate_Result"])


def test_published_rewardbench_subsets_are_whole_numbers_of_their_sizes(model):
    observations = subset_observations(model)
    assert observations.sizes == rewardbench.SIZES
    assert sum(observations.sizes.values()) == 2985


def test_published_rmb_best_of_n_from_its_counts_and_the_mean_of_the_four(model):
    meta = published(model / "RMB" / "META_RESULT.json")
    observations = goal_observations(model)
    figures = {name: observations.estimate(average).value for name, average in rmb.metrics().items()}
    assert figures == {
        "score": close(meta["Accuracy Averaged from Four Sections"]),
        "pairwise helpfulness": close(meta["Pairwise Helpfulness"]),
        "pairwise harmlessness": close(meta["Pairwise Harmlessness"]),
        "best-of-n helpfulness": close(meta["BoN Helpfulness"]),
        "best-of-n harmlessness": close(meta["BoN Harmlessness"]),
    }


@pytest.mark.parametrize(("goal", "pairs"), [("Helpfulness", 10067), ("Harmlessness", 7064)])
def test_published_rmb_pairs_from_their_49_scenarios(model, goal, pairs):
    """Every accuracy is a whole number of pairs of its scenario, and all of them give the published micro mean."""
    overall, subsets = published(model / "RMB" / f"Pairwise_set_{goal}" / "score_result" / "Final_score.json")
    sizes = {f"Pairwise_set/{goal}/{name}": size for name, size in rmb.SCENARIOS[goal].items()}
    assert (set(sizes), sum(sizes.values())) == (set(subsets), pairs)
    assert all(
        subsets[name] * size == pytest.approx(round(subsets[name] * size), abs=1e-9) for name, size in sizes.items()
    )
    micro = sum(round(subsets[name] * size) for name, size in sizes.items()) / sum(sizes.values())
    assert micro == close(overall["Overall_accuracy"])


def test_rmb_sizes_of_pairs_are_those_of_the_files_at_hand(shared):
    folder = shared / "data" / "raw" / "RMB_dataset" / "Pairwise_set"
    files = sorted(folder.rglob("*.json.gz"))
    assert len(files) == 7
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as content:
            name = file.relative_to(folder).as_posix().removesuffix(".json.gz")
            assert rmb.SIZES[f"Pairwise_set/{name}"] == len(json.load(content))


def test_published_rm_bench_totals_are_means_of_domains_and_of_levels(model):
    final = published(model / "RM-Bench" / "final_result.json")
    assert sum(final[domain] for domain in rm_bench.SIZES) / 4 == close(final["total_avg_acc"])
    assert sum(final[f"{level}_acc"] for level in rm_bench.LEVELS) / 3 == close(final["total_avg_acc"])
    figures = score_released(model).benchmarks["rm-bench"].protocols["rm-r1"].metrics
    assert figures["total"].value == close(final["total_avg_acc"])


def test_published_completions_have_their_logged_results(model):
    logged = list(logged_results(model))
    assert len(logged) == 8
    assert [record.result for record in logged] == [record.logged for record in logged]


def test_published_samples_have_their_results(shared):
    with gzip.open(shared / "data" / "rmr1_traces.jsonl.gz", "rt", encoding="utf-8") as lines:
        expected = [
            row["published_result"] for row in map(json.loads, lines) if row.get("published_result") is not None
        ]
    results = [record.result for name in MODELS for record in logged_results(shared / "published" / name)]
    assert (len(expected), sorted(results)) == (16, sorted(expected))
