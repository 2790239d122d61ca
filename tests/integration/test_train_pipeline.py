"""A whole training by recipe with a tiny random model: all stages, resumed, refused, reported."""

import json
import subprocess
import sys

import pytest
import yaml

from rmr1.config import find_recipe
from rmr1.config.recipes import recipe_names
from rmr1.errors import ConfigError
from rmr1.pipeline import load_train_recipe
from tests.support.tiny_model import write_tiny_model

CODE = """
import sys
from pathlib import Path
from rmr1.cli.training import train_and_print
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
    "evaluation": {"limit": 3, "judge": {"max_tokens": 8, "logprobs": False}},
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
        "traces",
        "evaluation before training",
        "supervised fine-tuning",
        "evaluation after SFT",
    ]
    results = json.loads((folder / "run/results.json").read_text())
    assert list(results["evaluations"]) == ["before training", "after SFT"]
    assert {evaluation["judgements"] for evaluation in results["evaluations"].values()} == {6}
    page = (folder / "run/report.html").read_text()
    assert "before training" in page
    assert "after SFT" in page
    weights = (folder / "run/sft/model/model.safetensors").read_bytes()

    own = json.dumps({"prompt": "Name a prime.", "chosen": "7", "rejected": "8"})
    again = train(folder, stdin=own)
    assert again.returncode == 0, again.stderr
    assert json.loads((folder / "run/results.json").read_text()) == results
    assert (folder / "run/sft/model/model.safetensors").read_bytes() == weights
    assert "Name a prime." in again.stdout
    assert "Name a prime." not in first.stdout

    other = train(folder, "sft.max_steps=4")
    assert other.returncode != 0
    assert "run is another run: sft was" in other.stderr


def test_every_shipped_recipe_loads():
    assert "smollm2-135m-cpu" in recipe_names("train")
    for name in recipe_names("train"):
        recipe = load_train_recipe(find_recipe("train", name))
        assert recipe.sft.model == recipe.model
        assert recipe.distill.template == recipe.evaluation.judge.template == recipe.template


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_split": "nope"}, 'train_split: the data has no split "nope"; it has train, held_out'),
        ({"sft": {"model": "other"}}, "model stands at the top of a recipe and holds for all its stages"),
        ({"stages": 3}, 'unknown key "stages"'),
    ],
)
def test_what_a_recipe_cannot_say_is_named(tmp_path, change, message):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, **change}, sort_keys=False))
    with pytest.raises(ConfigError, match=message):
        load_train_recipe(tmp_path / "recipe.yaml")
