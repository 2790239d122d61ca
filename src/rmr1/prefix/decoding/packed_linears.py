"""Weights in the order in which the processor's matrix product reads them, for products of few rows.

Such a product spends much of its time on bringing the weights into that order. While the weights do not change, this is done
once, for products of any number of rows. The products are then batch-invariant: a row rounds alike however many rows there are. MKL
and oneDNN do this; where torch has neither, or the model is not float32 on a CPU, products are computed as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rmr1.prefix.support import core_model
from rmr1.prefix.torch_internals import (
    can_pack_weights,
    mkl_linear,
    multiplies_packed_bfloat16,
    onednn_linear,
    packed_for_mkl,
    packed_for_onednn,
)

Product = Callable[[Tensor], Tensor]
Multiply = Callable[[Tensor, Tensor, Tensor | None, Tensor, int], Tensor]

_ROWS = 64
"""The number of rows for which the library chooses the order; with MKL, 16 to 256 are equally fast."""
_SMALLEST = 1 << 16
"""A model whose weights all have fewer elements is not worth it."""
_CLOSE = {torch.float32: 1e-4, torch.bfloat16: 0.02}
"""How far a product may be from torch's own, as a share of the largest number in it."""
_MOST_BYTES = 4 << 30
"""The weights of models that would need a larger copy are not packed."""


class PackedLinears:
    """The linear layers of a model, packed when they are first needed.

    Args:
        model: Its weights must not change while this is used.
        dtype: What products are computed in, float32 or bfloat16; where not given, what autocast says, or else float32. The output
            layer's are always in float32: logits that are rounded to bfloat16 are alike where they should differ.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype | None = None) -> None:
        self._model = model
        self._dtype = dtype or _autocast_type()

    def __bool__(self) -> bool:
        return bool(self._products)

    @property
    def in_bfloat16(self) -> bool:
        """Whether products of the layers are computed in bfloat16, where they can be packed."""
        return self._dtype == torch.bfloat16

    @contextmanager
    def used(self) -> Iterator[None]:
        """The model computes with the packed weights meanwhile."""
        try:
            for layer, product in self._products:
                layer.forward = product  # type: ignore[method-assign, assignment]
            with torch.autocast("cpu", enabled=False):
                yield
        finally:
            for layer, _ in self._products:
                vars(layer).pop("forward", None)

    @cached_property
    def _products(self) -> list[tuple[nn.Linear, Product]]:
        layers = [module for module in self._model.modules() if type(module) is nn.Linear and _fits(module)]
        large = next((layer for layer in layers if layer.weight.numel() >= _SMALLEST), None)
        if large is None or not _can_pack(layers, self._dtype) or not _serves_any_rows(large, self._dtype):
            return []
        head = core_model(self._model).get_output_embeddings()  # type: ignore[no-untyped-call]
        # Small ones too, or they would not be batch-invariant.
        return [(layer, _packed(layer, torch.float32 if layer is head else self._dtype)) for layer in layers]


def _packed(layer: nn.Linear, dtype: torch.dtype) -> Product:
    weight = layer.weight.detach()
    if dtype == torch.bfloat16:
        return partial(_product, _in_bfloat16, packed_for_onednn(weight.to(dtype), _ROWS), weight, layer.bias)
    if _is_intel():
        return partial(_product, _by_mkl, packed_for_mkl(weight, _ROWS), weight, layer.bias)
    return partial(_product, _by_onednn, packed_for_onednn(weight, _ROWS), weight, layer.bias)


def _product(multiply: Multiply, packed: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor) -> Tensor:
    rows = input.numel() // input.shape[-1]
    if rows == 1:  # a single row may be computed in another way, with other bits
        return _product(multiply, packed, weight, bias, input.expand(2, *input.shape).contiguous())[0]
    return multiply(packed, weight, bias, input, rows)


def _by_mkl(packed: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor, rows: int) -> Tensor:
    return mkl_linear(input, packed, weight, bias, rows)


def _by_onednn(packed: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor, rows: int) -> Tensor:
    return onednn_linear(input, packed, bias)


def _in_bfloat16(packed: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor, rows: int) -> Tensor:
    result = _by_onednn(packed, weight, None, input.to(torch.bfloat16), rows).to(input.dtype)
    return result if bias is None else result.add_(bias)


def _autocast_type() -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


def _serves_any_rows(layer: nn.Linear, dtype: torch.dtype) -> bool:
    """Whether weights that were packed for one number of rows serve others; the libraries say so between the lines only."""
    product = _packed(layer, dtype)
    states = torch.linspace(-1, 1, 3 * _ROWS * layer.in_features).view(-1, layer.in_features)
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        expected = linear(states, layer.weight, layer.bias)
        close = _CLOSE[dtype] * float(expected.abs().max())
        return all(
            torch.allclose(product(states[:rows]), expected[:rows], atol=close, rtol=0) for rows in (1, 3, 3 * _ROWS)
        )


def _can_pack(layers: Sequence[nn.Linear], dtype: torch.dtype) -> bool:
    room = sum(layer.weight.numel() for layer in layers) * dtype.itemsize <= _MOST_BYTES
    return can_pack_weights() and room and _multiplies_in(dtype)


def _multiplies_in(dtype: torch.dtype) -> bool:
    if dtype == torch.bfloat16:
        return multiplies_packed_bfloat16()
    return dtype == torch.float32


def _fits(layer: nn.Linear) -> bool:
    weight = layer.weight
    if "forward" in vars(layer):  # somebody else's, such as a hook
        return False
    plain = type(weight) in (nn.Parameter, Tensor) and weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and weight.is_contiguous()


def _is_intel() -> bool:
    """Whether the processor is Intel's: on others, MKL's products take up to three times as long as oneDNN's."""
    capabilities: Mapping[str, Any] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "Intel" in capabilities.get("cpu_name", "Intel")
