"""Attention to a part of the keys, with what it takes to put parts together.

Softmax over all keys is the average of the softmaxes over parts of them, weighted with the exponentials of their log-sums. So no
part has to be copied beside another, masked or padded.

Torch's kernel for this on CPUs is below ``scaled_dot_product_attention``, which does not return the log-sums.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

_VECTORS = 64
"""Torch computes so many numbers, or multiples, in vectors alone; what is left over it computes, and rounds, in another way."""
_forward = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)


def has_kernel(query: Tensor, value: Tensor) -> bool:
    """Whether the kernel is there and takes such tensors."""
    return _forward is not None and query.device.type == "cpu" and query.shape[-1] == value.shape[-1]


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool = False, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Attention to one part.

    Args:
        query: Two axes of any meaning, queries, size of a head.
        key: Likewise; heads that share keys may share them by a stride of 0.
        value: Like ``key``.
        scale: Factor of the scores.
        causal: Whether a query sees only the keys up to its own place.
        mask: Added to the scores, with axes that may be 1.

    Returns:
        A tensor like ``query``, and the log-sums of the exponentials of its scores, of the precision that parts are merged in.
    """
    if has_kernel(query, value):
        mixed, sums = _forward(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)  # type: ignore[misc]
        return mixed, sums
    return _by_products(query, key, value, scale, causal, mask)


def merge(mixed: Tensor, sums: Tensor, part: Tensor, part_sums: Tensor) -> None:
    """Average what was mixed so far with another part, in place.

    Args:
        mixed: Of the precision of ``sums``.
        sums: Log-sums of what was mixed so far.
        part: See ``attend``.
        part_sums: Likewise.
    """
    together = _log_of_both(sums, part_sums)
    mixed.mul_((sums - together).exp_()[..., None])
    mixed.addcmul_(part.to(mixed.dtype), (part_sums - together).exp_()[..., None])
    sums.copy_(together)


def _log_of_both(sums: Tensor, part_sums: Tensor) -> Tensor:
    """``logaddexp`` that rounds a number alike, whatever is beside it."""
    flat = (pad(states.reshape(-1), (0, -states.numel() % _VECTORS)) for states in (sums, part_sums))
    return torch.logaddexp(*flat)[: sums.numel()].view(sums.shape)


def merging_type(states: Tensor) -> torch.dtype:
    """What the kernel computes log-sums in; the parts are put together in it."""
    return torch.float64 if states.dtype == torch.float64 else torch.float32


def _by_products(
    query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    wide = merging_type(query)
    scores = (query.to(wide) * scale) @ key.to(wide).transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    sums = scores.logsumexp(-1)
    return (scores - sums[..., None]).exp().to(value.dtype) @ value, sums
