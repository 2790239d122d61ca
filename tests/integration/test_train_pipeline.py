"""A whole training by recipe with a tiny random model: all stages, resumed, refused, reported."""

import json
import subprocess
import sys

import pytest
import yaml

from rmr1.config import find_recipe, recipe_names
from rmr1.errors import ConfigError, TrainingError
from rmr1.pipeline import load_train_recipe
from rmr1.pipeline.run import run_launched
from tests.support.tiny_model import write_tiny_model

CODE = """
import sys
from pathlib import Path
from rmr1.cli.train import train_and_print
train_and_print(Path("recipe.yaml"), sys.argv[1:], {}, Path("run"), ask_for_a_pair=True)
"""
RECIPE = {
    "model": "tiny",
    "template": "cor-brief",
    "data": {
        "sources": [{"curriculum": {"families": ["contains", "ending"], "levels": [1], "count": 40}}],
        "screens": {"near_duplicates": None},
        "orders": "given",
        "splits": {"train": 0.7, "held_out": 0.3},
    },
    "distill": {"teacher": "program/curriculum", "orders": "given"},
    "sft": {"batch_size": 4, "micro_batch_size": 4, "max_steps": 3, "held_out_share": 0.2, "evaluations": 1},
    "rl": {
        "pairs_per_step": 4,
        "rollouts": 2,
        "micro_batch_size": 8,
        "max_steps": 2,
        "max_tokens": 8,
        "held_out_share": 0.2,
    },
    "evaluation": {"limit": 3, "limit_before": 2, "judge": {"max_tokens": 8, "logprobs": False}},
}


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("trl", reason="the train extra is not installed")
    write_tiny_model(tmp_path / "tiny")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return tmp_path


def train(folder, *settings, stdin=""):
    return subprocess.run(
        [sys.executable, "-c", CODE, *settings], cwd=folder, input=stdin, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_all_stages_then_nothing_to_do_then_a_pair_of_the_users_own(folder):
    first = train(folder)
    assert first.returncode == 0, first.stderr
    stages = [line.split("] ")[1] for line in first.stderr.splitlines() if line.startswith("[")]
    assert stages == [
        "data",
        "evaluation before training",
        "traces",
        "stage 1, supervised fine-tuning",
        "evaluation after SFT",
        "stage 2, reinforcement learning",
        "evaluation after RL",
    ]
    results = json.loads((folder / "run/results.json").read_text())
    assert list(results["evaluations"]) == ["before training", "after SFT", "after RL"]
    assert [evaluation["completions"] for evaluation in results["evaluations"].values()] == [4, 6, 6]
    page = (folder / "run/report.html").read_text()
    assert (
        "same 3 held-out pairs, in both orders; no prompt of theirs was trained on. The one before training judges the first 2"
        in page
    )
    assert "before training" in page
    assert "after SFT" in page
    assert "Stage 2: reward" in page
    weights = (folder / "run/rl/model/model.safetensors").read_bytes()

    own = json.dumps({"prompt": "Name a prime.", "chosen": "7", "rejected": "8"})
    again = train(folder, stdin=own)
    assert again.returncode == 0, again.stderr
    assert json.loads((folder / "run/results.json").read_text()) == results
    assert (folder / "run/rl/model/model.safetensors").read_bytes() == weights
    assert "Name a prime." in again.stdout
    assert "Name a prime." not in first.stdout

    other = train(folder, "sft.max_steps=4")
    assert other.returncode != 0
    assert "run is another run: sft was" in other.stderr


@pytest.mark.slow
def test_training_stages_run_under_a_launcher(folder):
    launched = train(folder, f"launch=[{sys.executable}]", "rl.max_steps=1")
    assert launched.returncode == 0, launched.stderr
    assert (folder / "run/rl.yaml").is_file()
    assert list(json.loads((folder / "run/results.json").read_text())["evaluations"])[-1] == "after RL"


def test_a_launcher_that_is_not_there_is_named(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(TrainingError, match="launch: no command 'nope'"):
        run_launched(["nope"], "sft", {}, folder / "traces.jsonl", folder / "sft")
    with pytest.raises(TrainingError, match="sft ended with status 2 under"):
        run_launched([sys.executable], "sft", {"nope": 1}, folder / "traces.jsonl", folder / "sft")


NAMES = (
    *("smollm2-135m-cpu", "smollm2-135m-cpu-60min", "qwen2.5-7b-instruct-lora-1gpu"),
    *(f"{model}-{size}" for model in ("deepseek-r1-distill-qwen",) for size in ("7b", "14b", "32b")),
    *(f"qwen2.5-{size}-instruct" for size in ("7b", "14b", "32b")),
)


def test_every_shipped_recipe_loads():
    assert set(NAMES) <= set(recipe_names("train"))
    for name in recipe_names("train"):
        file = find_recipe("train", name)
        recipe = load_train_recipe(file)
        assert file.read_text().startswith("# ")
        stages = [stage for stage in (recipe.distill, recipe.sft, recipe.rl, recipe.evaluation.judge) if stage]
        assert {stage.template for stage in stages} == {recipe.template}
        assert {stage.model for stage in (recipe.sft, recipe.rl) if stage} == {recipe.model}


def test_an_empty_stage_is_a_stage_with_its_defaults(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "model: m\ndata: {sources: [{path: x.jsonl}]}\ndistill: {teacher: program/curriculum}\nsft: {}\nrl: {}\n"
    )
    recipe = load_train_recipe(file)
    assert (recipe.sft.model, recipe.rl.model) == ("m", "m")


def test_a_launched_stage_gets_no_settings_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("RMR1_SEED", "3")
    monkeypatch.setenv("RMR1_CACHE", str(tmp_path))
    launcher = tmp_path / "launcher.py"
    launcher.write_text(
        "import os, sys\nsys.exit('RMR1_SEED' in os.environ or os.environ['RMR1_CACHE'] != os.path.dirname(__file__))"
    )
    run_launched([sys.executable, str(launcher)], "sft", {}, tmp_path / "traces.jsonl", tmp_path / "sft")


def test_a_recipe_does_not_depend_on_the_environment(monkeypatch):
    file = find_recipe("train", "qwen2.5-7b-instruct")
    before = load_train_recipe(file)
    monkeypatch.setenv("RMR1_SEED", "5")
    assert load_train_recipe(file) == before


@pytest.mark.parametrize(
    ("size", "instruct", "distilled"), [("7b", 1e-6, 1e-6), ("14b", 7e-7, 1e-6), ("32b", 5e-7, 8e-7)]
)
def test_the_papers_recipes_of_stage_2(size, instruct, distilled):
    tuned = load_train_recipe(find_recipe("train", f"qwen2.5-{size}-instruct"))
    native = load_train_recipe(find_recipe("train", f"deepseek-r1-distill-qwen-{size}"))
    for recipe, rate in ((tuned, instruct), (native, distilled)):
        grpo = recipe.rl
        assert (grpo.learning_rate, grpo.rollouts, grpo.group_size, grpo.kl) == (rate, 7, 7, 1e-3)
        assert (grpo.pairs_per_step, grpo.steps_per_rollout, grpo.loss) == (128, 8, "sequence-mean")
        assert (grpo.max_prompt_tokens, grpo.max_tokens, grpo.orders, grpo.schedule) == (
            4096,
            8192,
            "random",
            "constant",
        )
    assert native.sft is None
    assert native.template == "reasoning-native"
    assert tuned.data.splits["distill"] == 0.12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distill_split": "nope"}, 'distill_split: the data has no split "nope"; it has train, held_out'),
        ({"rl_split": "nope"}, 'rl_split: the data has no split "nope"; it has train, held_out'),
        ({"sft": None}, "sft learns the traces that distill writes: give both, or neither"),
        ({"sft": None, "distill": None, "rl": None}, "a recipe trains something"),
        ({"sft": {"model": "other"}}, "model stands at the top of a recipe and holds for all its stages"),
        ({"stages": 3}, 'unknown key "stages"'),
    ],
)
def test_what_a_recipe_cannot_say_is_named(tmp_path, change, message):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, **change}, sort_keys=False))
    with pytest.raises(ConfigError, match=message):
        load_train_recipe(tmp_path / "recipe.yaml")
