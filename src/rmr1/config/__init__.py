"""Typed configuration: flags over ``--set`` over environment over YAML; unknown keys are errors."""

from rmr1.config.distill import BatchConfig, DistillConfig
from rmr1.config.fields import Flag, Key, list_keys, option_of
from rmr1.config.judge import EngineConfig, JudgeConfig, OrderPolicy, StopPolicy
from rmr1.config.load import find_recipe, is_setting, load_config, recipe_names, resolve_config
from rmr1.config.prices import Prices, cost, parse_prices
from rmr1.config.rl import RlConfig, VllmConfig
from rmr1.config.sft import SftConfig
from rmr1.config.trainer import LoraConfig, TrainerConfig

__all__ = [
    "BatchConfig",
    "DistillConfig",
    "EngineConfig",
    "Flag",
    "JudgeConfig",
    "Key",
    "LoraConfig",
    "OrderPolicy",
    "Prices",
    "RlConfig",
    "SftConfig",
    "StopPolicy",
    "TrainerConfig",
    "VllmConfig",
    "cost",
    "find_recipe",
    "is_setting",
    "list_keys",
    "load_config",
    "option_of",
    "parse_prices",
    "recipe_names",
    "resolve_config",
]
