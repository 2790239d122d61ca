"""``rmr1 grpo`` as a user types it, with a tiny model that answers A or B at random; also killed, and with two processes."""

import hashlib
import json
import os
import random
import subprocess
import sys
from functools import partial

import pytest

from rmr1.runs import read_document, read_journal
from tests.support.processes import kill_when, lines_of
from tests.support.tiny_model import write_pairs_file, write_tiny_judge

pytest.importorskip("trl", reason="the train extra is not installed")
GRPO = ("rmr1.cli.main", "rl", "--data", "pairs.jsonl", "--model", "judge")
SETTINGS = (
    *("--template", "cor-brief", "--pairs-per-step", "4", "--rollouts", "2", "--micro-batch-size", "4"),
    *("--max-tokens", "40", "--learning-rate", "3e-4", "--epochs", "3", "--kl", "0.01", "--threads", "1"),
    *("--set", "checkpoint_steps=3", "--set", "evaluations=1", "--set", "held_out_share=0.2"),
    *("--set", "steps_per_rollout=2"),
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rl")
    write_tiny_judge(folder / "judge")
    write_pairs_file(folder / "pairs.jsonl", 40)
    return folder


def grpo(folder, run, *options, launcher=("-m",)):
    command = [sys.executable, *launcher, *GRPO, *SETTINGS, *options, "--run-directory", run]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, check=False)


@pytest.fixture(scope="module")
def undisturbed(folder):
    done = grpo(folder, "undisturbed")
    assert done.returncode == 0, done.stderr
    return done


def lines(run):
    return [line.record for line in read_journal(run, "metrics.jsonl")]


def untimed(run):
    return [{name: value for name, value in line.items() if not name.startswith("seconds")} for line in lines(run)]


def weights(run):
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_it_optimises_and_leaves_the_last_and_the_best_model(folder, undisturbed):
    run = folder / "undisturbed"
    results = read_document(run, "results.json")
    assert json.loads(undisturbed.stdout) == {"run": "undisturbed", "model": "undisturbed/model", **results}
    steps = [line for line in lines(run) if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, results["steps"] + 1))
    assert results["steps"] == results["pairs"] * 3 // 8 * 2  # whole rollouts of two steps
    assert any(line["grad_norm"] > 0 for line in steps)
    assert any(0 < line["zero_variance"] < 1 and line["computed"] < 1 for line in steps)
    assert all(line["seconds"] >= line["seconds_rollout"] for line in steps)
    assert [line["seconds_rollout"] > 0 for line in steps] == [True, False] * (len(steps) // 2)
    assert all(line["kl"] is not None for line in steps)
    assert all(set(line["invalid_by_reason"]) <= {"missing", "conflicting", "truncated"} for line in steps)
    assert next(line["step"] for line in lines(run) if line["kind"] == "held_out") == 0
    assert results["held_out"] + results["pairs"] == 40
    for name in ("model", "best"):
        assert json.loads((run / name / "rmr1.json").read_text())["template"] == "cor-brief"
        assert (run / name / "model.safetensors").is_file()
    assert not (run / "checkpoints").exists()
    assert "GRPO step 1 of " in undisturbed.stderr
    assert "Warning" not in undisturbed.stderr


def reaches(metrics, count):
    return lines_of(metrics) >= count


@pytest.mark.slow
def test_killed_five_times_it_ends_with_the_same_losses_and_weights(folder, undisturbed):
    run, chance, killed = folder / "killed", random.Random(0), 0
    total = len(lines(folder / "undisturbed"))
    for target in sorted(chance.sample(range(2, total - 1), 5)):
        command, later = [sys.executable, "-m", *GRPO, *SETTINGS, "--run", "killed"], chance.uniform(0, 0.05)
        reached = partial(reaches, run / "metrics.jsonl", target)
        killed += kill_when(reached, command, linger_s=later, cwd=folder, env=ENVIRONMENT)
    done = grpo(folder, "killed")
    assert done.returncode == 0, done.stderr
    assert "resuming from killed/checkpoints/checkpoint-" in done.stderr
    assert killed == 5
    assert untimed(run) == untimed(folder / "undisturbed")
    assert weights(run) == weights(folder / "undisturbed")


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(folder):
    """At the same global batch, also where one process has no group to learn from."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")
    few = ("--max-steps", "6", "--pairs-per-step", "2", "--set", "held_out_share=0", "--set", "steps_per_rollout=1")
    few = (*few, "--set", "precision=float32")
    for name, start in (("one", ("-m",)), ("two", launcher)):
        done = grpo(folder, name, *few, launcher=start)
        assert done.returncode == 0, done.stderr
    one, two = ([line for line in lines(folder / name) if line["kind"] == "step"] for name in ("one", "two"))
    for alone, shared in zip(one, two, strict=True):
        assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-3, abs=1e-6)
        assert shared["grad_norm"] == pytest.approx(alone["grad_norm"], rel=1e-3)
        for same in ("reward", "accuracy", "zero_variance", "invalid", "completion_tokens"):
            assert shared[same] == pytest.approx(alone[same])
    # With two pairs a step, each process has one group: half of them skipped is one process with nothing to learn from.
    assert any(line["zero_variance"] == 0.5 and line["grad_norm"] > 0 for line in one)


@pytest.mark.slow
def test_adapters_are_merged_into_the_last_and_the_best_model(folder):
    done = grpo(folder, "lora", "--method", "lora", "--max-steps", "2", "--set", "lora.rank=2")
    assert done.returncode == 0, done.stderr
    for name in ("model", "best"):
        assert (folder / "lora" / name / "model.safetensors").is_file()
        assert not list((folder / "lora" / name).glob("adapter*"))


@pytest.mark.slow
def test_transformers_generate_can_write_the_rollouts(folder):
    done = grpo(folder, "generate", "--rollout-backend", "generate", "--max-steps", "2")
    assert done.returncode == 0, done.stderr
    assert {line["kind"] for line in lines(folder / "generate")} == {"step", "held_out"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--micro-batch-size", "5"), "micro_batch_size 5 does not divide the 16 rollouts of a step"),
        (("--set", "loss=sequence-mean"), "skip_zero_variance needs loss token-mean"),
        (("--preset", "papre"), "'default' or 'paper'"),
        (("--template", "nope"), "nope"),
        (("--model", "nowhere"), "nowhere: not a model folder"),
        (("--pairs-per-step", "64"), "too few for a rollout of 128 pairs"),
    ],
)
def test_what_does_not_fit_is_named(folder, options, message):
    refused = grpo(folder, "refused", *options)
    assert refused.returncode in (1, 2)
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
