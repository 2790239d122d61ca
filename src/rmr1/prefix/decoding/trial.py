"""Whether a model can be decoded in batches: by its configuration, and for families that the tests do not cover by a trial."""

from __future__ import annotations

from typing import Any

import torch

from rmr1.prefix.decoding.batch import Batch
from rmr1.prefix.decoding.sequences import DecodingSequence
from rmr1.prefix.support import core_model, decoding_unsupported_reason
from rmr1.records import GenerationRequest, Sampling

TESTED = frozenset({"llama", "qwen2", "qwen3", "gemma"})
"""Families, by ``model_type``, that the tests compare with transformers."""
_COMMON, _OWN, _COMPLETION = 20, 3, 4
_TOLERANCE, _HALF_TOLERANCE = 0.01, 0.5


def trial_unsupported_reason(model: Any) -> str | None:
    """Why a model cannot be decoded in batches, or None where it can.

    Some models cache something other than keys and values, or do not pass arguments on to attention. Neither their class nor their
    configuration says so.

    Args:
        model: A causal language model of transformers, wrapped or not.
    """
    reason = decoding_unsupported_reason(model)
    core = core_model(model)
    if reason is not None or core.config.model_type in TESTED:
        return reason
    try:
        found = disagreement(model)
    except Exception as error:  # whatever a foreign model does with what it is given
        return f"{type(core).__name__} fails in a trial ({type(error).__name__}: {error})"
    tolerance = _TOLERANCE if core.dtype == torch.float32 else _HALF_TOLERANCE
    if found < tolerance:
        return None
    return f"the log-probabilities of {type(core).__name__} are wrong by {found:.2g} in a trial"


def disagreement(model: Any) -> float:
    """The largest difference of log-probabilities, in nats, between a batch and a plain forward pass of the same model.

    Args:
        model: A causal language model of transformers, wrapped or not.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return max(_difference(model, sequence) for sequence in _decoded(model))
    finally:
        model.train(training)


def _decoded(model: Any) -> list[DecodingSequence]:
    size = core_model(model).config.vocab_size
    common = [(7 * place + 11) % size for place in range(_COMMON)]
    prompts = [tuple(common + [(number + 5 * place) % size for place in range(_OWN)]) for number in (1, 2, 2)]
    sequences = [
        DecodingSequence(
            GenerationRequest(str(number), (), Sampling(max_tokens=_COMPLETION), logprobs=True),
            prompt,
            _COMMON,
            _COMPLETION - number % 2,
            repeated=prompt == prompts[-1],
        )
        for number, prompt in enumerate(prompts)
    ]
    batch, arriving = Batch(model, len(sequences), frozenset()), sequences
    while arriving or batch.busy:
        list(batch.work(arriving))
        arriving = []
    return sequences


def _difference(model: Any, sequence: DecodingSequence) -> float:
    completion = [choice.token for choice in sequence.choices]
    ids = torch.tensor([[*sequence.prompt, *completion]], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, len(sequence.prompt) - 1 : -1].float()
    expected = logits.log_softmax(-1).gather(-1, torch.tensor(completion, device=logits.device)[:, None])[:, 0]
    found = torch.tensor([choice.logprob for choice in sequence.choices], device=logits.device)
    difference = (found - expected).abs().max()
    return float("inf") if difference.isnan() else float(difference)
