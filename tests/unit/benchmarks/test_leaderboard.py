"""RewardBench's figures as the file of its leaderboard."""

import json
from dataclasses import replace

import pytest

from rmr1.benchmarks import leaderboard_entry, leaderboard_text
from rmr1.benchmarks.suite.rewardbench import SIZES
from rmr1.errors import ConfigError, RunError
from tests.support.benchmarks import run_eval, write_rewardbench
from tests.support.engines import answer


def judge(request):
    """Right on all but the pairs that say otherwise, where there is no verdict or a wrong one."""
    comparison = request.comparison
    prompt = comparison.prompt[0].content
    if prompt.endswith("unclear"):
        return "I cannot say."
    right = comparison.gold
    return answer({"A": "B", "B": "A"}[right] if prompt.endswith("hard") else right)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaderboard")
    data = write_rewardbench(folder / "reward-bench")
    return run_eval("rewardbench", data, judge, folder / "run", orders="random").results


def test_the_file_has_each_subset_and_three_more_keys(results):
    entry = leaderboard_entry(results, "ours/judge")
    assert {name: entry.pop(name) for name in ("model", "model_type", "chat_template")} == {
        "model": "ours/judge",
        "model_type": "Generative RM",
        "chat_template": None,
    }
    assert len(entry) == 23
    # The first pair of each subset is hard, the second has no verdict: it counts half.
    assert entry == {subset: (size - 1.5) / size for subset, size in SIZES.items()}


def test_the_file_is_written_as_the_authors_write_it(results):
    entry = leaderboard_entry(results, "ours/judge")
    assert leaderboard_text(entry) == json.dumps(entry, indent=4, sort_keys=True) + "\n"
    assert leaderboard_text(entry).startswith('{\n    "alpacaeval-easy": 0.985,\n')


def with_engine(results, engine):
    return replace(results, judge=replace(results.judge, engine=engine))


def test_the_name_of_a_model_of_the_hub_is_taken_from_the_run(results):
    assert leaderboard_entry(with_engine(results, "openai/Qwen/Qwen2.5-7B"))["model"] == "Qwen/Qwen2.5-7B"
    assert leaderboard_entry(with_engine(results, "openai/gpt-4o"), "openai/gpt-4o")["model"] == "openai/gpt-4o"


@pytest.mark.parametrize("engine", ["openai/gpt-4o", "llamacpp/models/judge.gguf", "hf//srv/judge"])
def test_a_name_without_an_organisation_is_refused(results, engine):
    with pytest.raises(ConfigError, match="--model-name is not given: the leaderboard files results under ORG/MODEL"):
        leaderboard_entry(with_engine(results, engine))
    with pytest.raises(ConfigError, match="--model-name judge:"):
        leaderboard_entry(results, "judge")


def changed(results, **found):
    return replace(results, benchmarks={"rewardbench": replace(results.benchmarks["rewardbench"], **found)})


def test_a_part_of_the_benchmark_is_refused(results):
    official = results.benchmarks["rewardbench"].protocols["official"]
    cells = {name: cell for name, cell in official.cells.items() if name != "hep-go"}
    cells["math-prm"] = replace(cells["math-prm"], n=400)
    part = changed(results, protocols={"official": replace(official, cells=cells)})
    with pytest.raises(
        RunError, match="math-prm has 400 of 447 pairs, hep-go has 0 of 164 pairs; judge all of it first"
    ):
        leaderboard_entry(part, "ours/judge")


def test_without_an_official_score_or_the_benchmark_it_is_refused(results):
    other = results.benchmarks["rewardbench"]
    without = changed(results, protocols={}, not_computed={"official": "nothing is judged yet"})
    with pytest.raises(RunError, match="no score under the protocol official: nothing is judged yet"):
        leaderboard_entry(without, "ours/judge")
    with pytest.raises(RunError, match="no RewardBench in this run; judge it"):
        leaderboard_entry(replace(results, benchmarks={"rmb": other}), "ours/judge")
    with pytest.raises(RunError, match="its subset Ties needs a score for each response"):
        leaderboard_entry(replace(results, benchmarks={"rewardbench2": other}), "ours/judge")
