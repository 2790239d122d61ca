"""Log-probabilities instead of logits, read where the model applies its output layer.

A hook on the output layer takes its input and puts log-probabilities in the place of its output. They are so computed within the
model's own forward pass, where wrappers for distributed training have its parameters at hand, and nothing of the model is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

LOGITS_MEMORY = 256 * 2**20
"""Bytes of logits, in float32, that are kept for the backward pass; where there are more, they are computed in parts, and again."""


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
