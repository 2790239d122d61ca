"""A run as logs of inspect_ai, written and read again with inspect_ai itself."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest

from rmr1.benchmarks import write_inspect_logs
from rmr1.errors import ConfigError, MissingExtraError, RunError
from rmr1.records import Generation
from tests.support.benchmarks import by_gold, run_eval, write_json, write_rm_bench

needs_inspect = pytest.mark.skipif(
    importlib.util.find_spec("inspect_ai") is None, reason="the extra 'inspect' is not installed"
)
DOMAINS = ("chat", "code")


def verdict(pair_id, order):
    """No verdict on the first prompts, right in one order on the next, right on the others."""
    number = int(pair_id.rpartition("#")[0].rpartition("/")[2])
    return None if number == 0 else order == "ab" or number > 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    write_rm_bench(folder / "data" / "RM-Bench", DOMAINS, 3)
    run_eval("rm-bench", folder / "data", by_gold(verdict), folder / "run")
    return folder


def read(path):
    from inspect_ai.log import read_eval_log

    return read_eval_log(str(path))


def figures(folder, protocol, run="run", benchmark="rm-bench", kind="metrics"):
    results = json.loads((folder / run / "results.json").read_text())
    return results["benchmarks"][benchmark]["protocols"][protocol][kind]


@needs_inspect
@pytest.mark.parametrize("ending", ["eval", "json"])
@pytest.mark.parametrize("protocol", ["official", "rm-r1", "strict"])
def test_the_log_has_the_runs_figures_and_a_sample_for_each_comparison(folder, tmp_path, protocol, ending):
    (path,) = write_inspect_logs(folder / "run", tmp_path / f"log.{ending}", protocol)
    assert path == tmp_path / f"log.{ending}"
    log = read(path)
    assert (log.status, log.eval.task, log.eval.model) == ("success", "rm-bench", "test/function")
    (score,) = log.results.scores
    assert score.name == protocol
    found = {name: {"value": metric.value, **metric.metadata} for name, metric in score.metrics.items()}
    assert found == figures(folder, protocol)
    assert len(log.samples) == log.results.total_samples == log.results.completed_samples == 2 * 3 * 9
    by_cell = {}
    for sample in log.samples:
        cell = f"{sample.metadata['subset']}/{sample.id.rpartition('#')[2].replace('-', '')}"
        by_cell.setdefault(cell, []).append(sample.scores[protocol].value)
    cells = figures(folder, protocol, kind="cells")
    assert {cell: sum(values) / len(values) for cell, values in by_cell.items()} == {
        cell: pytest.approx(figure["value"]) for cell, figure in cells.items()
    }


@needs_inspect
def test_a_sample_has_the_completions_of_both_orders_and_says_what_they_are_worth(folder, tmp_path):
    (path,) = write_inspect_logs(folder / "run", tmp_path / "log.eval", "strict")
    samples = {sample.id: sample for sample in read(path).samples}
    split = samples["chat_filtered/1#0-2"]
    assert [message.role for message in split.messages] == ["user", "assistant"] * 2
    assert [message.text for message in split.messages[1::2]] == ["<answer>[[A]]</answer>"] * 2
    assert split.messages[2].text.startswith("Order ba, vote 0: shown first is the pair's B, second its A.")
    assert [choice.message.text for choice in split.output.choices] == ["<answer>[[A]]</answer>"] * 2
    assert split.output.usage.output_tokens == 4
    score = split.scores["strict"]
    assert (split.target, score.value, score.answer) == ("A", 0.0, "ab A, ba B")
    assert "ba, vote 0: shown A, which is the pair's B: wrong" in score.explanation
    assert "worth 0 by strict: right only if both orders" in score.explanation
    whole, unclear = samples["chat_filtered/2#0-2"].scores["strict"], samples["chat_filtered/0#0-2"].scores["strict"]
    assert (whole.value, whole.answer, whole.reason) == (1.0, "A", None)
    assert (unclear.value, unclear.answer, unclear.reason) == (0.0, "none", "invalid_response_format")
    assert "no verdict (missing)" in unclear.explanation


@needs_inspect
def test_the_texts_of_the_run_stand_in_the_log(folder, tmp_path):
    (path,) = write_inspect_logs(folder / "run", tmp_path / "log.eval", "official")
    sample = next(sample for sample in read(path).samples if sample.id == "chat_filtered/1#0-2")
    assert sample.input == "chat 1"
    assert [choice.strip() for choice in sample.choices] == ["good 0", "bad 2"]
    assert "First, B:\nbad 2\n\nSecond, A:\ngood 0" in sample.messages[2].text


@needs_inspect
def test_the_same_run_makes_the_same_log(folder, tmp_path):
    texts = []
    for name in ("one.json", "other.json"):
        (path,) = write_inspect_logs(folder / "run", tmp_path / name, "official")
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]


@needs_inspect
def test_a_log_for_each_benchmark_and_items_that_are_not_whole(folder, tmp_path):
    """The second benchmark has best of N, one of whose comparisons the engine failed on."""
    row = {"bon_uid": "b", "conversation_input": [{"role": "user", "content": "q"}], "bon_best": {"answer": "good"},
           "loser_list": [{"answer": "bad"}, {"answer": "worse"}], "category_path": "BoN_set/Harmlessness/S1"}  # fmt: skip
    other = row | {"bon_uid": "c"}
    write_json(tmp_path / "RMB_dataset" / "BoN_set" / "Harmlessness" / "S1.json", [row, other])
    write_rm_bench(tmp_path / "RM-Bench", ("chat",), 1)
    right = by_gold(lambda *_: True)

    def reply(request):
        if "BoN" in request.id and "/b#0-1" in request.id:
            return Generation(request.id, "", "error", error="gone")
        return right(request)

    run_eval("rm-bench,rmb", tmp_path, reply, tmp_path / "run")
    written = write_inspect_logs(tmp_path / "run", tmp_path / "out" / "log.eval", "official")
    assert [path.name for path in written] == ["log-rm-bench.eval", "log-rmb.eval"]
    log = read(written[1])
    assert (log.status, log.results.total_samples, log.results.completed_samples) == ("started", 4, 3)
    scores = {sample.id.rpartition("/")[2]: sample.scores["official"] for sample in log.samples}
    assert math.isnan(scores["b#0-0"].value)
    assert "another comparison of its item is not judged" in scores["b#0-0"].explanation
    assert scores["c#0-0"].value == 1.0
    (score,) = log.results.scores
    assert (score.scored_samples, score.unscored_samples) == (2, 1)
    found = {name: metric.value for name, metric in score.metrics.items()}
    assert found == {name: figure["value"] for name, figure in figures(tmp_path, "official", benchmark="rmb").items()}


def test_another_ending_is_refused(folder):
    with pytest.raises(ConfigError, match=r"--out log.txt: a log of inspect_ai ends in .eval or .json"):
        write_inspect_logs(folder / "run", Path("log.txt"), "official")


@needs_inspect
def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run directory"):
        write_inspect_logs(tmp_path, tmp_path / "log.eval", "official")


def test_without_the_extra_it_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(MissingExtraError, match=r"rmr1\[inspect\]"):
        write_inspect_logs(folder / "run", tmp_path / "log.eval", "official")
