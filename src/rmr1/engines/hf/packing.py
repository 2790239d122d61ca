"""Weights in the order in which the processor's matrix product reads them, for products of few rows.

Such a product spends much of its time on bringing the weights into that order. While they do not change, they are brought into it
once, for products of any number of rows; and then these round alike, however many they are. MKL does this; where torch has no
MKL, or the model is not float32 on a CPU, products are computed as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

Product = Callable[[Tensor], Tensor]
Multiply = Callable[[Tensor, Tensor, Tensor | None, Tensor, int], Tensor]

_ROWS = 64
"""The number of rows that the library is told, for which it chooses the order; with MKL, 16 to 256 are as fast as each other."""
_SMALLEST = 1 << 16
"""A model whose weights all have fewer elements is not worth it."""
_MOST_BYTES = 4 << 30
"""The copy is as large as the weights; those of larger models are not copied."""


class PackedLinears:
    """The linear layers of a model, packed when they are first needed.

    Args:
        model: Its weights must not change while this is used.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def __bool__(self) -> bool:
        return bool(self._products)

    @contextmanager
    def used(self) -> Iterator[None]:
        """The model computes with the packed weights meanwhile."""
        try:
            for layer, product in self._products:
                layer.forward = product  # type: ignore[method-assign, assignment]
            yield
        finally:
            for layer, _ in self._products:
                vars(layer).pop("forward", None)

    @cached_property
    def _products(self) -> list[tuple[nn.Linear, Product]]:
        layers = [module for module in self._model.modules() if type(module) is nn.Linear and _fits(module)]
        large = next((layer for layer in layers if layer.weight.numel() >= _SMALLEST), None)
        if large is None or not _can_pack(layers) or not _serves_any_rows(large):
            return []
        return [(layer, _packed(layer)) for layer in layers]  # small ones too: their rows would feel their neighbours


def _packed(layer: nn.Linear) -> Product:
    weight = layer.weight.detach()
    if _intel():
        return partial(_product, _by_mkl, torch.ops.mkl._mkl_reorder_linear_weight(weight, _ROWS), weight, layer.bias)
    return partial(_product, _by_onednn, torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS), weight, layer.bias)


def _product(multiply: Multiply, packed: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor) -> Tensor:
    rows = input.numel() // input.shape[-1]
    if rows == 1:  # a single row may be computed in another way, with other bits
        return _product(multiply, packed, weight, bias, input.expand(2, *input.shape).contiguous())[0]
    return multiply(packed, weight, bias, input, rows)


def _by_mkl(packed: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor, rows: int) -> Tensor:
    result: Tensor = torch.ops.mkl._mkl_linear(input, packed, weight, bias, rows)
    return result


def _by_onednn(packed: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor, rows: int) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(input, packed, bias, "none", [], "")
    return result


def _intel() -> bool:
    """Whether the processor is Intel's: on others, MKL's products take up to three times as long as oneDNN's."""
    capabilities: Mapping[str, Any] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "Intel" in capabilities.get("cpu_name", "Intel")


def _serves_any_rows(layer: nn.Linear) -> bool:
    """Whether weights that were packed for one number of rows serve others; the libraries say so between the lines only."""
    product = _packed(layer)
    states = torch.linspace(-1, 1, 3 * _ROWS * layer.in_features).view(-1, layer.in_features)
    with torch.inference_mode():
        return all(
            torch.allclose(
                product(states[:rows]), linear(states[:rows], layer.weight, layer.bias), atol=1e-3, rtol=1e-3
            )
            for rows in (1, 3, 3 * _ROWS)
        )


def _can_pack(layers: Sequence[nn.Linear]) -> bool:
    known = hasattr(torch.ops.mkl, "_mkl_reorder_linear_weight") and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    works = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    room = sum(layer.weight.nbytes for layer in layers) <= _MOST_BYTES
    return known and works and room and not torch.is_autocast_enabled("cpu")


def _fits(layer: nn.Linear) -> bool:
    weight = layer.weight
    if "forward" in vars(layer):  # somebody else's, such as a hook
        return False
    plain = type(weight) in (nn.Parameter, Tensor) and weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and weight.is_contiguous()
