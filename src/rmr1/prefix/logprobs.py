"""Log-probabilities of completions, every token of the batch computed once.

They are what the plain way computes, one padded row a sequence, up to rounding; so are their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rmr1.errors import InputError
from rmr1.prefix.attention import enable_prefix_attention, tree_inputs
from rmr1.prefix.head import LOGITS_MEMORY, reading_logprobs
from rmr1.prefix.packing import Predictions, pack, predictions
from rmr1.prefix.support import core_model
from rmr1.prefix.tree import build_tree

MIN_SHARED = 8
"""Splitting a node costs a few small calls in every layer; for fewer shared tokens than this it is not worth it."""


class SequenceLogprobs(NamedTuple):
    """What ``sequence_logprobs`` returns.

    Args:
        logprobs: One row a sequence, one column a token of its completion, 0 behind its end.
        entropies: Likewise, in nats and without a gradient; None where not asked for.
        computed: Tokens that went through the model.
        given: Tokens of all sequences; over ``computed``, this is how much there was to save.
    """

    logprobs: Tensor
    entropies: Tensor | None
    computed: int
    given: int


def sequence_logprobs(
    model: Any,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    min_shared: int = MIN_SHARED,
    logits_memory: int = LOGITS_MEMORY,
) -> SequenceLogprobs:
    """Log-probabilities of completions, given their prompts.

    Args:
        model: A causal language model that ``unsupported_reason`` accepts, as it is called in training: with what wraps it. It can
            run over trees from then on, see ``enable_prefix_attention``.
        prompt_ids: Tokens of each prompt, at least one each.
        completion_ids: Tokens of each completion; may be none.
        temperature: Divides the logits.
        entropy: Whether to compute entropies too.
        min_shared: Fewer tokens are not shared.
        logits_memory: Bytes of logits that are kept for the backward pass.

    Raises:
        InputError: A completion has no prompt, or the temperature is not positive.
    """
    if temperature <= 0:
        raise InputError(f"temperature is {temperature}; it must be above 0")
    sequences = [[*prompt, *completion] for prompt, completion in zip(prompt_ids, completion_ids, strict=True)]
    packed = pack(build_tree(sequences, min_shared=min_shared))
    wanted = predictions(packed, [len(prompt) for prompt in prompt_ids])
    core = core_model(model)
    given = sum(map(len, sequences))
    if not wanted.places:
        nothing = torch.zeros(len(sequences), 0, device=core.device)
        return SequenceLogprobs(nothing, nothing if entropy else None, 0, given)
    enable_prefix_attention(core)
    inputs = tree_inputs(packed, core.device)
    places, targets = torch.tensor([wanted.places, wanted.targets], device=core.device)
    head: Any = core.get_output_embeddings()  # type: ignore[no-untyped-call]
    with reading_logprobs(head, targets, temperature, entropy, logits_memory):
        read = model(**inputs, logits_to_keep=places).logits[0]
    index = _index(wanted, core.device)
    entropies = _spread(read[:, 1].detach(), index) if entropy else None
    return SequenceLogprobs(_spread(read[:, 0], index), entropies, len(packed.tokens), given)


def disagreement(model: Any) -> float:
    """The largest difference of a log-probability over a small tree from the plain way; of the order of rounding where all is well.

    For a model that nobody has tried yet. It costs two forward passes of a few tokens, without gradients, in evaluation mode.
    """
    prompts = [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 5]]
    completions = [[6, 7, 8], [6, 9], [6, 7, 8, 2]]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            shared = sequence_logprobs(model, prompts, completions, min_shared=1).logprobs
            worst = 0.0
            for prompt, completion, row in zip(prompts, completions, shared, strict=True):
                ids = torch.tensor([prompt + completion], device=row.device)
                alone = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
                plain = alone.gather(1, ids[0, len(prompt) :, None])[:, 0]
                worst = max(worst, float((plain - row[: len(completion)]).abs().nan_to_num(torch.inf).max()))
    finally:
        model.train(training)
    return worst


def _index(wanted: Predictions, device: torch.device) -> Tensor:
    """For each sequence and column the pair to read; behind its end, one past the last pair."""
    width, nothing = max(map(len, wanted.rows)), len(wanted.places)
    return torch.tensor([[*row, *[nothing] * (width - len(row))] for row in wanted.rows], device=device)


def _spread(values: Tensor, index: Tensor) -> Tensor:
    return torch.cat([values, values.new_zeros(1)])[index]
