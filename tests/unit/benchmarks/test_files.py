"""Benchmarks are found where repositories and snapshots keep them, once, or refused with what was looked for."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmr1.benchmarks import find_benchmark, load
from rmr1.benchmarks.suite.files import MOST_FOLDERS, NOT_DATA
from rmr1.errors import DataError
from tests.support.benchmarks import write_json, write_rm_bench, write_rmb

DEEP = "clones/2025/some-repo/eval"


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def judgebench_rows(count, **more):
    return [
        {"pair_id": f"p{n}", "source": "mmlu-pro-law", "question": f"q{n}", "response_A": "a", "response_B": "b",
         "label": "B>A", **more}
        for n in range(count)
    ]  # fmt: skip


def rewardbench_rows(count=2, subset="donotanswer"):
    row = {"subset": subset, "chosen": "yes", "rejected": "no"} if subset else {"chosen": "yes", "rejected": "no"}
    return [{"id": n, "prompt": f"q{n}", **row} for n in range(count)]


def write_llmbar(folder):
    rows = [{"input": "q", "output_1": "a", "output_2": "b", "label": 1}]
    write_json(folder / "Natural/dataset.json", rows)
    write_json(folder / "Adversarial/Manual/dataset.json", rows)
    write_json(folder / "Natural/evaluators/GPT-4/CoT/result.json", rows * 3)


def write_suite(name, folder):
    """A small copy of a benchmark, its files directly in a folder."""
    four = {"subset": "Math", "prompt": "q", "chosen": ["c"], "rejected": ["x", "y", "z"]}
    votes = {"prompt": "q", "response_1": "a", "response_2": "b", "winner": "model_a"}
    match name:
        case "rm-bench":
            write_rm_bench(folder, ("chat",), 2)
        case "rmb":
            write_rmb(folder, 2)
        case "judgebench":
            write_lines(folder / "dataset=judgebench,response_model=gpt-4o-2024-05-13.jsonl", judgebench_rows(2))
        case "llmbar":
            write_llmbar(folder)
        case "rewardbench":
            write_lines(folder / "filtered.jsonl", rewardbench_rows())
        case "rewardbench2":
            write_json(folder / "test.json", [{"id": "1", **four}, {"id": "2", **four}])
        case "ppe":
            write_json(folder / "PPE-Human-Preference-V1/data/test.json", [{"question_id": n, **votes} for n in "ab"])


SUITE = ("rm-bench", "rmb", "judgebench", "llmbar", "rewardbench", "rewardbench2", "ppe")
ANYWHERE = tuple(name for name in SUITE if name != "rewardbench2")


@pytest.mark.parametrize("name", SUITE)
def test_a_benchmark_is_found_in_the_folder_itself_and_below_a_folder_of_its_name(name, tmp_path):
    benchmark = find_benchmark(name)
    write_suite(name, tmp_path / "here")
    write_suite(name, tmp_path / "above" / benchmark.folders[0])
    found = [load(benchmark, tmp_path / place) for place in ("here", "above")]
    assert found[0].pairs == found[1].pairs
    assert sum(found[0].items.values()) == 2


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_benchmark_is_found_at_any_level_and_never_in_what_judges_wrote(name, tmp_path):
    benchmark = find_benchmark(name)
    write_suite(name, tmp_path / DEEP / "dataset")
    for folder in ("outputs", "results", "run/logs", ".git"):
        write_suite(name, tmp_path / DEEP / folder)
    assert sum(load(benchmark, tmp_path).items.values()) == 2
    write_suite(name, tmp_path / DEEP / "again")
    with pytest.raises(DataError, match=rf"{benchmark.title} is there 2 times .*again.*dataset.*name one of these"):
        load(benchmark, tmp_path)
    assert sum(load(benchmark, tmp_path / DEEP / "again").items.values()) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(ANYWHERE),
    above=st.lists(st.sampled_from(["a", "b c", "data", "RM", "v1.0"]), max_size=5),
    inside=st.sampled_from([None, *sorted(NOT_DATA)]),
)
def test_only_folders_of_what_judges_wrote_hide_a_benchmark(tmp_path_factory, name, above, inside):
    top = tmp_path_factory.mktemp("any")
    write_suite(name, top.joinpath(*above, *([inside] if inside else [])))
    if inside is None:
        assert load(find_benchmark(name), top).pairs
        return
    with pytest.raises(DataError, match="looked for"):
        load(find_benchmark(name), top)
    assert load(find_benchmark(name), top.joinpath(*above, inside)).pairs


def test_what_judges_wrote_beside_the_files_of_a_set_is_not_read(tmp_path):
    write_suite("rmb", tmp_path)
    write_rmb(tmp_path / "elsewhere", 5)
    inside = tmp_path / "Pairwise_set" / "Harmlessness" / "outputs"
    inside.mkdir()
    (tmp_path / "elsewhere" / "Pairwise_set/Harmlessness/S1.json").rename(inside / "S1.json")
    assert sum(load(find_benchmark("rmb"), tmp_path).items.values()) == 2


def test_judgebench_does_not_read_what_other_judges_made_of_it(tmp_path):
    models = ("gpt-4o-2024-05-13", "claude-3-5-sonnet-20240620")
    for size, model in zip((3, 2), models, strict=True):
        stem = f"dataset=judgebench,response_model={model}"
        write_lines(tmp_path / f"JudgeBench/data/{stem}.jsonl", judgebench_rows(size))
        judged = judgebench_rows(size, judgments=[{"decision": "A>B"}])
        for place in ("outputs", "mine", "data"):
            write_lines(tmp_path / f"JudgeBench/{place}/{stem},judge_name=vanilla,judge_model=x.jsonl", judged)
    loaded = load(find_benchmark("judgebench"), tmp_path)
    assert loaded.items == {"claude/knowledge": 2, "gpt/knowledge": 3}


def test_llmbar_is_read_without_case_studies_and_evaluators(tmp_path):
    write_llmbar(tmp_path / "LLMBar/Dataset/LLMBar")
    write_json(tmp_path / "LLMBar/Dataset/CaseStudy/Base_9/dataset.json", [{"input": "no"}])
    assert load(find_benchmark("llmbar"), tmp_path).items == {"Manual": 1, "Natural": 1}
    adversarial = load(find_benchmark("llmbar"), tmp_path / "LLMBar/Dataset/LLMBar/Adversarial")
    assert adversarial.items == {"Manual": 1}


def test_rewardbench_prefers_its_filtered_split_and_refuses_to_guess(tmp_path):
    folder = tmp_path / "reward-bench"
    write_lines(folder / "raw.jsonl", rewardbench_rows(5))
    write_lines(folder / "filtered.jsonl", rewardbench_rows(3))
    assert load(find_benchmark("rewardbench"), tmp_path).items == {"donotanswer": 3}
    (folder / "filtered.jsonl").rename(folder / "other.jsonl")
    with pytest.raises(DataError, match=r"2 files may be RewardBench \(.*other.jsonl, .*raw.jsonl\); name one of them"):
        load(find_benchmark("rewardbench"), tmp_path)
    assert load(find_benchmark("rewardbench"), folder / "raw.jsonl").items == {"donotanswer": 5}


def test_shards_of_one_split_are_one_benchmark(tmp_path):
    for shard in range(2):
        write_lines(tmp_path / f"PPE-GPQA-Best-of-K/data/train-0000{shard}-of-00002.jsonl", [
            {"question_id": str(shard), "prompt": "q", "scores": [True, False], "response_1": "a", "response_2": "b",
             "sampled_conflict_pairs": [[0, 1]]}
        ])  # fmt: skip
        four = {"subset": "Math", "prompt": "q", "chosen": ["c"], "rejected": ["x", "y", "z"]}
        write_lines(tmp_path / f"reward-bench-2/test-0000{shard}-of-00002.jsonl", [{"id": str(shard), **four}])
    assert load(find_benchmark("ppe"), tmp_path).items == {"GPQA": 2}
    assert load(find_benchmark("rewardbench2"), tmp_path).items == {"Math": 2}


def test_a_run_of_ours_is_no_data(tmp_path):
    write_suite("rewardbench2", tmp_path / "data")
    for name in ("rewardbench2", "reward-bench-2"):
        write_lines(tmp_path / "run" / name / "pairs.jsonl", [{"id": "x"}])
    write_json(tmp_path / "run" / "run.json", {})
    assert load(find_benchmark("rewardbench2"), tmp_path / "data").pairs
    with pytest.raises(DataError, match="nothing of RewardBench 2 in it"):
        load(find_benchmark("rewardbench2"), tmp_path)


def test_links_are_followed_once(tmp_path):
    write_rmb(tmp_path / "far" / "RMB_dataset", 2)
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine").symlink_to(tmp_path / "far", target_is_directory=True)
    (here / "loop").symlink_to(here, target_is_directory=True)
    assert sum(load(find_benchmark("rmb"), here).items.values()) == 2


def test_a_search_through_too_many_folders_asks_for_a_nearer_one(tmp_path, monkeypatch):
    monkeypatch.setattr("rmr1.benchmarks.suite.files.MOST_FOLDERS", 3)
    for number in range(4):
        (tmp_path / str(number)).mkdir()
    with pytest.raises(DataError, match="more than 3 folders; name one nearer"):
        load(find_benchmark("rmb"), tmp_path)
    assert MOST_FOLDERS > 1000


def test_where_nothing_is_found_it_says_what_was_looked_for(tmp_path):
    (tmp_path / "empty").mkdir()
    write_json(tmp_path / "full" / "below" / "other.json", [{"a": 1}])
    for name, said in (
        ("rewardbench", r"looked for filtered\*.parquet.*; or .*in the folder itself or one named reward-bench"),
        ("rmb", r"looked for Pairwise_set/\*\*/\*.json and BoN_set"),
    ):
        for folder in ("empty", "full"):
            with pytest.raises(DataError, match=said + ".*; fetch https://"):
                load(find_benchmark(name), tmp_path / folder)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            rewardbench_rows(2, "mine-de"),
            r"not subsets of RewardBench: mine-de \(2 pairs\); it has alpacaeval-easy, .* others",
        ),
        (
            [*rewardbench_rows(3), *rewardbench_rows(1, "Donotanswer")],
            r"not subsets of RewardBench: Donotanswer \(1 pairs\)",
        ),
        (rewardbench_rows(2, None), "2 pairs name no subset of RewardBench; name it in the column subset, or"),
        (rewardbench_rows(2, ""), "2 pairs name no subset of RewardBench"),
    ],
)
def test_own_data_in_the_shape_of_a_benchmark_is_refused_before_it_is_judged(tmp_path, rows, said):
    write_lines(tmp_path / "reward-bench" / "filtered.jsonl", rows)
    with pytest.raises(DataError, match=said + ".*pass --bench custom --data .*filtered.jsonl"):
        load(find_benchmark("rewardbench"), tmp_path)
    assert load(find_benchmark("custom"), tmp_path / "reward-bench" / "filtered.jsonl").pairs


def test_unknown_kinds_and_scenarios_are_refused_too(tmp_path):
    rows = [{**row, "source": "poems"} for row in judgebench_rows(1)]
    write_lines(tmp_path / "JudgeBench" / "gpt.jsonl", rows)
    with pytest.raises(DataError, match=r"not subsets of JudgeBench: gpt/poems \(1 pairs\)"):
        load(find_benchmark("judgebench"), tmp_path)
    best = [{"bon_uid": "1", "conversation_input": [{"role": "user", "content": "q"}], "bon_best": {"answer": "a"},
             "loser_list": [{"answer": "b"}], "category_path": "BoN_set/Helpfulness/Code/Poems"}]  # fmt: skip
    write_json(tmp_path / "RMB_dataset/BoN_set/Helpfulness/Code/Poems.json", best)
    with pytest.raises(DataError, match=r"not subsets of RMB: BoN_set/Helpfulness/Code/Poems \(1 pairs\)"):
        load(find_benchmark("rmb"), tmp_path)
