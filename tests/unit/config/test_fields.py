"""What options, help texts and tables are made of."""

import pytest

from rmr1.config import DistillConfig, JudgeConfig, RlConfig, SftConfig, list_keys
from rmr1.curation import DataRecipe

MODELS = (JudgeConfig, DistillConfig, SftConfig, RlConfig, DataRecipe)


def key(kind, name):
    return next(one for one in list_keys(kind) if one.name == name)


def test_a_key_has_its_option_its_choices_and_its_panel():
    slots = key(JudgeConfig, "engine.slots")
    assert (slots.option, slots.kind, slots.default, slots.panel) == ("--engine-slots", int, None, "Engine")
    assert key(JudgeConfig, "engine.base_url").option == "--base-url"
    assert key(JudgeConfig, "orders").choices == ("both", "given", "swapped", "random")
    assert key(JudgeConfig, "engine.server_grammar").choices == ("llamacpp", "vllm")
    assert key(SftConfig, "report_to").choices == ("tensorboard", "wandb", "trackio")
    assert [key(SftConfig, name).is_list for name in ("report_to", "lora.targets", "betas")] == [True, True, False]
    assert key(JudgeConfig, "engine.omit").is_list


def test_a_group_that_is_not_set_has_no_defaults():
    assert key(DistillConfig, "teacher_engine.max_retries").default == 5
    assert key(DistillConfig, "repairer_engine.max_retries").default is None
    assert key(DistillConfig, "teacher_prices.prompt").default is None


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_says_what_it_does_and_has_an_option_of_its_own(kind):
    keys = list(list_keys(kind))
    assert [one.name for one in keys if not one.meaning] == []
    assert len({one.option for one in keys}) == len(keys)


@pytest.mark.parametrize("kind", MODELS[:4])
def test_every_key_stands_under_a_heading(kind):
    assert [one.name for one in list_keys(kind) if one.panel == "Settings"] == []
