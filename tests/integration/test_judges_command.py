"""A scalar reward model, and judges that give verdicts, rate and reason, in one command: as a user types it."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("transformers", reason="the train extra is not installed")

from tests.support.tiny_model import write_pairs_file, write_tiny_judge, write_tiny_reward_model

RMR1 = (sys.executable, "-m", "rmr1.cli.main")
MODELS = "scalar/reward,hf/judge@verdict-only,hf/judge@pointwise,hf/judge@cor-brief"


def rmr1(*arguments, cwd):
    return subprocess.run([*RMR1, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judges")
    write_tiny_reward_model(folder / "reward")
    write_tiny_judge(folder / "judge")
    write_pairs_file(folder / "pairs.jsonl", 10)
    return folder


def arguments(*options):
    return ("eval", "--bench", "custom", "--data", "pairs.jsonl", "--models", MODELS, "--max-tokens", 8, *options)


def test_one_command_gives_one_table_with_intervals(folder):
    done = rmr1(*arguments("--run", "run", "--set", "engine.threads=1"), cwd=folder)
    assert done.returncode == 0, done.stderr
    for kind in ("scalar", "generative", "pointwise", "reasoning"):
        assert kind in done.stdout
    assert "95 %" in done.stdout and "p (Holm)" in done.stdout
    assert "position cannot matter" in done.stderr
    results = json.loads((folder / "run" / "judges.json").read_text())
    runs = results["benchmarks"]["custom"]["runs"]
    assert set(runs) == {"reward", "judge@verdict-only", "judge@pointwise", "judge@cor-brief"}
    reward = runs["reward"]["metrics"]["accuracy"]
    assert reward["value"] == 1.0 and reward["low"] < 1.0 and reward["n"] == 10  # it was trained to like "yes"
    assert runs["judge@pointwise"]["invalid"] == 1.0  # the tiny judge names sides and no ratings
    assert runs["reward"]["written_per_pair"] == 0
    lines = (folder / "run" / "reward" / "custom" / "completions.jsonl").read_text().splitlines()
    scores = [json.loads(line)["verdict"].get("score") for line in lines if line.startswith('{"pair"')]
    assert len([score for score in scores if score is not None]) == 20


def test_the_same_command_goes_on_and_a_report_can_be_made_of_each_judge(folder):
    rmr1(*arguments("--run", "run", "--set", "engine.threads=1"), cwd=folder)
    again = rmr1(*arguments("--run", "run", "--set", "engine.threads=1", "--json"), cwd=folder)
    assert again.returncode == 0 and "comparisons are already answered" in again.stderr
    assert (
        json.loads(again.stdout)["benchmarks"] == json.loads((folder / "run" / "judges.json").read_text())["benchmarks"]
    )
    compared = rmr1("compare", "run/reward", "run/judge@cor-brief", "--csv", cwd=folder)
    assert compared.returncode == 0 and "tokens written per pair" in compared.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "hf/judge"), "--model and --models"),
        (("--votes", "1,2"), "give one or the other"),
        (("--set", "engine.slots=none"), "judge reward: --set engine.slots=none"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(folder, options, words):
    done = rmr1(*arguments(*options), cwd=folder)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_plan_needs_no_model(folder):
    done = rmr1(*arguments("--dry-run", "--json"), cwd=folder)
    assert done.returncode == 0, done.stderr
    [plan] = json.loads(done.stdout)
    assert (plan["completions"], plan["max_completion_tokens"]) == (4 * 20, 3 * 20 * 8)


def test_a_scalar_model_judges_pairs_by_itself(folder):
    done = rmr1("judge", "pairs.jsonl", "--model", "scalar/reward", "--run", "alone", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    judged = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["winner"] for one in judged] == ["A"] * 10
    assert all(one["scores"][0] > one["scores"][1] and one["p_a"] > 0.5 for one in judged)
    refused = rmr1("judge", "pairs.jsonl", "--model", "scalar/reward", "--template", "cor", cwd=folder)
    assert refused.returncode == 2 and "is a scalar reward model" in refused.stderr


def test_the_doctor_says_that_it_cannot_examine_a_scalar_model(folder):
    done = rmr1("doctor", "scalar/reward", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "scores one response at a time" in " ".join(done.stdout.split())
