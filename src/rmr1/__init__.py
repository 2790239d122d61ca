"""Reasoning reward models: judge which of two responses is better, with the reasons; train and evaluate such judges.

>>> from rmr1 import Judge
>>> Judge("llamacpp/smollm2-135m-instruct").compare("What is 2 + 2?", "4", "5").winner  # doctest: +SKIP
'A'

Each verb of the command line has its function: ``evaluate``, ``compare_runs``, ``distill``, ``train_sft``, ``train_rl``,
``curate``. Every name is imported when it is first used, so that ``import rmr1`` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmr1.benchmarks import compare_runs, evaluate
    from rmr1.config import DistillConfig, JudgeConfig, RlConfig, SftConfig
    from rmr1.curation import DataRecipe, curate
    from rmr1.data import load_pairs
    from rmr1.distillation import distill
    from rmr1.judging import Judge
    from rmr1.prompts import load_template, render_prompt
    from rmr1.records import (
        Comparison,
        Generation,
        GenerationRequest,
        Judgment,
        Message,
        PreferencePair,
        ResponseSet,
        Sampling,
        Verdict,
    )
    from rmr1.reward import verdict_reward
    from rmr1.runs import Callbacks, NullCallbacks
    from rmr1.sides import show
    from rmr1.training import train_rl, train_sft
    from rmr1.verdict import parse_verdict

_NAMES = {
    "rmr1.benchmarks": ("compare_runs", "evaluate"),
    "rmr1.config": ("DistillConfig", "JudgeConfig", "RlConfig", "SftConfig"),
    "rmr1.curation": ("DataRecipe", "curate"),
    "rmr1.data": ("load_pairs",),
    "rmr1.distillation": ("distill",),
    "rmr1.judging": ("Judge",),
    "rmr1.prompts": ("load_template", "render_prompt"),
    "rmr1.records": (
        *("Comparison", "Generation", "GenerationRequest", "Judgment", "Message", "PreferencePair", "ResponseSet"),
        *("Sampling", "Verdict"),
    ),
    "rmr1.reward": ("verdict_reward",),
    "rmr1.runs": ("Callbacks", "NullCallbacks"),
    "rmr1.sides": ("show",),
    "rmr1.training": ("train_rl", "train_sft"),
    "rmr1.verdict": ("parse_verdict",),
}
_HOMES = {name: package for package, names in _NAMES.items() for name in names}

__all__ = [
    "Callbacks",
    "Comparison",
    "DataRecipe",
    "DistillConfig",
    "Generation",
    "GenerationRequest",
    "Judge",
    "JudgeConfig",
    "Judgment",
    "Message",
    "NullCallbacks",
    "PreferencePair",
    "ResponseSet",
    "RlConfig",
    "Sampling",
    "SftConfig",
    "Verdict",
    "compare_runs",
    "curate",
    "distill",
    "evaluate",
    "load_pairs",
    "load_template",
    "parse_verdict",
    "render_prompt",
    "show",
    "train_rl",
    "train_sft",
    "verdict_reward",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
