"""Attention over shared beginnings for models of transformers, through the library's own interface for attention functions.

What computes it is an argument of the model's call, which transformers hands down to each attention layer. There is no global
state, and gradient checkpointing, which computes layers again long after the call, gets the same argument. Calls without it use
``sdpa``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rmr1.errors import ConfigError
from rmr1.prefix.packing import Packed, PackedSpan
from rmr1.prefix.parts import can_split, split_attention
from rmr1.prefix.torch_internals import compiled_block_mask
from rmr1.prefix.transformers_internals import attention_implementation

IMPLEMENTATION = "rmr1_prefix"
"""What a model's attention is called once it can share beginnings."""
_OTHER_ATTENTION = ("softcap", "s_aux", "position_bias", "sliding_window")


class PrefixAttention(Protocol):
    """Attention of a call in which beginnings are shared."""

    def attend(self, module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """The attention of one layer.

        Args:
            module: The layer's attention.
            query: ``rows x heads x tokens x size``.
            key: What the call's cache returned, or as many tokens as the query has; with as many heads or a divisor of that.
            value: Like ``key``.
            scale: Factor of the scores.

        Returns:
            ``rows x tokens x heads x size``.
        """
        ...


class TreeMask:
    """Which tokens of a packed row see which, in the form that the device's attention wants.

    Args:
        packed: The row.
        device: Where the model computes.
    """

    def __init__(self, packed: Packed, device: torch.device) -> None:
        self.spans: Sequence[PackedSpan] = packed.spans
        self.ends = torch.tensor(packed.ends(), device=device)
        self.blocks: Any = None
        self._dense: Tensor | None = None
        if device.type == "cuda":
            self.blocks = compiled_block_mask(sees(self.ends), len(packed.tokens), device)

    def dense(self) -> Tensor:
        """The whole mask, for devices without a better way."""
        if self._dense is None:
            rows = torch.arange(len(self.ends), device=self.ends.device)
            self._dense = sees(self.ends)(rows, rows, rows[:, None], rows[None])
        return self._dense

    def attend(self, module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of a packed row, see ``PrefixAttention.attend``."""
        if self.blocks is not None:
            return flex_attention_forward(module, query, key, value, self.blocks, scaling=scale)[0]
        if can_split(query, value):
            return split_attention(query, key, value, self.spans, scale).transpose(1, 2)
        grouped = query.shape[1] != key.shape[1]
        mask = self.dense()
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale, enable_gqa=grouped)
        return mixed.transpose(1, 2)


def sees(ends: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Whether one place of a row sees another, as flex_attention asks for it: they are on one path, in this order.

    Args:
        ends: See ``Packed.ends``.
    """

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query < ends[key])

    return visible


def enable_prefix_attention(model: PreTrainedModel) -> None:
    """Let a model share beginnings. Calls that share none use ``sdpa``, whatever the model used before.

    It stays so: the backward pass of a checkpointed layer looks up the implementation again.
    """
    AttentionInterface.register(IMPLEMENTATION, prefix_attention_forward)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
    if attention_implementation(model.config) != IMPLEMENTATION:
        model.set_attn_implementation(IMPLEMENTATION)


def tree_inputs(packed: Packed, device: torch.device) -> dict[str, Any]:
    """What to call a model with for it to compute a packed row."""
    return {
        "input_ids": torch.tensor([packed.tokens], device=device),
        "position_ids": torch.tensor([packed.positions], device=device),
        "use_cache": False,
        **attention_inputs(TreeMask(packed, device), device),
    }


def attention_inputs(attention: PrefixAttention, device: torch.device) -> dict[str, Any]:
    """What to call a model with, besides tokens and positions, for it to attend in this way.

    The mask holds not-a-number and is not used. It keeps the library from making a mask of its own; if something did use it, the
    results would be not-a-number too, which is noticed.
    """
    return {"prefix_attention": attention, "attention_mask": torch.full((1, 1, 1, 1), float("nan"), device=device)}


def as_attended(*states: Tensor) -> tuple[Tensor, ...]:
    """Under autocast, the inputs of attention in the type that it computes in; kernels that are called directly do not get it.

    On a CPU attention stays in float32: torch's backward pass of it takes nearly three times as long in bfloat16.
    """
    kind = states[0].device.type
    if not torch.is_autocast_enabled(kind):
        return states
    dtype = torch.float32 if kind == "cpu" else torch.get_autocast_dtype(kind)
    return tuple(state.to(dtype) for state in states)


def prefix_attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    prefix_attention: PrefixAttention | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """An attention function as transformers calls it.

    Raises:
        ConfigError: The layer asks for more than plain attention.
    """
    if prefix_attention is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **options)
    unknown = [name for name in _OTHER_ATTENTION if options.get(name) is not None]
    if dropout or unknown:
        raise ConfigError(
            f"this model's attention has {', '.join(unknown) or 'dropout'}, with which beginnings cannot be shared: set "
            f"prefix_sharing=off and, in stage 2, rollout_backend=generate; judge with vLLM"
        )
    query, key, value = as_attended(query, key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return prefix_attention.attend(module, query, key, value, scale).contiguous(), None
