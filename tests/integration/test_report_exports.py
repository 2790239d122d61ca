"""``rmr1 report`` for other tools, beside published rows, and against released models, as a user types it."""

import csv
import importlib.util
import json
import subprocess
import sys

import pytest

from rmr1.benchmarks import find_benchmark, load
from rmr1.benchmarks.suite.rewardbench import SIZES
from rmr1.sides import random_order
from tests.support.benchmarks import write_rewardbench
from tests.support.engines import answer

RMR1 = (sys.executable, "-m", "rmr1.cli.main")
MODELS = ("RM-R1-DeepSeek-Distilled-Qwen-32B", "RM-R1-Qwen2.5-Instruct-32B")


def rmr1(*arguments, cwd):
    return subprocess.run([*RMR1, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All of RewardBench, judged once by a recorded judge: wrong on hard prompts, silent on unclear ones."""
    folder = tmp_path_factory.mktemp("exports")
    write_rewardbench(folder / "data" / "reward-bench")
    with (folder / "judge.jsonl").open("w") as recording:
        for pair in load(find_benchmark("rewardbench"), folder / "data").pairs:
            order, prompt = random_order(pair.id, 0), pair.prompt[0].content
            right = "A" if (order == "ab") == (pair.label == "A") else "B"
            text = answer({"A": "B", "B": "A"}[right] if prompt.endswith("hard") else right)
            line = {"request": f"{pair.id}/{order}/0", "text": "unclear" if prompt.endswith("unclear") else text}
            recording.write(json.dumps(line) + "\n")
    command = (
        "eval",
        "--model",
        "replay/judge.jsonl",
        "--bench",
        "rewardbench",
        "--data",
        "data",
        "--orders",
        "random",
    )
    for run, options in (("run", ()), ("part", ("--limit", 100))):
        done = rmr1(*command, "--run", run, *options, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_leaderboards_file(folder):
    options = ("report", "run", "--format", "leaderboard", "--model-name", "ours/judge")
    done = rmr1(*options, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model"] == "ours/judge"
    assert {subset: found[subset] for subset in SIZES} == {
        subset: (size - 1.5) / size for subset, size in SIZES.items()
    }
    kept = rmr1(*options, "--out", "eval-set/ours/judge.json", cwd=folder)
    assert (kept.stdout, kept.stderr) == ("", "written: eval-set/ours/judge.json\n")
    assert (folder / "eval-set" / "ours" / "judge.json").read_text() == done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("part", "--format", "leaderboard", "--model-name", "a/b"),
            1,
            "not the whole of RewardBench: alpacaeval-easy has",
        ),
        (
            ("run", "--format", "leaderboard"),
            2,
            "--model-name is not given: the leaderboard files results under ORG/MODEL",
        ),
        (("run", "--format", "leaderboard", "--protocol", "strict"), 2, "--protocol strict: the leaderboard's scores"),
        (("run", "part", "--format", "leaderboard"), 2, "--format leaderboard: 2 runs; it is of one"),
        (("run", "--format", "inspect"), 2, "--format inspect: name the file with --out"),
        (
            ("run", "--out", "report.txt"),
            2,
            "--format text: --out and --model-name belong to the formats html, leaderboard,",
        ),
    ],
)
def test_what_an_export_cannot_do_is_one_line(folder, arguments, code, message):
    done = rmr1("report", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]


def test_the_page_is_written_into_the_run_or_where_it_is_wanted(folder):
    done = rmr1("report", "run", "--format", "html", "--protocol", "rm-r1", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "written: run/report.html\n")
    elsewhere = rmr1("report", "run", "--format", "html", "--out", "page.html", cwd=folder)
    assert elsewhere.returncode == 0
    pages = [(folder / name).read_text() for name in ("run/report.html", "page.html")]
    assert ["RewardBench, protocol rm-r1" in page for page in pages] == [True, False]
    assert all("RM-R1-Qwen-Instruct-32B" in page for page in pages)


@pytest.mark.skipif(importlib.util.find_spec("inspect_ai") is None, reason="the extra 'inspect' is not installed")
def test_a_log_of_inspect(folder):
    from inspect_ai.log import read_eval_log

    done = rmr1("report", "run", "--format", "inspect", "--out", "judge.eval", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "written: judge.eval\n")
    log = read_eval_log(str(folder / "judge.eval"))
    results = json.loads((folder / "run" / "results.json").read_text())
    metrics = results["benchmarks"]["rewardbench"]["protocols"]["official"]["metrics"]
    assert {name: metric.value for name, metric in log.results.scores[0].metrics.items()} == {
        name: figure["value"] for name, figure in metrics.items()
    }
    assert len(log.samples) == 2985


def test_published_rows_stand_beside_the_runs_scores(folder):
    text = rmr1("report", "run", cwd=folder).stdout
    assert "marked with their source" in text
    assert "RM-R1-Qwen-Instruct-32B" in text
    assert "| this run, official |" in rmr1("report", "run", "--format", "markdown", cwd=folder).stdout
    rows = list(csv.DictReader(rmr1("report", "run", "--format", "csv", cwd=folder).stdout.splitlines()))
    published = {row["name"]: (float(row["value"]), row["source"]) for row in rows if row["kind"] == "published"}
    assert published["GPT-4o"] == (0.867, "as listed by RM-R1, arXiv 2505.02387")


def test_a_run_and_a_published_model_are_compared_without_pairs(folder, shared):
    model = shared / "published" / MODELS[1]
    found = json.loads(rmr1("compare", "run", model, "--json", cwd=folder).stdout)
    assert found["paired"] is False
    assert set(found["not_compared"]) == {"rm-bench", "rmb"}
    score = found["benchmarks"]["rewardbench"]["versus"][0]["difference"]
    assert score["low"] < score["value"] < score["high"] < 0
    text = rmr1("compare", "run", model, cwd=folder).stdout
    assert "RewardBench, protocol rm-r1: " in text
    assert "the intervals are unpaired" in text


def test_two_published_models_are_compared(shared, tmp_path):
    done = rmr1("compare", *(shared / "published" / name for name in MODELS), "--markdown", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"| {MODELS[0]} | {MODELS[1]} | -4.6 | n/a |" in done.stdout
    assert "| RM-Bench | no interval: its figures are released without counts |" in done.stdout


def test_a_published_model_makes_no_export(shared, tmp_path):
    model = shared / "published" / MODELS[0]
    refused = rmr1("report", model, "--format", "leaderboard", "--model-name", "a/b", cwd=tmp_path)
    assert (
        "RewardBench has no score under the protocol official: the released files hold no completions" in refused.stderr
    )
    refused = rmr1("report", model, "--format", "inspect", "--out", "a.eval", cwd=tmp_path)
    assert (refused.returncode, "released files do not hold the completions" in refused.stderr) == (2, True)
