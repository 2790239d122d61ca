"""Log-probabilities of completions, every token of the batch computed once.

They are what the plain way computes, one padded row a sequence, up to rounding; so are their gradients.

They are read where the model applies its output layer: a hook takes the layer's input and puts log-probabilities in the place of
its output. So they are computed within the model's own forward pass, where wrappers for distributed training have its parameters
at hand, and nothing of the model is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rmr1.errors import InputError
from rmr1.prefix.attention import enable_prefix_attention, tree_inputs
from rmr1.prefix.packing import Predictions, pack, predictions
from rmr1.prefix.support import core_model
from rmr1.prefix.tree import build_tree

MIN_SHARED = 8
"""Splitting a node costs a few small calls in every layer; for fewer shared tokens than this it is not worth it."""
LOGITS_MEMORY = 256 * 2**20
"""Bytes of logits, in float32, that are kept for the backward pass; where there are more, they are computed in parts, and again."""


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
    """The largest difference of a log-probability over a small tree from the plain way; no more than rounding if all is well.

    For models of an untested family. It costs two forward passes of a few tokens, without gradients, in evaluation mode.
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


@contextmanager
def reading_logprobs(
    head: torch.nn.Module, targets: Tensor, temperature: float, entropy: bool, memory: int = LOGITS_MEMORY
) -> Iterator[None]:
    """Within, the output layer returns log-probabilities of targets and, where asked for, entropies: (1, positions, 1 or 2).

    Args:
        head: The output layer. It is called once, with as many positions as there are targets.
        targets: One token for each position.
        temperature: Divides the logits.
        entropy: Whether to compute entropies; no gradient flows through them.
        memory: See ``LOGITS_MEMORY``.
    """
    taken: list[Tensor] = []

    def take(module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        taken.append(arguments[0])
        return (arguments[0][:, :1],)  # the layer's own call costs one position

    def give(module: Any, arguments: Any, logits: Tensor) -> Tensor:
        hidden = taken.pop()[0]
        step = max(1, memory // (4 * logits.shape[-1]))
        again = len(hidden) > step and torch.is_grad_enabled()
        parts = []
        for start in range(0, len(hidden), step):
            part = (module, hidden[start : start + step], targets[start : start + step], temperature, entropy)
            parts.append(checkpoint(_read, *part, use_reentrant=False) if again else _read(*part))
        return torch.cat(parts)[None]

    hooks = [head.register_forward_pre_hook(take), head.register_forward_hook(give, prepend=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _read(head: Any, hidden: Tensor, targets: Tensor, temperature: float, entropy: bool) -> Tensor:
    chosen, entropies = _Chosen.apply(head.forward(hidden), targets, temperature, entropy)  # type: ignore[no-untyped-call]
    return torch.stack([chosen, entropies] if entropy else [chosen], dim=-1)


class _Chosen(torch.autograd.Function):
    """Log-probability of one token a row. Keeps one array of the size of the logits, and its gradient is made in one more."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, temperature: float, entropy: bool) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(logits.dtype, torch.float32)
        scaled = logits.to(wide) / temperature if temperature != 1.0 else logits
        logprobs = torch.log_softmax(scaled, dim=-1, dtype=wide)
        ctx.save_for_backward(logprobs, targets)
        ctx.temperature, ctx.dtype = temperature, logits.dtype
        chosen = logprobs.gather(1, targets[:, None])[:, 0]
        entropies = torch.special.entr(logprobs.exp()).sum(-1) if entropy else chosen.new_zeros(())
        ctx.mark_non_differentiable(entropies)
        return chosen, entropies

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        logprobs, targets = ctx.saved_tensors
        upstream = (gradients[0] / ctx.temperature)[:, None]
        gradient = logprobs.exp().mul_(-upstream).scatter_add_(1, targets[:, None], upstream)
        return gradient.to(ctx.dtype), None, None, None


def _index(wanted: Predictions, device: torch.device) -> Tensor:
    """For each sequence and column the pair to read; behind its end, one past the last pair."""
    width, nothing = max(map(len, wanted.rows)), len(wanted.places)
    return torch.tensor([[*row, *[nothing] * (width - len(row))] for row in wanted.rows], device=device)


def _spread(values: Tensor, index: Tensor) -> Tensor:
    return torch.cat([values, values.new_zeros(1)])[index]
