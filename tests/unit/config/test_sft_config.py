"""Presets, recipes, and what the configuration refuses."""

import pytest

from rmr1.config import SftConfig, find_recipe, load_config, recipe_names
from rmr1.errors import ConfigError

PAPER_RATES = {"qwen2.5-7b-instruct": 5e-6, "qwen2.5-14b-instruct": 3e-6, "qwen2.5-32b-instruct": 2e-6}


def test_the_paper_preset_has_the_papers_values():
    paper = SftConfig(preset="paper")
    assert (paper.method, paper.epochs, paper.batch_size, paper.max_length) == ("full", 1.0, 128, 12288)
    assert (paper.packing, paper.schedule, paper.warmup) == ("on", "cosine", 0.03)


def test_given_keys_win_over_the_preset():
    config = load_config(SftConfig, settings=["preset=paper", "batch_size=64"], environment={})
    assert (config.batch_size, config.max_length) == (64, 12288)


@pytest.mark.parametrize("name", recipe_names("sft"))
def test_every_recipe_loads_and_says_what_it_is_for(name):
    file = find_recipe("sft", name)
    load_config(SftConfig, file=file, environment={})
    assert file.read_text().startswith("# ")


@pytest.mark.parametrize(("name", "rate"), PAPER_RATES.items())
def test_the_papers_recipes(name, rate):
    config = load_config(SftConfig, file=find_recipe("sft", name), environment={})
    assert config.learning_rate == rate
    assert (config.batch_size, config.max_length, config.method, config.packing) == (128, 12288, "full", "on")


def test_the_recipes_that_were_asked_for_are_there():
    assert {*PAPER_RATES, "qwen2.5-7b-instruct-lora-24gb", "qwen2.5-7b-instruct-lora-80gb", "smollm2-135m-cpu"} <= set(
        recipe_names("sft")
    )


def test_a_recipe_by_path_and_an_unknown_one(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 2\n")
    assert find_recipe("sft", str(file)) == file
    with pytest.raises(ConfigError, match=r"recipe nope: neither a file nor a recipe .* smollm2-135m-cpu"):
        find_recipe("sft", "nope")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batch_size=6", "batch_size 6 is not a multiple of micro_batch_size 4"),
        ("preset=papre", "'default' or 'paper'"),
        ("learning_rat=1", 'unknown key "learning_rat"'),
        ("report_to=[mlflow]", "report_to"),
    ],
)
def test_wrong_settings_are_named(setting, message):
    with pytest.raises(ConfigError, match=message):
        load_config(SftConfig, settings=[setting], environment={})


def test_what_does_not_change_the_weights_is_no_part_of_the_identity():
    one = SftConfig(threads=1, checkpoint_steps=3, report_to=["tensorboard"], save_total_limit=5)
    assert one.identity() == SftConfig().identity()
    assert SftConfig(seed=1).identity() != SftConfig().identity()
    assert SftConfig(method="lora").identity() != SftConfig(method="lora", lora={"rank": 8}).identity()
