"""``rmr1 sft`` as a user types it, with a tiny random model."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from functools import partial

import pytest

from rmr1.runs import read_document
from tests.support.processes import kill_when, lines_of, wait_until
from tests.support.tiny_model import write_tiny_model, write_traces

pytest.importorskip("trl", reason="the train extra is not installed")
SFT = (sys.executable, "-m", "rmr1.cli.main", "sft", "--data", "traces.jsonl", "--model", "tiny")
SETTINGS = (
    *("--batch-size", "8", "--micro-batch-size", "4", "--max-length", "400", "--learning-rate", "1e-3"),
    *("--epochs", "4", "--threads", "1", "--set", "evaluations=1", "--set", "checkpoint_steps=2"),
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
STEPS = 31


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sft")
    write_tiny_model(folder / "tiny", attention_dropout=0.1)  # so that the random numbers have to go on too
    write_traces(folder / "traces.jsonl", 64)
    return folder


def sft(folder, run, *options):
    command = [*SFT, *SETTINGS, *options, "--run", run]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, check=False)


@pytest.fixture(scope="module")
def undisturbed(folder):
    done = sft(folder, "undisturbed")
    assert done.returncode == 0, done.stderr
    return done


def losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["kind"], line["step"], line["loss"], line.get("grad_norm")) for line in lines]


def weights(run):
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_it_learns_and_leaves_a_model_that_says_how_it_wants_to_be_asked(folder, undisturbed):
    run = folder / "undisturbed"
    results = read_document(run, "results.json")
    assert json.loads(undisturbed.stdout) == {"run": "undisturbed", "model": "undisturbed/model", **results}
    assert results["steps"] == STEPS == sum(kind == "step" for kind, *_ in losses(run))
    assert results["last_loss"] < results["first_loss"]
    assert results["held_out_after"]["loss"] < results["held_out_before"]["loss"]
    assert (results["traces"] + results["held_out"], results["dropped_too_long"]) == (64, 0)
    assert {"base", "template", "think"} <= set(json.loads((run / "model" / "rmr1.json").read_text()))
    assert (run / "model" / "chat_template.jinja").is_file()
    assert not (run / "checkpoints").exists()
    assert f"SFT step 1 of {STEPS}, loss " in undisturbed.stderr
    assert "tokens/s" in undisturbed.stderr
    assert "Warning" not in undisturbed.stderr


def has_steps(run, count):
    return lines_of(run / "metrics.jsonl") >= count


@pytest.mark.slow
def test_killed_five_times_it_ends_with_the_same_losses_and_weights(folder, undisturbed):
    run, chance, killed = folder / "killed", random.Random(0), 0
    for target in sorted(chance.sample(range(2, STEPS), 5)):
        command, later = [*SFT, *SETTINGS, "--run", "killed"], chance.uniform(0, 0.05)
        killed += kill_when(partial(has_steps, run, target), command, linger_s=later, cwd=folder, env=ENVIRONMENT)
    done = sft(folder, "killed")
    assert done.returncode == 0, done.stderr
    assert "resuming from killed/checkpoints/checkpoint-" in done.stderr
    assert killed == 5
    assert losses(run) == losses(folder / "undisturbed")
    assert weights(run) == weights(folder / "undisturbed")
    assert (run / "results.json").read_bytes() == (folder / "undisturbed" / "results.json").read_bytes()


@pytest.mark.slow
def test_interrupted_it_saves_and_a_damaged_checkpoint_is_passed_over(folder, undisturbed):
    run = folder / "interrupted"
    process = subprocess.Popen(
        [*SFT, *SETTINGS, "--run", "interrupted"], cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    wait_until(partial(has_steps, run, 8), process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130, told
    assert "run the same command again" in told
    newest = max((run / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    assert newest.name == f"checkpoint-{losses(run)[-1][1]}"
    (newest / "optimizer.pt").write_bytes((newest / "optimizer.pt").read_bytes()[:-1])
    done = sft(folder, "interrupted")
    assert done.returncode == 0, done.stderr
    assert f"{newest.relative_to(folder)} is damaged and passed over" in done.stderr
    assert losses(run) == losses(folder / "undisturbed")
    assert weights(run) == weights(folder / "undisturbed")


@pytest.mark.slow
def test_a_complete_run_is_not_done_again_and_another_one_is_refused(folder, undisturbed):
    again = sft(folder, "undisturbed")
    assert (again.returncode, again.stdout) == (0, undisturbed.stdout)
    assert "undisturbed is complete" in again.stderr
    other = sft(folder, "undisturbed", "--seed", "3")
    assert other.returncode == 1
    assert "undisturbed is another run: seed was 0, now 3" in other.stderr
