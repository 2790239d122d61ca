"""``rmr1 eval`` and ``rmr1 report`` as a user types them."""

import csv
import json
import random
import subprocess
import sys

import pytest

from rmr1.runs import read_document
from tests.support.benchmarks import record, write_rm_bench, write_rmb
from tests.support.processes import kill_when

RMR1 = (sys.executable, "-m", "rmr1.cli.main")
DOMAINS = ("chat", "code", "safety-refuse")
KILLS = 10


def rmr1(*arguments, cwd):
    return subprocess.run([*RMR1, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small RM-Bench without maths and a smaller RMB, and two recorded judges."""
    folder = tmp_path_factory.mktemp("eval")
    write_rm_bench(folder / "data" / "RM-Bench", DOMAINS, 12)
    write_rmb(folder / "data" / "RMB_dataset", 30)
    record(folder, "one.jsonl", 1)
    record(folder, "other.jsonl", 2)
    return folder


def evaluate(folder, *options, model="one"):
    return rmr1(
        "eval", "--model", f"replay/{model}.jsonl", "--bench", "rm-bench,rmb", "--data", "data", *options, cwd=folder
    )


@pytest.fixture(scope="module")
def runs(folder):
    for name in ("one", "other"):
        done = evaluate(folder, "--run", name, model=name)
        assert done.returncode == 0, done.stderr
    return folder


def test_a_table_on_stdout_and_what_is_missing_on_stderr(folder):
    done = evaluate(folder, "--run", "table", "--protocol", "strict")
    assert done.returncode == 0, done.stderr
    assert "rm-bench, protocol strict: right only if both orders" in done.stdout
    assert "RM-Bench (1 of 2)\n" in done.stderr
    assert "RM-Bench: not the whole benchmark: math: none of 529 items" in done.stderr
    results = json.loads((folder / "table" / "results.json").read_text())
    assert list(results["benchmarks"]) == ["rm-bench", "rmb"]
    assert set(results["benchmarks"]["rm-bench"]["protocols"]) == {"official", "rm-r1", "strict"}


def test_the_same_command_does_nothing_twice(runs):
    before = (runs / "one" / "results.json").read_bytes()
    done = evaluate(runs, "--run", "one", "--json")
    assert "resuming: 648 comparisons are already answered" in done.stderr
    assert (runs / "one" / "results.json").read_bytes() == before
    assert read_document(runs / "one", "results.json") == json.loads(done.stdout)


def test_a_plan_loads_no_model_and_makes_no_run(folder):
    done = evaluate(folder, "--dry-run", "--json", "--run", "planned", "--limit", 6, model="absent")
    assert done.returncode == 0, done.stderr
    plans = {plan["benchmark"]: plan for plan in json.loads(done.stdout)}
    assert {name: plan["completions"] for name, plan in plans.items()} == {"rm-bench": 108, "rmb": 12}
    assert (plans["rm-bench"]["items"], plans["rm-bench"]["max_completion_tokens"]) == (6, 108 * 2048)
    assert plans["rm-bench"]["prompt_tokens"] == plans["rm-bench"]["prompt_characters"] // 4 > 0
    assert not (folder / "planned").exists()
    assert "Plan: nothing is judged" in evaluate(folder, "--dry-run").stdout


@pytest.mark.parametrize("protocol", ["official", "rm-r1", "strict"])
def test_a_report_in_every_form(runs, protocol):
    text = rmr1("report", "one", "--protocol", protocol, cwd=runs).stdout
    assert f"rm-bench, protocol {protocol}" in text
    assert "| total |" in rmr1("report", "one", "--format", "markdown", "--protocol", protocol, cwd=runs).stdout
    found = json.loads(rmr1("report", "one", "--format", "json", cwd=runs).stdout)
    assert found["published"]["benchmarks"] == ["rm-bench", "rmb"]
    assert found == read_document(runs / "one", "results.json")
    rows = list(csv.DictReader(rmr1("report", "one", "--format", "csv", cwd=runs).stdout.splitlines()))
    assert {row["protocol"] for row in rows if row["kind"] != "published"} == {"official", "rm-r1", "strict"}
    assert len([row for row in rows if row["kind"] == "cell" and row["protocol"] == protocol]) == 27 + 1


def test_two_runs_are_compared(runs):
    text = rmr1("compare", "one", "other", cwd=runs).stdout
    assert "RM-Bench, protocol official on 324 pairs: " in text
    found = json.loads(rmr1("compare", "one", "other", "--json", cwd=runs).stdout)
    one, other = (json.loads((runs / name / "results.json").read_text()) for name in ("one", "other"))
    totals = [
        run["benchmarks"]["rm-bench"]["protocols"]["official"]["metrics"]["total"]["value"] for run in (one, other)
    ]
    difference = found["benchmarks"]["rm-bench"]["runs"]["other"]["from_first"]["total"]
    assert difference["value"] == pytest.approx(totals[1] - totals[0])
    assert difference["low"] < difference["value"] < difference["high"]
    assert found["benchmarks"]["rmb"]["differing"]
    rows = list(csv.DictReader(rmr1("compare", "one", "other", "--csv", cwd=runs).stdout.splitlines()))
    assert len([row for row in rows if "difference" in row["kind"]]) == 16 + 27 + 2 + 1
    assert {row["run"] for row in rows} == {"one", "other"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("report", "one", "--protocol", "mine"),
            2,
            "--protocol mine: unknown; the protocols are official, rm-r1, pairs, strict",
        ),
        (("report", "one", "--format", "pdf"), 2, "--format pdf: unknown"),
        (("report", "one", "one", "one"), 2, "3 runs: one is reported; rmr1 compare sets any number side by side"),
        (("report", "absent"), 1, "absent: not a run directory"),
        (("report", "data"), 1, "data: not a run directory"),
        (("eval", "--bench", "mine"), 2, '--bench mine: no benchmark "mine"; there is rewardbench'),
        (("eval", "--bench", "llmbar", "--data", "data"), 2, "data: nothing of LLMBar in it"),
        (("eval", "--bench", "rmb"), 2, "not on the hub; fetch https://"),
    ],
)
def test_mistakes_are_one_line(runs, arguments, code, message):
    done = rmr1(*arguments, cwd=runs)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]


def test_released_logs_are_a_run(shared, tmp_path):
    model = shared / "published" / "RM-R1-Qwen2.5-Instruct-32B"
    done = rmr1("report", model, "--protocol", "rm-r1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "8 of 8 logged completions have the logged result" in done.stdout
    figures = json.loads(rmr1("report", model, "--format", "json", cwd=tmp_path).stdout)["benchmarks"]
    assert round(100 * figures["rewardbench"]["protocols"]["rm-r1"]["metrics"]["score"]["value"], 1) == 91.4
    assert round(100 * figures["rmb"]["protocols"]["rm-r1"]["metrics"]["score"]["value"], 1) == 73.0


def journals(run):
    return sum(path.stat().st_size for path in run.glob("*/completions.jsonl"))


@pytest.mark.slow
def test_killed_at_random_moments_a_run_ends_with_the_same_results(tmp_path):
    write_rm_bench(tmp_path / "data" / "RM-Bench", DOMAINS, 20)
    write_rmb(tmp_path / "data" / "RMB_dataset", 120)
    record(tmp_path, "one.jsonl", 3, longest=20_000)
    undisturbed = evaluate(tmp_path, "--run", "undisturbed", "--json")
    assert undisturbed.returncode == 0, undisturbed.stderr
    whole = journals(tmp_path / "undisturbed")
    chance = random.Random(5)
    command = [
        *RMR1,
        "eval",
        "--model",
        "replay/one.jsonl",
        "--bench",
        "rm-bench,rmb",
        "--data",
        "data",
        "--run",
        "killed",
    ]
    killed, died = tmp_path / "killed", 0
    for moment in sorted(chance.random() for _ in range(KILLS)):
        died += kill_when(lambda least=moment * whole: journals(killed) >= least, command, cwd=tmp_path)
        assert journals(killed) <= whole
    assert died >= KILLS - 2
    final = evaluate(tmp_path, "--run", "killed", "--json")
    assert "resuming" in final.stderr
    assert final.stdout == undisturbed.stdout
    for name in ("results.json", "rm-bench/completions.jsonl", "rmb/completions.jsonl", "rmb/pairs.jsonl"):
        assert (killed / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
