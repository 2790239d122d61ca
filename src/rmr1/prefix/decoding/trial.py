"""Whether a model can be run by our batches: by what its configuration says, and for families that nobody tested by a trial."""

from __future__ import annotations

from typing import Any

import torch

from rmr1.prefix.decoding.batch import Batch
from rmr1.prefix.decoding.rows import DecodingSequence
from rmr1.prefix.support import core_model, decoding_unsupported_reason
from rmr1.records import GenerationRequest, Sampling

TESTED = frozenset({"llama", "qwen2", "qwen3", "gemma"})
"""Families, by ``model_type``, that the tests compare with transformers."""
_COMMON, _OWN, _WRITTEN = 20, 3, 4
_TOLERANCE, _HALF_TOLERANCE = 0.01, 0.5


def trial_unsupported_reason(model: Any) -> str | None:
    """Why our batches cannot write with a model, or None where they can.

    Some models keep something else than keys and values, or do not hand arguments down to attention. Neither their class nor their
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
    """The largest difference of log-probabilities, in nats, between what a batch writes and the same model called as ever.

    Args:
        model: A causal language model of transformers, wrapped or not.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return max(_difference(model, writing) for writing in _written(model))
    finally:
        model.train(training)


def _written(model: Any) -> list[DecodingSequence]:
    size = core_model(model).config.vocab_size
    common = [(7 * place + 11) % size for place in range(_COMMON)]
    prompts = [tuple(common + [(number + 5 * place) % size for place in range(_OWN)]) for number in (1, 2, 2)]
    writings = [
        DecodingSequence(
            GenerationRequest(str(number), (), Sampling(max_tokens=_WRITTEN), logprobs=True),
            prompt,
            _COMMON,
            _WRITTEN - number % 2,
            repeated=prompt == prompts[-1],
        )
        for number, prompt in enumerate(prompts)
    ]
    batch, arriving = Batch(model, len(writings), frozenset()), writings
    while arriving or batch.busy:
        list(batch.work(arriving))
        arriving = []
    return writings


def _difference(model: Any, writing: DecodingSequence) -> float:
    written = [choice.token for choice in writing.choices]
    ids = torch.tensor([[*writing.prompt, *written]], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, len(writing.prompt) - 1 : -1].float()
    expected = logits.log_softmax(-1).gather(-1, torch.tensor(written, device=logits.device)[:, None])[:, 0]
    found = torch.tensor([choice.logprob for choice in writing.choices], device=logits.device)
    difference = (found - expected).abs().max()
    return float("inf") if difference.isnan() else float(difference)
