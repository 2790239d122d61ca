"""What judging costs, through the command line and a server: early stopping, budgets and money."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from rmr1.runs import read_document, read_journal

pytestmark = pytest.mark.slow
RMR1 = (sys.executable, "-m", "rmr1.cli.main")
ROOT = Path(__file__).parents[2]
TOKENS = 120
"""Of each answer of the server."""


def rmr1(*arguments, cwd):
    environment = {**os.environ, "OPENAI_API_KEY": "k", "RMR1_CACHE": str(cwd / "cache")}
    return subprocess.run(
        [*RMR1, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@contextmanager
def server():
    """A server that says A at once; its address."""
    command = [sys.executable, "-m", "tests.support.openai_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.terminate()


@pytest.fixture
def folder(tmp_path):
    rows = [{"id": f"p{number}", "prompt": f"q{number}", "chosen": "good", "rejected": "bad"} for number in range(20)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def judge(folder, address, *options):
    return rmr1(
        "judge", "pairs.jsonl", "--model", "openai/m", "--base-url", address, "--run", "run", *options, cwd=folder
    )


def results(folder):
    return read_document(folder / "run", "results.json")


def test_votes_are_stopped_early_and_counted(folder):
    with server() as address:
        done = judge(folder, address, "--votes", 9, "--stop", "early")
        assert done.returncode == 0, done.stderr
        assert (results(folder)["completions"], results(folder)["spared"]) == (200, 160)
        assert "completions spared by stopping early" in done.stdout
        assert "160 of 360 (44.4 %)" in done.stdout


def test_a_budget_ends_the_run_cleanly_and_a_larger_one_goes_on(folder):
    with server() as address:
        small = judge(folder, address, "--max-total-tokens", 3600, "--max-tokens", 300, "--prices-prompt", 1,
                      "--prices-completion", 10)  # fmt: skip
        assert small.returncode == 0, small.stderr
        assert "the budget is used up: " in small.stderr
        assert "of 3,600 tokens are spent (max_total_tokens)" in small.stderr
        assert "the same command with a larger one continues" in small.stderr
        lines = sum(1 for _ in read_journal(folder / "run", "completions.jsonl"))
        assert 0 < lines * TOKENS <= 3600
        assert results(folder)["spending"]["cost"] == pytest.approx(lines * (100 * 1 + 20 * 10) / 1e6)
        assert results(folder)["left"] == 20 - results(folder)["pairs"] > 0
        assert "pairs left, for the budget is used up" in small.stdout
        assert f"for {lines * TOKENS:,} tokens in all processes" in small.stdout
        assert f"for {lines * TOKENS:,} tokens in all processes" in (folder / "run/report.html").read_text()
        whole = judge(folder, address, "--max-total-tokens", 10**6, "--max-tokens", 300)
        assert whole.returncode == 0, whole.stderr
        assert "the budget is used up" not in whole.stderr
        assert (results(folder)["left"], results(folder)["completions"]) == (0, 40)
        assert results(folder)["spending"]["tokens"]["prompt_tokens"] == 4000


def test_a_second_run_takes_its_answers_from_the_cache(folder):
    """The server is gone by then, so a single call would fail; and nothing of it counts as spent."""
    options = ("--cache", "--prices-prompt", 1, "--prices-completion", 10)
    with server() as address:
        done = judge(folder, address, *options)
        assert done.returncode == 0, done.stderr
        first = results(folder)
        assert first["from_cache"] == 0
    (folder / "run").rename(folder / "first")
    again = judge(folder, address, *options, "--max-total-tokens", 2000)
    assert again.returncode == 0, again.stderr
    second = results(folder)
    assert (second["from_cache"], second["spending"]["cost"], second["left"]) == (40, 0, 0)
    assert "40; they cost nothing" in again.stdout
    assert "completions/s" not in again.stdout
    changed = {"from_cache", "spending", "check"}
    assert {name: value for name, value in second.items() if name not in changed} == {
        name: value for name, value in first.items() if name not in changed
    }
    info = rmr1("cache", "info", "--json", cwd=folder)
    (found,) = json.loads(info.stdout)["models"]
    assert (found["model"], found["answers"], found["hits"]) == ("openai/m", 40, 40)
    assert rmr1("cache", "prune", cwd=folder).returncode == 2
    cleared = rmr1("cache", "clear", cwd=folder)
    assert cleared.returncode == 0
    assert not list((folder / "cache/answers").glob("*.sqlite"))


def test_an_evaluation_has_one_budget_for_all_its_benchmarks_and_processes(folder):
    def evaluate(*options):
        return rmr1("eval", "--model", "openai/m", "--base-url", address, "--bench", "custom", "--data", "pairs.jsonl",
                    "--prices", "1,10", "--max-tokens", 300, "--run", "eval", *options, cwd=folder)  # fmt: skip

    with server() as address:
        small = evaluate("--max-cost", 0.008)
        assert small.returncode == 0, small.stderr
        assert "the budget is used up: " in small.stderr
        first = read_document(folder / "eval", "results.json")["spending"]
        assert 0 < first["cost"] <= 0.008
        whole = evaluate("--max-cost", 1)
        found = read_document(folder / "eval", "results.json")
        assert found["spending"]["cost"] == pytest.approx(40 * 300 / 1e6)
        assert "0.0120 for 4,800 tokens in all processes" in whole.stdout
        assert found["benchmarks"]["custom"]["judged"]["pairs"] == 20
        assert "0.0120 for 4,800 tokens" in (folder / "eval/report.html").read_text()
