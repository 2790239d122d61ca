"""Reasoning reward models: judge which of two responses is better, with the reasons.

>>> from rmr1 import Judge
>>> Judge("llamacpp/smollm2-135m-instruct").compare("What is 2 + 2?", "4", "5").winner  # doctest: +SKIP
'A'
"""

from rmr1.data import compare, open_source
from rmr1.judging import Judge
from rmr1.prompts import load_template, render
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
from rmr1.verdict import parse

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
    "compare",
    "load_template",
    "open_source",
    "parse",
    "render",
    "verdict_reward",
]
