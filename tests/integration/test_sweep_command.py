"""Sweeps, plans with money and time, and exit codes of ``rmr1 eval`` as a user types them."""

import csv
import json
import random
import subprocess
import sys

import pytest

from tests.support.benchmarks import record, write_rm_bench, write_rmb
from tests.support.processes import kill_when

RMR1 = (sys.executable, "-m", "rmr1.cli.main")
DOMAINS = ("chat", "code", "safety-refuse")
COMPARISONS = {"rm-bench": 3 * 3 * 9, "rmb": 10}
KILLS = 3


def rmr1(*arguments, cwd):
    return subprocess.run([*RMR1, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


def arguments(*options):
    return ("eval", "--model", "replay/one.jsonl", "--bench", "rm-bench,rmb", "--data", "data", *options)


def write(folder, longest=10):
    write_rm_bench(folder / "data" / "RM-Bench", DOMAINS, 3)
    write_rmb(folder / "data" / "RMB_dataset", 10)
    record(folder, "one.jsonl", 1, longest, votes=4)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small benchmarks, a recorded judge with four votes, and a sweep over votes."""
    folder = write(tmp_path_factory.mktemp("sweep"))
    done = rmr1(*arguments("--votes", "1,2,4", "--run", "sweep", "--protocol", "strict"), cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


def test_a_sweep_asks_for_its_most_votes_once(folder):
    for name, comparisons in COMPARISONS.items():
        requests = [
            json.loads(line)["request"]
            for line in (folder / "sweep" / "4-votes" / name / "completions.jsonl").read_text().splitlines()
        ]
        assert len(requests) == len(set(requests)) == comparisons * 2 * 4
    total = sum(COMPARISONS.values())
    assert f"plan: {total} comparisons, {total * 8} completions, about " in (folder / "stderr").read_text()
    again = rmr1(*arguments("--votes", "4,2,1", "--run", "sweep", "--json"), cwd=folder)
    assert f"resuming: {COMPARISONS['rm-bench'] * 8} comparisons are already answered" in again.stderr
    assert json.loads(again.stdout) == written(folder / "sweep" / "sweep.json")


def written(path):
    content = json.loads(path.read_text())
    assert content.pop("check")
    return content


@pytest.mark.parametrize("votes", [1, 2])
def test_a_point_has_the_figures_of_a_run_with_so_many_votes(folder, votes):
    alone = f"alone-{votes}"
    done = rmr1(*arguments("--votes", votes, "--temperature", 1, "--run", alone, "--json"), cwd=folder)
    assert done.returncode == 0, done.stderr
    reported = rmr1("report", "sweep/4-votes", "--votes", votes, "--format", "json", cwd=folder)
    alone_again = rmr1("report", alone, "--format", "json", cwd=folder)
    assert (reported.stdout, reported.stderr) == (alone_again.stdout, "")
    points = json.loads((folder / "sweep" / "sweep.json").read_text())["points"]
    point = next(point for point in points if point["votes"] == votes)
    for name, found in json.loads(done.stdout)["benchmarks"].items():
        for protocol, block in found["protocols"].items():
            assert point["benchmarks"][name]["protocols"][protocol]["metrics"] == block["metrics"]


def test_a_sweep_on_stdout_again_and_as_a_page(folder):
    stdout = (folder / "stdout").read_text()
    assert "rm-bench: total, protocol strict: right only if both orders" in stdout
    assert rmr1("report", "sweep", "--protocol", "strict", cwd=folder).stdout == stdout
    again = rmr1("report", "sweep", "--format", "json", cwd=folder)
    assert json.loads(again.stdout) == written(folder / "sweep" / "sweep.json")
    assert "| votes | value |" in rmr1("report", "sweep", "--format", "markdown", cwd=folder).stdout
    rows = list(
        csv.DictReader(rmr1("report", "sweep", "--format", "csv", "--votes", "3", cwd=folder).stdout.splitlines())
    )
    assert {row["votes"] for row in rows} == {"3"}
    assert "report: sweep/sweep.html" in (folder / "stderr").read_text()
    assert "<h1>replay/one.jsonl by votes</h1>" in (folder / "sweep" / "sweep.html").read_text()


def test_a_point_is_compared_with_another(folder):
    done = rmr1("compare", "sweep/4-votes", "sweep/4-votes", "--votes", "1,4", "--json", cwd=folder)
    found = json.loads(done.stdout)["benchmarks"]["rm-bench"]
    points = json.loads((folder / "sweep" / "sweep.json").read_text())["points"]
    one, four = (
        point["benchmarks"]["rm-bench"]["protocols"]["official"]["metrics"]["total"]["value"]
        for point in (points[0], points[2])
    )
    difference = found["runs"]["4-votes, 4 votes"]["from_first"]["total"]
    assert difference["value"] == pytest.approx(four - one)


def test_a_plan_with_money_and_time(folder):
    rates = ("--prices", "3,15", "--tokens-per-second", "100")
    sweep = arguments("--votes", "1,4", "--max-tokens", "64,256", "--dry-run", *rates)
    text = rmr1(*sweep, cwd=folder).stdout
    assert "estimates from 3 for a million tokens of prompts, 15 written; 100 written tokens a second" in text
    plans = json.loads(rmr1(*sweep, "--json", cwd=folder).stdout)
    completions = 2 * 8 * COMPARISONS["rm-bench"]
    assert plans[0]["completions"] == completions
    assert plans[0]["max_completion_tokens"] == completions // 2 * (64 + 256)
    assert plans[0]["seconds"] == plans[0]["max_completion_tokens"] / 100
    assert json.loads(rmr1(*sweep[:-4], "--json", cwd=folder).stdout)[0]["cost"] is None
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--fail-under", "0.4", "--max-invalid", "0.5"), 0, "plan: "),
        (("--fail-under", "0.99"), 3, "rmr1: rm-bench: total, protocol official, is below 0.99"),
        (("--max-invalid", "0.001", "--fail-under", "0.99"), 4, "of the verdicts are invalid, more than 0.1%"),
        (
            ("--orders", "random", "--protocol", "strict", "--fail-under", "0"),
            3,
            "rmr1: rm-bench, without a score by protocol strict (needs both orders), is below 0.0",
        ),
        (("--votes", "1,4", "--fail-under", "0.99"), 3, "rmr1: votes 4: rmb: score, protocol official, is below 0.99"),
        (("--votes", "x"), 2, "--votes x: should be a valid integer"),
    ],
)
def test_exit_codes_and_messages(folder, tmp_path, options, code, message):
    done = rmr1(*arguments("--run", tmp_path / "run", *options), cwd=folder)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("sweep/4-votes", "--votes", "many"), "--votes many: expected whole numbers, such as 4 or 1,4"),
        (("sweep/4-votes", "--votes", "1,2"), "--votes: 2 numbers for 1 run; give one, or one for each"),
    ],
)
def test_mistakes_in_a_report_are_one_line(folder, options, message):
    done = rmr1("report", *options, cwd=folder)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def journals(run):
    return sum(path.stat().st_size for path in run.glob("*/*/completions.jsonl"))


@pytest.mark.slow
def test_killed_at_random_moments_a_sweep_ends_with_the_same_results(tmp_path):
    write(tmp_path, longest=8_000)
    options = ("--votes", "1,4", "--template", "cor,cor-brief")
    undisturbed = rmr1(*arguments(*options, "--run", "undisturbed", "--json"), cwd=tmp_path)
    assert undisturbed.returncode == 0, undisturbed.stderr
    whole, chance, died = journals(tmp_path / "undisturbed"), random.Random(7), 0
    command = [*RMR1, *arguments(*options, "--run", "killed")]
    for moment in sorted(chance.random() for _ in range(KILLS)):
        died += kill_when(lambda least=moment * whole: journals(tmp_path / "killed") >= least, command, cwd=tmp_path)
    assert died >= KILLS - 1
    final = rmr1(*arguments(*options, "--run", "killed", "--json"), cwd=tmp_path)
    assert "resuming" in final.stderr
    assert final.stdout == undisturbed.stdout
    for file in ("sweep.json", "sweep.html", "cor-4-votes/results.json", "cor-brief-4-votes/rmb/completions.jsonl"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "undisturbed" / file).read_bytes()
