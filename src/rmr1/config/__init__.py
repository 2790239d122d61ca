"""Typed configuration: flags over environment over YAML, unknown keys refused."""

from rmr1.config.distill import BatchConfig, DistillConfig
from rmr1.config.load import is_setting, load_config
from rmr1.config.models import EngineConfig, JudgeConfig, OrderPolicy
from rmr1.config.prices import Prices, cost, parse_prices
from rmr1.config.recipes import find_recipe, recipe_names
from rmr1.config.rl import RlConfig, VllmConfig
from rmr1.config.sft import SftConfig
from rmr1.config.trainer import LoraConfig, TrainerConfig

__all__ = [
    "BatchConfig",
    "DistillConfig",
    "EngineConfig",
    "JudgeConfig",
    "LoraConfig",
    "OrderPolicy",
    "Prices",
    "RlConfig",
    "SftConfig",
    "TrainerConfig",
    "VllmConfig",
    "cost",
    "find_recipe",
    "is_setting",
    "load_config",
    "parse_prices",
    "recipe_names",
]
