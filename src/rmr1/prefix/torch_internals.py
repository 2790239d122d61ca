"""What we use of torch beyond its public interface, all of it: this is the only file that names it.

These are kernels that torch calls itself, below functions that hide a part of what they compute or prepare weights anew for every
call. ``tests/contract/test_torch.py`` checks that they are there and take what they are given here; where they are not, callers
compute in the plain way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_attention = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_attention_backward = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None)


def has_cpu_attention(*, backward: bool = False) -> bool:
    """Whether torch has the kernel of attention for CPUs that returns log-sums, and, if asked, that of its gradient."""
    return _attention is not None and (not backward or _attention_backward is not None)


def cpu_attention(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Attention with the log-sums of the exponentials of its scores: ``[a, b, queries, size]`` and ``[a, b, queries]``."""
    assert _attention is not None
    mixed, sums = _attention(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)
    return mixed, sums


def cpu_attention_backward(
    upstream: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mixed: Tensor,
    sums: Tensor,
    causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value, from the whole output and the whole log-sums."""
    assert _attention_backward is not None
    of_query, of_key, of_value = _attention_backward(upstream, query, key, value, mixed, sums, 0.0, causal, scale=scale)
    return of_query, of_key, of_value


def compiled_block_mask(
    sees: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], length: int, device: torch.device
) -> Any:
    """The blocks of flex_attention's mask over ``length`` tokens, made by compiled code: the plain one needs the whole mask."""
    from torch.nn.attention.flex_attention import create_block_mask

    return create_block_mask(sees, None, None, length, length, device=device, _compile=True)


def compiled_from(module: Any) -> Any | None:
    """The module that ``torch.compile`` was given, or None where this is not what it returned."""
    return getattr(module, "_orig_mod", None)


def has_bfloat16_instructions() -> bool:
    """Whether the processor multiplies in bfloat16; without these instructions, torch converts back and forth."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def can_pack_weights() -> bool:
    """Whether torch has the products of MKL and oneDNN that take packed weights."""
    known = hasattr(torch.ops.mkl, "_mkl_reorder_linear_weight") and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return known and torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def multiplies_packed_bfloat16() -> bool:
    """Whether oneDNN's products take packed weights in bfloat16."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packed_for_mkl(weight: Tensor, rows: int) -> Tensor:
    """A weight in the order in which MKL reads it for products of ``rows`` rows."""
    packed: Tensor = torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
    return packed


def mkl_linear(input: Tensor, packed: Tensor, weight: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    """MKL's product of ``rows`` rows with a packed weight."""
    result: Tensor = torch.ops.mkl._mkl_linear(input, packed, weight, bias, rows)
    return result


def packed_for_onednn(weight: Tensor, rows: int) -> Tensor:
    """A weight in the order in which oneDNN reads it for products of ``rows`` rows."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return packed


def onednn_linear(input: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """OneDNN's product with a packed weight."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(input, packed, bias, "none", [], "")
    return result
