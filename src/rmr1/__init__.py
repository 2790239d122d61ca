"""Reasoning reward models: judge which of two responses is better, with the reasons.

>>> from rmr1 import Judge
>>> Judge("llamacpp/smollm2-135m-instruct").compare("What is 2 + 2?", "4", "5").winner  # doctest: +SKIP
'A'
"""

from rmr1.data import load_pairs
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
from rmr1.sides import show
from rmr1.verdict import parse_verdict

__all__ = [
    "Comparison",
    "Generation",
    "GenerationRequest",
    "Judge",
    "Judgment",
    "Message",
    "PreferencePair",
    "ResponseSet",
    "Sampling",
    "Verdict",
    "load_pairs",
    "load_template",
    "parse_verdict",
    "render_prompt",
    "show",
    "verdict_reward",
]
