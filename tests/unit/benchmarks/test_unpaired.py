"""Judges of which one is known by released counts alone."""

import json

import numpy
import pytest

from rmr1.benchmarks import compare_runs
from rmr1.benchmarks.suite.rewardbench import SIZES
from rmr1.benchmarks.unpaired import INDEPENDENT_NOTE, UNCOUNTED, UNPAIRED_NOTE
from rmr1.errors import RunError
from rmr1.report.comparison import comparison_csv, comparison_tables
from rmr1.results import Difference, Estimate
from rmr1.stats import Average, Observations, unpaired_difference, wilson
from tests.support.benchmarks import by_gold, run_eval, write_json, write_rm_bench

DOMAINS = ("chat", "math", "code", "safety-refuse")
RUNS = 1000


def share(right, size):
    values = [1.0] * right + [0.0] * (size - right)
    return Observations(values, ["c"] * size, [str(number) for number in range(size)]).estimate(Average(("c",)))


@pytest.mark.parametrize(
    ("sizes", "rates"), [((200, 300), (0.8, 0.9)), ((60, 400), (0.5, 0.5)), ((150, 150), (0.97, 0.9))]
)
def test_the_unpaired_interval_holds_the_truth_in_95_of_100_runs(sizes, rates):
    generator = numpy.random.default_rng(4)
    drawn = [generator.binomial(size, rate, RUNS) for size, rate in zip(sizes, rates, strict=True)]
    shares = [
        {right: share(right, size) for right in set(column.tolist())} for column, size in zip(drawn, sizes, strict=True)
    ]
    held = 0
    for one, other in zip(*(column.tolist() for column in drawn), strict=True):
        value, low, high = unpaired_difference(shares[0][one], shares[1][other])
        assert low <= value <= high
        held += low <= rates[1] - rates[0] <= high
    assert 0.93 <= held / RUNS <= 0.975


def test_the_unpaired_interval_of_a_textbook():
    """Newcombe 1998, table II (a): 56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339."""
    value, low, high = unpaired_difference(
        *(Estimate(right / size, *wilson(right / size, size), size, size) for right, size in ((48, 80), (56, 70)))
    )
    assert (round(value, 4), round(low, 4), round(high, 4)) == (0.2, 0.0524, 0.3339)


def write_released(folder, right=lambda size: size - size // 5):
    shares = {subset: right(size) / size for subset, size in SIZES.items()}
    write_json(folder / "reward_bench/score_result/each_small_section_score.json", shares)
    levels = {f"{level}_acc": 0.7 for level in ("hard", "normal", "easy")}
    write_json(folder / "RM-Bench/final_result.json", {"chat": 0.6, "math": 0.7, "code": 0.7, "safety": 0.8} | levels)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpaired")
    write_released(folder / "one")
    write_released(folder / "other", lambda size: size - size // 10)
    data = write_rm_bench(folder / "RM-Bench", DOMAINS[:3])
    run_eval("rm-bench", data, by_gold(lambda pair_id, order: order == "ab"), folder / "run")
    return folder


def test_two_released_models_are_compared_by_their_counts(folder):
    found = compare_runs([folder / "one", folder / "other"]).results
    assert (found.paired, found.protocol) == (False, "rm-r1")
    assert {UNPAIRED_NOTE, INDEPENDENT_NOTE} < set(found.notes)
    rewardbench = found.benchmarks["rewardbench"]
    chat = rewardbench.runs["other"].cells_from_first["alpacaeval-easy"]
    value, low, high = unpaired_difference(share(80, 100), share(90, 100))
    assert chat == Difference(value, low, high, first=0.8, second=0.9)
    assert rewardbench.notes == ()
    assert (rewardbench.items, rewardbench.runs["one"].best_rank) == ((), None)


def test_what_is_released_without_counts_has_a_difference_and_no_interval(folder):
    comparison = compare_runs([folder / "one", folder / "other"], protocol="rm-r1").results
    found = comparison.benchmarks["rm-bench"]
    assert found.runs["other"].from_first["total"] == Difference(0.0, first=0.7, second=0.7)
    assert found.notes == (UNCOUNTED,)
    row = next(row for row in comparison_csv(comparison).splitlines() if "rm-bench,difference,total" in row)
    assert row == "other,one,rm-bench,difference,total,0.0,,,,,,,,,"


@pytest.mark.parametrize("turned", [False, True])
def test_a_run_beside_a_released_model(folder, turned):
    names = ("one", "run") if turned else ("run", "one")
    comparison = compare_runs([folder / name for name in names], protocol="strict").results
    found = comparison.benchmarks["rm-bench"]
    own = json.loads((folder / "run" / "results.json").read_text())["benchmarks"]["rm-bench"]["protocols"]["rm-r1"]
    sides = {name: standing.metrics["chat"].value for name, standing in found.runs.items()}
    assert sides == {"run": own["metrics"]["chat"]["value"], "one": 0.6}
    assert comparison.not_compared == {"rewardbench": "not in run"}
    notes = " | ".join(found.notes)
    assert "run: not the whole benchmark: safety: none of 441 items" in notes
    assert "not compared, since a run lacks subsets of them: total, hard, normal, easy, safety" in notes
    assert all("total" not in standing.metrics for standing in found.runs.values())
    cells = [cell for table in comparison_tables(comparison) for row in table.rows for cell in row]
    assert "not compared: not in run" in cells


def test_nothing_in_common_is_said(folder, tmp_path):
    write_json(tmp_path / "released" / "RM-Bench" / "final_result.json", {})
    data = tmp_path / "mine.jsonl"
    data.write_text(json.dumps({"prompt": "q", "chosen": "good", "rejected": "bad"}) + "\n")
    run_eval("custom", data, by_gold(lambda *_: True), tmp_path / "run")
    with pytest.raises(RunError, match="no benchmark is in two of the runs"):
        compare_runs([tmp_path / "run", folder / "one"], protocol="rm-r1")


def test_published_models_are_compared_by_their_counts(shared):
    one, other = (
        shared / "published" / name for name in ("RM-R1-DeepSeek-Distilled-Qwen-32B", "RM-R1-Qwen2.5-Instruct-32B")
    )
    found = compare_runs([one, other]).results.benchmarks
    score = found["rewardbench"].versus[0].difference
    assert (round(100 * score.first, 1), round(100 * score.second, 1)) == (90.9, 91.4)
    assert score.low < 0 < score.high, "91.4 against 90.9 is within chance"
    assert found["rmb"].versus[0].difference.low > 0
    assert found["rm-bench"].notes == (UNCOUNTED,)
