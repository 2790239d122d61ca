"""Weights in the order in which the processor's matrix product reads them, for steps that write a token for each of a few rows.

A product of a few rows spends much of its time on bringing the weights into that order. Within a batch they do not change, so
they are brought into it once. MKL does this; where torch has no MKL, or the model is not float32 on a CPU, products are computed
as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

_SMALLEST = 1 << 16
"""Weights with fewer elements are not worth it."""
_MOST_BYTES = 4 << 30
"""The copy is as large as the weights; those of larger models are not copied."""


class PackedLinears:
    """The linear layers of a model, packed for products of a certain number of rows.

    Args:
        model: Its weights must not change while this is used.
        rows: Rows of a product; with others nothing is gained.
    """

    def __init__(self, model: nn.Module, rows: int) -> None:
        self.rows = rows
        self._packed: list[tuple[nn.Linear, Any]] = []
        if rows < 2 or not _can_pack():
            return
        layers = [module for module in model.modules() if type(module) is nn.Linear and _fits(module)]
        if sum(layer.weight.nbytes for layer in layers) > _MOST_BYTES:
            return
        for layer in layers:
            weight = layer.weight.detach()
            packed = torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
            self._packed.append((layer, partial(_product, packed, weight, layer.bias, rows)))

    def __bool__(self) -> bool:
        return bool(self._packed)

    @contextmanager
    def used(self) -> Iterator[None]:
        """The model computes with the packed weights meanwhile."""
        try:
            for layer, product in self._packed:
                layer.forward = product  # type: ignore[method-assign]
            yield
        finally:
            for layer, _ in self._packed:
                vars(layer).pop("forward", None)


class Packing:
    """Packs a model's weights when they are first needed, and again where there are more rows, or half as many.

    Args:
        model: Its weights must not change while this is used.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._latest: PackedLinears | None = None

    def of(self, rows: int, most: int) -> PackedLinears:
        """The weights for products of at least ``rows`` rows and at most ``most``."""
        if self._latest is None or not rows <= self._latest.rows <= min(2 * rows - 1, most):
            self._latest = None  # its memory is free before the next is there
            self._latest = PackedLinears(self._model, rows)
        return self._latest


def _product(packed: Tensor, weight: Tensor, bias: Tensor | None, rows: int, input: Tensor) -> Tensor:
    result: Tensor = torch.ops.mkl._mkl_linear(input, packed, weight, bias, rows)
    return result


def _can_pack() -> bool:
    known = hasattr(torch.ops.mkl, "_mkl_reorder_linear_weight")
    works = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    return known and works and not torch.is_autocast_enabled("cpu")


def _fits(layer: nn.Linear) -> bool:
    weight = layer.weight
    if "forward" in vars(layer):  # somebody else's, such as a hook
        return False
    plain = type(weight) in (nn.Parameter, Tensor) and weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and weight.is_contiguous() and weight.numel() >= _SMALLEST
