"""How well a model predicts held-out traces, and the verdicts in them, and what a training concludes from it.

The model is teacher-forced: it is shown each trace up to the token in question.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rmr1.results import SftEvalMetrics, SftResults, SftStepMetrics
from rmr1.training.sft.traces import Example, Tokenised

if TYPE_CHECKING:
    import torch


def evaluate(model: Any, examples: Sequence[Example], step: int, device: torch.device | str) -> SftEvalMetrics:
    """Evaluate one example after the other; only the logits of the trace are computed.

    Args:
        model: The model, wrapped as for training.
        examples: Held-out traces with located verdicts.
        step: Optimiser steps so far.
        device: Where the model is.
    """
    import torch

    training = model.training
    model.eval()
    total, supervised, right = 0.0, 0, 0
    p_gold: list[float] = []
    try:
        with torch.no_grad():
            for example in examples:
                ids = torch.tensor([example.tokens], device=device)
                first = example.prompt_length
                logits = model(input_ids=ids, logits_to_keep=len(example.tokens) - first + 1, use_cache=False).logits
                logprobs = torch.log_softmax(logits[0, :-1].float(), dim=-1)
                total -= float(logprobs.gather(1, ids[0, first:, None]).sum())
                supervised += len(example.tokens) - first
                if example.verdict is not None:
                    place = logprobs[example.verdict.index - first]
                    margin = float(place[example.verdict.gold] - place[example.verdict.other])
                    right += margin > 0
                    p_gold.append(1 / (1 + math.exp(-max(min(margin, 700.0), -700.0))))
    finally:
        model.train(training)
    return SftEvalMetrics(
        step=step,
        loss=total / supervised,
        accuracy=right / len(p_gold) if p_gold else None,
        p_gold=sum(p_gold) / len(p_gold) if p_gold else None,
        traces=len(examples),
        verdicts=len(p_gold),
    )


def conclude(
    steps: Sequence[SftStepMetrics],
    evaluations: Sequence[SftEvalMetrics],
    trained: Tokenised,
    held_out: Tokenised,
    *,
    epochs: float,
    precision: str,
) -> SftResults | None:
    """What a training concludes; None where no step is known, as on all processes but the first.

    Args:
        steps: The metrics of all steps.
        evaluations: Those of all evaluations.
        trained: The traces that were trained on.
        held_out: The others.
        epochs: Passes over the traces.
        precision: What was computed in.
    """
    if not steps:
        return None
    tail = steps[-max(1, math.ceil(len(steps) / 10)) :]
    return SftResults(
        steps=len(steps),
        epochs=epochs,
        traces=len(trained.examples),
        dropped_too_long=len(trained.too_long),
        held_out=len(held_out.examples),
        held_out_dropped_too_long=len(held_out.too_long),
        tokens=sum(step.tokens for step in steps),
        supervised_tokens=sum(step.supervised for step in steps),
        first_loss=steps[0].loss,
        last_loss=sum(step.loss for step in tail) / len(tail),
        held_out_before=evaluations[0] if evaluations else None,
        held_out_after=evaluations[-1] if evaluations else None,
        precision=precision,
    )
