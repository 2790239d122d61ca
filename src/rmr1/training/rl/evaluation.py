"""How well the model judges held-out pairs on the way: in both orders, greedily."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from rmr1.records import Sampling, Side
from rmr1.results import RlEvalMetrics
from rmr1.training.rl.groups import JudgePrompt
from rmr1.training.rl.outcomes import Outcome

Write = Callable[[Sequence[Sequence[int]], Sequence[Sampling]], list[list[int]]]


def judge_held_out(
    shown: Sequence[JudgePrompt],
    prompts: Sequence[Sequence[int]],
    write: Write,
    score: Callable[[JudgePrompt, list[int]], Outcome],
    max_tokens: int,
    step: int,
) -> RlEvalMetrics:
    """Judge comparisons and see how many pairs are right.

    Args:
        shown: The comparisons, both orders of each pair.
        prompts: Their tokens.
        write: Writes completions.
        score: Parses a completion.
        max_tokens: Longest completion.
        step: Optimiser steps so far.
    """
    completions = write(prompts, [Sampling(max_tokens=max_tokens)] * len(prompts))
    outcomes = [score(comparison, tokens) for comparison, tokens in zip(shown, completions, strict=True)]
    by_pair: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_pair[outcome.pair_id].append(outcome)
    valid = [_preferences(pair) for pair in by_pair.values() if all(outcome.prefers for outcome in pair)]
    return RlEvalMetrics(
        step=step,
        accuracy=_mean([all(outcome.reward > 0 for outcome in pair) for pair in by_pair.values()]) or 0.0,
        vote_accuracy=_mean([outcome.reward > 0 for outcome in outcomes]) or 0.0,
        position_consistency=_mean([len(preferred) == 1 for preferred in valid]),
        invalid=_mean([outcome.invalid is not None for outcome in outcomes]) or 0.0,
        completion_tokens=_mean([outcome.tokens for outcome in outcomes]) or 0.0,
        pairs=len(by_pair),
    )


def _preferences(pair: Sequence[Outcome]) -> set[Side | None]:
    return {outcome.prefers for outcome in pair}


def _mean(values: Sequence[Any]) -> float | None:
    return sum(values) / len(values) if values else None
