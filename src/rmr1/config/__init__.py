"""Typed configuration: flags over environment over YAML, unknown keys refused."""

from rmr1.config.load import load_config
from rmr1.config.models import EngineConfig, JudgeConfig, OrderPolicy

__all__ = ["EngineConfig", "JudgeConfig", "OrderPolicy", "load_config"]
