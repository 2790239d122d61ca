"""Typed configuration: flags over environment over YAML, unknown keys refused."""

from rmr1.config.distill import BatchConfig, DistillConfig, Prices
from rmr1.config.load import load_config
from rmr1.config.models import EngineConfig, JudgeConfig, OrderPolicy
from rmr1.config.recipes import find_recipe, recipe_names
from rmr1.config.sft import LoraConfig, SftConfig

__all__ = [
    "BatchConfig",
    "DistillConfig",
    "EngineConfig",
    "JudgeConfig",
    "LoraConfig",
    "OrderPolicy",
    "Prices",
    "SftConfig",
    "find_recipe",
    "load_config",
    "recipe_names",
]
